"""How fast usage and costs are told, and what keeping their sums costs each call.

    python -m bench.usage                                 # SQLite, a million calls
    python -m bench.usage --rows 10000000                 # more of them; takes minutes to make
    python -m bench.usage --url postgresql://user@host/an_empty_database
    python -m bench.usage --url … --plans                 # and how the database answers

Makes a ledger of calls that are spread over 60 days, 12 projects, 96 keys and 3 models, in an empty database, or takes
the one that an earlier run made there. Derives the sums from it as the migrations do; asks every kind of question
through the dispatcher, one at a time; prints the percentiles, and the median of the processor time of this process
(SQLite works in it, PostgreSQL does not), which other work on the machine changes little. Then settles calls through
``Ledger`` and prints the time that one takes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Connection, Engine, and_, event, func, insert, literal, select, text

from inhouse.access import Access
from inhouse.api.dispatch import Dispatcher
from inhouse.api.operation import operations_of
from inhouse.api.organization.usage.routes import Usage
from inhouse.api.organization.usage.service import UsageService
from inhouse.api.organization.usage.store import UsageStore
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import load_cards
from inhouse.kit.ids import request_id
from inhouse.metering import rollups
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, usage_rollups, usage_series, usage_totals

DAYS = 60
DAY = rollups.DAY

SERIES = """
WITH RECURSIVE n(i) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {last}),
c AS (SELECT i, (i * 7919 % 96) AS k, ({start} + i * {span} / {rows}) AS at FROM n)
INSERT INTO calls (id, created_at, settled_at, state, organization_id, project_id, key_id, operation, model, snapshot,
    deployment, service_tier, status, input_tokens, cached_input_tokens, output_tokens, cost_nanos, user_id,
    input_price, cached_input_price, output_price)
SELECT 'req_' || i, at * 1000000, at * 1000000 + 900000, 'settled', '{organization}', 'proj_' || (k % 12), 'key_' || k,
    'createChatCompletion', 'gpt-4.1', 'model-' || (i * 31 % 3), '{{}}', 'default', 200, 100 + i % 900, i % 100,
    i % 300, (100 + i % 900 - i % 100) * 2000 + i % 100 * 500 + i % 300 * 8000, 'user-' || (k % 24), 2000, 500, 8000
