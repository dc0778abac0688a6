"""A client's connection, as uvicorn serves it, with bounds on how long and how much it is waited for.

uvicorn itself waits for the rest of a request for ever and keeps as much of its head as comes. So anybody who reaches
the port, with no key at all, could hold connections open until there are no more, or fill the memory with headers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
HEAD_S = 30.0
"""How long a client may take for them, from the first byte on, or from connecting."""
BODY_S = 120.0
"""How long a client may send nothing of a body that it announced."""
READ_S = 900.0
"""How long a client may read nothing of what waits for it. Longer than the official clients' own timeout."""
LOOK_EVERY_S = 10.0

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Give it to uvicorn as ``http``."""

    most_head = MOST_HEAD
    head_s = HEAD_S
    body_s = BODY_S
    read_s = READ_S
    look_every_s = LOOK_EVERY_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stage: str | None = "head"
        """Of the request that the client sends: its head, its body, or None between two."""
        self._since = self.loop.time()
        """Head: since when it is sent. Body: when something of it came."""
        self._head = 0
        self._unread_since: float | None = None
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look = self.loop.call_later(self.look_every_s, self._look_after)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._stop_looking()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        if self._stage == "head":
            self._head += len(data)
        elif self._stage == "body":
            self._since = self.loop.time()
        super().data_received(data)
        if self._stage == "head" and self._head > self.most_head and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._stage is None:
            self._stage, self._head, self._since = "head", 0, self.loop.time()

    def on_headers_complete(self) -> None:
        self._stage, self._since = "body", self.loop.time()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stage = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def _look_after(self) -> None:
        self._look = self.loop.call_later(self.look_every_s, self._look_after)
        now = self.loop.time()
        if self._unread_since is not None and now - self._unread_since > self.read_s:
            self.transport.abort()
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        match self._stage:
            case "head" if answering:  # of the next request, which may wait for this one
                self._since = now
            case "head" if now - self._since > self.head_s:
                self.transport.close()
            case "body" if self.flow.read_paused:  # it is we who do not read
                self._since = now
            case "body" if now - self._since > self.body_s:
                self.transport.close()

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
