"""Blobs: contents of files, in a folder or in an object store such as S3.

What is written goes to a scratch file first. ``keep`` makes it a blob, whole and durable or not at all, so nobody ever
sees a part of one. In a folder it is moved there, which copies nothing; S3 gets it in parts. Memory does not grow with
the size of a blob in either direction.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

PIECE = 1024 * 1024
"""Bytes that are read or written at once."""
PART = 8 * 1024 * 1024
"""Bytes of one part of an upload to an object store, which takes at most 10,000 of them."""
_SCRATCH_AGE_S = 24 * 3600.0
_SCHEMES = {"s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}


class Blob(NamedTuple):
    """One entry of a listing."""

    key: str
    size: int
    modified: float
    """Unix seconds."""


class Spool:
    """A scratch file that is being written. Close it in any case; once kept as a blob it is no longer here.

    ``size``, ``sha256`` and ``md5`` are those of what was written so far.
    """

    def __init__(self, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(dir=folder)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self.path: Path | None = Path(name)
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    async def write(self, data: bytes) -> None:
        """Append. Hashing and writing happen in a thread, some at a time; ``finish`` completes them."""
        self.size += len(data)
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= PIECE:
            await self._flush()

    async def finish(self) -> None:
        """Write what still waits. The hashes and the file are complete now."""
        if self._waiting:
            await self._flush()

    async def read(self) -> bytes:
        """All of it. For what is known to be small."""
        await self.finish()
        return await asyncio.to_thread(self.existing.read_bytes)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The file, ``PIECE`` bytes at a time, so that not all of it is in memory."""
        await self.finish()
        with self.existing.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

    def close(self) -> None:
        """Remove the scratch file, unless it has become a blob."""
        self._file.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None

    async def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._waiting_size = [], 0
        # A thread cannot be cancelled: it must be done before anybody closes the file.
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, data))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            with suppress(Exception):
                await writing
            raise

    def _write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._md5.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def sync(self) -> Path:
        """Blocks until the contents are on the disk."""
        os.fsync(self._file.fileno())
        return self.existing

    def taken(self) -> None:
        """It was moved elsewhere: there is nothing to remove any more."""
        self.path = None

    @property
    def existing(self) -> Path:
        """The scratch file. Raises ValueError if it is not here any more."""
        if self.path is None:
            raise ValueError("the scratch file is closed or has become a blob")
        return self.path


class Blobs:
    """A flat store of blobs by key, such as ``files/1b2c``.

    Args:
        folder: where blobs are kept without a ``url``.
        scratch: folder of files that are being written; on the same file system as ``folder``, moving is free.
        url: ``s3://bucket/prefix`` (also ``gs://`` and ``az://``). Credentials, region and endpoint come from the
            environment variables of the provider's own tools (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
        retries: of one request to the object store that fails in a way that may pass.

    Raises:
        ValueError: the URL is of another kind.
    """

    def __init__(self, folder: Path, scratch: Path, url: str | None = None, *, retries: int = 5) -> None:
        self._folder = folder
        self._scratch = scratch
        self._local = url is None
        self._url = url
        self._retries = retries
        if url is not None and urlsplit(url).scheme not in _SCHEMES:
            raise ValueError(f"{url}: blobs are kept at s3://, gs:// or az:// URLs, or in a folder without one")
        self._store_: ObjectStore | None = None

    @property
    def _store(self) -> ObjectStore:
        if self._store_ is None:
            if self._url is None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store_ = LocalStore(self._folder)
            else:
                allow_http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
                self._store_ = from_url(
                    self._url,
                    client_options={"allow_http": allow_http},
                    retry_config={"max_retries": self._retries},
                )
        return self._store_

    def spool(self) -> Spool:
        """A scratch file to write a blob to. Blocks only for making it."""
        self._scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Spool(self._scratch)

    async def keep(self, spool: Spool, key: str) -> None:
        """Make what was spooled the blob ``key``. Durable when this returns; afterwards the spool is spent.

        Raises:
            OSError, obstore.exceptions.BaseError: it could not be written, and there is no blob.
        """
        await spool.finish()
        if self._local:
            await asyncio.to_thread(self._move, spool, key)
        else:
            await obstore.put_async(self._store, key, spool.existing, chunk_size=PART, max_concurrency=2)
            spool.close()

    async def pieces(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` to before ``end``, in pieces of about one MiB.

        Raises:
            FileNotFoundError: there is no such blob.
        """
        if end is not None and end <= start:
            return
        options: obstore.GetOptions = {}
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        found = await obstore.get_async(self._store, key, options=options)
        async for piece in found.stream(min_chunk_size=PIECE):
            yield bytes(piece)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> bytes:
        """The bytes from ``start`` to before ``end``, at once.

        Raises:
            FileNotFoundError: there is no such blob.
        """
        return b"".join([piece async for piece in self.pieces(key, start, end)])

    @asynccontextmanager
    async def path(self, key: str) -> AsyncIterator[Path]:
        """The blob as a local file, only to be read: itself in a folder, a scratch copy otherwise.

        Raises:
            FileNotFoundError: there is no such blob.
        """
        if self._local:
            path = self._folder / key
            if not await asyncio.to_thread(path.is_file):
                raise FileNotFoundError(key)
            yield path
            return
        spool = self.spool()
        try:
            async for piece in self.pieces(key):
                await spool.write(piece)
            await spool.finish()
            yield spool.existing
        finally:
            spool.close()

    async def delete(self, keys: Iterable[str]) -> None:
        """Remove blobs; those that are not there any more do not matter."""
        for key in keys:
            with suppress(FileNotFoundError):
                await obstore.delete_async(self._store, key)

    async def listed(self, prefix: str) -> AsyncGenerator[list[Blob], None]:
        """All blobs whose keys begin with the path ``prefix``, some at a time."""
        async for batch in obstore.list(self._store, prefix):
            yield [Blob(each["path"], each["size"], each["last_modified"].timestamp()) for each in batch]

    async def sweep(self, now: Callable[[], float] = time.time) -> int:
        """Remove scratch files that a killed process left: those of more than a day ago. Returns how many."""
        return await asyncio.to_thread(self._sweep, now() - _SCRATCH_AGE_S)

    def _sweep(self, before: float) -> int:
        removed = 0
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._scratch):
                with suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < before:
                        os.unlink(entry.path)
                        removed += 1
        return removed

    def _move(self, spool: Spool, key: str) -> None:
        source = spool.sync()
        target = self._folder / key
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            os.replace(source, target)
        except OSError as error:
            raise OSError(
                error.errno,
                f"{os.strerror(error.errno or 0)}; the folders {self._scratch} and "
                f"{self._folder} must be on one file system",
            ) from error
        spool.taken()
        spool.close()
        # The name, too, must survive a loss of power.
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
