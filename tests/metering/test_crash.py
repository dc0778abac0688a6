"""Servers killed in mid-stream under load. ``CRASHES=50`` in the environment makes it fifty times on each database."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from sqlalchemy import func, select

from inhouse.access import Access
from inhouse.catalog.bindings import Bindings
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.metering import rollups
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, usage_rollups

CRASHES = int(os.environ.get("CRASHES", "5"))
CLIENTS = 12
CHUNKS = 25
CHUNK_S = 0.02
USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}
Open = Callable[[str], Database]


async def _complete(request: web.Request) -> web.StreamResponse:
    """A chat engine that says CHUNKS words, one at a time."""
    body = await request.json()
    head = {"id": "chatcmpl-x", "created": 1, "model": "mock"}
    if not body.get("stream"):
        await asyncio.sleep(CHUNK_S * 3)
        message = {"role": "assistant", "content": "word " * CHUNKS}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
        return web.json_response({**head, "object": "chat.completion", "choices": choices, "usage": USAGE})
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)

    async def send(choices: list[Any], **more: Any) -> None:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    words = int(body["messages"][0]["content"])
    for _ in range(words):
        await send([{"index": 0, "delta": {"content": "word "}, "logprobs": None, "finish_reason": None}])
        await asyncio.sleep(CHUNK_S)
    await send([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}])
    await send([], usage={**USAGE, "completion_tokens": words})
    await answer.write(b"data: [DONE]\n\n")
    return answer


@pytest.fixture
async def engine_url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", _complete)
    listing = {"object": "list", "data": [{"id": "mock", "object": "model", "max_model_len": 100_000}]}

    async def models(request: web.Request) -> web.Response:
        return web.json_response(listing)

    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


async def platform(database: Database, engine_url: str) -> str:
    """Makes the engine above serve gpt-4.1, and nothing else be deployed. Returns a key."""
    bindings = Bindings(database)
    for model in bindings._defaults:
        await bindings.bind(model, None, "test")
    await bindings.bind("gpt-4.1", Remote(upstream=UpstreamSpec(targets=[Target(engine_url, "mock")])), "test")
    access = Access(database)
    await access.bootstrap()
    return (await access.create_key("load")).secret


class Server(msgspec.Struct):
    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def server(url: str, folder: Path) -> AsyncIterator[Server]:
    """A server process. At the end it is killed if it still runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INHOUSE_")}
    environment |= {"INHOUSE_DATABASE__URL": url, "INHOUSE_SERVER__PORT": str(port), "INHOUSE_LOG__LEVEL": "warning"}
    folder.mkdir(exist_ok=True)
    with (folder / "output").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "inhouse.cli", "serve", "--data-dir", str(folder)),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                assert process.returncode is None, (folder / "output").read_text()
                try:
                    async with session.get(f"{base}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        yield Server(process, base)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Load:
    """Clients that ask without pause, and what became of their requests."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.completed: dict[str, int] = {}
        """Words by request id, of answers that came whole."""
        self.broken: set[str] = set()
        self.streaming = asyncio.Event()

    async def run(self, url: str) -> None:
        """Until the server is gone."""
        self.streaming.clear()
        async with aiohttp.ClientSession(headers={"authorization": f"Bearer {self._key}"}) as session:
            await asyncio.gather(*(self._client(session, url, number) for number in range(CLIENTS)))

    async def _client(self, session: aiohttp.ClientSession, url: str, number: int) -> None:
        while await self.ask(session, url, stream=number % 4 != 0, words=CHUNKS):
            pass

    async def ask(self, session: aiohttp.ClientSession, url: str, stream: bool, words: int) -> bool:
        id = None
        body = {"model": "gpt-4.1", "stream": stream, "messages": [{"role": "user", "content": str(words)}]}
        try:
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                id = answer.headers["x-request-id"]
                assert answer.status == 200, await answer.text()
                text = ""
                async for line in answer.content:
                    text += line.decode()
                    if stream and text.count("word") > 2:
                        self.streaming.set()
        except aiohttp.ClientError:
            if id is not None:
                self.broken.add(id)
            return False
        assert text.count("word") == words
        assert not stream or text.endswith("data: [DONE]\n\n")
        self.completed[id] = words
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="death is seen at once only where /proc tells of it")
async def test_killed_in_mid_stream(database: Database, database_url: str, engine_url: str, tmp_path: Path) -> None:
    load = Load(await platform(database, engine_url))
    for _ in range(CRASHES):
        async with server(database_url, tmp_path / "server") as running:
            verdict = await verify(database)
            assert verdict.clean, verdict
            assert verdict.open == 0, "the start settles what the killed server left"
            work = asyncio.create_task(load.run(running.url))
            await asyncio.wait_for(load.streaming.wait(), 30)
            await asyncio.sleep(random.uniform(0, CHUNKS * CHUNK_S))
            await running.kill()
            await asyncio.wait_for(work, 30)
    async with server(database_url, tmp_path / "server"):
        verdict = await verify(database)
    assert verdict.clean, verdict
    assert verdict.open == 0
    assert verdict.interrupted > 0, "nothing was killed in mid-stream"
    assert load.broken

    rows = await database.read(lambda c: c.execute(select(calls)).all())
    by_id = {row.id: row for row in rows}
    assert len(by_id) == len(rows)
    for id, words in load.completed.items():
        row = by_id[id]
        assert (row.state, row.status, row.error_code) == ("settled", 200, None)
        assert (row.input_tokens, row.output_tokens) == (12, words)
        assert row.cost_nanos == 12 * 2000 + words * 8000
    # What is settled beyond that was settled when the process died before the client had the last byte.
    settled = {row.id for row in rows if row.state == "settled"}
    assert settled >= load.completed.keys()
    assert len(settled - load.completed.keys() - load.broken) <= CRASHES * CLIENTS
    assert {row.id for row in rows if row.state == "interrupted"}.isdisjoint(load.completed)
    booked = select(func.sum(usage_rollups.c.requests)).where(usage_rollups.c.width == rollups.DAY)
    assert await database.read(lambda c: c.execute(booked).scalar()) >= len(load.completed)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="death is seen at once only where /proc tells of it")
async def test_a_killed_server_leaves_the_calls_of_others_alone(
    postgres_url: str, open_database: Open, engine_url: str, tmp_path: Path
) -> None:
    database = open_database(postgres_url)
    database.migrate()
    key = await platform(database, engine_url)
    doomed, surviving = Load(key), Load(key)
    headers = {"authorization": f"Bearer {key}"}
    async with (
        server(postgres_url, tmp_path / "one") as one,
        server(postgres_url, tmp_path / "two") as two,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        long = asyncio.create_task(surviving.ask(session, two.url, stream=True, words=600))
        short = asyncio.create_task(doomed.ask(session, one.url, stream=True, words=600))
        await asyncio.gather(surviving.streaming.wait(), doomed.streaming.wait())
        await one.kill()
        assert not await short
        async with server(postgres_url, tmp_path / "one"):
            states = await database.read(lambda c: c.execute(select(calls.c.id, calls.c.state)).all())
            assert sorted(row.state for row in states) == ["interrupted", "open"]
            assert {row.id for row in states if row.state == "interrupted"} == doomed.broken
        assert await long
    verdict = await verify(database)
    assert verdict.clean, verdict
    (row,) = await database.read(lambda c: c.execute(select(calls).where(calls.c.state == "settled")).all())
    assert {row.id: row.output_tokens} == surviving.completed == {row.id: 600}
