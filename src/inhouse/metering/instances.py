"""Which server processes are alive: who may still settle an open call.

Every process has a row with a beat. It is dead when the beat is older than ``LEASE_US``, or at once when the process
ran in this very place (same boot, same process namespace) and the system no longer knows it. So a server that starts
again after ``kill -9`` settles what it left, and never touches the calls of another that is alive.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from sqlalchemy import Connection, delete, extract, func, insert, select, update

from inhouse.storage.schema import instances

BEAT_S = 5.0
LEASE_US = 60_000_000
"""How long a beat counts. A process that pauses for longer is taken for dead: its open calls are settled for it."""


def new_instance_id() -> str:
    return "inst_" + secrets.token_hex(12)


def this_process() -> str:
    """Boot, process namespace, number and start time of this process; empty where the system does not tell."""
    return _process(os.getpid())


def database_now(connection: Connection) -> int:
    """Unix microseconds by the clock that all processes share: PostgreSQL's, or this machine's."""
    if connection.dialect.name == "postgresql":
        seconds = connection.execute(select(extract("epoch", func.clock_timestamp()))).scalar_one()
        return int(seconds * 1_000_000)
    return time.time_ns() // 1000


def register(connection: Connection, id: str, process: str) -> None:
    now = database_now(connection)
    connection.execute(insert(instances).values(id=id, started_at=now, beat_at=now, process=process))


def beat(connection: Connection, id: str) -> bool:
    """Whether the instance was still taken for alive."""
    statement = update(instances).where(instances.c.id == id).values(beat_at=database_now(connection))
    return connection.execute(statement).rowcount > 0


def dead(connection: Connection) -> list[str]:
    """Ids of the instances that are gone."""
    oldest = database_now(connection) - LEASE_US
    rows = connection.execute(select(instances.c.id, instances.c.beat_at, instances.c.process)).all()
    return [row.id for row in rows if row.beat_at < oldest or _is_gone(row.process)]


def beats(connection: Connection, id: str) -> dict[str, int]:
    """When each instance other than ``id`` that is not known to be gone last beat."""
    gone = dead(connection)
    query = select(instances.c.id, instances.c.beat_at).where(instances.c.id != id, instances.c.id.not_in(gone))
    return {row.id: row.beat_at for row in connection.execute(query)}


def remove(connection: Connection, ids: list[str]) -> None:
    connection.execute(delete(instances).where(instances.c.id.in_(ids)))


def _is_gone(process: str) -> bool:
    """Whether a process of this very place no longer runs; False where that cannot be known from here."""
    place, _, rest = process.rpartition(" ")
    here, _, _ = this_process().rpartition(" ")
    if not process or place != here:
        return False
    number = rest.partition(":")[0]
    return number.isdecimal() and _process(int(number)) != process


def _process(number: int) -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
        # The name in parentheses may hold anything; the start time is the 20th field after it.
        state, *_, started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[:20]
    except (OSError, ValueError):
        return ""
    return "" if state in ("Z", "X") else f"{boot} {namespace} {number}:{started}"
