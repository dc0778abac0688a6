"""A child that speaks the handshake and obeys its config; not an engine, only its manners."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from inhouse.engines import child

if "--no-death-signal" in sys.argv:
    child._die_with_parent = lambda: None

parent = child.Parent()
config = parent.handshake.config or {}
print("this library prints to stdout", flush=True)
print("loading", file=sys.stderr)

if starts := config.get("count_starts_in"):
    with open(starts, "a") as file:
        file.write("start\n")
if config.get("deaf_to_sigterm"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.path.exists(config.get("fail_while", "/nonexistent")):
    print("weights are missing", file=sys.stderr)
    sys.exit(3)
if config.get("never_ready"):
    time.sleep(600)


class Handler(BaseHTTPRequestHandler):
    unhealthy = config.get("unhealthy_answers", 0)

    def do_GET(self) -> None:
        if self.path == "/health":
            status = 503 if Handler.unhealthy > 0 else 200
            Handler.unhealthy -= 1
        else:
            status = 200 if self.headers["Authorization"] == f"Bearer {parent.handshake.key}" else 401
        body = json.dumps({"pid": os.getpid()}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Thread(target=server.serve_forever, daemon=True).start()
parent.announce(f"http://127.0.0.1:{server.server_port}")
parent.wait()
