"""How long and how much a connection is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvicorn

from inhouse.connection import Connection

Open = Callable[[type[Connection]], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
HEAD = b"POST / HTTP/1.1\r\nhost: here\r\n"


class Hasty(Connection):
    head_s = body_s = 0.2
    look_every_s = 0.02


class App:
    """Reads a request and answers with its length, after ``wait`` was set."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.wait = asyncio.Event()
        self.wait.set()
        self.pours_until: asyncio.Event | None = None
        """Where it is given, the answer has no end before it is set."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.pours_until is not None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not self.pours_until.is_set():
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            self.left.set()
            return
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        headers = [(b"content-length", b"3")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self.wait.wait()
        await send({"type": "http.response.body", "body": b"%03d" % length})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def connect(app: App) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_(kind: type[Connection]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            config = uvicorn.Config(app, http=kind, port=0, lifespan="off", log_config=None, timeout_keep_alive=60)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)

            async def stop() -> None:
                app.wait.set()
                writer.close()
                server.should_exit = True
                await serving

            stack.push_async_callback(stop)
            return reader, writer

        yield open_


@pytest.mark.parametrize("begin", [HEAD + b"x-endless: ", b"GET /", HEAD])
async def test_a_head_without_end_is_refused(connect: Open, begin: bytes) -> None:
    reader, writer = await connect(Connection)
    writer.write(begin)
    line = b"x" * 1022 + b"\r\n" if begin == HEAD else b"x" * 1024
    if begin == HEAD:
        line = b"x-many: " + line
    sent = 0
    try:
        while not reader.at_eof() and sent < 20_000_000:
            writer.write(line)
            await writer.drain()
            sent += len(line)
            await asyncio.sleep(0)
    except ConnectionError:
        return
    assert sent < 20_000_000
    assert (await reader.read()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("sent", [b"", HEAD, b"GET"])
async def test_who_never_ends_a_head_is_not_waited_for(connect: Open, sent: bytes) -> None:
    reader, writer = await connect(Hasty)
    writer.write(sent)
    async with asyncio.timeout(30):
        assert await reader.read() == b""


async def test_who_announces_a_body_and_sends_none_is_not_waited_for(connect: Open, app: App) -> None:
    reader, writer = await connect(Hasty)
    writer.write(HEAD + b"content-length: 10\r\n\r\n12345")
    async with asyncio.timeout(30):
        assert await reader.read() == b""
        await app.left.wait()


async def test_a_connection_between_two_requests_and_an_answer_that_takes_long_are_left_alone(
    connect: Open, app: App
) -> None:
    made: list[Connection] = []

    class Watched(Connection):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            made.append(self)

        def look(self) -> None:
            """As if an hour had passed."""
            self._since -= 3600
            self._look_after()

    reader, writer = await connect(Watched)
    for body in (b"1", b"22"):
        app.wait.clear()
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"\r\n\r\n")
        [connection] = made
        writer.write(HEAD[:9])  # of the next one, which comes early
        while connection._stage != "head":
            await asyncio.sleep(0.01)
        connection.look()
        app.wait.set()
        assert await reader.readexactly(3) == b"%03d" % len(body)
        writer.write(HEAD[9:] + b"content-length: 1\r\n\r\n1")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(3) == b"001"
        connection.look()
    assert not connection.transport.is_closing()


async def test_who_reads_nothing_is_cut_off(connect: Open, app: App) -> None:
    gone = asyncio.Event()

    class Unread(Connection):
        read_s = 0.1
        look_every_s = 0.02

        def connection_lost(self, exc: Exception | None) -> None:
            gone.set()
            super().connection_lost(exc)

    app.pours_until = gone
    _, writer = await connect(Unread)
    writer.write(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    async with asyncio.timeout(30):
        await gone.wait()
        await app.left.wait()
