"""Many rows in few statements.

A driver's ``executemany`` gives up the interpreter for every row and has to win it back from a busy event loop; a
statement that holds many rows does so once. Rows of plain values travel as one JSON array, which the database takes
apart by itself while the interpreter serves others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, Dialect, Table

CHUNKS = (32, 8, 1)
"""Rows of values in one statement. Few sizes, so that the driver finds every statement prepared."""
MOST_PLAIN = 1000
"""Rows of plain values in one statement, so that a journal of any length is read in little memory."""

Plain = Sequence[str | int | float | bool | None]
"""Numbers of at most 64 bits and text without NUL."""
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_checked = msgspec.json.Decoder(list[list[str | _INT64 | float | bool | None]])


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns in the same order."""
    at = 0
    for size in CHUNKS:
        while len(rows) - at >= size:
            statement = _insert(table, tuple(rows[at]), size, connection.dialect.name)
            values = tuple(value for row in rows[at : at + size] for value in row.values())
            connection.exec_driver_sql(statement, values)
            at += size


def insert_plain(
    connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Plain], *, ignore_known: bool = False
) -> None:
    """Inserts rows of plain values.

    Args:
        ignore_known: leave a row alone whose key the table holds already.

    Raises:
        ValueError: a number has more than 64 bits, or a text cannot be encoded.
    """
    statement = _insert_plain(table, columns, connection.dialect, ignore_known)
    for packed in _packed(rows):
        connection.exec_driver_sql(statement, (packed,))


def update_plain(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[Plain]) -> None:
    """Changes rows. The first column is the key that finds one, the others are what is written. Raises as the above."""
    statement = _update_plain(table, columns, connection.dialect)
    for packed in _packed(rows):
        connection.exec_driver_sql(statement, (packed,))


def _packed(rows: Sequence[Plain]) -> Iterable[str]:
    for at in range(0, len(rows), MOST_PLAIN):
        packed = msgspec.json.encode(rows[at : at + MOST_PLAIN])
        _checked.decode(packed)  # SQLite would keep a number that is too large as a rough one
        yield packed.decode()


@cache
def _insert(table: Table, columns: tuple[str, ...], rows: int, dialect: str) -> str:
    place = "%s" if dialect == "postgresql" else "?"
    names = ", ".join(table.c[column].name for column in columns)
    row = f"({', '.join([place] * len(columns))})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - the schema's names


@cache
def _insert_plain(table: Table, columns: tuple[str, ...], dialect: Dialect, ignore_known: bool) -> str:
    source, values = _unpacked(table, columns, dialect)
    # SQLite would take a bare ON for that of a join.
    conflict = " WHERE true ON CONFLICT DO NOTHING" if ignore_known else ""
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values)} FROM {source}{conflict}"  # noqa: S608


@cache
def _update_plain(table: Table, columns: tuple[str, ...], dialect: Dialect) -> str:
    source, (key, *values) = _unpacked(table, columns, dialect)
    changes = ", ".join(f"{name} = {value}" for name, value in zip(columns[1:], values, strict=True))
    return f"UPDATE {table.name} SET {changes} FROM {source} WHERE {table.name}.{columns[0]} = {key}"  # noqa: S608


def _unpacked(table: Table, columns: tuple[str, ...], dialect: Dialect) -> tuple[str, list[str]]:
    """What the packed rows are read from, and the expression of each column."""
    if dialect.name == "sqlite":
        return "json_each(?) AS packed", [f"packed.value ->> {at}" for at in range(len(columns))]
    return "json_array_elements(%s::json) AS packed", [
        f"(packed.value ->> {at})::{table.c[name].type.compile(dialect)}" for at, name in enumerate(columns)
    ]
