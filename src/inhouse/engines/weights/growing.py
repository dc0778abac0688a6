"""A file on its way into the cache.

It only ever holds a beginning of the wanted file, so whatever source gave that beginning, another one can go on from
there. The hash is taken as the bytes come; nothing is read twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from inhouse.engines.weights.errors import Corrupted
from inhouse.engines.weights.manifest import Part, WeightFile
from inhouse.engines.weights.progress import OnProgress, Phase, Progress

CHUNK = 1 << 20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Growing:
    """The partial file of ``file`` at ``path``, open for appending.

    Args:
        on_progress: told of every chunk.
    """

    def __init__(self, path: Path, file: WeightFile, on_progress: OnProgress) -> None:
        self.file = file
        self.source = ""
        self._on_progress = on_progress
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+b", buffering=0)
        self._hash = hashlib.sha256()
        self.size = 0
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def report(self, phase: Phase, arrived: int = 0) -> None:
        """Tells of progress, which goes back only when bytes were thrown away.

        Args:
            arrived: bytes that are on this machine but not in the file yet.
        """
        self._shown = max(self._shown, self.size + arrived)
        self._on_progress(Progress(self.file.name, self._shown, self.file.bytes, phase, self.source))

    def load(self, parts: Sequence[Part] = ()) -> None:
        """Takes over what is on disk already.

        With ``parts``, keeps the leading parts that are whole and right and drops the rest; without, keeps all that
        could be a beginning of the file.
        """
        on_disk = os.fstat(self._stream.fileno()).st_size
        self._stream.seek(0)
        self._hash = hashlib.sha256()
        self.size = self._shown = 0
        if not parts:
            self._reread(min(on_disk, self.file.bytes), hashlib.sha256())
        for part in parts:
            if self.size + part.bytes > on_disk:
                break
            before, size = self._hash.copy(), self.size
            own = hashlib.sha256()
            self._reread(part.bytes, own)
            if own.hexdigest() != part.sha256:
                self._hash, self.size = before, size
                break
        self._cut()

    def _reread(self, count: int, also: hashlib._Hash) -> None:
        end = self.size + count
        while self.size < end:
            chunk = self._stream.read(min(CHUNK, end - self.size))
            if not chunk:
                break
            self._hash.update(chunk)
            also.update(chunk)
            self.size += len(chunk)
            self.report("verifying")

    def _cut(self) -> None:
        self._shown = self.size
        self._stream.truncate(self.size)
        self._stream.seek(self.size)

    def clear(self) -> None:
        """Starts from nothing."""
        self._hash = hashlib.sha256()
        self.size = 0
        self._cut()

    def write(self, chunk: bytes) -> None:
        """Appends.

        Raises:
            Corrupted: there is more than the file can hold.
        """
        if self.size + len(chunk) > self.file.bytes:
            raise Corrupted(f"gave more than the {self.file.bytes} bytes of {self.file.name}")
        view = memoryview(chunk)
        while view:
            written = self._stream.write(view)
            view = view[written:]
        self._hash.update(chunk)
        self.size += len(chunk)

    def append(self, stream: Readable, count: int, sha256: str, phase: Phase) -> None:
        """Appends ``count`` bytes of ``stream`` that must hash to ``sha256``; on failure nothing of them stays.

        Raises:
            Corrupted: more, fewer or other bytes.
        """
        before, start = self._hash.copy(), self.size
        own = hashlib.sha256()
        try:
            while chunk := stream.read(CHUNK):
                if self.size + len(chunk) > start + count:
                    raise Corrupted(f"holds more than the {count} bytes it should")
                self.write(chunk)
                own.update(chunk)
                self.report(phase)
            if self.size != start + count:
                raise Corrupted(f"holds {self.size - start} bytes instead of {count}")
            if own.hexdigest() != sha256:
                raise Corrupted("is not what the manifest names: its SHA-256 differs")
        except BaseException:
            self._hash, self.size = before, start
            self._cut()
            raise

    def finish(self) -> None:
        """Makes sure that the file is whole, right and on disk.

        Raises:
            Corrupted: it is not the file that the manifest names.
        """
        self.report("verifying")
        if self.size != self.file.bytes:
            raise Corrupted(f"gave {self.size} of {self.file.bytes} bytes")
        if self._hash.hexdigest() != self.file.sha256:
            raise Corrupted("gave a file that is not what the manifest names: its SHA-256 differs")
        os.fsync(self._stream.fileno())
