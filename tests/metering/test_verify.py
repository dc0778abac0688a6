from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import text

from inhouse.kit.ids import request_id
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger
from inhouse.metering.verify import verify
from inhouse.storage.database import Database

TOTALS = {"totals of projects that are not what the calls come to"}


@pytest.fixture
async def ledger(database: Database) -> Any:
    """With three settled calls and one that is under way."""
    ledger = Ledger(database, beat_s=3600)
    await ledger.start()
    for number in range(4):
        id = request_id()
        await ledger.open(
            Opening(
                id=id,
                created_at=time.time_ns() // 1000,
                organization_id="org-1",
                project_id="proj_1",
                key_id=f"key_{number}",
                operation="createChatCompletion",
                model="gpt-4.1",
                snapshot="gpt-4.1-2025-04-14",
                deployment="{}",
                service_tier="default",
                input_price=2000,
                output_price=8000,
            )
        )
        if number < 3:
            await ledger.settle(
                Settlement(
                    id=id,
                    settled_at=1_800_000_000_000_000 + number * 3_600_000_000,
                    status=200,
                    error_code=None,
                    input_tokens=10,
                    cached_input_tokens=0,
                    output_tokens=5,
                    cost_nanos=60_000,
                )
            )
    yield ledger
    await ledger.close()


async def test_a_ledger_under_way_is_clean(ledger: Ledger, database: Database) -> None:
    verdict = await verify(database)
    assert verdict.clean
    assert (verdict.calls, verdict.open, verdict.interrupted, verdict.sums) == (4, 1, 0, 9 + 7)


async def test_an_empty_ledger_is_clean(database: Database) -> None:
    assert (await verify(database)).clean


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE instances SET beat_at = 1", {"open calls whose process is dead"}),
        ("DELETE FROM instances", {"open calls whose process is dead"}),
        (
            "UPDATE calls SET cost_nanos = cost_nanos + 1 WHERE state = 'settled' AND key_id = 'key_1'",
            {"costs that are not the tokens times their prices"},
        ),
        (
            "UPDATE calls SET output_tokens = 6, cost_nanos = 68000 WHERE key_id = 'key_1'",
            {"sums by minute that are not what the calls come to"},
        ),
        ("DELETE FROM calls WHERE key_id = 'key_1'", {"sums by minute that are not what the calls come to"}),
        (
            "UPDATE usage_rollups SET requests = requests + 1 WHERE width = 60",
            {f"sums by {width} that are not what the calls come to" for width in ("minute", "hour", "day")} | TOTALS,
        ),
        ("DELETE FROM usage_rollups WHERE width = 3600", {"sums by hour that are not what the calls come to"} | TOTALS),
        (
            "UPDATE usage_rollups SET fee_nanos = 1 WHERE width = 86400",
            {"sums by day that are not what the calls come to"} | TOTALS,
        ),
        ("UPDATE usage_totals SET output_nanos = output_nanos + 1 WHERE width = 3600", TOTALS),
        ("DELETE FROM usage_totals WHERE width = 60", TOTALS),
        ("DELETE FROM usage_series WHERE key_id = '*'", TOTALS | {"sums of nobody"}),
        (
            "DELETE FROM usage_series WHERE key_id = 'key_1'",
            {"sums by minute that are not what the calls come to", "sums of nobody"} | TOTALS,
        ),
        (
            "UPDATE calls SET cached_input_tokens = 11, cached_input_price = 2000 WHERE key_id = 'key_3'",
            {"calls with impossible counts"},
        ),
    ],
)
async def test_damage_is_found(ledger: Ledger, database: Database, damage: str, found: set[str]) -> None:
    await database.write(lambda connection: connection.execute(text(damage)).rowcount)
    verdict = await verify(database)
    assert {finding.what for finding in verdict.findings} == found
    assert all(finding.count > 0 for finding in verdict.findings)
