"""Files by id, for every room that keeps or reads them.

A row exists exactly when its contents do: they are written first and removed last. What a crash leaves between is a
blob without a row, which nobody can see and ``files.sweeping`` removes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

import structlog
from sqlalchemy import Connection

from inhouse.files import store
from inhouse.files.store import StoredFile
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.blobs import Blobs, Spool
from inhouse.storage.database import Database, lock

FILES = "files"
PARTS = "parts"
"""First segments of the keys of blobs."""
BATCH_LIFETIME_S = 30 * 86_400
"""Input of batches goes after 30 days unless asked otherwise; all else stays until it is deleted."""

Removing = Callable[[Connection, str, str], None]
"""Called with the project's and the file's id in the transaction that removes a file; see ``Files.on_remove``."""

log = structlog.get_logger(__name__)


def file_not_found(file_id: str, param: str = "id") -> NotFound:
    """The official error, also for other projects' files."""
    return NotFound(f"No such File object: {file_id}", param=param)


class Files:
    """The files of all projects.

    Args:
        quota: bytes that the files of one project may take together; None for no limit.
    """

    def __init__(self, database: Database, blobs: Blobs, *, quota: int | None = None) -> None:
        self.database = database
        self.blobs = blobs
        self._quota = quota
        self._removing: list[Removing] = []

    def on_remove(self, hook: Removing) -> None:
        """Have ``hook`` called in every transaction that removes a file, to remove what refers to it."""
        self._removing.append(hook)

    def spool(self) -> Spool:
        """A scratch file to write the contents of a new file to. Close it in any case."""
        return self.blobs.spool()

    async def add(
        self,
        project_id: str,
        spool: Spool,
        *,
        filename: str,
        purpose: str,
        media_type: str = "application/octet-stream",
        lifetime_s: int | None = None,
    ) -> StoredFile:
        """Make what was spooled a file.

        Args:
            lifetime_s: seconds until it expires; None for what its purpose says, which is mostly never.

        Raises:
            InvalidRequest: the project has no room for it.
        """
        await spool.finish()
        await self.database.read(lambda connection: self.check_quota(connection, project_id, spool.size))
        file = new_file(project_id, spool, filename, purpose, media_type, lifetime_s)
        await self.blobs.keep(spool, file.blob)

        def work(connection: Connection) -> None:
            lock(connection, f"files:{project_id}")
            self.check_quota(connection, project_id, file.bytes)
            store.add_file(connection, file)

        try:
            await self.database.write(work)
        except InvalidRequest:
            await self.forget([file.blob])
            raise
        return file

    async def keep(
        self, project_id: str, spool: Spool, *, filename: str, purpose: str, media_type: str, lifetime_s: int | None
    ) -> StoredFile:
        """Keep the contents of a file that ``add_in`` adds in a transaction of its maker; until then nobody sees it.

        No quota holds for it: work that is done must not be lost.
        """
        await spool.finish()
        file = new_file(project_id, spool, filename, purpose, media_type, lifetime_s)
        await self.blobs.keep(spool, file.blob)
        return file

    @staticmethod
    def add_in(connection: Connection, file: StoredFile) -> None:
        """Make what was kept a file, within the caller's transaction."""
        store.add_file(connection, file)

    async def get(self, project_id: str, file_id: str, param: str = "id") -> StoredFile:
        """
        Args:
            param: what the error names, if there is no such file in this project.

        Raises:
            NotFound: the official error.
        """
        found = await self.database.read(lambda connection: store.get_file(connection, project_id, file_id, _now()))
        if found is None:
            raise file_not_found(file_id, param)
        return found

    async def delete(self, project_id: str, file_id: str) -> None:
        """Remove a file, and what other rooms made of it, from everybody's sight at once.

        Raises:
            NotFound: the official error.
        """

        def work(connection: Connection) -> str:
            if store.get_file(connection, project_id, file_id, _now()) is None:
                raise file_not_found(file_id)
            return self._remove(connection, project_id, file_id)

        await self.forget([await self.database.write(work)])

    async def page(
        self, project_id: str, *, after: str | None, limit: int, order: Literal["asc", "desc"], purpose: str | None
    ) -> tuple[Sequence[StoredFile], bool]:
        """One page of a project's files, and whether more follow.

        Raises:
            NotFound: ``after`` names no file.
        """
        found = await self.database.read(
            lambda connection: store.page(
                connection, project_id, _now(), after=after, limit=limit, order=order, purpose=purpose
            )
        )
        if found is None:
            raise file_not_found(after or "", "after")
        return found

    def content(self, file: StoredFile, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Its bytes from ``start`` to before ``end``, in pieces of about one MiB.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        return self._content(file, start, end)

    async def read(self, file: StoredFile) -> bytes:
        """All of it. Look at ``file.bytes`` first.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        return b"".join([piece async for piece in self._content(file, 0, None)])

    @asynccontextmanager
    async def path(self, file: StoredFile) -> AsyncIterator[Path]:
        """Its contents as a local file, only to be read, for instance by a child process.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        try:
            context = self.blobs.path(file.blob)
            path = await context.__aenter__()
        except FileNotFoundError:
            raise file_not_found(file.id) from None
        try:
            yield path
        finally:
            await context.__aexit__(None, None, None)

    def check_quota(self, connection: Connection, project_id: str, more: int) -> None:
        """
        Raises:
            InvalidRequest: ``more`` bytes do not fit any more.
        """
        if self._quota is not None and store.bytes_of(connection, project_id) + more > self._quota:
            raise InvalidRequest(
                f"This file would exceed the storage quota of your project ({self._quota} bytes). Delete files that "
                "you no longer need.",
                code="storage_quota_exceeded",
            )

    async def remove_expired(self, most: int = 100) -> int:
        """Remove files that are past their time; how many were found."""
        expired = await self.database.read(lambda connection: store.expired_files(connection, _now(), most))
        for file in expired:
            project_id, file_id = file.project_id, file.id
            await self.database.write(
                lambda connection, project_id=project_id, file_id=file_id: self._remove(  # type: ignore[misc]
                    connection, project_id, file_id
                )
            )
            await self.forget([file.blob])
        return len(expired)

    async def forget(self, blobs: Iterable[str]) -> None:
        """Remove blobs whose rows are gone. What fails now is swept later."""
        try:
            await self.blobs.delete(blobs)
        except Exception:
            log.warning("blobs could not be deleted; they will be swept", exc_info=True)

    def _remove(self, connection: Connection, project_id: str, file_id: str) -> str:
        for hook in self._removing:
            hook(connection, project_id, file_id)
        removed = store.delete_file(connection, project_id, file_id)
        return "" if removed is None else removed.blob

    async def _content(self, file: StoredFile, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in self.blobs.pieces(file.blob, start, file.bytes if end is None else end):
                yield piece
        except FileNotFoundError:
            raise file_not_found(file.id) from None


def new_file(
    project_id: str, spool: Spool, filename: str, purpose: str, media_type: str, lifetime_s: int | None
) -> StoredFile:
    """The row of a file to be, with a fresh id and a fresh key for its contents."""
    now = _now()
    if lifetime_s is None and purpose == "batch":
        lifetime_s = BATCH_LIFETIME_S
    return StoredFile(
        id=new_id("file-"),
        project_id=project_id,
        created_at=now,
        expires_at=None if lifetime_s is None else now + lifetime_s * 1_000_000,
        filename=filename,
        purpose=purpose,
        media_type=media_type,
        bytes=spool.size,
        sha256=spool.sha256,
        blob=f"{FILES}/{uuid4().hex}",
    )


def _now() -> int:
    return time.time_ns() // 1000
