"""The table of jobs: queries for transactions of others, so that work and what it is about are committed together."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, and_, case, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from inhouse.storage.bulk import insert_rows
from inhouse.storage.schema import jobs

KEPT_US = 60_000_000
"""How long a job waits for the process that is to do it, microseconds."""


_MOST_IDS = 500


class Job(msgspec.Struct, frozen=True):
    """Work to do. ``payload`` is JSON; ``attempt`` counts from 1."""

    id: str
    kind: str
    payload: str
    attempt: int
    cancelled: bool


def enqueue(connection: Connection, id: str, kind: str, payload: str, *, owner: str | None = None) -> None:
    """Add a job. Its id is that of what it works on.

    Args:
        owner: who is to do it, because it needs what only this process knows. Others come to it after ``KEPT_US``.
    """
    now = _now()
    kept = None if owner is None else now + KEPT_US
    connection.execute(
        insert(jobs).values(
            id=id, kind=kind, payload=payload, created_at=now, attempts=0, owner=owner, lease_until=kept
        )
    )


def enqueue_all(connection: Connection, kind: str, given: Sequence[tuple[str, str, int]]) -> None:
    """Add jobs of one kind: id, payload and when each is due. Those due earlier are done first."""
    now = _now()
    rows = [
        {"id": id, "kind": kind, "payload": payload, "created_at": now, "attempts": 0, "due_at": due_at}
        for id, payload, due_at in given
    ]
    insert_rows(connection, jobs, rows)


def get_on(connection: Connection, id: str, owner: str) -> bool:
    """A job has got on: what it did before this is not an attempt any more. False if it is somebody else's now, and
    nothing may be written."""
    mine = update(jobs).where(jobs.c.id == id, jobs.c.owner == owner).values(attempts=1)
    return connection.execute(mine).rowcount > 0


def stop_all(connection: Connection, ids: Sequence[str]) -> int:
    """Remove those of the jobs that nobody works on, and ask who works on the others to stop.

    Returns:
        How many were removed.
    """
    removed = 0
    for at in range(0, len(ids), _MOST_IDS):
        those = jobs.c.id.in_(ids[at : at + _MOST_IDS])
        free = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < _now())
        removed += connection.execute(delete(jobs).where(those, free)).rowcount
        connection.execute(update(jobs).where(those).values(cancelled=1))
    return removed


def ask(connection: Connection, id: str, kind: str, payload: str, due_at: int = 0) -> None:
    """Add a job unless it is there; one that is, is due at ``due_at`` at the latest.

    For work that comes again and again to one place. Whoever does it ends it with ``postpone`` or, after
    ``hold`` has shown that nothing is left, with ``finish``: nothing asked for meanwhile is lost.

    Args:
        due_at: Unix microseconds.
    """
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = make(jobs).values(id=id, kind=kind, payload=payload, created_at=_now(), attempts=0, due_at=due_at)
    sooner = case((jobs.c.due_at < due_at, jobs.c.due_at), else_=due_at)
    connection.execute(statement.on_conflict_do_update(index_elements=[jobs.c.id], set_={"due_at": sooner}))


def hold(connection: Connection, id: str, owner: str) -> bool:
    """Until the transaction ends, let nobody ``ask`` for this job. False if it is not this owner's any more."""
    mine = select(jobs.c.id).where(jobs.c.id == id, jobs.c.owner == owner).with_for_update()
    return connection.execute(mine).one_or_none() is not None


