"""Vector stores: the queries. Each begins with a project or with what was found through one.

Whoever changes what can be found in a store locks its row first, so that changes to one store come one after the other,
in any process, and its revision tells an index that it is old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, func, insert, or_, select, tuple_, update

from inhouse.jobs import queue
from inhouse.storage.schema import vector_store_batches as batches
from inhouse.storage.schema import vector_store_chunks as chunks
from inhouse.storage.schema import vector_store_files as files
from inhouse.storage.schema import vector_store_segments as segments
from inhouse.storage.schema import vector_stores as stores
from inhouse.tools.file_search.chunking import Chunk
from inhouse.tools.file_search.index import Segment

FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]
ErrorCode = Literal["server_error", "unsupported_file", "invalid_file"]
Order = Literal["asc", "desc"]
_FEW = 500
"""Values in one ``IN``."""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A vector store. Times are Unix microseconds; ``metadata`` is JSON."""

    id: str
    project_id: str
    created_at: int
    name: str
    description: str | None
    metadata: str
    days: int | None
    last_active_at: int
    expires_at: int | None
    revision: int


class StoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a store. ``attributes`` is JSON."""

    store_id: str
    file_id: str
    project_id: str
    run: str
    batch_id: str | None
    created_at: int
    filename: str
    attributes: str
    chunk_tokens: int
    overlap_tokens: int
    status: FileStatus
    error_code: ErrorCode | None
    error_message: str | None
    usage_bytes: int


class Searchable(NamedTuple):
    """What a search needs of a file that is all there."""

    run: str
    file_id: str
    filename: str
    attributes: str
    """JSON."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    store_id: str
    created_at: int
    cancelled: bool


