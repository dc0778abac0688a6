from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from inhouse.storage.bulk import MOST_PLAIN, _update_plain, insert_plain, update_plain
from inhouse.storage.database import Database
from inhouse.storage.schema import calls

COLUMNS = tuple(
    column.name for column in calls.c if not column.nullable and column.server_default is None and column.name != "id"
)
PLAIN = ("id", *COLUMNS, "error_code", "first_token_ms", "batch", "fee_nanos")


def row(id: str, *, code: str | None = None, ms: float | None = None, batch: bool = False, fee: int = 0) -> list[Any]:
    fixed = ["open" if name == "state" else 5 if name == "created_at" else "x" for name in COLUMNS]
    return [id, *fixed, code, ms, batch, fee]


async def stored(database: Database) -> dict[str, Any]:
    rows = await database.read(lambda c: c.execute(select(calls)).all())
    return {each.id: each for each in rows}


async def test_values_arrive_as_they_were(database: Database) -> None:
    text_ = 'quotes " and \' and \\ , naïve 漢字 🙂 \n {"a": [1]} %s ? :x'
    rows = [
        row("all", code=text_, ms=0.1 + 0.2, batch=True, fee=2**63 - 1),
        row("none"),
        row("negative", ms=1e-300, fee=-(2**63)),
    ]
    await database.write(lambda c: insert_plain(c, calls, PLAIN, rows))
    kept = await stored(database)
    assert (kept["all"].error_code, kept["all"].first_token_ms, kept["all"].batch) == (text_, 0.1 + 0.2, True)
    assert (kept["all"].fee_nanos, kept["negative"].fee_nanos) == (2**63 - 1, -(2**63))
    assert (kept["none"].error_code, kept["none"].first_token_ms, kept["none"].batch) == (None, None, False)
    assert kept["all"].state == "open", "what is not told is the column's default"


async def test_only_what_is_named_changes(database: Database) -> None:
    many = [row(f"id {n}", fee=n) for n in range(MOST_PLAIN + 3)]
    await database.write(lambda c: insert_plain(c, calls, PLAIN, many))
    changes = [[f"id {n}", "gone", None, n * 2] for n in range(1, MOST_PLAIN + 3)]
    await database.write(
        lambda c: update_plain(c, calls, ("id", "error_code", "first_token_ms", "output_tokens"), changes)
    )
    kept = await stored(database)
    assert len(kept) == len(many)
    assert (kept["id 0"].error_code, kept["id 0"].output_tokens) == (None, 0)
    assert all((kept[f"id {n}"].error_code, kept[f"id {n}"].output_tokens) == ("gone", 2 * n) for n in (1, 2, 1002))
    assert kept["id 7"].fee_nanos == 7


async def test_known_rows_are_left_alone(database: Database) -> None:
    await database.write(lambda c: insert_plain(c, calls, PLAIN, [row("a", fee=1)]))
    again = [row("a", fee=2), row("b", fee=3)]
    await database.write(lambda c: insert_plain(c, calls, PLAIN, again, ignore_known=True))
    assert {id: each.fee_nanos for id, each in (await stored(database)).items()} == {"a": 1, "b": 3}


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70])
async def test_a_number_that_is_too_large_is_refused(database: Database, number: int) -> None:
    with pytest.raises(ValueError, match="int"):
        await database.write(lambda c: insert_plain(c, calls, PLAIN, [row("a", fee=number)]))
    assert await stored(database) == {}


async def test_a_change_finds_its_rows_by_their_key(database: Database) -> None:
    def plan(connection: Connection) -> str:
        statement = _update_plain(calls, ("id", "error_code"), connection.dialect)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # which is faster for an empty table
            return str(connection.exec_driver_sql(f"EXPLAIN {statement}", ("[]",)).all())
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("[]",)).all())

    found = await database.write(plan)
    assert "Index Scan using pk_calls" in found or "SEARCH calls USING" in found, found
