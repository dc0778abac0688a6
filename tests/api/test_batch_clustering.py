"""The server's half of batches on a cluster, before runs that do as they are told; ``tests/cluster`` has real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from inhouse.api.batches import clustering, steps, store
from inhouse.api.batches.checking import Checked, Chunk
from inhouse.api.batches.clustering import Clustering, adopt, cluster_of
from inhouse.api.batches.store import StoredBatch
from inhouse.jobs import queue
from inhouse.jobs.runner import Runner
from inhouse.settings import SettingsError, load
from inhouse.storage.database import Database
from inhouse.storage.schema import jobs

PARTS = 3
ID = "batch_1"


class Runs:
    """Each run is the next of what was scripted."""

    def __init__(self, *runs: Callable[[list[str]], Awaitable[str | None]]) -> None:
        self.asked: list[list[str]] = []
        self.cancelled = 0
        self._runs = list(runs)

    async def run(self, model: str, parts: list[str]) -> str | None:
        assert model == "gpt-4.1"
        self.asked.append(parts)
        try:
            return await self._runs.pop(0)(parts)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@pytest.fixture
async def runner(database: Database) -> AsyncIterator[Runner]:
    runner = Runner(database, poll_s=0.03)
    yield runner
    await runner.stop()


@pytest.fixture(autouse=True)
async def batch(database: Database) -> None:
    batch = StoredBatch(
        id=ID,
        organization_id="org-1",
        project_id="proj_1",
        key_id="key_1",
        user_id="",
        created_at=store.now(),
        endpoint="/v1/chat/completions",
        input_file_id="file-1",
        output_lifetime_s=3600,
        metadata="null",
        status="validating",
        expires_at=store.now() + 10**12,
    )
    checked = Checked([], [Chunk(at, 1, at, at + 1) for at in range(PARTS)], PARTS, "gpt-4.1", 1)
    await database.write(lambda connection: store.add(connection, batch))
    await database.write(lambda connection: steps.begin(connection, batch, checked, cluster=True))


def handle(runner: Runner, database: Database, runs: Runs | None) -> None:
    clustering = Clustering(database, runner, runs)
    runner.handle(steps.CLUSTER, clustering, clustering.give_up)


async def row(database: Database) -> Any:
    query = select(jobs).where(jobs.c.id == f"{ID}:cluster")
    return await database.read(lambda connection: connection.execute(query).one_or_none())


async def gone(database: Database) -> None:
    async with asyncio.timeout(120):
        while await row(database) is not None:
            await asyncio.sleep(0.02)


async def do(database: Database, parts: list[str]) -> None:
    for part in parts:
        await database.write(partial(queue.finish, id=part))


async def test_runs_until_nothing_is_left(database: Database, runner: Runner) -> None:
    """Also when one fails half way."""

    async def half(parts: list[str]) -> str:
        await do(database, parts[:2])
        return "a node is gone"

    async def whole(parts: list[str]) -> None:
        await do(database, parts)

    runs = Runs(half, whole)
    handle(runner, database, runs)
    await runner.start()
    await gone(database)
    assert runs.asked == [[f"{ID}:0", f"{ID}:1", f"{ID}:2"], [f"{ID}:2"]]


async def test_a_run_that_comes_to_nothing(database: Database, runner: Runner) -> None:
    """Another is tried later, not at once, and not for ever in vain."""

    async def nothing(parts: list[str]) -> str:
        return "no such cluster"

    runs = Runs(nothing)
    handle(runner, database, runs)
    before = store.now()
    await runner.start()
    async with asyncio.timeout(120):
        while (waiting := await row(database)).due_at == 0:
            await asyncio.sleep(0.02)
    assert waiting.due_at >= before + clustering.PAUSE_US
    assert (waiting.owner, waiting.attempts) == (None, 0)
    assert len(runs.asked) == 1


async def test_a_run_that_waits_in_vain(database: Database, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended when the batch was cancelled: no worker will come to see that."""
    monkeypatch.setattr(clustering, "LOOK_S", 0.05)
    monkeypatch.setattr(clustering, "GRACE_S", 0.05)
    begun = asyncio.Event()

    async def for_ever(parts: list[str]) -> None:
        begun.set()
        await asyncio.Event().wait()

    runs = Runs(for_ever)
    handle(runner, database, runs)
    await runner.start()
    await begun.wait()

    def cancel(connection: Any) -> None:
        batch = store.locked(connection, ID)
        assert batch is not None
        steps.stop(connection, batch, "cancelled")

    await database.write(cancel)
    await gone(database)
    assert runs.cancelled == 1


async def test_a_server_that_stops_ends_its_run(database: Database, runner: Runner) -> None:
    begun = asyncio.Event()

    async def for_ever(parts: list[str]) -> None:
        begun.set()
        await asyncio.Event().wait()

    runs = Runs(for_ever)
    handle(runner, database, runs)
    await runner.start()
    await begun.wait()
    await runner.stop()
    assert runs.cancelled == 1
    left = await row(database)
    assert (left.owner, left.attempts) == (None, 0)


async def test_without_a_cluster_any_more(database: Database, runner: Runner) -> None:
    """What a cluster was to do, servers do; what they began, a cluster takes over."""
    handle(runner, database, None)
    await runner.start()
    await gone(database)
    await runner.stop()
    assert len(await database.read(partial(queue.open_ids, ids=[f"{ID}:{at}" for at in range(PARTS)]))) == PARTS
    await adopt(database)
    await adopt(database)
    assert await row(database) is not None


async def test_given_up(database: Database, runner: Runner) -> None:
    clustering = Clustering(database, runner, Runs())
    job = queue.Job(f"{ID}:cluster", steps.CLUSTER, "{}", 20, False)
    await database.write(lambda connection: clustering.give_up(connection, job))
    batch = await database.read(lambda connection: store.get(connection, ID))
    assert batch is not None
    assert (batch.ending, batch.status, batch.chunks) == ("failed", "finalizing", 0)


def test_what_a_cluster_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster_of(load({"data_dir": tmp_path}, {}), None) is None  # type: ignore[arg-type]
    environ = {"INHOUSE_BATCHES__RUNNER": "ray"}
    with pytest.raises(SettingsError, match=r"must be PostgreSQL; set database\.url"):
        cluster_of(load({"data_dir": tmp_path}, environ), None)  # type: ignore[arg-type]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    environ["INHOUSE_DATABASE__URL"] = "postgresql://h/d"
    with pytest.raises(SettingsError, match=r"Ray is not installed here: pip install 'inhouse\[ray\]'"):
        cluster_of(load({"data_dir": tmp_path}, environ), None)  # type: ignore[arg-type]
