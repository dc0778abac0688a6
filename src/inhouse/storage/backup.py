"""A copy of a SQLite file as it is at one moment, also while servers write to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

STEP_PAGES = 1024
"""Pages that are copied between two reports of progress."""
PARTIAL = ".partial"


class BackupFailed(Exception):
    """There is no backup. The message says why and what to do."""


def backup(source: Path, target: Path, on_progress: Callable[[int, int], None]) -> int:
    """Copy a database to a file of its own, which is there whole, checked and durable or not at all.

    The source is only read, whatever version wrote it, and those who write to it do not wait. Blocks.

    Args:
        on_progress: told of pages copied so far, and of all pages.

    Returns:
        Bytes of the copy.

    Raises:
        BackupFailed: there is no such database, the target exists, or a file failed.
    """
    if not source.is_file():
        raise BackupFailed(f"there is no database {source}")
    if target.exists():
        raise BackupFailed(f"{target} exists already; name another file, or remove it")
    partial = target.with_name(target.name + PARTIAL)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        _copy(source, partial, on_progress)
        _check(partial)
        partial.rename(target)
        _sync(target.parent)
        return target.stat().st_size
    except (sqlite3.Error, OSError) as error:
        raise BackupFailed(f"{target}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: Path, target: Path, on_progress: Callable[[int, int], None]) -> None:
    with (
        closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as here,
        closing(sqlite3.connect(target, isolation_level=None)) as there,
    ):
        here.execute("PRAGMA query_only = ON")
        # A transaction of its own keeps the copy at one moment; without it every write would begin it anew.
        here.execute("BEGIN")
        here.execute("SELECT count(*) FROM sqlite_master").fetchone()
        here.backup(there, pages=STEP_PAGES, progress=lambda _, left, total: on_progress(total - left, total), sleep=0)
        there.execute("PRAGMA journal_mode = DELETE")  # one file is all there is to it


def _check(file: Path) -> None:
    with closing(sqlite3.connect(file)) as copied:
        found = copied.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupFailed(f"the database is damaged, and so would be its copy: {found}")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