class Counts(msgspec.Struct, frozen=True):
    """Files by status, and the bytes that they take in the store."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    usage_bytes: int = 0

    @property
    def total(self) -> int:
        return self.in_progress + self.completed + self.failed + self.cancelled


class Edge(Exception):
    """The id that a page is to begin or to end at is not there."""


# Stores


def add(connection: Connection, store: Store) -> None:
    connection.execute(insert(stores).values(**msgspec.structs.asdict(store)))


def get(connection: Connection, project_id: str, store_id: str, *, lock: bool = False) -> Store | None:
    """
    Args:
        lock: until the transaction ends, nobody else changes what is in it.
    """
    query = select(stores).where(stores.c.project_id == project_id, stores.c.id == store_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else Store(**row._mapping)


def change(connection: Connection, store_id: str, **values: Any) -> None:
    connection.execute(update(stores).where(stores.c.id == store_id).values(**values))


def touch(connection: Connection, store_id: str, now: int) -> None:
    """It was used: its time to expire begins anew."""
    days = stores.c.days * 86_400_000_000
    connection.execute(
        update(stores)
        .where(stores.c.id == store_id, stores.c.last_active_at < now)
        .values(last_active_at=now, expires_at=case((stores.c.days.is_(None), None), else_=days + now))
    )


def revise(connection: Connection, store_ids: Iterable[str]) -> None:
    """What can be found in these has changed."""
    for store_id in sorted(set(store_ids)):
        connection.execute(update(stores).where(stores.c.id == store_id).values(revision=stores.c.revision + 1))


def page(
    connection: Connection, project_id: str, *, after: str | None, before: str | None, limit: int, order: Order
) -> tuple[list[Store], bool]:
    """Some stores, and whether more follow. Raises Edge."""
    rows, more = _page(connection, stores, stores.c.project_id == project_id, "id", after, before, limit, order)
    return [Store(**row._mapping) for row in rows], more


def remove(connection: Connection, store_id: str) -> list[str]:
    """Remove a store with all that is in it. Returns the runs that were stopped by this."""
    stopped = _remove_files(connection, files.c.store_id == store_id)
    connection.execute(delete(batches).where(batches.c.store_id == store_id))
    connection.execute(delete(stores).where(stores.c.id == store_id))
    return stopped


def empty(connection: Connection, store_id: str) -> list[str]:
    """Remove all files of a store that expired. Returns the runs that were stopped by this."""
    stopped = _remove_files(connection, files.c.store_id == store_id)
    revise(connection, [store_id])
    return stopped


def expired(connection: Connection, now: int, most: int) -> list[Store]:
    """Stores past their time that still hold files."""
    holds = select(files.c.run).where(files.c.store_id == stores.c.id).exists()
    query = select(stores).where(stores.c.expires_at <= now, holds).limit(most)
    return [Store(**row._mapping) for row in connection.execute(query)]


def counts(connection: Connection, column: Literal["store_id", "batch_id"], ids: Sequence[str]) -> dict[str, Counts]:
    """Of each store, or each batch."""
    found: dict[str, dict[str, int]] = {id: {"usage_bytes": 0} for id in ids}
    by = files.c[column]
    query = (
        select(by, files.c.status, func.count(), func.sum(files.c.usage_bytes))
        .where(by.in_(ids))
        .group_by(by, files.c.status)
    )
    for id, status, count, usage in connection.execute(query):
        found[id][status] = count
        found[id]["usage_bytes"] += int(usage)
    return {id: Counts(**values) for id, values in found.items()}


# Files


def put_files(connection: Connection, rows: Sequence[StoreFile], kind: str) -> list[str]:
    """Add files to a store whose row is locked, each with its job; one that is in it already is taken in anew.

    Returns:
        The runs that were stopped by this.
    """
    store_id = rows[0].store_id
    stopped: list[str] = []
    for some in _few([row.file_id for row in rows]):
        stopped += _remove_files(connection, and_(files.c.store_id == store_id, files.c.file_id.in_(some)))
    for row in rows:
        connection.execute(insert(files).values(**msgspec.structs.asdict(row)))
        queue.enqueue(connection, row.run, kind, "{}")
    revise(connection, [store_id])
    return stopped


def get_file(connection: Connection, store_id: str, file_id: str) -> StoreFile | None:
    return _file(connection, and_(files.c.store_id == store_id, files.c.file_id == file_id))


def file_of_run(connection: Connection, run: str) -> StoreFile | None:
    return _file(connection, files.c.run == run)


def page_files(
    connection: Connection,
    store_id: str,
    *,
    batch_id: str | None,
    status: FileStatus | None,
    after: str | None,
    before: str | None,
    limit: int,
    order: Order,
) -> tuple[list[StoreFile], bool]:
    """Some files of a store, or of one of its batches, and whether more follow. Raises Edge."""
    which = files.c.store_id == store_id
    if batch_id is not None:
        which = and_(which, files.c.batch_id == batch_id)
    if status is not None:
        which = and_(which, files.c.status == status)
    rows, more = _page(connection, files, which, "file_id", after, before, limit, order)
    return [StoreFile(**row._mapping) for row in rows], more


def set_attributes(connection: Connection, store_id: str, file_id: str, attributes: str) -> bool:
    """False if there is no such file."""
    mine = files.c.store_id == store_id, files.c.file_id == file_id
    found = connection.execute(update(files).where(*mine).values(attributes=attributes)).rowcount > 0
    if found:
        revise(connection, [store_id])
    return found


def remove_file(connection: Connection, store_id: str, file_id: str) -> tuple[bool, list[str]]:
    """Whether it was there, and the runs that were stopped by this."""
    which = and_(files.c.store_id == store_id, files.c.file_id == file_id)
    there = _file(connection, which) is not None
    stopped = _remove_files(connection, which)
    revise(connection, [store_id])
    return there, stopped


def forget_file(connection: Connection, project_id: str, file_id: str) -> None:
    """Remove a file from every store of its project."""
    which = and_(files.c.file_id == file_id, files.c.project_id == project_id)
    where = list(connection.execute(select(files.c.store_id).where(which)).scalars())
    revise(connection, where)
    _remove_files(connection, which)


def _remove_files(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    """Files with their chunks and jobs. Returns the runs that were not at their end."""
    gone = connection.execute(delete(files).where(which).returning(files.c.run, files.c.status)).all()
    _remove_chunks(connection, [row.run for row in gone])
    stopped = [row.run for row in gone if row.status == "in_progress"]
    for run in stopped:
        queue.finish(connection, run)
    return stopped


def _remove_chunks(connection: Connection, runs: Sequence[str]) -> None:
    for some in _few(runs):
        for table in (chunks, segments):
            connection.execute(delete(table).where(table.c.run.in_(some)))


# Batches


def add_batch(connection: Connection, batch: Batch) -> None:
    connection.execute(insert(batches).values(**msgspec.structs.asdict(batch)))


def get_batch(connection: Connection, store_id: str, batch_id: str) -> Batch | None:
    query = select(batches).where(batches.c.store_id == store_id, batches.c.id == batch_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else Batch(**row._mapping)


def cancel_batch(connection: Connection, batch_id: str) -> list[str]:
    """Stop what is not done yet. Returns the runs that were stopped."""
    open_ = files.c.batch_id == batch_id, files.c.status == "in_progress"
    query = update(files).where(*open_).values(status="cancelled", usage_bytes=0).returning(files.c.run)
    stopped = list(connection.execute(query).scalars())
    _remove_chunks(connection, stopped)
    for run in stopped:
        queue.finish(connection, run)
    connection.execute(update(batches).where(batches.c.id == batch_id).values(cancelled=True))
    return stopped


# Ingestion


def written(connection: Connection, run: str, embedder: str) -> int:
    """How many chunks of a run are stored; with vectors of another embedder they are removed."""
    rows = connection.execute(select(segments.c.chunks, segments.c.embedder).where(segments.c.run == run)).all()
    if any(row.embedder != embedder for row in rows):
        _remove_chunks(connection, [run])
        connection.execute(update(files).where(files.c.run == run).values(usage_bytes=0))
        return 0
    return sum(row.chunks for row in rows)


def add_chunks(connection: Connection, run: str, embedder: str, new: Sequence[Chunk], segment: Segment) -> bool:
    """Store some chunks of a run. False if it was stopped."""
    size = sum(len(chunk.text.encode()) for chunk in new) + len(segment.vectors or b"") + len(segment.words)
    mine = files.c.run == run, files.c.status == "in_progress"
    if not connection.execute(update(files).where(*mine).values(usage_bytes=files.c.usage_bytes + size)).rowcount:
        return False
    connection.execute(
        insert(chunks),
        [
            {"run": run, "number": segment.first + at, "text": chunk.text, "repeated": chunk.repeated}
            for at, chunk in enumerate(new)
        ],
    )
    connection.execute(insert(segments).values(**msgspec.structs.asdict(segment), embedder=embedder))
    return True


def end(
    connection: Connection,
    file: StoreFile,
    owner: str | None,
    code: ErrorCode | None = None,
    message: str | None = None,
) -> bool:
    """Write down what the ingestion of a file came to, unless it was stopped.

    Args:
        owner: who did it; None where its job is gone already.
    """
    store = select(stores.c.id).where(stores.c.id == file.store_id).with_for_update()
    connection.execute(store)
    if owner is not None and not queue.finish(connection, file.run, owner):
        return False
    values: dict[str, Any] = {"status": "completed" if code is None else "failed"}
    if code is not None:
        _remove_chunks(connection, [file.run])
        values |= {"error_code": code, "error_message": message, "usage_bytes": 0}
    mine = files.c.run == file.run, files.c.status == "in_progress"
    done = connection.execute(update(files).where(*mine).values(**values)).rowcount > 0
    revise(connection, [file.store_id])
    return done


# Searches


def revision_of(connection: Connection, store_id: str) -> int:
    """-1 if the store is gone."""
    found = connection.execute(select(stores.c.revision).where(stores.c.id == store_id)).scalar_one_or_none()
    return -1 if found is None else found


def searchable(connection: Connection, store_id: str) -> list[Searchable]:
    columns = [files.c[name] for name in Searchable._fields]
    query = select(*columns).where(files.c.store_id == store_id, files.c.status == "completed")
    return [Searchable(*row) for row in connection.execute(query)]


def segments_of(connection: Connection, runs: Collection[str], embedder: str) -> list[Segment]:
    """What was stored of runs; without the vectors of other embedders."""
    found: list[Segment] = []
    for some in _few(sorted(runs)):
        query = select(segments).where(segments.c.run.in_(some)).order_by(segments.c.run, segments.c.first)
        for row in connection.execute(query):
            vectors = bytes(row.vectors) if row.embedder == embedder else None
            found.append(Segment(row.run, row.first, row.chunks, vectors, bytes(row.words)))
    return found


def texts(connection: Connection, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Texts of chunks, by run and number."""
    found: dict[tuple[str, int], str] = {}
    for some in _few(wanted):
        numbers: dict[str, list[int]] = {}
        for run, number in some:
            numbers.setdefault(run, []).append(number)
        # Not ``IN`` of pairs: SQLite would read the whole table.
        each = (and_(chunks.c.run == run, chunks.c.number.in_(those)) for run, those in numbers.items())
        query = select(chunks).where(or_(*each))
        found |= {(row.run, row.number): row.text for row in connection.execute(query)}
    return found


