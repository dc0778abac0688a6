"""Batches: the queries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, tuple_, update

from inhouse.api.batches.wire import Ending, Status
from inhouse.storage.bulk import insert_rows
from inhouse.storage.schema import batch_results, batches


class StoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. Times are Unix microseconds."""

    id: str
    organization_id: str
    project_id: str
    key_id: str
    user_id: str
    created_at: int
    endpoint: str
    input_file_id: str
    output_lifetime_s: int
    metadata: str
    """JSON."""
    status: Status
    expires_at: int
    ending: Ending | None = None
    errors: str | None = None
    """JSON."""
    model: str | None = None
    parts: int = 0
    """Jobs that its requests were divided into."""
    chunks: int = 0
    """Of these, that are not done."""
    total: int = 0
    completed: int = 0
    failed: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    output_file_id: str | None = None
    error_file_id: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None


class Result(msgspec.Struct, frozen=True):
    """What one request came to."""

    number: int
    """Of the request in its file, from 0."""
    failed: bool
    line: str
    """Of the output or the error file."""


def now() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1000


def add(connection: Connection, batch: StoredBatch) -> None:
    connection.execute(insert(batches).values(**msgspec.structs.asdict(batch)))


def get(connection: Connection, batch_id: str, project_id: str | None = None) -> StoredBatch | None:
    """A batch, of a project if one is given."""
    query = select(batches).where(batches.c.id == batch_id)
    if project_id is not None:
        query = query.where(batches.c.project_id == project_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredBatch(**row._mapping)


def locked(connection: Connection, batch_id: str, project_id: str | None = None) -> StoredBatch | None:
    """A batch that nobody else changes until the transaction ends."""
    query = select(batches).where(batches.c.id == batch_id).with_for_update()
    if project_id is not None:
        query = query.where(batches.c.project_id == project_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredBatch(**row._mapping)


def change(connection: Connection, batch_id: str, **values: Any) -> None:
    connection.execute(update(batches).where(batches.c.id == batch_id).values(**values))


def count(
    connection: Connection,
    batch_id: str,
    results: Sequence[Result],
    *,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    reasoning_tokens: int,
) -> None:
    """Keep what requests came to."""
    rows = [{"batch_id": batch_id, "number": r.number, "failed": r.failed, "line": r.line} for r in results]
    insert_rows(connection, batch_results, rows)
    failed = sum(result.failed for result in results)
    change(
        connection,
        batch_id,
        completed=batches.c.completed + len(results) - failed,
        failed=batches.c.failed + failed,
        input_tokens=batches.c.input_tokens + input_tokens,
        cached_tokens=batches.c.cached_tokens + cached_tokens,
        output_tokens=batches.c.output_tokens + output_tokens,
        reasoning_tokens=batches.c.reasoning_tokens + reasoning_tokens,
    )


def done(connection: Connection, batch_id: str, first: int, count: int) -> set[int]:
    """Numbers of requests that are answered, of ``count`` from ``first`` on."""
    query = select(batch_results.c.number).where(
        batch_results.c.batch_id == batch_id, batch_results.c.number.between(first, first + count - 1)
    )
    return set(connection.execute(query).scalars())


def results(connection: Connection, batch_id: str, first: int, count: int) -> list[Result]:
    """What requests came to, of ``count`` from ``first`` on, in their order."""
    query = (
        select(batch_results.c.number, batch_results.c.failed, batch_results.c.line)
        .where(batch_results.c.batch_id == batch_id, batch_results.c.number.between(first, first + count - 1))
        .order_by(batch_results.c.number)
    )
    return [Result(row.number, bool(row.failed), row.line) for row in connection.execute(query)]


def remove_results(connection: Connection, batch_id: str, first: int, count: int) -> None:
    between = batch_results.c.number.between(first, first + count - 1)
    connection.execute(delete(batch_results).where(batch_results.c.batch_id == batch_id, between))


def working(connection: Connection) -> list[str]:
    """Ids of batches whose requests are answered."""
    query = select(batches.c.id).where(batches.c.status == "in_progress", batches.c.ending.is_(None))
    return list(connection.execute(query).scalars())


def page(
    connection: Connection, project_id: str, after: str | None, limit: int
) -> tuple[list[StoredBatch], bool] | None:
    """One page, newest first, and whether more follow. None if ``after`` names no batch."""
    query = select(batches).where(batches.c.project_id == project_id)
    if after is not None:
        edge = get(connection, after, project_id)
        if edge is None:
            return None
        query = query.where(tuple_(batches.c.created_at, batches.c.id) < tuple_(edge.created_at, edge.id))
    query = query.order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(limit + 1)
    found = [StoredBatch(**row._mapping) for row in connection.execute(query)]
    return found[:limit], len(found) > limit
