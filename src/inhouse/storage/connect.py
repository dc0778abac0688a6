"""SQLAlchemy engines for the two databases, set up the same way wherever they are opened.

SQLite runs in WAL mode: readers never wait for the writer. ``synchronous=NORMAL`` survives a crash of the process; a
power cut may lose the last commits, never the file. PostgreSQL keeps its own settings.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

Purpose = Literal["read", "write", "migrate"]

BUSY_TIMEOUT_S = 5.0
"""How long one SQLite statement waits for another process's write."""
MIGRATION_TIMEOUT_S = 60.0
"""How long a migration waits for another process's migration."""


def parse_url(url: str) -> URL:
    """The database that ``url`` names, with the driver that is used for it.

    Raises:
        ValueError: not a URL, not SQLite or PostgreSQL, or SQLite without a file. The message never shows a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("the database URL cannot be read; write sqlite:////path/file.db or postgresql://…") from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("SQLite needs a file, e.g. sqlite:////path/inhouse.db")
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(f"{backend} is not supported; use sqlite:////path/file.db or postgresql://user:password@host/name")


def shown(url: URL) -> str:
    """A URL as people write it, without its password."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


def open_engine(url: URL, purpose: Purpose, connections: int) -> Engine:
    """An engine with at most ``connections`` connections, opened when first used.

    ``read`` connections see one consistent state a transaction and refuse to write.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, purpose, connections)
    return _postgresql(url, purpose, connections)


def _sqlite(url: URL, purpose: Purpose, connections: int) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={
            "check_same_thread": False,
            "timeout": MIGRATION_TIMEOUT_S if purpose == "migrate" else BUSY_TIMEOUT_S,
        },
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # Otherwise the driver begins and ends transactions by itself, and leaves DDL outside of them.
        connection.isolation_level = None
        _write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # A migration rebuilds tables that others point to; it checks the references itself before it commits.
        connection.execute(f"PRAGMA foreign_keys = {'OFF' if purpose == 'migrate' else 'ON'}")
        connection.execute(f"PRAGMA query_only = {'ON' if purpose == 'read' else 'OFF'}")

    # A writer that begins as a reader can find, halfway, that another process wrote first; it must lock at the start.
    begin = "BEGIN" if purpose == "read" else "BEGIN IMMEDIATE"

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _write_ahead_log(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # Two processes that open a new file at once: SQLite does not wait here by itself.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _postgresql(url: URL, purpose: Purpose, connections: int) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=0, pool_recycle=1800)
    if purpose == "read":

        @event.listens_for(engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            from psycopg import IsolationLevel

            connection.read_only = True
            connection.isolation_level = IsolationLevel.REPEATABLE_READ

    return engine
