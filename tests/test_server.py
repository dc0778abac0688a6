"""The server as a process of its own, on real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvicorn
from tests.upstreams import Scripted, delta, scripted_upstream
from tests.walking import walking

from inhouse.app import Platform
from inhouse.server import own_port

KEY = "sk-proj-Qw8vT2kLp5ZxNb7RfYh3CjM9sD4gA6eU"
STREAM = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
MODELS = ("gpt-4.1-mini", "gpt-4.1-nano", "gpt-3.5-turbo-instruct")


@pytest.fixture
async def upstream() -> AsyncIterator[Scripted]:
    async with scripted_upstream() as server:
        server.chunks = [delta(content="a"), delta(content="b")]
        yield server


@pytest.fixture
async def folder(tmp_path: Path, upstream: Scripted) -> Path:
    """A data folder in which one model is served, by the upstream, and no weights are needed."""
    async with walking(tmp_path) as walk:
        await walk.upstream(upstream.url)
        for model in MODELS:
            await walk.platform.catalog.bindings.bind(model, None, "test")
    (tmp_path / "inhouse.toml").write_text("[engines]\npreload = []\n")
    return tmp_path


class Running:
    """A server process."""

    def __init__(self, process: asyncio.subprocess.Process, printed: str) -> None:
        self.process = process
        self.printed = printed
        found = re.search(r"base URL +(http://127\.0\.0\.1:(\d+))/v1", printed)
        assert found is not None, printed
        self.url, self.port = found[1], int(found[2])

    async def ends(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 120)

    async def logs(self) -> str:
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()


@asynccontextmanager
async def serving(
    folder: Path, *, code: str | None = None, key: str | None = KEY, port: int = 0
) -> AsyncIterator[Running]:
    """Args: code: run before the command, in the server's process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INHOUSE_")}
    if key is not None:
        environment["INHOUSE_API_KEY"] = key
    command = f"{code or ''}\nfrom inhouse.cli import main\nmain()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "serve", "--data-dir", str(folder), "--port", str(port)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        printed = b""
        while b"console" not in printed and (line := await asyncio.wait_for(process.stdout.readline(), 120)):
            printed += line
        if b"console" not in printed:
            raise AssertionError((await process.stderr.read()).decode())
        running = Running(process, printed.decode())
        async with aiohttp.ClientSession() as session, asyncio.timeout(120):
            while True:
                try:
                    async with session.get(f"{running.url}/readyz") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
        if key is None:
            running.printed += (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def streaming(url: str, key: str = KEY) -> AsyncIterator[aiohttp.ClientResponse]:
    """An answer of which the first event has come."""
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session,
        session.post(f"{url}/v1/chat/completions", json=STREAM) as answer,
    ):
        assert answer.status == 200
        assert (await answer.content.readuntil(b"\n\n")).startswith(b"data: ")
        yield answer


def rows(folder: Path) -> list[Any]:
    with sqlite3.connect(folder / "inhouse.db") as database:
        return database.execute("SELECT state, status FROM calls ORDER BY created_at").fetchall()


async def test_a_life(folder: Path, upstream: Scripted) -> None:
    upstream.chunks.append(delta(finish="stop"))
    async with serving(folder) as server:
        assert "API key" not in server.printed, "it was given, so it is not shown"
        async with streaming(server.url) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url, allow_redirects=False) as answer:
                assert answer.headers["location"] == "/models"
            async with session.get(f"{server.url}/openapi.json") as answer:
                assert (await answer.json())["openapi"]
            async with session.get(f"{server.url}/v1/models") as answer:
                assert answer.status == 401
            server.process.send_signal(signal.SIGTERM)
            assert await server.ends() == 0
    assert rows(folder) == [("settled", 200)]


@pytest.mark.parametrize("own_folder", [True, False])
async def test_a_second_server_is_refused(folder: Path, tmp_path: Path, own_folder: bool) -> None:
    """On the same folder it would share the database; on the same port, silently half of the requests."""
    async with serving(folder) as server:
        other = tmp_path / "other" if own_folder else folder
        if own_folder:
            other.mkdir()
            for name in ("inhouse.db", "inhouse.toml"):
                (other / name).write_bytes((folder / name).read_bytes())
        reason = "cannot listen on 127.0.0.1" if own_folder else "another server runs on"
        with pytest.raises(AssertionError, match=f"error: {reason}"):
            async with serving(other, port=server.port if own_folder else 0):
                pass
        async with aiohttp.ClientSession() as session, session.get(f"{server.url}/readyz") as answer:
            assert answer.status == 200


async def test_the_first_start_shows_a_key_once(folder: Path) -> None:
    with sqlite3.connect(folder / "inhouse.db") as database:
        for table in ("api_keys", "projects", "organizations"):
            database.execute(f"DELETE FROM {table}")
    async with serving(folder, key=None) as server:
        found = re.search(r"API key +(sk-proj-[\w-]{64})", server.printed)
        assert found is not None, server.printed
        headers = {"authorization": f"Bearer {found[1]}"}
        async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{server.url}/v1/models") as answer:
            assert answer.status == 200
        server.process.send_signal(signal.SIGINT)
        assert await server.ends() == 0
    async with serving(folder) as server:
        assert "API key" not in server.printed


async def test_an_open_stream_may_end_after_sigterm(folder: Path, upstream: Scripted) -> None:
    upstream.hangs = True
    async with serving(folder) as server, streaming(server.url) as answer:
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get(f"{server.url}/healthz")
        assert server.process.returncode is None
        upstream.release.set()
        rest = await answer.read()
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await server.ends() == 0
    assert rows(folder) == [("settled", 200)]


