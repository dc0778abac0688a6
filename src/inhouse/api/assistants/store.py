"""Assistants, threads and what is in them: the queries.

What belongs to another project does not exist for this one. The functions take a connection, so that several of them
make one transaction. Bodies are JSON as a client receives it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, tuple_, update

from inhouse.storage.database import lock
from inhouse.storage.schema import (
    assistants,
    thread_messages,
    thread_run_events,
    thread_run_steps,
    thread_runs,
    threads,
)

Order = Literal["asc", "desc"]
ACTIVE = ("queued", "in_progress", "requires_action", "cancelling")
"""While a run is in one of these, its thread is locked."""


class Cursor(msgspec.Struct, frozen=True):
    """Which page of a list."""

    limit: int = 20
    order: Order = "desc"
    after: str | None = None
    before: str | None = None


class Found(msgspec.Struct, frozen=True):
    """One page: bodies, and whether more follow."""

    bodies: Sequence[str]
    more: bool


class NoSuchCursor(Exception):
    """The list has no object with the id that ``after`` or ``before`` name."""

    def __init__(self, name: str, id: str) -> None:
        super().__init__(f"{name}={id}")
        self.name = name
        self.id = id


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run. ``created_at`` is Unix microseconds."""

    id: str
    thread_id: str
    project_id: str
    created_at: int
    status: str
    body: str
    state: str


class Entry(msgspec.Struct, frozen=True):
    """A message or a step of a thread, in its place."""

    kind: Literal["message", "step"]
    run_id: str | None
    place: int
    body: str


def page(connection: Connection, table: Table, condition: ColumnElement[bool], cursor: Cursor) -> Found:
    """One page of the rows that ``condition`` leaves, by place or by time of creation.

    Raises:
        NoSuchCursor
    """
    columns = (table.c.place,) if "place" in table.c else (table.c.created_at, table.c.id)
    key = tuple_(*columns)
    query = select(table.c.body, *columns).where(condition)
    ascending = cursor.order == "asc"
    for name, id in (("after", cursor.after), ("before", cursor.before)):
        if id is None:
            continue
        at = connection.execute(select(*columns).where(condition, table.c.id == id)).one_or_none()
        if at is None:
            raise NoSuchCursor(name, id)
        later = ascending == (name == "after")
        query = query.where(key > tuple_(*at) if later else key < tuple_(*at))
    # What lies just before an object is found from that object backwards.
    backwards = cursor.before is not None and cursor.after is None
    up = ascending != backwards
    query = query.order_by(*(column.asc() if up else column.desc() for column in columns)).limit(cursor.limit + 1)
    rows = [row.body for row in connection.execute(query)]
    kept = rows[: cursor.limit]
    return Found(kept[::-1] if backwards else kept, len(rows) > cursor.limit)


# Assistants


def add_assistant(connection: Connection, project_id: str, id: str, created_at: int, body: str) -> None:
    connection.execute(
        insert(assistants).values(id=id, project_id=project_id, created_at=created_at, body=body),
    )


def get_assistant(connection: Connection, project_id: str, id: str) -> str | None:
    mine = assistants.c.project_id == project_id, assistants.c.id == id
    return connection.execute(select(assistants.c.body).where(*mine)).scalar()


def set_assistant(connection: Connection, id: str, body: str) -> None:
    connection.execute(update(assistants).where(assistants.c.id == id).values(body=body))


def delete_assistant(connection: Connection, project_id: str, id: str) -> bool:
    mine = assistants.c.project_id == project_id, assistants.c.id == id
    return connection.execute(delete(assistants).where(*mine)).rowcount > 0


def assistants_page(connection: Connection, project_id: str, cursor: Cursor) -> Found:
    return page(connection, assistants, assistants.c.project_id == project_id, cursor)


# Threads


def add_thread(connection: Connection, project_id: str, id: str, created_at: int, body: str) -> None:
    connection.execute(insert(threads).values(id=id, project_id=project_id, created_at=created_at, places=0, body=body))


