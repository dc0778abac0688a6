"""What vector stores are charged for storage: once a day, for what is in them when the day (UTC) begins.

One job for all stores, which is due at midnight and puts itself back to the next one in the transaction that enters the
charges. So each day is charged once, by whichever process comes first; a day that begins while no process runs is
charged by the next start, and further days that nobody was there for are not charged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, func, select

from inhouse.catalog.terms import ToolFee, load_fees
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.money import GIGABYTE, prorated
from inhouse.metering import booking
from inhouse.metering.accounts import Alarm
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
from inhouse.storage.schema import projects, vector_store_files, vector_stores

KIND = JOB = "vector_store_storage"
DAY_US = 86_400_000_000


class StorageFees:
    """``start`` comes after the ledger's and the runner's."""

    def __init__(self, database: Database, ledger: Ledger, runner: Runner) -> None:
        self._database = database
        self._ledger = ledger
        self._runner = runner
        self._fee = load_fees()["file_search_storage"]
        runner.handle(KIND, self._run, _try_later)

    async def start(self) -> None:
        """Have the next day charged."""
        await self._database.write(partial(queue.ask, id=JOB, kind=KIND, payload="{}", due_at=_next_day(_now())))

    async def _run(self, job: Job) -> None:
        now = _now()

        def charge(connection: Connection) -> list[Alarm]:
            if not queue.hold(connection, JOB, self._runner.owner):
                return []
            queue.postpone(connection, JOB, self._runner.owner, _next_day(now))
            entries = list(_entries(connection, self._fee, now))
            # Not entered again if the day is charged already, because a clock was set back.
            opened, settled = [each for each, _ in entries], [each for _, each in entries]
            return booking.replay(connection, opened, settled, self._ledger.instance)

        self._ledger.tell(await self._database.write(charge))


def _entries(connection: Connection, fee: ToolFee, now: int) -> Iterator[tuple[Opening, Settlement]]:
    """Of each store that holds something. What is free is an organization's, and its oldest stores have it."""
    size = func.sum(vector_store_files.c.usage_bytes)
    query = (
        select(projects.c.organization_id, vector_stores.c.project_id, vector_stores.c.id, size)
        .join_from(vector_stores, projects, projects.c.id == vector_stores.c.project_id)
        .join(vector_store_files, vector_store_files.c.store_id == vector_stores.c.id)
        .group_by(
            projects.c.organization_id, vector_stores.c.project_id, vector_stores.c.id, vector_stores.c.created_at
        )
        .having(size > 0)
        .order_by(projects.c.organization_id, vector_stores.c.created_at, vector_stores.c.id)
    )
    day = datetime.fromtimestamp(now / 1_000_000, UTC)
    free: dict[str, int] = {}
    for organization_id, project_id, store_id, total in connection.execute(query).all():
        used = int(total)
        left = free.get(organization_id, fee.free * GIGABYTE)
        free[organization_id] = max(0, left - used)
        nanos = prorated(fee.price, max(0, used - left), fee.per * GIGABYTE)
        id = f"storage_{day:%Y%m%d}_{store_id}"
        yield (
            Opening(
                id=id,
                created_at=now,
                organization_id=organization_id,
                project_id=project_id,
                key_id="",
                operation="storeVectors",
                model="",
                snapshot="",
                deployment="",
                service_tier="default",
                family="vector_stores",
                detail=store_id,
            ),
            Settlement(
                id=id,
                settled_at=now,
                status=200,
                error_code=None,
                input_tokens=0,
                cached_input_tokens=0,
                output_tokens=0,
                cost_nanos=nanos,
                units=used,
                fee_nanos=nanos,
            ),
        )


def _try_later(connection: Connection, job: Job) -> None:
    """After failures: an hour later, so that a day is not lost for them."""
    queue.ask(connection, JOB, KIND, "{}", _now() + DAY_US // 24)


def _next_day(now: int) -> int:
    return now - now % DAY_US + DAY_US


def _now() -> int:
    return time.time_ns() // 1000
