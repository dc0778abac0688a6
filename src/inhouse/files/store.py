"""Files and uploads: the queries. Each is bound to a project; another project's rows do not exist for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, tuple_, update

from inhouse.storage.schema import files, upload_parts, uploads

Status = Literal["pending", "completed", "cancelled"]


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file. Times are Unix microseconds."""

    id: str
    project_id: str
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    media_type: str
    bytes: int
    sha256: str
    blob: str
    """Where its contents are in the blob store."""


class StoredUpload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload in parts. Times are Unix microseconds."""

    id: str
    project_id: str
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    media_type: str
    bytes: int
    lifetime_s: int | None
    status: Status
    file_id: str | None


class StoredPart(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    upload_id: str
    created_at: int
    bytes: int
    blob: str


def _alive(now: int) -> ColumnElement[bool]:
    return or_(files.c.expires_at.is_(None), files.c.expires_at > now)


def add_file(connection: Connection, file: StoredFile) -> None:
    connection.execute(insert(files).values(**msgspec.structs.asdict(file)))


def get_file(connection: Connection, project_id: str, file_id: str, now: int) -> StoredFile | None:
    query = select(files).where(files.c.project_id == project_id, files.c.id == file_id, _alive(now))
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredFile(**row._mapping)


def delete_file(connection: Connection, project_id: str, file_id: str) -> StoredFile | None:
    """What was deleted, expired or not; None if there was none."""
    query = delete(files).where(files.c.project_id == project_id, files.c.id == file_id).returning(files)
    row = connection.execute(query).one_or_none()
    return None if row is None else StoredFile(**row._mapping)


def page(
    connection: Connection,
    project_id: str,
    now: int,
    *,
    after: str | None,
    limit: int,
    order: Literal["asc", "desc"],
    purpose: str | None,
) -> tuple[Sequence[StoredFile], bool] | None:
    """One page, and whether more follow. None if ``after`` names no file."""
    query = select(files).where(files.c.project_id == project_id, _alive(now))
    if purpose is not None:
        query = query.where(files.c.purpose == purpose)
    columns = (files.c.created_at, files.c.id)
    if after is not None:
        edge = get_file(connection, project_id, after, now)
        if edge is None:
            return None
        last = tuple_(edge.created_at, edge.id)
        query = query.where(tuple_(*columns) > last if order == "asc" else tuple_(*columns) < last)
    query = query.order_by(*(column.asc() if order == "asc" else column.desc() for column in columns))
    found = [StoredFile(**row._mapping) for row in connection.execute(query.limit(limit + 1))]
    return found[:limit], len(found) > limit


def bytes_of(connection: Connection, project_id: str) -> int:
    """Bytes that the project's files and the parts of its uploads take."""
    whole = select(func.coalesce(func.sum(files.c.bytes), 0)).where(files.c.project_id == project_id)
    parts = (
        select(func.coalesce(func.sum(upload_parts.c.bytes), 0))
        .join(uploads, uploads.c.id == upload_parts.c.upload_id)
        .where(uploads.c.project_id == project_id)
    )
    return int(connection.execute(whole).scalar_one()) + int(connection.execute(parts).scalar_one())


def expired_files(connection: Connection, now: int, limit: int) -> list[StoredFile]:
    query = select(files).where(files.c.expires_at <= now).order_by(files.c.expires_at).limit(limit)
    return [StoredFile(**row._mapping) for row in connection.execute(query)]


def known_blobs(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those of the keys that a file or a part owns."""
    found: set[str] = set()
    for column in (files.c.blob, upload_parts.c.blob):
        found.update(connection.execute(select(column).where(column.in_(keys))).scalars())
    return found


def add_upload(connection: Connection, upload: StoredUpload) -> None:
    connection.execute(insert(uploads).values(**msgspec.structs.asdict(upload)))


def get_upload(connection: Connection, project_id: str, upload_id: str) -> StoredUpload | None:
    query = select(uploads).where(uploads.c.project_id == project_id, uploads.c.id == upload_id)
    return _upload(connection.execute(query).one_or_none())


def lock_upload(connection: Connection, project_id: str, upload_id: str) -> StoredUpload | None:
    """The upload; until the transaction ends nobody else changes its status or its parts."""
    query = select(uploads).where(uploads.c.project_id == project_id, uploads.c.id == upload_id).with_for_update()
    return _upload(connection.execute(query).one_or_none())


def end_upload(connection: Connection, upload_id: str, status: Status, file_id: str | None = None) -> None:
    connection.execute(update(uploads).where(uploads.c.id == upload_id).values(status=status, file_id=file_id))


def expired_uploads(connection: Connection, now: int, limit: int) -> list[str]:
    """Uploads past their time whose parts are still here."""
    query = (
        select(uploads.c.id)
        .where(uploads.c.status == "pending", uploads.c.expires_at <= now)
        .where(select(upload_parts.c.id).where(upload_parts.c.upload_id == uploads.c.id).exists())
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def add_part(connection: Connection, part: StoredPart) -> None:
    connection.execute(insert(upload_parts).values(**msgspec.structs.asdict(part)))


def parts_of(connection: Connection, upload_id: str) -> dict[str, StoredPart]:
    rows = connection.execute(select(upload_parts).where(upload_parts.c.upload_id == upload_id))
    return {row.id: StoredPart(**row._mapping) for row in rows}


def delete_parts(connection: Connection, upload_ids: Iterable[str]) -> list[str]:
    """The blobs of the parts that were deleted."""
    query = delete(upload_parts).where(upload_parts.c.upload_id.in_(list(upload_ids))).returning(upload_parts.c.blob)
    return list(connection.execute(query).scalars())


def _upload(row: Any) -> StoredUpload | None:
    return None if row is None else StoredUpload(**row._mapping)
