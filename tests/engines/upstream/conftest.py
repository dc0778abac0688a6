"""Real servers on ephemeral ports, scripted to behave and to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvloop

from inhouse.engines.upstream import Target, Upstream, UpstreamSpec


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Handler = Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Calls its handler for each request of each connection, until the handler or the client closes."""

    handler: Handler
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closed its side."""
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    def drop_connections(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Request(*head[0].split(" ")[:2], headers, body)
                self.requests.append(request)
                await self.handler(request, reader, writer)
                await writer.drain()
        self._writers.discard(writer)
        self.left.set()
        writer.close()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The gateway runs on uvloop; its transports differ from asyncio's in when they call back."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


Serve = Callable[[Handler], Awaitable[ScriptedServer]]
Connect = Callable[..., Upstream]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[ScriptedServer] = []

    async def start(handler: Handler) -> ScriptedServer:
        servers.append(server := ScriptedServer(handler))
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """An ``Upstream`` for servers or URLs. The model is named, so that it is not asked for, unless it is None."""
    clients: list[Upstream] = []

    def make(
        *servers: ScriptedServer | str, model: str | None = "m", key_env: str | None = None, **given: Any
    ) -> Upstream:
        urls = [server if isinstance(server, str) else server.url for server in servers]
        spec = UpstreamSpec(targets=[Target(url, model, key_env) for url in urls], **given)
        clients.append(client := Upstream(spec))
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def nowhere() -> str:
    """The URL of a port that nothing listens on."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}/v1"


class Say:
    """Handlers and pieces of answers."""

    SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    END = b"0\r\n\r\n"

    @staticmethod
    def answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {status}\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body

    @staticmethod
    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data)

    @staticmethod
    def bytes(*pieces: bytes, close: bool = False) -> Handler:
        """Sends the pieces, each in a packet of its own."""

        async def handler(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                writer.close()

        return handler

    @classmethod
    def stream(cls, *payloads: bytes, done: bool = True) -> Handler:
        """A well-behaved stream, an event in a chunk."""
        events = [*payloads, b"[DONE]"] if done else payloads
        return cls.bytes(cls.SSE, *(cls.chunk(b"data: " + payload + b"\n\n") for payload in events), cls.END)

    @staticmethod
    async def silence(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Accepts and never answers; ends when the client goes."""
        if await reader.read(1) == b"":
            writer.close()


@pytest.fixture
def say() -> type[Say]:
    return Say
