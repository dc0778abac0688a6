"""Over real sockets: what becomes of a request whose client leaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import granian.server.embed
import pytest
import uvicorn
from granian.constants import Interfaces
from tests.api.things import KEY, Gate, Things, post

from inhouse.api.dispatch import Dispatcher
from inhouse.api.operation import operations_of

SERVERS = ["granian", "uvicorn"]


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def app(things: Things) -> Dispatcher:
    return Dispatcher(operations_of(things), Gate(), max_body_bytes=1_000_000)


@asynccontextmanager
async def serving(kind: str, app: Any) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        if kind == "uvicorn":
            config = uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=2)
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                yield port
            finally:
                server.should_exit = True
                await task
            return
    granite = granian.server.embed.Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False
    )
    task = asyncio.create_task(granite.serve())
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.02)
    try:
        yield port
    finally:
        granite.stop()
        await task


async def raw_post(port: int, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/things HTTP/1.1\r\nhost: x\r\nauthorization: Bearer good\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("how", ["endless", "stuck", "flood"])
async def test_client_leaves_in_mid_stream(things: Things, app: Dispatcher, server: str, how: str) -> None:
    async with serving(server, app) as port:
        reader, writer = await raw_post(port, post(stream=True, how=how))
        await reader.readuntil(b'{"id":"b"')
        await things.began.wait()
        writer.close()
        await asyncio.wait_for(things.ended.wait(), 120)
        await asyncio.sleep(0.05)
    assert things.log == ["closed"]


@pytest.mark.parametrize("server", SERVERS)
async def test_client_leaves_before_the_first_event(things: Things, app: Dispatcher, server: str) -> None:
    async with serving(server, app) as port:
        _, writer = await raw_post(port, post(stream=True, how="silent"))
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(things.ended.wait(), 120)
    assert things.log == ["closed"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("pause", [0.0, 0.2])
async def test_client_leaves_while_a_handler_waits(things: Things, app: Dispatcher, server: str, pause: float) -> None:
    async with serving(server, app) as port:
        _, writer = await raw_post(port, post(how="waits"))
        await things.began.wait()
        await asyncio.sleep(pause)
        writer.close()
        await asyncio.wait_for(things.ended.wait(), 120)
    assert things.log == ["cancelled"]


@pytest.mark.parametrize("server", SERVERS)
async def test_connection_is_reused_after_a_watched_request(things: Things, app: Dispatcher, server: str) -> None:
    """A request that was watched leaves nothing behind that would disturb the next on its connection."""
    async with serving(server, app) as port, aiohttp.ClientSession(headers=KEY) as session:
        url = f"http://127.0.0.1:{port}/v1/things"
        for _ in range(3):
            things.release.clear()
            asyncio.get_running_loop().call_later(0.15, things.release.set)
            async with session.post(url, json={"name": "n", "how": "waits"}) as answer:
                assert (answer.status, (await answer.json())["id"]) == (200, "n")
            async with session.post(url, json={"name": "n", "stream": True}) as answer:
                assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        # The last one leaves: the watch of the connection's fourth request must still work.
        things.release.clear()
        things.ended.clear()
        things.began.clear()
        request = asyncio.create_task(session.post(url, json={"name": "n", "how": "waits"}))
        await things.began.wait()
        request.cancel()
        await asyncio.wait_for(things.ended.wait(), 120)
    assert things.log == ["released", "closed"] * 3 + ["cancelled"]


@pytest.mark.parametrize("server", SERVERS)
async def test_answers_over_sockets(things: Things, app: Dispatcher, server: str) -> None:
    async with serving(server, app) as port, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{port}/v1"
        large = b'{"name":"' + b"x" * 500_000 + b'"}'
        async with session.post(f"{base}/things", data=large, headers=KEY) as answer:
            assert answer.status == 400  # aiohttp says application/octet-stream
        typed = {**KEY, "content-type": "application/json"}
        async with session.post(f"{base}/things", data=large, headers=typed) as answer:
            assert len((await answer.json())["id"]) == 500_000

        async def chunks(count: int) -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b" " * 100_000

        async with session.post(f"{base}/things", data=chunks(15), headers=typed) as answer:
            assert answer.status == 413
            assert "(1500000 bytes read)" in (await answer.json())["error"]["message"]
        async with session.post(f"{base}/things", data=b" " * 1_500_000, headers=typed) as answer:
            assert answer.status == 413
        async with session.post(f"{base}/things", data=large, headers={"authorization": "Bearer bad"}) as answer:
            assert answer.status == 401
            assert answer.headers["x-request-id"].startswith("req_")
        async with session.head(f"{base}/things/a", headers=KEY) as answer:
            assert answer.status == 200
        async with session.delete(f"{base}/things/a", headers=KEY) as answer:
            assert answer.status == 204
        async with session.get(f"{base}/things/org%2Fmodel", headers=KEY) as answer:
            assert (await answer.json())["id"] == "org/model"
        async with session.get(f"{base}/things/pieces/content", headers=KEY) as answer:
            assert await answer.read() == b"abcdef"
