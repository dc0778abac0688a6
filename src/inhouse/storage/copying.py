"""Carries a whole database over to another one, of the same kind or not: a laptop's SQLite to PostgreSQL.

Everything travels in one transaction of the target, so a copy is there whole or not at all, whatever happens on the
way. Meanwhile nothing can be written to either side; the source can be read. Rows pass one by one, by PostgreSQL's COPY
and SQLite's cursors, so memory does not grow with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Table, func, inspect, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from inhouse.storage.connect import open_engine, parse_url, shown
from inhouse.storage.journal import beside_file
from inhouse.storage.schema import metadata
from inhouse.storage.upgrade import upgrade

LOCK_TIMEOUT_S = 60
"""How long PostgreSQL may wait for whoever still writes to a table."""
STEP = 1000
"""Rows between two reports of progress."""

Row = tuple[Any, ...]
OnProgress = Callable[[str, int, int], None]
"""Table, rows copied so far of all tables, rows to copy."""


class CopyFailed(Exception):
    """Nothing was copied. The message says why and what to do."""


def copy_database(
    source: str, target: str, on_progress: OnProgress, check: Callable[[Connection], None] = lambda _: None
) -> dict[str, int]:
    """Copy all rows to an empty database, which is brought to this version's schema; the source must be at it.

    Blocks. Identities go on after the largest that the source has given.

    Args:
        check: raises if the source must not be copied; nobody can write to it any more when this is called.

    Returns:
        Rows of each table.

    Raises:
        ValueError: a URL names no database.
        CopyFailed: the target has rows, or a database failed.
        MigrationFailed: the target cannot be brought to the schema.
    """
    from_, to = parse_url(source), parse_url(target)
    _refuse_same(from_, to)
    try:
        _refuse_filled(to)
        _migrate(to)
        reading, writing = open_engine(from_, "write", 1), open_engine(to, "write", 1)
        try:
            with reading.connect() as here, here.begin(), writing.connect() as there, there.begin():
                _lock(here, "SHARE")
                _lock(there, "SHARE ROW EXCLUSIVE")
                check(here)
                _refuse_rows(there)
                return _copy(here, there, on_progress)
        finally:
            reading.dispose()
            writing.dispose()
    except DBAPIError as error:
        raise CopyFailed(f"nothing was copied: {_first_line(error.orig)}") from error
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, OSError) as error:
        raise CopyFailed(f"nothing was copied: {_first_line(error)}") from error


def _copy(here: Connection, there: Connection, on_progress: OnProgress) -> dict[str, int]:
    tables = metadata.sorted_tables  # those that others point to come first
    counts = {table.name: _count(here, table) for table in tables}
    total, done = sum(counts.values()), 0

    def counted(table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        nonlocal done
        for row in rows:
            if done % STEP == 0:
                on_progress(table.name, done, total)
            done += 1
            yield row

    for table in tables:
        try:
            _write(there, table, counted(table, _read(here, table)))
        except (psycopg.Error, sqlite3.Error) as error:
            raise CopyFailed(f"nothing was copied: {table.name}: {_first_line(error)}") from error
        if (found := _count(there, table)) != counts[table.name]:
            raise CopyFailed(f"nothing was copied: {table.name} has {counts[table.name]} rows, its copy {found}")
        _go_on_counting(here, there, table)
        if there.dialect.name == "postgresql":
            there.exec_driver_sql(f"ANALYZE {_name(there, table)}")  # or its first queries would be planned blindly
    on_progress("", done, total)
    return counts


def _read(connection: Connection, table: Table) -> Iterator[Row]:
    driver = _driver(connection)
    if isinstance(driver, sqlite3.Connection):
        yield from driver.execute(f"SELECT {_columns(connection, table)} FROM {_name(connection, table)}")  # noqa: S608
        return
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {_name(connection, table)} ({_columns(connection, table)}) TO STDOUT") as copying,
    ):
        copying.set_types([_type(connection, column.type) for column in table.columns])
        yield from copying.rows()


def _write(connection: Connection, table: Table, rows: Iterator[Row]) -> None:
    driver = _driver(connection)
    if isinstance(driver, sqlite3.Connection):
        places = ", ".join("?" * len(table.columns))
        into = f"{_name(connection, table)} ({_columns(connection, table)})"
        driver.executemany(f"INSERT INTO {into} VALUES ({places})", rows)  # noqa: S608
        return
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {_name(connection, table)} ({_columns(connection, table)}) FROM STDIN") as copying,
    ):
        for row in rows:
            copying.write_row(row)


def _go_on_counting(here: Connection, there: Connection, table: Table) -> None:
    """The next identity of the copy is one that the source has never given, also to a row that is gone."""
    column = table.autoincrement_column
    if column is None:
        return
    last = max(_last_given(here, table), there.execute(select(func.coalesce(func.max(column), 0))).scalar_one())
    if there.dialect.name == "postgresql":
        if last:
            there.execute(text("SELECT setval(:sequence, :last)"), {"sequence": _sequence(there, table), "last": last})
    elif table.dialect_options["sqlite"]["autoincrement"] and last:
        there.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        there.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), {"name": table.name, "last": last})


def _last_given(connection: Connection, table: Table) -> int:
    if connection.dialect.name == "postgresql":
        query = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {_sequence(connection, table)}"  # noqa: S608
        return int(connection.execute(text(query)).scalar_one())
    query = "SELECT max(seq) FROM sqlite_sequence WHERE name = :name"
    return connection.execute(text(query), {"name": table.name}).scalar() or 0


def _sequence(connection: Connection, table: Table) -> str:
    column = table.autoincrement_column
    assert column is not None
    query = text("SELECT pg_get_serial_sequence(:table, :column)")
    found = connection.execute(query, {"table": _name(connection, table), "column": column.name})
    return str(found.scalar_one())


def _migrate(url: URL) -> None:
    engine = open_engine(url, "migrate", 1)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


def _lock(connection: Connection, mode: str) -> None:
    """Nobody else writes until the transaction ends. On SQLite it has begun as the one that may."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
        names = ", ".join(_name(connection, table) for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN {mode} MODE")


def _refuse_same(source: URL, target: URL) -> None:
    if source.get_backend_name() == "sqlite" and target.get_backend_name() == "sqlite":
        same = Path(str(source.database)).resolve() == Path(str(target.database)).resolve()
    else:
        same = source == target
    if same:
        raise CopyFailed("source and target are one database; name another one")


def _refuse_filled(url: URL) -> None:
    """Before anything is changed there, its schema too."""
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        if left := beside_file(file):
            raise CopyFailed(
                f"{left[0].parent} holds journals of another database, which a start would read into the copy; name "
                "another file, or remove that folder if nobody needs it"
            )
        if not file.exists():
            return
    engine = open_engine(url, "write", 1)
    try:
        with engine.connect() as connection:
            _refuse_rows(connection)
    finally:
        engine.dispose()


def _refuse_rows(connection: Connection) -> None:
    there = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in there and connection.execute(select(text("1")).select_from(table).limit(1)).first():
            name = shown(connection.engine.url)
            again = (
                f"dropdb {connection.engine.url.database} && createdb {connection.engine.url.database}"
                if connection.dialect.name == "postgresql"
                else "name a file that does not exist"
            )
            raise CopyFailed(
                f"{name} is not empty: {table.name} has rows, perhaps of a first start. Copy into an empty database; "
                f"if nobody needs what is there: {again}"
            )


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _name(connection: Connection, table: Table) -> str:
    return connection.dialect.identifier_preparer.format_table(table)


def _columns(connection: Connection, table: Table) -> str:
    return ", ".join(connection.dialect.identifier_preparer.quote(column.name) for column in table.columns)


def _type(connection: Connection, of: Any) -> str:
    """What PostgreSQL calls it; psycopg knows ``float8`` as well as ``double precision``, but not ``FLOAT``."""
    name = str(of.compile(connection.dialect)).lower()
    return {"float": "float8", "bigint": "int8", "integer": "int4", "boolean": "bool"}.get(name, name)


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
