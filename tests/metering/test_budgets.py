from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from inhouse.kit.errors import RateLimited
from inhouse.kit.ids import request_id
from inhouse.metering import accounts
from inhouse.metering.budgets import BILLING, Budgets
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import (
    audit_logs,
    calls,
    credit_grants,
    instances,
    spend_accounts,
    spend_alert_events,
    spend_alerts,
)

Open = Callable[[str], Database]
PRICE = 1000
"""Nano-dollars a token, in and out."""


class Till:
    """A process that serves calls: admits, uses tokens, settles."""

    def __init__(self, database: Database) -> None:
        self.ledger = Ledger(database, beat_s=3600)
        self.budgets = Budgets(database)

    async def admit(self, reserve: int, organization: str = "org-1", project: str = "proj_1") -> str:
        """Reserves tokens. Raises RateLimited."""
        opening = Opening(
            id=request_id(),
            created_at=time.time_ns() // 1000,
            organization_id=organization,
            project_id=project,
            key_id="key_1",
            operation="createChatCompletion",
            model="gpt-4.1",
            snapshot="gpt-4.1-2025-04-14",
            deployment="{}",
            service_tier="default",
            input_price=PRICE,
            output_price=PRICE,
            reserved_nanos=reserve * PRICE,
        )
        await self.ledger.admit(opening)
        return opening.id

    async def settle(self, id: str, tokens: int, at: int | None = None) -> None:
        await self.ledger.settle(
            Settlement(
                id=id,
                settled_at=at or time.time_ns() // 1000,
                status=200,
                error_code=None,
                input_tokens=tokens,
                cached_input_tokens=0,
                output_tokens=0,
                cost_nanos=tokens * PRICE,
            )
        )

    async def call(self, reserve: int, tokens: int, organization: str = "org-1", project: str = "proj_1") -> None:
        await self.settle(await self.admit(reserve, organization, project), tokens)


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    till = Till(database)
    await till.ledger.start()
    yield till
    await till.ledger.close()
    verdict = await verify(database)
    assert verdict.clean, verdict


