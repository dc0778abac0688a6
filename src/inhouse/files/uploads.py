"""Uploads: a file sent in parts, which becomes one when it is completed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

import msgspec
from sqlalchemy import Connection

from inhouse.files import store
from inhouse.files.service import PARTS, Files, new_file
from inhouse.files.store import StoredFile, StoredPart, StoredUpload
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.blobs import Spool
from inhouse.storage.database import lock

LIFETIME_S = 3600
"""An upload that is not completed within an hour expires."""


class Uploads:
    def __init__(self, files: Files) -> None:
        self._files = files
        self._database = files.database

    async def create(
        self, project_id: str, *, filename: str, purpose: str, media_type: str, size: int, lifetime_s: int | None
    ) -> StoredUpload:
        """
        Args:
            size: bytes that the parts together will have.
            lifetime_s: of the file, from its completion.

        Raises:
            InvalidRequest: the project has no room for it.
        """
        now = _now()
        upload = StoredUpload(
            id=new_id("upload_"),
            project_id=project_id,
            created_at=now,
            expires_at=now + LIFETIME_S * 1_000_000,
            filename=filename,
            purpose=purpose,
            media_type=media_type,
            bytes=size,
            lifetime_s=lifetime_s,
            status="pending",
            file_id=None,
        )

        def work(connection: Connection) -> None:
            self._files.check_quota(connection, project_id, size)
            store.add_upload(connection, upload)

        await self._database.write(work)
        return upload

    async def add_part(self, project_id: str, upload_id: str, spool: Spool) -> StoredPart:
        """Keep what was spooled as a part.

        Raises:
            NotFound: no such upload.
            InvalidRequest: it is not pending any more, or the project has no room.
        """
        await spool.finish()
        part = StoredPart(
            id=new_id("part_"),
            upload_id=upload_id,
            created_at=_now(),
            bytes=spool.size,
            blob=f"{PARTS}/{uuid4().hex}",
        )

        def check(connection: Connection) -> None:
            _pending(store.get_upload(connection, project_id, upload_id), upload_id)
            self._files.check_quota(connection, project_id, part.bytes)

        def work(connection: Connection) -> None:
            lock(connection, f"files:{project_id}")
            _pending(store.lock_upload(connection, project_id, upload_id), upload_id)
            self._files.check_quota(connection, project_id, part.bytes)
            store.add_part(connection, part)

        await self._database.read(check)
        await self._files.blobs.keep(spool, part.blob)
        try:
            await self._database.write(work)
        except (InvalidRequest, NotFound):
            await self._files.forget([part.blob])
            raise
        return part

    async def complete(
        self, project_id: str, upload_id: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[StoredUpload, StoredFile]:
        """Make a file of the parts, in the order given. Asked again, it gives the same file.

        Raises:
            NotFound: no such upload.
            InvalidRequest: it is not pending, a part is not its own, or size or checksum are not what was promised.
        """

        def find(connection: Connection) -> tuple[StoredUpload, StoredFile | None, list[StoredPart]]:
            upload = store.get_upload(connection, project_id, upload_id)
            if upload is not None and upload.file_id is not None:
                return upload, store.get_file(connection, project_id, upload.file_id, _now()), []
            return _pending(upload, upload_id), None, _chosen(store.parts_of(connection, upload_id), part_ids)

        upload, file, parts = await self._database.read(find)
        if upload.status == "completed":
            if file is None:
                raise _wrong_status(upload)
            return upload, file
        size = sum(part.bytes for part in parts)
        if size != upload.bytes:
            raise InvalidRequest(
                f"The number of bytes uploaded ({size}) does not match the number of bytes that the upload was "
                f"created with ({upload.bytes}).",
                param="part_ids",
            )
        spool = self._files.spool()
        try:
            await self._gather(parts, spool, upload_id)
            if md5 is not None and md5.lower() != spool.md5:
                raise InvalidRequest(
                    f"The MD5 checksum of the uploaded parts ({spool.md5}) does not match '{md5}'.", param="md5"
                )
            file = new_file(project_id, spool, upload.filename, upload.purpose, upload.media_type, upload.lifetime_s)
            await self._files.blobs.keep(spool, file.blob)
        finally:
            spool.close()

        def work(connection: Connection) -> tuple[StoredFile, list[str]]:
            now = store.lock_upload(connection, project_id, upload_id)
            if now is not None and now.file_id is not None:  # completed by another request meanwhile
                made = store.get_file(connection, project_id, now.file_id, _now())
                if made is not None:
                    return made, [file.blob]
            _pending(now, upload_id)
            store.add_file(connection, file)
            store.end_upload(connection, upload_id, "completed", file.id)
            return file, store.delete_parts(connection, [upload_id])

        try:
            made, gone = await self._database.write(work)
        except (InvalidRequest, NotFound):
            await self._files.forget([file.blob])
            raise
        await self._files.forget(gone)
        return msgspec.structs.replace(upload, status="completed", file_id=made.id), made

    async def _gather(self, parts: Sequence[StoredPart], spool: Spool, upload_id: str) -> None:
        """Write the parts to one scratch file."""
        try:
            for part in parts:
                async for piece in self._files.blobs.pieces(part.blob):
                    await spool.write(piece)
        except FileNotFoundError:
            raise InvalidRequest(
                f"Upload '{upload_id}' was completed or cancelled meanwhile.", param="upload_id"
            ) from None
        await spool.finish()

    async def cancel(self, project_id: str, upload_id: str) -> StoredUpload:
        """Give an upload up. Asked again, nothing changes.

        Raises:
            NotFound: no such upload.
            InvalidRequest: it is completed or expired.
        """

        def work(connection: Connection) -> tuple[StoredUpload, list[str]]:
            upload = store.lock_upload(connection, project_id, upload_id)
            if upload is None or upload.status != "cancelled":
                upload = _pending(upload, upload_id)
                store.end_upload(connection, upload_id, "cancelled")
            return upload, store.delete_parts(connection, [upload_id])

        upload, blobs = await self._database.write(work)
        await self._files.forget(blobs)
        return msgspec.structs.replace(upload, status="cancelled")

    async def remove_expired(self, most: int = 100) -> int:
        """Remove the parts of uploads that are past their time; how many uploads were found."""

        def work(connection: Connection) -> tuple[int, list[str]]:
            expired = store.expired_uploads(connection, _now(), most)
            return len(expired), store.delete_parts(connection, expired)

        count, blobs = await self._database.write(work)
        await self._files.forget(blobs)
        return count


def is_expired(upload: StoredUpload) -> bool:
    return upload.status == "pending" and upload.expires_at <= _now()


def _pending(upload: StoredUpload | None, upload_id: str) -> StoredUpload:
    if upload is None:
        raise NotFound(f"No such Upload object: {upload_id}", param="upload_id")
    if upload.status != "pending" or is_expired(upload):
        raise _wrong_status(upload)
    return upload


def _wrong_status(upload: StoredUpload) -> InvalidRequest:
    status = "expired" if is_expired(upload) else upload.status
    return InvalidRequest(f"Upload '{upload.id}' has status '{status}', but must be 'pending'.", param="upload_id")


def _chosen(parts: dict[str, StoredPart], part_ids: Sequence[str]) -> list[StoredPart]:
    for index, part_id in enumerate(part_ids):
        if part_id not in parts:
            raise InvalidRequest(f"No such Part object in this upload: {part_id}", param=f"part_ids[{index}]")
    if len(set(part_ids)) != len(part_ids):
        raise InvalidRequest("Each part can be used only once.", param="part_ids")
    return [parts[part_id] for part_id in part_ids]


def _now() -> int:
    return time.time_ns() // 1000
