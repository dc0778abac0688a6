"""A TCP proxy that holds or cuts what passes at a wanted place."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit


class Between:
    """Stands before the server of ``url``, and has one of its own.

    Where ``at`` passes, in whichever direction, for the first time, ``reached`` is set, and from then on all bytes wait
    (``hold``) until ``release``, or every connection is cut, and no new one is taken (``cut``).
    """

    def __init__(self, url: str, at: bytes = b"", then: Literal["hold", "cut"] = "hold") -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self._at = at
        self._then = then
        self.reached = threading.Event()
        self._free = threading.Event()
        self._free.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = urlunsplit(parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}"))
        threading.Thread(target=self._accept, daemon=True).start()

    def watch(self, at: bytes) -> None:
        """Hold, or cut, at another place from now on."""
        self.release()
        self.reached.clear()
        self._at = at

    def release(self) -> None:
        self._at = b""
        self._free.set()

    def cut(self) -> None:
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._free.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(self._server)
                self._sockets += [ours, theirs]
                for source, target in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self._at and self._at in data:
                    before, at, data = data.partition(self._at)
                    target.sendall(before + at)
                    self._at = b""
                    if self._then == "cut":
                        self.reached.set()
                        self.cut()
                        return
                    self._free.clear()
                    self.reached.set()
                self._free.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def between(url: str, at: bytes = b"", then: Literal["hold", "cut"] = "hold") -> Iterator[Between]:
    proxy = Between(url, at, then)
    try:
        yield proxy
    finally:
        proxy.cut()
