from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Literal

import pytest
from sqlalchemy import Connection, insert, select, text

from inhouse.access import Access
from inhouse.catalog.cards import Tier
from inhouse.kit.money import NANO
from inhouse.limits import accounts as module
from inhouse.limits.accounts import PINNED, Accounts
from inhouse.limits.tiers import DAY_US, NextTier, Spend, load_rule, month_began
from inhouse.storage.database import Database
from inhouse.storage.schema import audit_logs, calls


@pytest.fixture
async def organization(database: Database) -> str:
    return (await Access(database).bootstrap()).organization_id


@pytest.fixture
async def project(database: Database, organization: str) -> str:
    return (await Access(database).bootstrap()).project_id


def accounts(database: Database, setting: Tier | Literal["auto"] = "auto", rule: str = "paid") -> Accounts:
    return Accounts(database, setting, load_rule(rule))


async def spend(database: Database, organization: str, dollars: float, days_ago: float = 1, **more: Any) -> None:
    at = time.time_ns() // 1000 - int(days_ago * DAY_US)
    row = {
        "id": f"req_{time.time_ns()}",
        "created_at": at,
        "settled_at": at,
        "state": "settled",
        "organization_id": organization,
        "project_id": "p",
        "key_id": "k",
        "operation": "o",
        "model": "m",
        "snapshot": "m",
        "deployment": "d",
        "service_tier": "default",
        "cost_nanos": int(dollars * NANO),
        **more,
    }
    await database.write(lambda c: c.execute(insert(calls), row) and None)


async def test_spend_earns_the_tier_and_tells_the_way(database: Database, organization: str) -> None:
    await spend(database, organization, 30, days_ago=40)
    await spend(database, organization, 25, days_ago=2)
    await spend(database, "org-other", 5000)
    await spend(database, organization, 5000, settled_at=None, state="open")
    standing = await accounts(database).standing(organization)
    assert (standing.tier, standing.pinned) == ("tier_2", False)
    assert standing.spend.nanos == 55 * NANO
    assert standing.next == NextTier("tier_3", 45 * NANO, 0)
    older = await accounts(database, rule="paid_and_days").standing(organization)
    assert older.tier == "tier_2"
    assert older.spend.days(time.time_ns() // 1000) == 40


async def test_who_spent_nothing_has_no_first_day(database: Database, organization: str) -> None:
    standing = await accounts(database).standing(organization)
    assert (standing.tier, standing.spend) == ("tier_1", Spend(0, None))


async def test_promotion_comes_by_itself(
    database: Database, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPEND_EVERY_S", 0.0)
    mine = accounts(database)
    assert await mine.tier(organization) == "tier_1"
    version = mine.version
    await spend(database, organization, 260, days_ago=0)
    await mine.refresh()
    assert await mine.tier(organization) == "tier_4"
    assert mine.version > version
    await spend(database, organization, 800, days_ago=0.5)
    await mine.refresh()
    # Settled half a day ago and written only now: outside of what is looked at again, which is a minute.
    assert await mine.tier(organization) == "tier_4"
    assert await accounts(database).tier(organization) == "tier_5"


async def test_what_was_added_up_is_not_read_again(database: Database, organization: str) -> None:
    mine = accounts(database)
    await spend(database, organization, 30)
    assert (await mine.standing(organization)).spend.nanos == 30 * NANO
    await database.write(lambda c: c.execute(text("DELETE FROM calls")) and None)
    await spend(database, organization, 7, days_ago=0)
    for _ in range(3):
        assert (await mine.standing(organization)).spend.nanos == 37 * NANO


async def test_spend_is_read_from_its_index_alone(database: Database, organization: str) -> None:
    def query_plan(connection: Connection) -> str:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))
            explain = "EXPLAIN "
        else:
            explain = "EXPLAIN QUERY PLAN "
        statement = (
            "SELECT sum(cost_nanos) FROM calls WHERE organization_id = 'o' AND cost_nanos > 0 AND settled_at > 1 "
            "AND settled_at <= 2"
        )
        return str(connection.execute(text(explain + statement)).all())

    assert "ix_calls_spent" in await database.read(query_plan)