def get_thread(connection: Connection, project_id: str, id: str) -> str | None:
    mine = threads.c.project_id == project_id, threads.c.id == id
    return connection.execute(select(threads.c.body).where(*mine)).scalar()


def set_thread(connection: Connection, id: str, body: str) -> None:
    connection.execute(update(threads).where(threads.c.id == id).values(body=body))


def lock_thread(connection: Connection, thread_id: str) -> None:
    """Until the transaction ends, nobody else adds to a thread or begins a run."""
    lock(connection, f"thread {thread_id}")


def delete_thread(connection: Connection, thread_id: str) -> list[str]:
    """Remove a thread, which is locked, and all that is in it. Gives the ids of its runs."""
    if (active := active_run(connection, thread_id)) is not None:
        find_run(connection, active, hold=True)  # what is just being written of it is removed too
    runs = list(connection.execute(select(thread_runs.c.id).where(thread_runs.c.thread_id == thread_id)).scalars())
    if runs:
        connection.execute(delete(thread_run_events).where(thread_run_events.c.run_id.in_(runs)))
    for table in (thread_run_steps, thread_messages, thread_runs):
        connection.execute(delete(table).where(table.c.thread_id == thread_id))
    connection.execute(delete(threads).where(threads.c.id == thread_id))
    return runs


def thread_ids(connection: Connection, project_id: str, assistant_id: str | None = None) -> list[str]:
    """The threads of a project, or those that an assistant has answered, the oldest first."""
    query = select(threads.c.id).where(threads.c.project_id == project_id)
    if assistant_id is not None:
        answered = select(thread_runs.c.thread_id).where(thread_runs.c.assistant_id == assistant_id)
        query = query.where(threads.c.id.in_(answered))
    return list(connection.execute(query.order_by(threads.c.created_at, threads.c.id)).scalars())


def _place(connection: Connection, thread_id: str) -> int:
    """The next free place of a thread."""
    taking = update(threads).where(threads.c.id == thread_id).values(places=threads.c.places + 1)
    return int(connection.execute(taking.returning(threads.c.places)).scalar_one())


# Messages


def put_message(connection: Connection, thread_id: str, id: str, run_id: str | None, body: str) -> None:
    """Add a message at the end, or replace what is there of it."""
    known = update(thread_messages).where(thread_messages.c.id == id).values(body=body)
    if not connection.execute(known).rowcount:
        place = _place(connection, thread_id)
        connection.execute(
            insert(thread_messages).values(id=id, thread_id=thread_id, run_id=run_id, place=place, body=body)
        )


def get_message(connection: Connection, thread_id: str, id: str) -> str | None:
    mine = thread_messages.c.thread_id == thread_id, thread_messages.c.id == id
    return connection.execute(select(thread_messages.c.body).where(*mine)).scalar()


def delete_message(connection: Connection, thread_id: str, id: str) -> bool:
    mine = thread_messages.c.thread_id == thread_id, thread_messages.c.id == id
    return connection.execute(delete(thread_messages).where(*mine)).rowcount > 0


def messages_page(connection: Connection, thread_id: str, run_id: str | None, cursor: Cursor) -> Found:
    condition = thread_messages.c.thread_id == thread_id
    if run_id is not None:
        condition &= thread_messages.c.run_id == run_id
    return page(connection, thread_messages, condition, cursor)


def entries(connection: Connection, thread_id: str) -> list[Entry]:
    """Messages and steps of a thread, in order."""
    found = []
    for kind, table in (("message", thread_messages), ("step", thread_run_steps)):
        rows = connection.execute(
            select(table.c.run_id, table.c.place, table.c.body).where(table.c.thread_id == thread_id)
        )
        found += [Entry(kind, row.run_id, row.place, row.body) for row in rows]  # type: ignore[arg-type]
    return sorted(found, key=lambda entry: entry.place)


# Runs


def add_run(connection: Connection, run: StoredRun, assistant_id: str) -> None:
    """Add a run. What the streams of the thread's earlier runs told is forgotten."""
    earlier = select(thread_runs.c.id).where(thread_runs.c.thread_id == run.thread_id)
    connection.execute(delete(thread_run_events).where(thread_run_events.c.run_id.in_(earlier)))
    connection.execute(insert(thread_runs).values(assistant_id=assistant_id, **msgspec.structs.asdict(run)))


