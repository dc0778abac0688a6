"""Jobs: leased once, renewed, cancelled, released, given up; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from sqlalchemy import Connection

from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import MOST_ATTEMPTS, Runner
from inhouse.storage.database import Database

Make = Callable[..., "Worker"]


class Worker:
    """A runner whose handler leaves traces."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runner = Runner(database, slots=2, poll_s=0.03)
        self.runner.handle("test", self._handle, self._give_up)
        self.begun: list[tuple[str, int]] = []
        self.cancelled: list[str] = []
        self.given_up: list[str] = []
        self.release = asyncio.Event()
        self.error: Exception | None = None

    async def _handle(self, job: Job) -> None:
        self.begun.append((job.id, job.attempt))
        try:
            await self.release.wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            if not self.runner.cancelled(job.id):
                raise
            self.cancelled.append(job.id)
        await self.database.write(partial(queue.finish, id=job.id, owner=self.runner.owner))

    def _give_up(self, connection: Connection, job: Job) -> None:
        self.given_up.append(job.id)


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(database))
        return made[-1]

    yield make
    for worker in made:
        await worker.runner.stop()


async def add(database: Database, *ids: str) -> None:
    for id in ids:
        await database.write(partial(queue.enqueue, id=id, kind="test", payload="{}"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


async def done(database: Database, *ids: str) -> None:
    async with asyncio.timeout(120):
        for id in ids:
            while await database.read(partial(queue.is_open, id=id)):
                await asyncio.sleep(0.01)


async def test_every_job_is_done_once_by_one_of_many(make: Make, database: Database) -> None:
    ids = [f"job_{number}" for number in range(8)]
    await add(database, *ids)
    workers = [make(), make()]
    for worker in workers:
        worker.release.set()
        await worker.runner.start()
    await done(database, *ids)
    assert sorted(job for worker in workers for job in worker.begun) == [(id, 1) for id in ids]


async def test_no_more_jobs_at_once_than_slots(make: Make, database: Database) -> None:
    await add(database, "a", "b", "c")
    worker = make()
    await worker.runner.start()
    await until(lambda: len(worker.begun) == 2)
    await asyncio.sleep(0.1)
    assert [id for id, _ in worker.begun] == ["a", "b"]
    worker.release.set()
    await done(database, "a", "b", "c")


async def test_a_lease_is_renewed_while_the_work_goes_on(make: Make, database: Database) -> None:
    await add(database, "a")
    worker, other = make(), make()
    worker.runner._lease_us = 1_500_000
    await worker.runner.start()
    await until(lambda: bool(worker.begun))
    other.runner._loop = asyncio.create_task(other.runner._run())
    await asyncio.sleep(3.2)  # more than two leases
    assert other.begun == []
    worker.release.set()
    await done(database, "a")
    assert worker.begun == [("a", 1)]


async def test_a_lease_that_a_slow_disk_ate_is_not_taken_from_oneself(make: Make, database: Database) -> None:
    """What is worked on is not begun beside itself, though it was renewed too late."""
    await add(database, "a")
    worker = make()
    await worker.runner.start()
    await until(lambda: bool(worker.begun))
    worker.runner._lease_us = -1
    await asyncio.sleep(0.3)
    performed = asyncio.create_task(worker.runner.perform("a"))
    await asyncio.sleep(0.1)
    worker.release.set()
    await performed
    assert worker.begun == [("a", 1)]


async def test_what_is_added_while_it_looks_is_found_at_once(
    make: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make()
    worker.runner._poll_s = 600
    worker.release.set()
    look = worker.runner._turn
    ids = iter(["a"])

    async def turn() -> None:
        await look()
        for id in ids:  # when it has claimed what there was
            await add(database, id)
            worker.runner.wake()

    monkeypatch.setattr(worker.runner, "_turn", turn)
    await worker.runner.start()
    await until(lambda: bool(worker.begun))


async def test_a_job_is_cancelled_from_another_process(make: Make, database: Database) -> None:
    await add(database, "a")
    worker = make()
    await worker.runner.start()
    await until(lambda: bool(worker.begun))
    assert await database.write(partial(queue.request_cancel, id="a"))
    await done(database, "a")
    assert worker.cancelled == ["a"]
    assert not await database.write(partial(queue.request_cancel, id="a"))


async def test_a_stop_releases_jobs_and_does_not_count_as_an_attempt(make: Make, database: Database) -> None:
    await add(database, "a")
    worker, following = make(), make()
    await worker.runner.start()
    await until(lambda: bool(worker.begun))
    await worker.runner.stop()
    following.release.set()
    await following.runner.start()
    await done(database, "a")
    assert following.begun == [("a", 1)]


async def test_who_lost_the_lease_neither_goes_on_nor_finishes(make: Make, database: Database) -> None:
    await add(database, "a")
    worker = make()
    await worker.runner.start()
    await until(lambda: bool(worker.begun))

    def steal(connection: Connection) -> None:
        queue.release_all(connection)
        queue.claim(connection, "thief", ["test"], 1, 60_000_000)

    await database.write(steal)
    await until(lambda: not worker.runner._running)
    assert await database.read(partial(queue.is_open, id="a"))
    assert worker.cancelled == []


async def test_a_job_that_fails_every_time_is_given_up(make: Make, database: Database) -> None:
    await add(database, "a")
    worker = make()
    worker.runner._lease_us = 300_000
    worker.error = RuntimeError("defect")
    worker.release.set()
    await worker.runner.start()
    await done(database, "a")
    assert worker.begun == [("a", attempt) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert worker.given_up == ["a"]


async def test_performs_what_it_is_told_to(database: Database, make: Make) -> None:
    """A process that does not look for jobs does one by its name, waits for one of another, and none that is gone."""
    one, other = make(), make()
    for worker in (one, other):
        await worker.runner.start(claims=False)
    for id in ("a", "b"):
        await database.write(partial(queue.enqueue, id=id, kind="test", payload="{}"))
    await asyncio.sleep(0.1)
    assert one.begun == []
    first = asyncio.create_task(one.runner.perform("a"))
    while not one.begun:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(other.runner.perform("a"))
    await asyncio.sleep(0.1)
    assert other.begun == []
    one.release.set()
    await asyncio.gather(first, second)
    assert (one.begun, other.begun) == ([("a", 1)], [])
    await other.runner.perform("none")


async def test_perform_goes_on_for_a_process_that_died(database: Database, make: Make) -> None:
    dead, other = make(), make()
    await database.write(partial(queue.enqueue, id="a", kind="test", payload="{}"))
    job = await database.write(partial(queue.claim_one, owner=dead.runner.owner, id="a", lease_us=300_000))
    assert job == Job("a", "test", "{}", 1, False)
    await other.runner.start(claims=False)
    other.release.set()
    await other.runner.perform("a")
    assert other.begun == [("a", 2)]


async def test_a_job_that_is_cancelled_before_it_begins(database: Database, make: Make) -> None:
    """Nobody waits until its lease is over."""
    worker = make()
    await worker.runner.start(claims=False)
    await database.write(partial(queue.enqueue, id="a", kind="test", payload="{}"))
    job = await database.write(partial(queue.claim_one, owner=worker.runner.owner, id="a", lease_us=3_600_000_000))
    assert job is not None
    worker.runner._begin(job)
    worker.runner.cancel("a")
    worker.release.set()
    async with asyncio.timeout(120):
        await worker.runner.perform("a")
    assert worker.begun == [("a", 1)]


async def test_a_job_that_is_cancelled_before_its_handler_minds(database: Database, make: Make) -> None:
    """While it looks up what there is to do, as handlers do first. It is begun again, and is told."""
    told: list[tuple[int, bool]] = []
    looking = asyncio.Event()

    async def handle(job: Job) -> None:
        told.append((job.attempt, runner.cancelled(job.id)))
        if len(told) == 1:
            looking.set()
            await asyncio.Event().wait()
        await database.write(partial(queue.finish, id=job.id, owner=runner.owner))

    runner = Runner(database, lease_s=3600, poll_s=0.03)
    runner.handle("test", handle, lambda connection, job: None)
    await add(database, "a")
    await runner.start()
    async with asyncio.timeout(120):
        await looking.wait()
        await database.write(partial(queue.request_cancel, id="a"))
        runner.cancel("a")
        await done(database, "a")
    await runner.stop()
    assert told == [(1, False), (1, True)]
