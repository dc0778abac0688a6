"""Many rows in one statement, handed to the database as one JSON parameter.

A driver's ``executemany`` gives up the interpreter for every row and has to win it back from a busy event loop; here
the database unpacks all rows by itself, without the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, TextClause, text


def insert_rows(
    connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], *, ignore_known: bool = False
) -> None:
    """Inserts rows that all have the same columns, with values that JSON has.

    Args:
        ignore_known: leave a row alone whose key the table holds already.
    """
    rows = list(rows)
    if rows:
        statement = _insert(table, tuple(rows[0]), connection.dialect.name, ignore_known)
        connection.execute(statement, {"rows": msgspec.json.encode(rows).decode()})


@cache
def _insert(table: Table, columns: tuple[str, ...], dialect: str, ignore_known: bool) -> TextClause:
    names = ", ".join(table.c[column].name for column in columns)
    if dialect == "postgresql":
        source = f"SELECT {names} FROM json_populate_recordset(NULL::{table.name}, CAST(:rows AS json))"  # noqa: S608 - names of the schema
    else:
        values = ", ".join(f"value ->> '$.{column}'" for column in columns)
        source = f"SELECT {values} FROM json_each(:rows) WHERE true"  # noqa: S608 - without WHERE, ON is a join's
    conflict = " ON CONFLICT DO NOTHING" if ignore_known else ""
    return text(f"INSERT INTO {table.name} ({names}) {source}{conflict}")
