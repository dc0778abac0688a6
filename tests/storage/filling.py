"""Rows in every table, made from the schema alone, so that none can be forgotten."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import CheckConstraint, Column, Connection, LargeBinary, Table, delete, insert, select

from inhouse.storage.schema import metadata

ROWS = 3
HOSTILE = "tab\t, newline\n, return\r, \\N, \\., {a,\"b\"}, 'c', naïve 漢字 🙂 %s ? :x \\u0000 "
LARGE = 2**63 - 100


def fill(connection: Connection) -> None:
    """Three rows in each table: one with a value in every column, one with as many NULLs as it may have, one more.

    Of tables that count their rows a fourth was there and is gone.
    """
    for table in metadata.sorted_tables:
        rows = [_row(table, number) for number in range(ROWS + 1)]
        connection.execute(insert(table), rows[:1])
        connection.execute(insert(table), rows[1:2])
        connection.execute(insert(table), rows[2:3])
        if (counted := table.autoincrement_column) is not None:
            connection.execute(insert(table), rows[3:])
            last = select(counted).order_by(counted.desc()).limit(1).scalar_subquery()
            connection.execute(delete(table).where(counted == last))


def content(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All that the tables hold."""
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in metadata.sorted_tables
    }


def _row(table: Table, number: int) -> dict[str, Any]:
    scarce = number == 1
    return {
        column.name: None if scarce and column.nullable else _value(table, column, number)
        for column in table.columns
        if column is not table.autoincrement_column
    }


def _value(table: Table, column: Column[Any], number: int) -> Any:
    for foreign in column.foreign_keys:
        return _value(foreign.column.table, foreign.column, number)
    if allowed := _allowed(table, column):
        return allowed[number % len(allowed)]
    if isinstance(column.type, LargeBinary):
        return bytes(range(256)) + b"\\x00\n" * number
    kind = column.type.python_type
    if kind is bool:
        return number % 2 == 0
    if kind is int:
        return number - 1 if str(column.type) == "INTEGER" else LARGE + number
    if kind is float:
        return 0.1 + 0.2 * number
    assert kind is str, f"{table.name}.{column.name}: what is a value of {column.type}?"
    return f"{'' if number else HOSTILE}{table.name}.{column.name} {number}"


def _allowed(table: Table, column: Column[Any]) -> list[str]:
    """The values that a check of this column allows; none if there is no such check."""
    for check in table.constraints:
        if isinstance(check, CheckConstraint) and (
            found := re.fullmatch(rf"{column.name} IN \((.*)\)", str(check.sqltext))
        ):
            return [value.strip("' ") for value in found[1].split(",")]
    return []