async def test_a_second_signal_ends_open_streams(folder: Path, upstream: Scripted) -> None:
    upstream.hangs = True
    async with serving(folder) as server, streaming(server.url) as answer:
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
        assert await server.ends() == 0
        logs = await server.logs()
    await asyncio.wait_for(upstream.left.wait(), 120)
    assert rows(folder) == [("settled", 499)]
    assert "requests were cut off by the shutdown" in logs
    assert "Traceback" not in logs


async def test_a_stream_that_does_not_end_is_cut_after_a_while(folder: Path, upstream: Scripted) -> None:
    upstream.hangs = True
    code = "import inhouse.server\ninhouse.server.GRACE_SECONDS = 0.2"
    async with serving(folder, code=code) as server, streaming(server.url):
        server.process.send_signal(signal.SIGTERM)
        assert await server.ends() == 0
    assert rows(folder) == [("settled", 499)]


async def test_a_migration_that_fails_stops_the_start(folder: Path) -> None:
    with sqlite3.connect(folder / "inhouse.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999_future'")
    with pytest.raises(AssertionError, match="error: The database is at schema 9999_future"):
        async with serving(folder):
            pass


async def test_a_weak_preset_key_stops_the_start(folder: Path) -> None:
    with pytest.raises(AssertionError, match="error: INHOUSE_API_KEY is a publicly known key"):
        async with serving(folder, key="sk-1234"):
            pass


async def test_uvicorn_serves_the_platform_too(folder: Path, upstream: Scripted) -> None:
    async with walking(folder) as walk:
        secret = (await walk.platform.access.create_key("test")).secret
        await walk.upstream(upstream.url)
        settings = walk.platform.settings
    platform = Platform(settings)
    server = uvicorn.Server(uvicorn.Config(platform, host="127.0.0.1", port=0, log_level="error"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,method-assign]
    task = asyncio.create_task(server._serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        upstream.chunks.append(delta(finish="stop"))
        async with streaming(f"http://127.0.0.1:{port}", secret) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        upstream.chunks.pop()
        upstream.hangs = True
        async with streaming(f"http://127.0.0.1:{port}", secret):
            pass
        await asyncio.wait_for(upstream.left.wait(), 120)
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 120)
    assert rows(folder) == [("settled", 200), ("settled", 499)]
    with pytest.raises(RuntimeError, match="closed"):
        await platform.database.write(lambda connection: None)


async def lifespan(platform: Platform, *messages: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    given = iter(messages)

    async def receive() -> dict[str, Any]:
        return {"type": f"lifespan.{next(given)}"}

    async def send(message: Any) -> None:
        sent.append(message)

    await platform({"type": "lifespan"}, receive, send)
    return sent


async def test_a_start_that_fails_is_told_with_its_reason(folder: Path) -> None:
    async with walking(folder) as walk:
        settings = walk.platform.settings
    platform = Platform(settings)
    with sqlite3.connect(folder / "inhouse.db") as database:
        database.execute("UPDATE bindings SET deployment = ?", (json.dumps({"type": "quantum"}),))
    [message] = await lifespan(platform, "startup")
    assert message["type"] == "lifespan.startup.failed"
    assert "quantum" in message["message"]
    await platform.stop()


async def test_every_room_is_closed_although_one_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with walking(folder) as walk:
        settings = walk.platform.settings
    platform = Platform(settings)
    await platform.start()

    async def broken() -> None:
        raise OSError("an engine would not end")

    monkeypatch.setattr(platform.engines, "close", broken)
    with pytest.raises(OSError, match="would not end"):
        await platform.stop()
    with pytest.raises(RuntimeError, match="closed"):
        await platform.database.write(lambda connection: None)


async def test_websockets_are_turned_away(folder: Path) -> None:
    async with walking(folder) as walk:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        for path in ("/v1/realtime", "/models"):
            await walk.platform(
                {"type": "websocket", "path": path, "headers": [], "query_string": b"", "root_path": ""}, receive, send
            )
    assert {message["type"] for message in sent} == {"websocket.close"}


async def test_ports() -> None:
    with own_port("127.0.0.1", 0) as owned:
        port = owned.getsockname()[1]
        assert port > 0
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port, reuse_port=True)
    try:
        with pytest.raises(OSError, match="in use"):
            own_port("127.0.0.1", port)
    finally:
        server.close()
    with pytest.raises(OSError, match="assign"):
        own_port("203.0.113.7", 0)
    with own_port("localhost", 0) as owned:
        assert owned.getsockname()[1] > 0


@pytest.mark.parametrize(("trusted", "left"), [(True, 401), (False, 429)])
async def test_only_a_trusted_proxy_tells_who_the_client_is(folder: Path, trusted: bool, left: int) -> None:
    with (folder / "inhouse.toml").open("a") as settings:
        settings.write(
            f"[server]\ntrusted_proxies = {json.dumps(['127.0.0.1', '::1'] if trusted else ['192.0.2.1'])}\n"
        )
    async with (
        serving(folder) as server,
        aiohttp.ClientSession(server.url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):

        async def sign_in(address: str) -> int:
            headers = {"x-forwarded-for": address}
            async with session.get("/sign-in", headers=headers) as page:
                found = re.search(r'name="csrf" value="([^"]+)"', await page.text())
            assert found is not None
            fields = {"csrf": found[1], "key": "sk-wrong"}
            async with session.post("/sign-in", data=fields, headers=headers, allow_redirects=False) as answer:
                return answer.status

        assert [await sign_in("203.0.113.1") for _ in range(11)] == [401] * 10 + [429]
        assert await sign_in("203.0.113.2") == left