def whole(connection: Connection, run: str) -> list[str]:
    """The text of a run, in pieces that repeat nothing."""
    query = select(chunks.c.text, chunks.c.repeated).where(chunks.c.run == run).order_by(chunks.c.number)
    return [text[repeated:] for text, repeated in connection.execute(query)]


def _few(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _FEW] for start in range(0, len(values), _FEW))


def _file(connection: Connection, which: ColumnElement[bool]) -> StoreFile | None:
    row = connection.execute(select(files).where(which)).one_or_none()
    return None if row is None else StoreFile(**row._mapping)


def _page(
    connection: Connection,
    table: Table,
    which: ColumnElement[bool],
    key: str,
    after: str | None,
    before: str | None,
    limit: int,
    order: Order,
) -> tuple[list[Any], bool]:
    """``before`` alone gives the last rows before it, in the order asked for."""
    columns = table.c.created_at, table.c[key]
    query = select(table).where(which)
    for id, is_after in ((after, True), (before, False)):
        if id is None:
            continue
        edge = connection.execute(select(*columns).where(which, table.c[key] == id)).one_or_none()
        if edge is None:
            raise Edge(id)
        up = is_after == (order == "asc")
        query = query.where(tuple_(*columns) > tuple_(*edge) if up else tuple_(*columns) < tuple_(*edge))
    backwards = before is not None and after is None
    up = (order == "asc") != backwards
    query = query.order_by(*(column.asc() if up else column.desc() for column in columns))
    rows = list(connection.execute(query.limit(limit + 1)))
    more, rows = len(rows) > limit, rows[:limit]
    return rows[::-1] if backwards else rows, more