def set_run(connection: Connection, id: str, status: str, body: str, state: str | None = None) -> None:
    values: dict[str, Any] = {"status": status, "body": body}
    if state is not None:
        values["state"] = state
    connection.execute(update(thread_runs).where(thread_runs.c.id == id).values(**values))


def get_run(connection: Connection, thread_id: str, id: str) -> StoredRun | None:
    return _run(connection, thread_runs.c.thread_id == thread_id, thread_runs.c.id == id)


def find_run(connection: Connection, id: str, *, hold: bool = False) -> StoredRun | None:
    """A run of whatever thread, for those who make it. ``hold``: nobody else changes it before the transaction ends."""
    if hold:
        lock(connection, f"run {id}")
    return _run(connection, thread_runs.c.id == id)


def active_run(connection: Connection, thread_id: str) -> str | None:
    """The id of the run that locks a thread."""
    mine = thread_runs.c.thread_id == thread_id, thread_runs.c.status.in_(ACTIVE)
    return connection.execute(select(thread_runs.c.id).where(*mine)).scalar()


def runs_page(connection: Connection, thread_id: str, cursor: Cursor) -> Found:
    return page(connection, thread_runs, thread_runs.c.thread_id == thread_id, cursor)


def _run(connection: Connection, *conditions: ColumnElement[bool]) -> StoredRun | None:
    row = connection.execute(select(thread_runs).where(*conditions)).one_or_none()
    if row is None:
        return None
    return StoredRun(**{name: getattr(row, name) for name in StoredRun.__struct_fields__})


# Steps


def put_step(connection: Connection, thread_id: str, run_id: str, id: str, body: str) -> None:
    """Add a step at the end, or replace what is there of it."""
    known = update(thread_run_steps).where(thread_run_steps.c.id == id).values(body=body)
    if not connection.execute(known).rowcount:
        place = _place(connection, thread_id)
        connection.execute(
            insert(thread_run_steps).values(id=id, thread_id=thread_id, run_id=run_id, place=place, body=body)
        )


def steps_of(connection: Connection, run_id: str) -> list[str]:
    mine = select(thread_run_steps.c.body).where(thread_run_steps.c.run_id == run_id)
    return list(connection.execute(mine.order_by(thread_run_steps.c.place)).scalars())


def get_step(connection: Connection, run_id: str, id: str) -> str | None:
    mine = thread_run_steps.c.run_id == run_id, thread_run_steps.c.id == id
    return connection.execute(select(thread_run_steps.c.body).where(*mine)).scalar()


def steps_page(connection: Connection, run_id: str, cursor: Cursor) -> Found:
    return page(connection, thread_run_steps, thread_run_steps.c.run_id == run_id, cursor)


# Events


def add_events(connection: Connection, run_id: str, count: int, body: str) -> None:
    """A piece of a run's stream: a JSON array of ``count`` events. The run must be held (``find_run``) or be new."""
    first = next_event(connection, run_id)
    connection.execute(insert(thread_run_events).values(run_id=run_id, first=first, last=first + count - 1, body=body))


def next_event(connection: Connection, run_id: str) -> int:
    """How many events a run's stream has told."""
    last = connection.execute(
        select(func.max(thread_run_events.c.last)).where(thread_run_events.c.run_id == run_id)
    ).scalar()
    return 0 if last is None else last + 1


def events_from(connection: Connection, run_id: str, number: int) -> list[tuple[int, str]]:
    """The pieces of a stream that hold events from ``number`` on, each with the number of its first event."""
    rows = connection.execute(
        select(thread_run_events.c.first, thread_run_events.c.body)
        .where(thread_run_events.c.run_id == run_id, thread_run_events.c.last >= number)
        .order_by(thread_run_events.c.first)
    )
    return [(row.first, row.body) for row in rows]


def now() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1000
