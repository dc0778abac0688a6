"""Vector stores on both databases: ingestion that fails, stops, dies and goes on; who sees what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update

from inhouse.documents import Documents
from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.engines.weights import WeightsCache
from inhouse.files import Files
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import APIError, InvalidRequest, NotFound
from inhouse.storage.blobs import Blobs
from inhouse.storage.database import Database
from inhouse.storage.schema import jobs, vector_store_chunks, vector_store_segments, vector_stores
from inhouse.tools.file_search import Chunker, Embedder, Indexes, Ingestion, NewFile, Search, VectorStores, ingestion
from inhouse.tools.file_search.filters import Comparison
from inhouse.tools.file_search.words import words

ONE, OTHER = "proj_one", "proj_other"
ASC: Any = {"after": None, "before": None, "limit": 20, "order": "asc"}
ALL: Any = {"status": None, **ASC}
MANY = " ".join(f"Fact {number} is that item{number} weighs {number} grams." for number in range(4000))
CHUNKER = Chunker(WeightsCache())


class Hashing(Embedder):
    """A vector of the words of a text, without a model."""

    def __init__(self) -> None:
        self.label = "hashing"
        self.texts: list[str] = []
        self.error: Exception | None = None
        self.busy = 0
        self.fails_after: int | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def name(self) -> str:
        return self.label

    async def embed(self, texts: Sequence[str], *, tenant: str, priority: int) -> Any:
        await self.gate.wait()
        if self.busy:
            self.busy -= 1
            raise EngineBusy("no turn")
        if self.error is not None or (self.fails_after is not None and len(self.texts) >= self.fails_after):
            raise self.error or EngineFailed("the engine is gone")
        self.texts += texts
        rows = np.zeros((len(texts), 64), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                row[word % 64] += 1
            row /= np.linalg.norm(row) or 1.0
        return rows


class Process:
    """What one server process has of vector stores."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.files = Files(database, Blobs(folder / "blobs", folder / "scratch", None))
        self.runner = Runner(database, poll_s=0.05)
        self.embedder = Hashing()
        self.ingestion = Ingestion(self.files, Documents(), CHUNKER, self.embedder, self.runner)
        self.indexes = Indexes(database, 1 << 30)
        self.stores = VectorStores(self.files, self.ingestion, self.embedder, self.indexes)
        self.database = database

    async def file(self, text: str | bytes, name: str = "a.txt", project: str = ONE) -> str:
        spool = self.files.spool()
        await spool.write(text if isinstance(text, bytes) else text.encode())
        return (await self.files.add(project, spool, filename=name, purpose="assistants")).id

    async def store(self, *files: str, project: str = ONE, days: int | None = None) -> str:
        new = [NewFile(id) for id in files]
        made, _ = await self.stores.create(project, name="s", description=None, metadata={}, days=days, files=new)
        return made.id

    async def counts(self, store: str) -> tuple[int, int, int, int]:
        counted = (await self.stores.get(ONE, store))[1]
        return counted.in_progress, counted.completed, counted.failed, counted.cancelled

    async def done(self, store: str) -> tuple[int, int, int, int]:
        await until(lambda: self.counts(store), lambda counts: counts[0] == 0)
        return await self.counts(store)

    async def names(self, store: str, query: str, **search: Any) -> list[str]:
        return [each.filename for each in await self.stores.search(ONE, [store], Search((query,), **search))]

    async def rows(self, table: Any) -> int:
        return await self.database.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())


async def until(look: Callable[[], Any], fine: Callable[[Any], bool]) -> None:
    give_up = time.monotonic() + 30
    while not fine(found := await look()):
        assert time.monotonic() < give_up, found
        await asyncio.sleep(0.02)


