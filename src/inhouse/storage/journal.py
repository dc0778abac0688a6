"""What was promised to be kept and the database does not hold yet, in a file beside the database.

To write a line to a file costs microseconds, to commit a transaction some hundred. So a promise is kept as soon as its
line is in the file, and the database is told many at once, a little later (``flushing``). If the process is killed, the
next one to look reads its lines into the database; it may hold some of them already. The ledger has a journal, and so
have answers that are kept, see ``metering.ledger`` and ``api.responses.keeping``.

A journal has two files. While the lines of one are on their way into the database, new ones go into the other; a file
is emptied once all its lines are committed. Both are locked as long as their process lives. As with the database's own
log (``storage.connect``), a crash of the process loses nothing, a power cut may lose the last lines.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from itertools import groupby
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

T = TypeVar("T")
SUFFIX = ".jsonl"
UNREAD = ".unread"
"""What a file with lines that cannot be read is renamed to: nobody looks at it again but people."""

log = structlog.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class Journal:
    """The journal of one instance.

    Args:
        folder: where it lies, beside those of other processes on the same database.
        instance: whose lines it holds; unique.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, instance: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._parts = [_Part(folder / f"{instance}.{number}{SUFFIX}") for number in range(2)]
        self._now = self._parts[0]

    def write(self, entries: Sequence[msgspec.Struct]) -> None:
        """Returns when the entries would survive the process.

        Raises:
            OSError: the disk is full, for instance; then none of them is in the journal.
        """
        self._now.append(_encoder.encode_lines(entries))

    def turn(self) -> list[_Part]:
        """Begin to tell the database everything written so far.

        Returns:
            The parts to ``empty`` once it is committed.
        """
        before, other = self._now, self._parts[self._now is self._parts[0]]
        if not other.bytes:
            self._now = other
            return [before]
        return [other]  # from a group that failed; new lines go on where they are, until this one is empty

    def close(self) -> None:
        """For good, when the database holds everything."""
        for part in self._parts:
            part.path.unlink(missing_ok=True)
            part.close()


class _Part:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        while True:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file).st_nlink:
                break
            os.close(self._file)  # another process took it for abandoned before it was locked

    def append(self, lines: bytes) -> None:
        written = 0
        try:
            written = os.write(self._file, lines)
            if written < len(lines):
                raise OSError(f"only {written} of {len(lines)} bytes could be written to {self.path.name}")
        except OSError:
            if written:
                os.ftruncate(self._file, self.bytes)  # no half line may stand before the next one
            raise
        self.bytes += written

    def empty(self) -> None:
        try:
            os.ftruncate(self._file, 0)
        except OSError:  # it is tried again with the next group; to read the lines twice would change nothing
            log.exception("a journal cannot be emptied", file=self.path.name)
        else:
            self.bytes = 0

    def close(self) -> None:
        os.close(self._file)


class Abandoned(Generic[T]):
    """The files of a process that is gone. Nobody else reads them as long as this is not closed.

    They belong together: what one tells of a call may have begun in any other.
    """

    def __init__(self, instance: str, files: Mapping[Path, int], decoder: msgspec.json.Decoder[T]) -> None:
        self.instance = instance
        self._files = files
        self._decoder = decoder
        self._unread: set[Path] = set()

    def entries(self) -> Iterator[T]:
        """What was written whole. A line cut short by a power cut is told of and left out."""
        for path in self._files:
            with open(path, "rb") as file:
                for number, line in enumerate(file, 1):
                    try:
                        yield self._decoder.decode(line)
                    except msgspec.MsgspecError as error:
                        self._unread.add(path)
                        log.error(
                            "a line of the journal cannot be read", file=path.name, line=number, reason=str(error)
                        )

    def discard(self) -> None:
        """Once the database holds it. What could not be read is kept aside."""
        for path in self._files:
            if path in self._unread:
                path.rename(path.with_name(path.name + UNREAD))
            else:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)


def abandoned(folder: Path, decoder: msgspec.json.Decoder[T]) -> Iterator[Abandoned[T]]:
    """What killed processes left, one process after the other, each closed when the next is asked for."""
    for instance, paths in groupby(sorted(folder.glob(f"*{SUFFIX}")), instance_of):
        files: dict[Path, int] = {}
        found = Abandoned(instance, files, decoder)
        try:
            if all(_locked(path, files) for path in paths) and files:
                yield found
        finally:
            found.close()


def _locked(path: Path, files: dict[Path, int]) -> bool:
    """Add a file, with a lock on it, to ``files``, unless it is gone. False if its process lives."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # its process ended well, or another one was faster
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    if os.fstat(file).st_nlink:
        files[path] = file
    else:
        os.close(file)
    return True


def beside(file: Path, name: str) -> Path:
    """The folder of a journal beside a database's file."""
    # Its whole name, so that no other database's journal lies there, by whichever way it is reached.
    file = file.resolve()
    return file.with_name(f"{file.name}.{name}")


def beside_file(file: Path) -> list[Path]:
    """Files with lines in the journals beside a database's file, whosever they are."""
    file = file.resolve()
    return [path for path in sorted(file.parent.glob(f"{escape(file.name)}.*/*{SUFFIX}")) if path.stat().st_size]


def instances_in(folder: Path) -> set[str]:
    """Instances that have files here, dead or alive."""
    return {instance_of(path) for path in folder.glob(f"*{SUFFIX}")}


def instance_of(path: Path) -> str:
    return path.name.removesuffix(SUFFIX).rpartition(".")[0]
