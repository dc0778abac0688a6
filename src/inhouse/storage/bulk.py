"""Many rows in few statements.

A driver's ``executemany`` gives up the interpreter for every row and has to win it back from a busy event loop; a
statement that holds many rows does so once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table

CHUNKS = (32, 8, 1)
"""Rows in one statement. Few sizes, so that the driver finds every statement prepared."""


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, ignore_known: bool = False
) -> None:
    """Inserts rows that all have the same columns in the same order.

    Args:
        ignore_known: leave a row alone whose key the table holds already.
    """
    at = 0
    for size in CHUNKS:
        while len(rows) - at >= size:
            statement = _insert(table, tuple(rows[at]), size, connection.dialect.name, ignore_known)
            values = tuple(value for row in rows[at : at + size] for value in row.values())
            connection.exec_driver_sql(statement, values)
            at += size


@cache
def _insert(table: Table, columns: tuple[str, ...], rows: int, dialect: str, ignore_known: bool) -> str:
    place = "%s" if dialect == "postgresql" else "?"
    names = ", ".join(table.c[column].name for column in columns)
    row = f"({', '.join([place] * len(columns))})"
    conflict = " ON CONFLICT DO NOTHING" if ignore_known else ""
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * rows)}{conflict}"  # noqa: S608 - the schema's