@pytest.fixture
async def start(database: Database, tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Starts processes on one database and one folder."""
    started: list[Process] = []

    async def start() -> Process:
        process = Process(database, tmp_path)
        started.append(process)
        await process.runner.start()
        return process

    yield start
    for process in started:
        await process.runner.stop()


async def test_files_can_be_found_or_have_failed(start: Any) -> None:
    one = await start()
    good = await one.file("Otters hold hands.", "otters.txt")
    bad = [await one.file("  \n"), await one.file(b"\0\0", "b.bin"), await one.file(b"\xff\xfe\xff", "c.txt")]
    nul = await one.file("Zebras\0 run.".encode("utf-16"), "z.md")
    store = await one.store(good, *bad, nul)
    assert await one.done(store) == (0, 1, 4, 0)
    files, more = await one.stores.files(ONE, store, **ALL)
    assert [(each.status, each.error_code) for each in files] == [
        ("completed", None),
        ("failed", "invalid_file"),
        ("failed", "unsupported_file"),
        ("failed", "invalid_file"),
        ("failed", "invalid_file"),
    ]
    assert not more
    assert all((each.usage_bytes > 0) == (each.status == "completed") for each in files)
    assert await one.names(store, "otter") == ["otters.txt"]
    assert await one.rows(jobs) == 0


async def test_a_process_that_dies_leaves_its_files_to_another(start: Any) -> None:
    first = await start()
    first.runner._lease_us = 300_000  # what fails is begun again when its lease is over
    first.embedder.fails_after = ingestion.STEP * 2
    first.embedder.error = None
    store = await first.store(await first.file(MANY, "facts.txt"))
    file = (await first.stores.files(ONE, store, **ALL))[0][0].file_id
    await until(lambda: first.stores.file(ONE, store, file), lambda each: each.usage_bytes > 0)
    await until(lambda: first.rows(vector_store_segments), lambda count: count == 2)
    # Progress shows, and nothing is found before all of it is there.
    assert await first.names(store, "item7") == []
    await first.runner.stop()
    second = await start()
    assert await second.done(store) == (0, 1, 0, 0)
    chunks = await second.rows(vector_store_chunks)
    # What the first one had stored was not embedded again.
    assert len(second.embedder.texts) == chunks - 2 * ingestion.STEP
    assert "".join(await second.stores.content(ONE, store, file)) == MANY
    assert (await second.names(store, "item3999", most=1)) == ["facts.txt"]
    assert await second.rows(jobs) == 0


async def test_an_engine_that_fails_again_and_again(start: Any) -> None:
    one = await start()
    one.runner._lease_us = 300_000  # what fails is begun again when its lease is over
    one.embedder.error = EngineFailed("broken")
    store = await one.store(await one.file("text"))
    assert await one.done(store) == (0, 0, 1, 0)
    (file,), _ = await one.stores.files(ONE, store, **ALL)
    assert file.error_code == "server_error"
    one.embedder.error = None
    await one.stores.add_file(ONE, store, NewFile(file.file_id))
    assert await one.done(store) == (0, 1, 0, 0)
    one.embedder.error = EngineFailed("broken")
    with pytest.raises(EngineFailed):
        await one.names(store, "text")


async def test_a_busy_engine_is_waited_for(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "BUSY_S", 0.01)
    one = await start()
    one.embedder.busy = 5
    assert await one.done(await one.store(await one.file("text"))) == (0, 1, 0, 0)


@pytest.mark.parametrize("what", ["batch", "file", "store", "source"])
async def test_what_is_stopped_leaves_nothing(start: Any, what: str) -> None:
    one = await start()
    store = await one.store()
    kept = await one.file("kept", "kept.txt")
    await one.stores.add_file(ONE, store, NewFile(kept))
    await one.done(store)
    before = await one.rows(vector_store_chunks), await one.rows(vector_store_segments)
    file = await one.file(MANY)
    one.embedder.fails_after = len(one.embedder.texts) + ingestion.STEP
    batch, _ = await one.stores.add_batch(ONE, store, [NewFile(file)])
    await until(lambda: one.stores.file(ONE, store, file), lambda each: each.usage_bytes > 0)
    one.embedder.gate.clear()
    one.embedder.fails_after = None
    match what:
        case "batch":
            ended, counted = await one.stores.cancel_batch(ONE, store, batch.id)
            assert (ended.cancelled, counted.cancelled, counted.total) == (True, 1, 1)
            assert (await one.stores.file(ONE, store, file)).usage_bytes == 0
        case "file":
            await one.stores.remove_file(ONE, store, file)
        case "store":
            await one.stores.delete(ONE, store)
            before = 0, 0
        case "source":
            await one.files.delete(ONE, file)
    one.embedder.gate.set()
    await until(lambda: one.rows(jobs), lambda count: count == 0)
    await asyncio.sleep(0.3)
    assert (await one.rows(vector_store_chunks), await one.rows(vector_store_segments)) == before
    assert await one.rows(jobs) == 0
    if what == "store":
        with pytest.raises(NotFound):
            await one.names(store, "kept")
    else:
        assert await one.names(store, "kept") == ["kept.txt"]
        assert (await one.counts(store))[:3] == (0, 1, 0)


async def test_every_process_finds_what_is_there_now(start: Any) -> None:
    one, other = await start(), await start()
    store = await one.store(await one.file("red apples", "apples.txt"))
    await one.done(store)
    assert await other.names(store, "apples") == ["apples.txt"]
    pears = await other.file("green pears", "pears.txt")
    await other.stores.add_file(ONE, store, NewFile(pears, {"year": 2024}))
    await other.done(store)
    newer = Comparison("gte", "year", 2024)
    for process in (one, other):
        assert set(await process.names(store, "pears")) == {"apples.txt", "pears.txt"}
        assert await process.names(store, "apples", filter=newer) == ["pears.txt"]
    await one.stores.set_attributes(ONE, store, pears, {"year": 2023})
    assert await other.names(store, "apples", filter=newer) == []
    await one.files.delete(ONE, pears)
    for process in (one, other):
        assert await process.names(store, "pears") == ["apples.txt"]
    await other.stores.delete(ONE, store)
    with pytest.raises(NotFound):
        await one.names(store, "apples")


async def test_vectors_of_another_model_are_not_compared(start: Any) -> None:
    one = await start()
    store = await one.store(await one.file("red apples", "apples.txt"))
    await one.done(store)
    by_meaning = await one.stores.search(ONE, [store], Search(("apples",)))
    one.embedder.label = "another"
    by_words = await one.stores.search(ONE, [store], Search(("apples",)))
    assert 0 < by_words[0].score < by_meaning[0].score


async def test_other_projects_see_nothing(start: Any) -> None:
    one = await start()
    file = await one.file("secret plans", "plans.txt")
    store = await one.store(file)
    await one.done(store)
    batch, _ = await one.stores.add_batch(ONE, store, [NewFile(file)])
    await one.done(store)
    mine = await one.store(project=OTHER)
    foreign = NewFile(file)
    tries: list[Any] = [
        one.stores.get(OTHER, store),
        one.stores.update(OTHER, store, {"name": "x"}),
        one.stores.delete(OTHER, store),
        one.stores.add_file(OTHER, store, foreign),
        one.stores.add_file(OTHER, mine, foreign),
        one.stores.file(OTHER, store, file),
        one.stores.file(OTHER, mine, file),
        one.stores.files(OTHER, store, **ALL),
        one.stores.files(OTHER, mine, batch_id=batch.id, **ALL),
        one.stores.set_attributes(OTHER, store, file, {}),
        one.stores.remove_file(OTHER, store, file),
        one.stores.remove_file(OTHER, mine, file),
        one.stores.content(OTHER, store, file),
        one.stores.add_batch(OTHER, mine, [foreign]),
        one.stores.batch(OTHER, store, batch.id),
        one.stores.batch(OTHER, mine, batch.id),
        one.stores.cancel_batch(OTHER, store, batch.id),
        one.stores.search(OTHER, [store], Search(("secret",))),
        one.stores.search(OTHER, [mine, store], Search(("secret",))),
        one.stores.check(OTHER, [store]),
        one.stores.page(OTHER, **{**ASC, "after": store}),
    ]
    for each in tries:
        with pytest.raises(NotFound):
            await each
    assert [found.id for found, _ in (await one.stores.page(OTHER, **ASC))[0]] == [mine]
    assert await one.stores.search(OTHER, [mine], Search(("secret",))) == []
    # A file that somebody else deletes stays.
    with pytest.raises(NotFound):
        await one.files.delete(OTHER, file)
    assert await one.names(store, "secret") == ["plans.txt"]


async def test_stores_expire(start: Any) -> None:
    one = await start()
    file = await one.file("text")
    store = await one.store(file, days=1)
    await one.done(store)
    found, _ = await one.stores.get(ONE, store)
    assert found.expires_at == found.last_active_at + 86_400_000_000
    past = time.time_ns() // 1000 - 2 * 86_400_000_000

    def age(connection: Any) -> None:
        connection.execute(update(vector_stores).values(last_active_at=past, expires_at=past + 86_400_000_000))

    await one.database.write(age)
    for refused in (
        one.names(store, "text"),
        one.stores.add_file(ONE, store, NewFile(file)),
        one.stores.update(ONE, store, {"days": None}),
        one.stores.check(ONE, [store]),
    ):
        with pytest.raises(InvalidRequest, match="expired"):
            await refused
    assert await one.stores.remove_expired() == 1
    assert await one.stores.remove_expired() == 0
    assert (await one.rows(vector_store_chunks), await one.counts(store)) == (0, (0, 0, 0, 0))


async def test_a_search_keeps_a_store_alive(start: Any) -> None:
    one = await start()
    store = await one.store(await one.file("text"), days=3)
    await one.done(store)
    past = time.time_ns() // 1000 - 86_400_000_000
    await one.database.write(
        lambda c: c.execute(update(vector_stores).values(last_active_at=past, expires_at=past + 3 * 86_400_000_000))
    )
    await one.names(store, "text")
    found, _ = await one.stores.get(ONE, store)
    assert found.last_active_at > past + 80_000_000_000
    assert found.expires_at == found.last_active_at + 3 * 86_400_000_000


async def test_pages(start: Any) -> None:
    one = await start()
    files = [await one.file("x", f"{number}.txt") for number in range(5)]
    store = await one.store(*files)
    await one.done(store)

    async def page(**query: Any) -> tuple[list[int], bool]:
        found, more = await one.stores.files(ONE, store, **{**ALL, "limit": 2, **query})
        return [files.index(each.file_id) for each in found], more

    assert await page() == ([0, 1], True)
    assert await page(after=files[1]) == ([2, 3], True)
    assert await page(after=files[3]) == ([4], False)
    assert await page(before=files[3]) == ([1, 2], True)
    assert await page(before=files[1]) == ([0], False)
    assert await page(order="desc") == ([4, 3], True)
    assert await page(order="desc", before=files[0]) == ([2, 1], True)
    assert await page(status="failed") == ([], False)
    with pytest.raises(NotFound):
        await page(after="file-none")


async def test_many_at_once(start: Any) -> None:
    """Additions, searches and deletions from two processes: nothing is lost, twice there, or stuck."""
    one, other = await start(), await start()
    store = await one.store()
    files = [await one.file(f"item{number} is here", f"{number}.txt") for number in range(12)]

    async def add(process: Process, some: list[str]) -> None:
        await process.stores.add_batch(ONE, store, [NewFile(id) for id in some])

    async def look(process: Process) -> None:
        for _ in range(10):
            await process.names(store, "item3", most=50)

    async def remove() -> None:
        await other.stores.remove_file(ONE, store, files[0])

    await add(one, files[:2])
    await asyncio.gather(add(one, files[2:8]), add(other, files[4:]), look(one), look(other), remove())
    await one.done(store)
    assert await one.counts(store) == (0, 11, 0, 0)
    for process in (one, other):
        assert sorted(await process.names(store, "item3 here", most=50)) == sorted(f"{n}.txt" for n in range(1, 12))
    assert await one.rows(vector_store_chunks) == 11
    assert await one.rows(jobs) == 0


async def test_a_query_that_is_too_long(start: Any) -> None:
    one = await start()
    with pytest.raises(APIError, match="at most"):
        await one.names(await one.store(), "x" * 40_000)