def micros(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


async def test_nothing_is_limited_until_somebody_says_so(till: Till) -> None:
    assert not await till.budgets.limits("org-1", "proj_1")
    assert await till.budgets.standing("org-1", "proj_1") == []
    await till.call(10**9, 10**9)


async def test_the_official_refusal(till: Till) -> None:
    await till.budgets.set_limit("org-1", "", 10 * PRICE)
    assert await till.budgets.limits("org-1", "proj_1")
    with pytest.raises(RateLimited) as refusal:
        await till.admit(11)
    error = refusal.value
    assert (error.status, error.type, error.code, error.param) == (
        429,
        "insufficient_quota",
        "insufficient_quota",
        None,
    )
    assert error.message.startswith("You exceeded your current quota, please check your plan and billing details.")
    assert error.headers == {"x-should-retry": "false"}


async def test_a_hundred_clients_on_a_budget_for_fifty(
    till: Till, database_url: str, open_database: Open, database: Database
) -> None:
    other = Till(open_database(database_url))
    await other.ledger.start()
    await till.budgets.set_limit("org-1", "", 50 * 10 * PRICE)

    async def one(number: int) -> bool:
        try:
            await (till, other)[number % 2].call(10, 10)
        except RateLimited:
            return False
        return True

    passed = await asyncio.gather(*(one(number) for number in range(100)))
    assert sum(passed) == 50
    rows = await database.read(lambda c: c.execute(select(calls.c.cost_nanos)).scalars().all())
    assert sum(rows) == 50 * 10 * PRICE
    await other.ledger.close()


async def test_what_was_reserved_too_much_comes_back(till: Till) -> None:
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    first = await till.admit(60)
    with pytest.raises(RateLimited):
        await till.admit(41)
    await till.settle(first, 5)
    (account,) = await till.budgets.standing("org-1")
    assert (account.spent_nanos, account.reserved_nanos) == (5 * PRICE, 0)
    await till.call(95, 95)
    with pytest.raises(RateLimited):
        await till.admit(1)


async def test_a_project_and_its_organization_both_count(till: Till) -> None:
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    await till.budgets.set_limit("org-1", "proj_1", 30 * PRICE)
    await till.call(30, 30)
    with pytest.raises(RateLimited):
        await till.admit(1)
    await till.call(70, 70, project="proj_2")
    with pytest.raises(RateLimited):
        await till.admit(1, project="proj_2")
    assert not await till.budgets.limits("org-2", "proj_3")
    await till.call(1000, 1000, organization="org-2", project="proj_3")


async def test_a_limit_counts_what_was_spent_and_is_held_before_it_was_set(till: Till) -> None:
    await till.call(40, 40)
    held = await till.admit(30)
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    with pytest.raises(RateLimited):
        await till.admit(31)
    await till.settle(held, 10)
    await till.call(50, 50)
    with pytest.raises(RateLimited):
        await till.admit(1)
    await till.budgets.set_limit("org-1", "", None)
    assert not await till.budgets.limits("org-1", "proj_1")
    await till.call(1000, 1000)


async def test_setting_a_limit_amid_traffic_loses_nothing(till: Till, database_url: str, open_database: Open) -> None:
    other = Till(open_database(database_url))
    await other.ledger.start()

    async def traffic(till: Till) -> None:
        for _ in range(40):
            await till.call(3, 2)

    async def limits() -> None:
        for round_ in range(10):
            await till.budgets.set_limit("org-1", "", (1 + round_) * 10**9)
            await till.budgets.set_limit("org-1", "proj_1", None if round_ % 2 else 10**9)
            await till.budgets.set_limit("org-1", "", None)
        await till.budgets.set_limit("org-1", "", 10**9)

    await asyncio.gather(limits(), *(traffic(each) for each in (till, other) for _ in range(4)))
    (account,) = [each for each in await till.budgets.standing("org-1") if each.scope == "org-1"]
    assert (account.spent_nanos, account.reserved_nanos) == (2 * 4 * 40 * 2 * PRICE, 0)
    await other.ledger.close()


async def test_a_new_month_begins_with_nothing(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhouse.metering.budgets._now", lambda: micros(2027, 1, 31))
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    first = await till.admit(1)
    await till.settle(first, 100, at=micros(2027, 1, 31))
    (account,) = await till.budgets.standing("org-1")
    assert account.spent_nanos == 100 * PRICE
    monkeypatch.setattr("inhouse.metering.budgets._now", lambda: micros(2027, 2, 1))
    (account,) = await till.budgets.standing("org-1")
    assert account.spent_nanos == 0
    monkeypatch.setattr("inhouse.metering.ledger.time.time_ns", lambda: micros(2027, 2, 1) * 1000)
    second = await till.admit(100)
    await till.settle(second, 7, at=micros(2027, 2, 1))
    (account,) = await till.budgets.standing("org-1")
    assert (account.spent_nanos, account.reserved_nanos) == (7 * PRICE, 0)


async def test_a_clock_that_was_ahead_for_a_moment_does_not_lift_a_limit(till: Till) -> None:
    """What is settled in a month that has not begun must not keep all that follows from counting."""
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    await till.call(60, 60)
    ahead = await till.admit(1)
    await till.settle(ahead, 1, at=time.time_ns() // 1000 + 400 * 24 * 3600 * 1_000_000)
    (account,) = await till.budgets.standing("org-1")
    assert account.spent_nanos == 60 * PRICE
    with pytest.raises(RateLimited):
        await till.admit(41)
    await till.call(40, 40)
    (account,) = await till.budgets.standing("org-1")
    assert (account.spent_nanos, account.reserved_nanos) == (100 * PRICE, 0)
    with pytest.raises(RateLimited):
        await till.admit(1)


async def test_credits_do_not_lapse_and_can_be_added(till: Till, database: Database) -> None:
    await till.call(500, 500)  # before credits were counted
    grant = await till.budgets.grant("org-1", 100 * PRICE, actor="test", note="first")
    assert grant.left_nanos == 100 * PRICE
    first = await till.admit(80)
    await till.settle(first, 80, at=micros(2027, 1, 31))
    with pytest.raises(RateLimited):
        await till.admit(21)
    assert (await till.budgets.grant("org-1", 10 * PRICE, actor="test")).left_nanos == 30 * PRICE
    await till.call(30, 30)
    with pytest.raises(RateLimited):
        await till.admit(1)
    assert (await till.budgets.grant("org-1", -5 * PRICE, actor="test")).left_nanos == -5 * PRICE
    granted = await database.read(lambda c: c.execute(select(credit_grants.c.amount_nanos)).scalars().all())
    assert sorted(granted) == [-5 * PRICE, 10 * PRICE, 100 * PRICE]
    await till.budgets.end_credits("org-1")
    await till.call(1000, 1000)
    recorded = select(func.count()).where(audit_logs.c.type == BILLING, audit_logs.c.organization_id == "org-1")
    assert await database.read(lambda c: c.execute(recorded).scalar()) == 4, "every change is on record"


async def test_a_limit_set_elsewhere_counts_soon(till: Till, database_url: str, open_database: Open) -> None:
    here = Budgets(open_database(database_url), fresh_s=0.05)
    assert not await here.limits("org-1", "proj_1")
    await till.budgets.set_limit("org-1", "proj_1", 1)
    await asyncio.sleep(0.1)
    assert await here.limits("org-1", "proj_1")
    assert not await here.limits("org-1", "proj_2")


async def test_a_client_that_leaves_while_it_is_admitted_holds_nothing(till: Till, database: Database) -> None:
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    tasks = [asyncio.create_task(till.admit(10)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    assert {type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)} == {asyncio.CancelledError}
    while till.ledger._withdrawals:
        await asyncio.sleep(0.01)
    (account,) = await till.budgets.standing("org-1")
    assert (account.spent_nanos, account.reserved_nanos) == (0, 0)
    rows = await database.read(lambda c: c.execute(select(calls.c.state, calls.c.status)).all())
    assert {tuple(row) for row in rows} <= {("settled", 499)}


async def test_a_dead_process_holds_nothing(till: Till, database: Database) -> None:
    await till.budgets.set_limit("org-1", "", 100 * PRICE)
    await till.admit(90)
    dead = update(instances).where(instances.c.id == till.ledger.instance).values(beat_at=1, process="")
    await database.write(lambda c: c.execute(dead).rowcount)
    assert await till.ledger.recover() == 1
    (account,) = await till.budgets.standing("org-1")
    assert (account.spent_nanos, account.reserved_nanos) == (0, 0)


async def test_an_alert_is_told_once_a_month(till: Till, database: Database) -> None:
    def alerts(connection: Any) -> None:
        for id, project, threshold in (("a", "", 10), ("b", "proj_1", 20), ("c", "proj_2", 1), ("d", "", 0)):
            row = {"id": id, "organization_id": "org-1", "project_id": project, "created_at": 1, "channel": "{}"}
            connection.execute(insert(spend_alerts), {**row, "threshold_nanos": threshold * PRICE})
            accounts.watch(connection, "org-1", project, micros(2027, 1, 1))

    await database.write(alerts)
    assert not await till.budgets.limits("org-1", "proj_1"), "an alert stops nothing"

    async def told() -> list[tuple[str, int, int]]:
        rows = await database.read(lambda c: c.execute(select(spend_alert_events)).all())
        return sorted((row.alert_id, row.month, row.spent_nanos // PRICE) for row in rows)

    async def spend(tokens: int, at: int) -> None:
        await till.settle(await till.admit(0), tokens, at=at)

    await spend(5, micros(2027, 1, 2))
    assert await told() == [("d", 202701, 5)]
    await spend(15, micros(2027, 1, 3))
    await spend(15, micros(2027, 1, 4))
    assert await told() == [("a", 202701, 20), ("b", 202701, 20), ("d", 202701, 5)]
    await spend(10, micros(2027, 2, 1))
    assert await told() == [
        ("a", 202701, 20),
        ("a", 202702, 10),
        ("b", 202701, 20),
        ("d", 202701, 5),
        ("d", 202702, 10),
    ]


async def test_damage_to_an_account_is_found(database: Database) -> None:
    budgets = Budgets(database)
    await budgets.set_limit("org-1", "", 100)
    assert (await verify(database)).clean
    await database.write(lambda c: c.execute(update(spend_accounts).values(reserved_nanos=1)).rowcount)
    assert [each.what for each in (await verify(database)).findings] == ["accounts that are not what the calls come to"]
