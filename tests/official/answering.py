"""A server that speaks Chat Completions and says what a test makes of each request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


class Refusal(Exception):
    """A request that is answered 400, with this as the reason."""


@contextmanager
def answering(message: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """The server's base URL.

    Args:
        message: what is said to the body of a request. May raise Refusal. Called from several threads.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = 200, {}
            try:
                choice = {"index": 0, "message": {"role": "assistant", **message(body)}, "finish_reason": "stop"}
                answer = {"choices": [choice], "usage": USAGE}
            except Refusal as refusal:
                status, answer = 400, {"error": {"message": str(refusal), "type": "x"}}
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
