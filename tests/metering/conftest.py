"""A platform of real server processes before an engine that says a number of words."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from inhouse.access import Access
from inhouse.catalog.bindings import Bindings
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.storage.database import Database

CHUNKS = 25
CHUNK_S = 0.02
USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS, "total_tokens": 12 + CHUNKS}


async def _complete(request: web.Request) -> web.StreamResponse:
    """A chat engine that says as many words as it is told, one at a time."""
    body = await request.json()
    words = int(body["messages"][0]["content"])
    head = {"id": "chatcmpl-x", "created": 1, "model": "mock"}
    if not body.get("stream"):
        await asyncio.sleep(CHUNK_S * (words // 8))
        message = {"role": "assistant", "content": "word " * words}
        choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
        usage = {**USAGE, "completion_tokens": words}
        return web.json_response({**head, "object": "chat.completion", "choices": choices, "usage": usage})
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)

    async def send(choices: list[Any], **more: Any) -> None:
        chunk = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
        await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

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
    """A server process. At the end it is told to go if it still runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INHOUSE_")}
    environment |= {"INHOUSE_DATABASE__URL": url, "INHOUSE_SERVER__PORT": str(port), "INHOUSE_LOG__LEVEL": "warning"}
    environment["INHOUSE_LIMITS__TIER"] = "off"  # servers with limits do not share a database without a store
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
        async with asyncio.timeout(180), aiohttp.ClientSession() as session:
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
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 120)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


@pytest.fixture
def start_server() -> Any:
    """``async with start_server(url, folder) as running:``."""
    return server


@pytest.fixture
def make_platform() -> Any:
    """``key = await make_platform(database, engine_url)``."""
    return platform
