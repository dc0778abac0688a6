"""Locks between processes. The kernel lets go of them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_SECONDS = 0.2


@contextmanager
def locked(path: Path, while_waiting: Callable[[], None] | None = None) -> Iterator[int]:
    """Holds the lock at ``path``; waits for it as long as it takes.

    The lock file stays: removing it would let a third process lock a file that the second no longer sees.

    Args:
        while_waiting: called some times a second while another process holds it.

    Yields:
        The descriptor. A child process that inherits it holds the lock for as long as it lives.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        while not _try(handle):
            if while_waiting is not None:
                while_waiting()
            time.sleep(POLL_SECONDS)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def lock_if_free(path: Path) -> Iterator[bool]:
    """True while the lock at ``path`` is held by this block; False when someone else holds it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        yield False
        return
    try:
        yield _try(handle)
    finally:
        os.close(handle)


def _try(handle: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
