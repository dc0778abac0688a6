"""The database: SQLite by default, PostgreSQL at scale, behind the same four methods.

Queries are plain functions of a SQLAlchemy ``Connection`` that run in a thread, so that the event loop never waits
for a disk or a socket::

    rows = await database.read(lambda c: c.execute(select(projects)).all())
    await database.write(lambda c: c.execute(insert(projects).values(...)))

Such a function returns finished values (rows, not cursors), leaves commit and rollback to the database, and touches
nothing but its connection: it may run again after a conflict.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from inhouse.storage.connect import open_engine, parse_url
from inhouse.storage.upgrade import MigrationFailed, upgrade
from inhouse.storage.writer import GroupWriter

__all__ = ["Database", "MigrationFailed", "is_of_rows", "is_unreachable", "lock"]

T = TypeVar("T")

SWITCH_INTERVAL_S = 0.0005
"""How long a thread that needs the interpreter waits before it asks the running one to pause.

Under Python's default of 5 ms an event loop at its limit can starve the threads here: each statement gives up the
interpreter and queues for it again. Measured with 64 writers beside a loop that never rests: down to 34 writes/s with
the default, at least 4,000 with this.
"""
RETRIES = 8
"""Times that a PostgreSQL transaction is tried again after a conflict with another."""
CONFLICTS = {"40001", "40P01"}
"""SQLSTATE of a serialization failure and of a deadlock: PostgreSQL has rolled back and asks to be tried again."""

AWAY = {"57P01", "57P02", "57P03", "53300"}
"""SQLSTATE of a server that shuts down, has crashed, or starts, and of one with too many connections."""


class Database:
    """One database and the threads that work on it. Nothing is opened before the first use.

    Args:
        url: ``sqlite:////path/inhouse.db`` or ``postgresql://user:password@host/name``.
        readers: reads that run at once, each with a connection.
        writers: writes that run at once on PostgreSQL; SQLite has one writer, see ``storage.writer``.

    Raises:
        ValueError: the URL names neither.
    """

    def __init__(self, url: str, *, readers: int = 4, writers: int = 4) -> None:
        self._url = parse_url(url)
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if self._url.get_backend_name() == "sqlite" else "postgresql"
        )
        self._reading = open_engine(self._url, "read", readers)
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="inhouse-reader")
        self._writing = open_engine(self._url, "write", 1 if self.dialect == "sqlite" else writers)
        self._writer: GroupWriter | None = None
        self._writers: ThreadPoolExecutor | None = None
        if self.dialect == "sqlite":
            self._writer = GroupWriter(self._writing)
        else:
            self._writers = ThreadPoolExecutor(writers, thread_name_prefix="inhouse-writer")

    def __repr__(self) -> str:
        return f"Database({self._url.render_as_string(hide_password=True)!r})"

    @property
    def file(self) -> Path | None:
        """SQLite's file; None for a database that other machines may share."""
        return Path(self._url.database) if self.dialect == "sqlite" and self._url.database else None

    def migrate(self) -> None:
        """Brings the schema to this version. Blocks; run it before serving.

        Raises:
            MigrationFailed: with the reason; the database is as it was, and must not be used by this version.
        """
        engine = open_engine(self._url, "migrate", 1)
        try:
            upgrade(engine)
        finally:
            engine.dispose()

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What ``query`` returns from one consistent state of the database. It cannot write."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _read, self._reading, query)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs ``work`` in one transaction of its own, committed when this returns, rolled back when this raises.

        Cancelled while it waits, the work is either committed or never begun.
        """
        return await self.submit(work)

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Like ``write``, but queued at once: for writes that must not die with their task, or that nobody awaits.

        ``await asyncio.shield(database.submit(work))`` commits even if the awaiting task is cancelled.
        """
        if self._writer is not None:
            return self._writer.submit(work)
        assert self._writers is not None
        return asyncio.get_running_loop().run_in_executor(self._writers, _write, self._writing, work)

    async def close(self) -> None:
        """Finishes what was submitted, then closes every connection. Later calls raise ``RuntimeError``."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._writers is not None:
            self._writers.shutdown()
        self._readers.shutdown()
        self._writing.dispose()
        self._reading.dispose()


def lock(connection: Connection, name: str, *, shared: bool = False) -> None:
    """Until the transaction ends, makes every other transaction wait that locks the same ``name``, in any process.

    Those that lock it ``shared`` only wait for one that does not. On SQLite a transaction that writes is alone in any
    case.
    """
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {function}(hashtextextended(:name, 0))"), {"name": name})


def is_of_rows(error: BaseException) -> bool:
    """Whether a write failed because of what was to be written, so that trying it again is of no use."""
    return isinstance(error, DataError | IntegrityError | OverflowError | TypeError | ValueError)


def is_unreachable(error: BaseException) -> bool:
    """Whether PostgreSQL did not answer, restarts, or takes no more connections: something that passes."""
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    state = getattr(error.orig, "sqlstate", None)
    refused = state is None or state[:2] == "08" or state in AWAY
    return error.connection_invalidated or (isinstance(error, OperationalError) and refused)


def _read(engine: Engine, query: Callable[[Connection], T]) -> T:
    for last in (False, True):
        try:
            with engine.connect() as connection:
                return query(connection)
        except StopIteration as error:  # a future cannot carry it, and its awaiter would wait for ever
            raise RuntimeError("the query raised StopIteration") from error
        except DBAPIError as error:
            if last or not error.connection_invalidated:  # the server restarted; every pooled connection is dropped now
                raise
    raise AssertionError("unreachable")


def _write(engine: Engine, work: Callable[[Connection], T]) -> T:
    reconnected = False
    conflicts = 0
    while True:
        committing = False
        try:
            with engine.connect() as connection, connection.begin() as transaction:
                result = work(connection)
                committing = True
                transaction.commit()
                return result
        except StopIteration as error:
            raise RuntimeError("the work raised StopIteration") from error
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in CONFLICTS and conflicts < RETRIES:
                conflicts += 1
                time.sleep(random.uniform(0, 0.002 * 2**conflicts))  # noqa: S311
            elif error.connection_invalidated and not committing and not reconnected:
                # A connection lost while committing leaves open whether it counts; only before that is a retry safe.
                reconnected = True
            else:
                raise
