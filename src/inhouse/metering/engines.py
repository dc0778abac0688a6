"""What engines count themselves, kept and held against the ledger.

Every few seconds a server process asks its embedded engines what they have generated since they started, and once more
before it ends one (``EngineCounts``). What they say comes from llama.cpp's own counters, so nothing of it has passed
through the accounting of calls.

The rules (``compare``), for each engine of each server process that ran it:

- *Nothing is billed that was not generated*: the output of the calls that ended before the last reading is at most what
  the engine has counted, to the token. Calls are left out of this that were under way, or ended, between the last
  reading of a process that died and the start of the next, for what it counted then is lost; and calls that were
  broken off less than ``NOTICED_US`` before a last reading, for llama.cpp counts an answer when it stops writing it.
- *Nothing is generated that is not on the books*: the engine has counted at most the output of all calls that the
  server served with it, batches aside, and what it says was its own, and ``UNTOLD`` for every call whose output the
  ledger does not have in full: one that is open, failed, or was broken off.

Input is kept for information: a prompt of which only passages are read is billed whole, and one that is answered
several times is billed once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Row, and_, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from inhouse.engines.pool import EnginePool
from inhouse.metering.instances import BEAT_S
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, engine_counts

UNTOLD = 2048
"""Tokens: what an engine writes in a beat at 400 a second."""
NOTICED_US = 10_000_000
"""Microseconds within which an engine has noticed that a client left."""
STARTING_US = 3_600_000_000
"""How long before its engine's start a call may have begun, at the most."""

log = structlog.get_logger(__name__)


class EngineCounts:
    """Keeps what the engines of this process count. ``close`` comes when they have ended, before the ledger's."""

    def __init__(self, database: Database, engines: EnginePool, ledger: Ledger, *, every_s: float = BEAT_S) -> None:
        self._database = database
        self._engines = engines
        self._ledger = ledger
        self._every_s = every_s
        self._instances: list[str] = []
        self._kept: dict[str, int] = {}
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            await self.keep()

    async def look(self) -> None:
        """Read the counters of all engines and keep what they say."""
        for counted in self._engines.counted():
            await counted.counting.read()
        await self.keep()

    async def keep(self) -> None:
        """Write the readings that are newer than those of before."""
        if self._ledger.instance not in self._instances:
            self._instances.append(self._ledger.instance)
        rows = []
        counted = self._engines.counted()
        for each in counted:
            for counts in each.counting.processes:
                if counts.counted_at == self._kept.get(counts.process):
                    continue
                values = msgspec.structs.asdict(counts)
                rows.append(
                    values
                    | {
                        "engine": each.engine,
                        "server": self._instances[0],
                        "instances": msgspec.json.encode(self._instances).decode(),
                        "deployments": msgspec.json.encode(each.deployments).decode(),
                    }
                )
        if not rows:
            return
        # First the calls: what an engine has done for them may not be known before they are.
        await self._ledger.written()
        await self._database.write(lambda connection: _keep(connection, rows))
        self._kept |= {row["process"]: row["counted_at"] for row in rows}
        for each in counted:
            if all(self._kept.get(counts.process) == counts.counted_at for counts in each.counting.processes):
                each.counting.forget()

    async def _read(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Exception:
                log.exception("what engines have counted could not be kept")


class Counted(msgspec.Struct, frozen=True):
    """How the counts of all engines and the ledger compare, in tokens of output."""

    processes: int
    tokens: int
    """What the engines counted."""
    billed: int
    """The output of the calls that they served."""
    disagreements: list[str]


def compare(connection: Connection) -> Counted:
    """See above."""
    kept: defaultdict[tuple[str, str], list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(engine_counts).order_by(engine_counts.c.started_at)):
        kept[row.server, row.engine].append(row)
    wrong: list[str] = []
    billed = 0
    for rows in kept.values():
        sums = _sums(connection, rows)
        billed += sums.output
        tokens, own = sum(row.output_tokens for row in rows), sum(row.own_tokens for row in rows)
        who = f"{', '.join(_all(rows, 'deployments'))} in {rows[0].server}"
        if sums.ended > tokens:
            wrong.append(f"{who}: {sums.ended} tokens billed of calls that have ended, {tokens} generated")
        if tokens > (most := sums.live + own + UNTOLD * sums.untold):
            wrong.append(f"{who}: {tokens} tokens generated, at most {most} of them for calls on the books")
    everything = [row for rows in kept.values() for row in rows]
    return Counted(len(everything), sum(row.output_tokens for row in everything), billed, wrong)


def _sums(connection: Connection, rows: Sequence[Row[Any]]) -> Row[Any]:
    """Output tokens of the calls of one engine: of all, of those outside batches, of those that ended before the last
    reading; and of how many calls the ledger does not have the whole output."""
    last = rows[-1].counted_at
    lost = [
        and_(
            calls.c.settled_at > before.counted_at,
            calls.c.created_at <= (before.counted_at if before.ended else after.started_at),
        )
        for before, after in pairwise(rows)
    ]
    untold = or_(calls.c.state != "settled", calls.c.status >= 400)
    stopping = [and_(untold, calls.c.settled_at.between(row.counted_at - NOTICED_US, row.counted_at)) for row in rows]
    ended = and_(calls.c.state != "open", calls.c.settled_at <= last, *(~each for each in (*lost, *stopping)))
    output = calls.c.output_tokens
    query = select(
        *(
            func.coalesce(func.sum(amount), 0).label(name)
            for name, amount in {
                "output": output,
                "live": case((calls.c.batch, 0), else_=output),
                "ended": case((ended, output), else_=0),
                "untold": case((untold, 1), else_=0),
            }.items()
        )
    ).where(
        calls.c.deployment.in_(_all(rows, "deployments")),
        calls.c.instance.in_(_all(rows, "instances")),
        calls.c.created_at.between(rows[0].started_at - STARTING_US, last),
    )
    return connection.execute(query).one()


def _all(rows: Sequence[Row[Any]], column: str) -> list[str]:
    found: dict[str, None] = {}
    for row in rows:
        found |= dict.fromkeys(msgspec.json.decode(row._mapping[column], type=list[str]))
    return list(found)


def _keep(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement: Any = insert(engine_counts)
    changing = [name for name in rows[0] if name != "process"]
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["process"], set_={name: statement.excluded[name] for name in changing}
        ),
        rows,
    )
