from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import insert

from inhouse.metering import speeds
from inhouse.metering.speeds import RECENT, Speed, Speeds
from inhouse.storage.database import Database
from inhouse.storage.schema import calls

NUMBERS = itertools.count(1)


async def add(database: Database, *rows: dict[str, Any], deployment: str = "here") -> None:
    """Settled calls; later ones are newer."""
    fixed = {
        "state": "settled",
        "organization_id": "o",
        "project_id": "p",
        "key_id": "k",
        "operation": "x",
        "model": "m",
        "snapshot": "m",
        "service_tier": "default",
        "deployment": deployment,
        "input_tokens": 100,
        "output_tokens": 100,
        "prefill_ms": None,
        "decode_ms": None,
        "cached_input_tokens": 0,
        "batch": 0,
    }
    values = [
        {**fixed, "id": f"req_{number}", "created_at": number, **row}
        for number, row in zip(NUMBERS, rows, strict=False)
    ]
    await database.write(lambda connection: connection.execute(insert(calls), values) and None)


async def test_nothing_measured(database: Database) -> None:
    await add(database, {"decode_ms": 1000.0}, deployment="elsewhere")
    assert await Speeds(database).of("here") == Speed(None, None)


async def test_the_median_of_what_says_enough(database: Database) -> None:
    await add(
        database,
        {"decode_ms": 1000.0, "prefill_ms": 500.0},
        {"decode_ms": 2000.0},
        {"decode_ms": 500.0, "input_tokens": 15, "prefill_ms": 1.0},
        {"decode_ms": 1.0, "output_tokens": 15},
        {"decode_ms": 0.0},
        {"prefill_ms": 1.0},
    )
    assert await Speeds(database).of("here") == Speed(prefill=200.0, decode=100.0)


async def test_only_recent_calls_count(database: Database) -> None:
    await add(database, *({"decode_ms": 1.0} for _ in range(RECENT)))
    await add(database, *({"decode_ms": 1000.0} for _ in range(RECENT)))
    assert (await Speeds(database).of("here")).decode == 100.0


async def test_what_was_cached_was_not_read(database: Database) -> None:
    await add(database, {"cached_input_tokens": 60, "prefill_ms": 400.0, "decode_ms": 1000.0})
    assert (await Speeds(database).of("here")).prefill == 100.0


async def test_lines_of_a_batch_count_where_there_is_nothing_else(database: Database) -> None:
    await add(database, *({"batch": 1, "decode_ms": 10_000.0} for _ in range(RECENT + 1)))
    assert (await Speeds(database).of("here")).decode == 10.0
    await add(database, {"decode_ms": 1000.0}, *({"batch": 1, "decode_ms": 10_000.0} for _ in range(RECENT)))
    assert (await Speeds(database).of("here")).decode == 100.0


async def test_a_speed_is_remembered_for_a_while(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Speeds(database)
    assert (await measured.of("here")).decode is None
    await add(database, {"decode_ms": 1000.0})
    assert (await measured.of("here")).decode is None
    monkeypatch.setattr(speeds, "KEEP_SECONDS", -1.0)
    assert (await measured.of("here")).decode == 100.0