def postpone(connection: Connection, id: str, owner: str, due_at: int) -> None:
    """Give a job back, to be begun again at ``due_at`` (Unix microseconds) with its attempts counted anew."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == id, jobs.c.owner == owner)
        .values(owner=None, lease_until=None, attempts=0, due_at=due_at)
    )


def finish(connection: Connection, id: str, owner: str | None = None) -> bool:
    """Remove a job: in the transaction that writes down what it came to.

    Args:
        owner: only if the job is still this one's.

    Returns:
        Whether it was there. If not, somebody else has it or has ended it, and nothing may be written.
    """
    mine = (jobs.c.id == id,) if owner is None else (jobs.c.id == id, jobs.c.owner == owner)
    return connection.execute(delete(jobs).where(*mine)).rowcount > 0


def request_cancel(connection: Connection, id: str) -> bool:
    """Ask whoever works on a job, in any process, to stop. False if there is no such job any more."""
    return connection.execute(update(jobs).where(jobs.c.id == id).values(cancelled=1)).rowcount > 0


def is_open(connection: Connection, id: str) -> bool:
    """Whether a job waits or is worked on."""
    return connection.execute(select(jobs.c.id).where(jobs.c.id == id)).one_or_none() is not None


def claim(
    connection: Connection, owner: str, kinds: list[str], count: int, lease_us: int, *, working: Collection[str] = ()
) -> list[Job]:
    """Lease up to ``count`` jobs that are due and that nobody works on, the oldest first.

    Args:
        lease_us: how long the lease holds unless renewed, microseconds.
        working: what this owner works on, which is not free even where a slow disk ate the lease.
    """
    now = _now()
    kept = and_(jobs.c.owner == owner, jobs.c.attempts == 0)
    free = (
        select(jobs)
        .where(
            jobs.c.kind.in_(kinds),
            jobs.c.id.not_in(working),
            jobs.c.due_at <= now,
            or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now, kept),
        )
        .order_by(jobs.c.due_at, jobs.c.created_at, jobs.c.id)
        .limit(count)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in connection.execute(free).all():
        connection.execute(
            update(jobs)
            .where(jobs.c.id == row.id)
            .values(owner=owner, lease_until=now + lease_us, attempts=row.attempts + 1)
        )
        claimed.append(Job(row.id, row.kind, row.payload, row.attempts + 1, bool(row.cancelled)))
    return claimed


def claim_one(connection: Connection, owner: str, id: str, lease_us: int) -> Job | None:
    """Lease one job, if nobody works on it. Arguments as for ``claim``."""
    now = _now()
    free = or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < now)
    query = select(jobs).where(jobs.c.id == id, free).with_for_update(skip_locked=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    lease = update(jobs).where(jobs.c.id == id)
    connection.execute(lease.values(owner=owner, lease_until=now + lease_us, attempts=row.attempts + 1))
    return Job(row.id, row.kind, row.payload, row.attempts + 1, bool(row.cancelled))


def open_ids(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Those of the jobs that wait or are worked on, the earliest due first."""
    found: list[tuple[int, str]] = []
    for at in range(0, len(ids), _MOST_IDS):
        query = select(jobs.c.due_at, jobs.c.id).where(jobs.c.id.in_(ids[at : at + _MOST_IDS]))
        found += [(row.due_at, row.id) for row in connection.execute(query)]
    return [id for _, id in sorted(found)]


def renew(connection: Connection, owner: str, ids: list[str], lease_us: int) -> dict[str, bool]:
    """Hold on to jobs. Gives those that are still this owner's, each with whether it was cancelled."""
    mine = jobs.c.id.in_(ids), jobs.c.owner == owner
    connection.execute(update(jobs).where(*mine).values(lease_until=_now() + lease_us))
    rows = connection.execute(select(jobs.c.id, jobs.c.cancelled).where(*mine))
    return {row.id: bool(row.cancelled) for row in rows}


def release(connection: Connection, owner: str, id: str) -> None:
    """Give a job back, to be done anew by the next who comes. The attempt does not count."""
    connection.execute(
        update(jobs)
        .where(jobs.c.id == id, jobs.c.owner == owner)
        .values(owner=None, lease_until=None, attempts=jobs.c.attempts - 1)
    )


def release_all(connection: Connection) -> None:
    """Free the jobs of every owner. Only where no other process works on this database."""
    connection.execute(update(jobs).values(owner=None, lease_until=None))


def _now() -> int:
    return time.time_ns() // 1000