FROM c
"""


def fill(connection: Connection, organization: str, start: int, rows: int) -> None:
    step = 250_000
    for first in range(0, rows, step):
        last = min(first + step, rows) - 1
        values = {"first": first, "last": last, "start": start, "span": DAYS * DAY, "rows": rows}
        connection.execute(text(SERIES.format(organization=organization, **values)))
    names = list(rollups.Series.__struct_fields__)
    booked = rollups.as_booked(rollups.MINUTE).subquery()
    columns = {name: booked.c["snapshot" if name == "model" else name] for name in names}
    connection.execute(
        insert(usage_series).from_select(names, select(*columns.values()).distinct().order_by(*columns.values()))
    )
    for width in rollups.WIDTHS:
        booked = rollups.as_booked(width).subquery()
        same = [usage_series.c[name] == booked.c["snapshot" if name == "model" else name] for name in names]
        sums = [booked.c.start, *(booked.c[name] for name in rollups.SUMS)]
        query = select(usage_series.c.id, text(str(width)), *sums).join_from(booked, usage_series, and_(*same))
        connection.execute(insert(usage_rollups).from_select(["series_id", "width", "start", *rollups.SUMS], query))
    kept = [name for name in names if name not in rollups.MERGED]
    wholes = select(
        *(usage_series.c[name] for name in kept), *(literal(rollups.ALL) for _ in rollups.MERGED)
    ).distinct()
    connection.execute(insert(usage_series).from_select([*kept, *rollups.MERGED], wholes))
    merged = rollups.as_merged().subquery()
    same = [usage_series.c.key_id == rollups.ALL, *(usage_series.c[name] == merged.c[name] for name in kept)]
    sums = [merged.c.width, merged.c.start, *(merged.c[name] for name in rollups.SUMS)]
    query = select(usage_series.c.id, *sums).join_from(merged, usage_series, and_(*same))
    connection.execute(insert(usage_totals).from_select(["series_id", "width", "start", *rollups.SUMS], query))


QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "31 days": ("usage/completions", {"bucket_width": "1d", "limit": 31}),
    "31 days by model": ("usage/completions", {"bucket_width": "1d", "limit": 31, "group_by": ["model"]}),
    "31 days by key": ("usage/completions", {"bucket_width": "1d", "limit": 31, "group_by": ["api_key_id"]}),
    "31 days by all": (
        "usage/completions",
        {"bucket_width": "1d", "limit": 31, "group_by": ["project_id", "user_id", "api_key_id", "model"]},
    ),
    "168 hours": ("usage/completions", {"bucket_width": "1h", "limit": 168}),
    "168 hours by project": ("usage/completions", {"bucket_width": "1h", "limit": 168, "group_by": ["project_id"]}),
    "60 minutes by model": ("usage/completions", {"bucket_width": "1m", "limit": 60, "group_by": ["model"]}),
    "60 minutes of a project": ("usage/completions", {"bucket_width": "1m", "limit": 60, "project_ids": ["proj_3"]}),
    "1440 minutes": ("usage/completions", {"bucket_width": "1m", "limit": 1440}),
    "1440 minutes by model": ("usage/completions", {"bucket_width": "1m", "limit": 1440, "group_by": ["model"]}),
    "costs, 31 days": ("costs", {"limit": 31}),
    "costs, 60 days by line item": ("costs", {"limit": 60, "group_by": ["project_id", "line_item"]}),
}


async def ask(http: httpx2.AsyncClient, key: str, start: int, times: int, plans: Plans | None) -> None:
    random.seed(1)
    everything: list[float] = []
    print(f"{'question':<30}{'p50 ms':>10}{'p95 ms':>10}{'max ms':>10}{'CPU ms':>10}{'answer':>12}")
    for name, (path, query) in QUESTIONS.items():
        width = {"1m": 60, "1h": 3600}.get(query.get("bucket_width", "1d"), DAY)
        span = query["limit"] * width
        taken, worked = [], []
        for _ in range(times):
            begin = start + random.randrange(0, max(1, DAYS * DAY - span))
            began, busy = time.perf_counter(), time.process_time()
            answer = await http.get(
                f"/organization/{path}",
                params={"start_time": begin, "end_time": begin + span, **query},
                headers={"authorization": f"Bearer {key}"},
            )
            taken.append((time.perf_counter() - began) * 1000)
            worked.append((time.process_time() - busy) * 1000)
            assert answer.status_code == 200, answer.text
            assert any(bucket["results"] for bucket in answer.json()["data"])
        everything += taken
        print(row(name, taken) + f"{statistics.median(worked):>10.1f}{len(answer.content) / 1024:>9.0f} KB")
        if plans is not None:
            await plans.show()
    print(row("all", everything))


def row(name: str, taken: list[float]) -> str:
    cuts = statistics.quantiles(taken, n=20, method="inclusive")
    return f"{name:<30}{cuts[9]:>10.1f}{cuts[18]:>10.1f}{max(taken):>10.1f}"


async def settle(database: Database, organization: str, calls: int, together: int) -> None:
    ledger = Ledger(database)
    await ledger.start()

    async def client(count: int) -> None:
        for _ in range(count):
            id, now = request_id(), time.time_ns() // 1000
            await asyncio.shield(
                ledger.open(
                    Opening(
                        id=id,
                        created_at=now,
                        organization_id=organization,
                        project_id="proj_1",
                        key_id=f"key_{random.randrange(96)}",
                        operation="createChatCompletion",
                        model="gpt-4.1",
                        snapshot="model-0",
                        deployment="{}",
                        service_tier="default",
                        input_price=2000,
                        output_price=8000,
                    )
                )
            )
            await ledger.settle(
                Settlement(
                    id=id,
                    settled_at=time.time_ns() // 1000,
                    status=200,
                    error_code=None,
                    input_tokens=100,
                    cached_input_tokens=0,
                    output_tokens=50,
                    cost_nanos=600_000,
                )
            )

    began = time.perf_counter()
    await asyncio.gather(*(client(calls // together) for _ in range(together)))
    taken = time.perf_counter() - began
    await ledger.close()
    print(f"open and settle, {together} at once: {calls / taken:,.0f} calls/s, {taken / calls * 1e6:.0f} µs a call")


class Plans:
    """How the database answers the last question that it was asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[str, Any] | None = None
        event.listen(Engine, "before_cursor_execute", self._see)

    def _see(self, connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT") and "usage_series" in statement:
            self._last = statement, values

    async def show(self) -> None:
        assert self._last is not None
        statement, values = self._last
        word = "EXPLAIN (ANALYZE, TIMING OFF) " if self._database.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
        lines = await self._database.read(lambda c: c.exec_driver_sql(word + statement, values).all())
        print(*(f"    {line[-1]}" for line in lines), sep="\n")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a database that is empty, or that this made; a temporary SQLite file otherwise")
    parser.add_argument("--rows", type=int, default=1_000_000, help="calls in the ledger")
    parser.add_argument("--times", type=int, default=20, help="repetitions of each question")
    parser.add_argument("--plans", action="store_true", help="print the plan of each question")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.url or f"sqlite:///{Path(folder) / 'usage.db'}")
        database.migrate()
        access = Access(database)
        made = await access.bootstrap()
        admin = await access.create_key("bench", kind="admin")
        first = await database.read(lambda c: c.execute(select(func.min(calls.c.settled_at))).scalar())
        start = int(time.time()) // DAY * DAY - DAYS * DAY if first is None else first // (DAY * 10**6) * DAY
        began = time.perf_counter()
        if first is None:
            await database.write(lambda connection: fill(connection, made.organization_id, start, options.rows))
        if database.dialect == "postgresql":
            await database.write(lambda connection: connection.execute(text("ANALYZE")) and None)

        def counted(connection: Connection) -> list[int]:
            tables = calls, usage_rollups, usage_totals
            return [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

        rows, kept, totals = await database.read(counted)
        print(
            f"{database.dialect}: {rows:,} calls, {kept:,} sums and {totals:,} totals, "
            f"made in {time.perf_counter() - began:.0f} s\n"
        )
        catalog = Catalog(load_cards(), Bindings(database))
        ledger = Ledger(database)
        service = UsageService(UsageStore(database), catalog, ledger)
        dispatcher = Dispatcher(operations_of(Usage(service)), access)
        transport: Any = httpx2.ASGITransport(dispatcher)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench/v1", timeout=60) as http:
            await ask(http, admin.secret, start, options.times, Plans(database) if options.plans else None)
        print()
        await settle(database, made.organization_id, 500, 1)
        await settle(database, made.organization_id, 10_000, 64)
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