async def test_a_pin_is_stronger_than_the_setting_and_can_be_let_go(database: Database, organization: str) -> None:
    for setting in ("auto", "tier_5"):
        mine = accounts(database, setting)  # type: ignore[arg-type]
        await mine.pin(organization, "free")
        standing = await mine.standing(organization)
        assert (standing.tier, standing.pinned) == ("free", True)
        assert standing.next is not None
        assert standing.next.tier == "tier_1"
        await mine.pin(organization, None)
        assert await mine.tier(organization) == ("tier_1" if setting == "auto" else "tier_5")
    recorded = select(audit_logs.c.details).where(audit_logs.c.type == PINNED).order_by(audit_logs.c.effective_at)
    told = await database.read(lambda c: c.execute(recorded).scalars().all())
    assert [json.loads(each)["tier"] for each in told] == ["free", None] * 2


async def test_a_setting_pins_everybody(database: Database, organization: str) -> None:
    standing = await accounts(database, "tier_3").standing(organization)
    assert (standing.tier, standing.pinned) == ("tier_3", True)


async def test_another_process_learns_of_a_change(database: Database, organization: str, project: str) -> None:
    here, there = accounts(database), accounts(database)
    await there.refresh()
    await here.pin(organization, "tier_4")
    await here.lower(project, "gpt-4.1", {"rpm": 5, "batch": 7})
    there._stale_at = 0
    there.refresh_if_stale()
    assert there._refreshing is not None
    there.refresh_if_stale()
    await asyncio.wait([there._refreshing])
    assert await there.tier(organization) == "tier_4"
    assert there.lowered(project, "gpt-4.1") == {"rpm": 5, "batch": 7}
    assert there.lowered("proj_other", "gpt-4.1") == {}
    await here.lower(project, "gpt-4.1", {})
    await there.refresh()
    assert there.lowered(project, "gpt-4.1") == {}


async def test_a_database_that_fails_leaves_what_is_known_in_force(
    database: Database, organization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = accounts(database)
    await mine.pin(organization, "tier_2")

    async def broken(query: Any) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(database, "read", broken)
    mine._stale_at = 0
    mine.refresh_if_stale()
    assert mine._refreshing is not None
    await asyncio.wait([mine._refreshing])
    assert mine._refreshing is None
    assert await mine.tier(organization) == "tier_2"


def days_into_the_month() -> float:
    return (time.time_ns() // 1000 - month_began(time.time_ns() // 1000)) / DAY_US


async def test_what_an_earned_tier_allows_in_a_month(database: Database, organization: str) -> None:
    this_month, before = days_into_the_month() / 2, days_into_the_month() + 1
    await spend(database, organization, 10_000, days_ago=before, organization_id="org-other")
    await spend(database, organization, 99.5, days_ago=this_month)
    found = accounts(database, rule="paid_and_days")
    assert not await found.exhausted(organization)
    await spend(database, organization, 0.5, days_ago=this_month)
    found = accounts(database, rule="paid_and_days")
    if this_month < 7:  # later, so much spent has earned the next tier
        assert await found.exhausted(organization)
    standing = await found.standing(organization)
    assert standing.month_nanos == 100 * NANO
    assert standing.usage_limit_nanos == (100 if this_month < 7 else 1000) * NANO


async def test_what_was_spent_in_months_before_counts_no_more(database: Database, organization: str) -> None:
    await spend(database, organization, 900, days_ago=days_into_the_month() + 0.5)
    found = accounts(database)
    assert not await found.exhausted(organization)
    standing = await found.standing(organization)
    assert (standing.month_nanos, standing.spend.nanos) == (0, 900 * NANO)


async def test_only_an_earned_tier_has_a_usage_limit(database: Database, organization: str) -> None:
    await spend(database, organization, 300_000, days_ago=days_into_the_month() / 2)
    assert await accounts(database).exhausted(organization)
    assert not await accounts(database, "tier_1").exhausted(organization)
    assert not await Accounts(database, "auto", load_rule("paid"), usage_limits=False).exhausted(organization)
    pinned = accounts(database)
    await pinned.pin(organization, "tier_1")
    assert not await pinned.exhausted(organization)
    assert (await pinned.standing(organization)).usage_limit_nanos is None
    await pinned.pin(organization, None)
    assert await pinned.exhausted(organization)
