"""What storage is charged for, on both databases, by several processes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from inhouse.jobs.runner import Runner
from inhouse.kit.ids import new_id
from inhouse.kit.money import GIGABYTE, nano_dollars
from inhouse.metering.ledger import Ledger
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import (
    calls,
    jobs,
    organizations,
    projects,
    usage_rollups,
    vector_store_files,
    vector_stores,
)
from inhouse.tools.file_search import StorageFees
from inhouse.tools.file_search.storage_fees import DAY_US, JOB

TENTH = nano_dollars("0.10")


class Process:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledger = Ledger(database)
        self.runner = Runner(database, poll_s=0.02)
        self.fees = StorageFees(database, self.ledger, self.runner)

    async def start(self) -> None:
        await self.ledger.start()
        await self.runner.start()
        await self.fees.start()

    async def stop(self) -> None:
        await self.runner.stop()
        await self.ledger.close()


@pytest.fixture
async def processes(database: Database) -> Any:
    both = Process(database), Process(database)
    yield both
    for each in both:
        await each.stop()


def put_store(connection: Connection, project: str, number: int, *sizes: int) -> str:
    id = new_id("vs_")
    connection.execute(
        insert(vector_stores).values(
            id=id, project_id=project, created_at=number, name="s", metadata="{}", last_active_at=0, revision=0
        )
    )
    for place, size in enumerate(sizes):
        connection.execute(
            insert(vector_store_files).values(
                store_id=id, file_id=f"file-{place}", project_id=project, run=new_id("vsrun_"), created_at=0,
                filename="a.txt", attributes="{}", chunk_tokens=800, overlap_tokens=400, status="completed",
                usage_bytes=size,
            )
        )  # fmt: skip
    return id


async def put(database: Database) -> dict[str, str]:
    def work(connection: Connection) -> dict[str, str]:
        for name in ("one", "other"):
            connection.execute(insert(organizations).values(id=f"org-{name}", name=name, created_at=1))
            of = {"id": f"proj_{name}", "organization_id": f"org-{name}", "name": name, "created_at": 1}
            connection.execute(insert(projects).values(of))
        return {
            "free": put_store(connection, "proj_one", 1, GIGABYTE // 4, GIGABYTE // 2),
            "part": put_store(connection, "proj_one", 2, GIGABYTE // 2),
            "whole": put_store(connection, "proj_one", 3, 2 * GIGABYTE),
            "empty": put_store(connection, "proj_one", 4),
            "other": put_store(connection, "proj_other", 5, GIGABYTE),
        }

    return await database.write(work)


async def charged(database: Database) -> dict[str, tuple[int, int]]:
    """Bytes and nano-dollars by store."""
    rows = await database.read(lambda c: c.execute(select(calls).where(calls.c.family == "vector_stores")).all())
    found = {row.detail: (row.units, row.cost_nanos) for row in rows}
    assert len(found) == len(rows)
    return found


async def due_at(database: Database) -> int:
    return await database.read(lambda c: c.execute(select(jobs.c.due_at).where(jobs.c.id == JOB)).scalar_one())


async def pass_a_midnight(database: Database) -> None:
    await database.write(lambda c: c.execute(update(jobs).where(jobs.c.id == JOB).values(due_at=1)))
    give_up = time.monotonic() + 20
    while await due_at(database) == 1:
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def test_each_day_is_charged_once(database: Database, processes: tuple[Process, Process]) -> None:
    stores = await put(database)
    for each in processes:
        await each.start()
    now = time.time_ns() // 1000
    # Nothing is charged before the day is over in which the first server was started.
    assert await charged(database) == {}
    assert 0 < await due_at(database) - now <= DAY_US
    assert await due_at(database) % DAY_US == 0
    expected = {
        stores["free"]: (GIGABYTE * 3 // 4, 0),
        stores["part"]: (GIGABYTE // 2, TENTH // 4),
        stores["whole"]: (2 * GIGABYTE, 2 * TENTH),
        stores["other"]: (GIGABYTE, 0),
    }
    for _ in range(2):  # a clock that was set back charges nothing anew
        await pass_a_midnight(database)
        assert await charged(database) == expected
    assert await due_at(database) > now
    assert (await verify(database)).clean
    days = select(usage_rollups.c.fee_nanos, usage_rollups.c.units).where(usage_rollups.c.width == 86_400)
    sums = await database.read(lambda c: [tuple(row) for row in c.execute(days)])
    assert sorted(sums) == sorted((fee, units) for units, fee in expected.values())


async def test_a_day_that_cannot_be_charged_is_tried_again(
    database: Database, processes: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(database)
    one = processes[0]
    one.runner._lease_us = 300_000  # what fails is begun again when its lease is over

    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    monkeypatch.setattr("inhouse.tools.file_search.storage_fees._entries", broken)
    await one.start()
    now = time.time_ns() // 1000
    await pass_a_midnight(database)
    assert await charged(database) == {}
    assert 0 < await due_at(database) - now <= DAY_US // 12
    monkeypatch.undo()
    await pass_a_midnight(database)
    assert len(await charged(database)) == 4
