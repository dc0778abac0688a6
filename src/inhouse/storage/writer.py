"""The one writer of a SQLite file, with group commit.

SQLite takes one writer at a time, so threads that compete for it only wait, and in unfair turns. Here one thread
writes: it takes every job that is queued, runs all in one transaction, commits once, and wakes all awaiters with one
call to the event loop. A lone job pays one transaction; sixty-four pay one together.

If one of them fails, the transaction is rolled back and run again with each job in a savepoint of its own, so that only
the failing one is undone. Savepoints from the start would cost twice as many statements, and each statement hands the
interpreter lock over and has to win it back from a busy event loop.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)
T = TypeVar("T")

MAX_GROUP = 256
"""Jobs in one transaction: enough to share the commit, few enough not to hold the lock for long."""
BUSY_RETRY_S = 30.0
"""How long a transaction is tried to begin while another process writes."""


class _Job:
    __slots__ = ("error", "future", "loop", "result", "work")

    def __init__(self, work: Callable[[Connection], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, StopIteration):  # a future cannot carry it
            self.future.set_exception(RuntimeError("the work raised StopIteration"))
        else:
            self.future.set_exception(self.error)


class GroupWriter:
    """Runs jobs one after the other in a thread of its own.

    Args:
        engine: a ``write`` engine of ``storage.connect`` for SQLite, for this writer alone.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="inhouse-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Queues ``work``. The future is done once it is committed, or has the error it was rolled back with.

        Raises:
            RuntimeError: the writer is closed.
        """
        job = _Job(work, asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                raise RuntimeError("the database is closed")
            self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Returns when everything queued so far is committed and the connection is closed. May be called twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        open_ = True
        while open_:
            first = self._queue.get()
            if first is None:
                break
            group = [first]
            while len(group) < MAX_GROUP:
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    open_ = False
                    break
                group.append(job)
            try:
                self._commit(group)
            except BaseException as error:  # an awaiter left alone would wait for ever
                for job in group:
                    job.error = error
                self._drop_connection()
            _wake(group)
        self._drop_connection()

    def _commit(self, jobs: list[_Job]) -> None:
        """Runs ``jobs`` in one transaction, in the cheapest way that works out."""
        jobs = [job for job in jobs if not job.future.cancelled()]
        if not jobs:
            return
        try:
            self._transaction(jobs, _together)
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].error = error
                return
            try:
                self._transaction(jobs, _apart)
            except Exception:  # a full disk and the like: nothing of the group was kept
                for job in jobs:
                    job.result = job.error = None
                    self._commit([job])

    def _transaction(self, jobs: list[_Job], run: Callable[[list[_Job], Connection], None]) -> None:
        connection = self._begin()
        try:
            run(jobs, connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def _begin(self) -> Connection:
        deadline = time.monotonic() + BUSY_RETRY_S
        while True:
            if self._connection is None:
                self._connection = self._engine.connect()
            try:
                self._connection.begin()
                return self._connection
            except DBAPIError as error:
                self._drop_connection()
                if not _is_busy(error.orig) or time.monotonic() > deadline:
                    raise

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                logger.exception("closing the database connection failed")


def _together(jobs: list[_Job], connection: Connection) -> None:
    for job in jobs:
        if not job.future.cancelled():
            job.result = job.work(connection)


def _apart(jobs: list[_Job], connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    for job in jobs:
        if job.future.cancelled():
            continue
        driver.execute("SAVEPOINT job")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if not driver.in_transaction:  # SQLite has rolled back the jobs before it as well
                raise
            driver.execute("ROLLBACK TO job")
            job.error = error
        driver.execute("RELEASE job")


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def _wake(jobs: list[_Job]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, mine in loops.items():
        try:
            loop.call_soon_threadsafe(_finish, mine)
        except RuntimeError:  # that loop is closed: nobody waits any more
            logger.warning("%d database writes were done after their event loop had closed", len(mine))


def _finish(jobs: list[_Job]) -> None:
    for job in jobs:
        job.finish()
