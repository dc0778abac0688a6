"""Servers killed in mid-stream under load. ``CRASHES=50`` in the environment makes it fifty times on each database."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from inhouse.metering import rollups
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, usage_rollups

CRASHES = int(os.environ.get("CRASHES", "5"))
CLIENTS = 12
CHUNKS = 25
CHUNK_S = 0.02
Open = Callable[[str], Database]


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
        while await self.ask(session, url, stream=number % 4 != 0, words=CHUNKS if number % 3 else 1):
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
async def test_killed_in_mid_stream(
    database: Database, database_url: str, engine_url: str, tmp_path: Path, start_server: Any, make_platform: Any
) -> None:
    load = Load(await make_platform(database, engine_url))
    for _ in range(CRASHES):
        async with start_server(database_url, tmp_path / "server") as running:
            verdict = await verify(database)
            assert verdict.clean, verdict
            assert verdict.open == 0, "the start settles what the killed server left"
            work = asyncio.create_task(load.run(running.url))
            await asyncio.wait_for(load.streaming.wait(), 120)
            await asyncio.sleep(random.uniform(0, CHUNKS * CHUNK_S))
            await running.kill()
            await asyncio.wait_for(work, 120)
    async with start_server(database_url, tmp_path / "server"):
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
    postgres_url: str,
    open_database: Open,
    engine_url: str,
    tmp_path: Path,
    start_server: Any,
    make_platform: Any,
) -> None:
    database = open_database(postgres_url)
    key = await make_platform(database, engine_url)
    doomed, surviving = Load(key), Load(key)
    headers = {"authorization": f"Bearer {key}"}
    async with (
        start_server(postgres_url, tmp_path / "one") as one,
        start_server(postgres_url, tmp_path / "two") as two,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        long = asyncio.create_task(surviving.ask(session, two.url, stream=True, words=600))
        short = asyncio.create_task(doomed.ask(session, one.url, stream=True, words=600))
        await asyncio.gather(surviving.streaming.wait(), doomed.streaming.wait())
        await one.kill()
        assert not await short
        async with start_server(postgres_url, tmp_path / "one"):
            states = await database.read(lambda c: c.execute(select(calls.c.id, calls.c.state)).all())
            assert sorted(row.state for row in states) == ["interrupted", "open"]
            assert {row.id for row in states if row.state == "interrupted"} == doomed.broken
        assert await long
    verdict = await verify(database)
    assert verdict.clean, verdict
    (row,) = await database.read(lambda c: c.execute(select(calls).where(calls.c.state == "settled")).all())
    assert {row.id: row.output_tokens} == surviving.completed == {row.id: 600}


async def test_told_to_end_under_load(
    database: Database, database_url: str, engine_url: str, tmp_path: Path, start_server: Any, make_platform: Any
) -> None:
    """Streams may be cut, but nothing is left to be settled, and no journal."""
    load = Load(await make_platform(database, engine_url))
    async with start_server(database_url, tmp_path / "server") as running:
        work = asyncio.create_task(load.run(running.url))
        await asyncio.wait_for(load.streaming.wait(), 120)
        journal = None if database.file is None else database.file.with_name(f"{database.file.name}.ledger")
        assert journal is None or any(journal.iterdir())
        running.process.terminate()
        await asyncio.wait_for(running.process.wait(), 120)
        await asyncio.wait_for(work, 120)
    assert journal is None or not any(journal.iterdir())
    verdict = await verify(database)
    assert verdict.clean, verdict
    assert (verdict.open, verdict.interrupted) == (0, 0)
    rows = {row.id: row for row in await database.read(lambda c: c.execute(select(calls)).all())}
    assert all(rows[id].output_tokens == words for id, words in load.completed.items())
