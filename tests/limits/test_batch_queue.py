from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from inhouse.catalog.cards import load_cards
from inhouse.kit.errors import RateLimited
from inhouse.limits import Limits
from inhouse.limits.batch_queue import BatchQueue
from inhouse.settings import LimitSettings
from inhouse.storage.database import Database

CARD = next(card for card in load_cards() if card.id == "gpt-4.1")
Open = Callable[[str], Database]


def queue(database: Database, tier: Any = "tier_1") -> BatchQueue:
    return BatchQueue(database, Limits.of(LimitSettings(tier=tier), database))


async def test_holds_gives_back_and_releases(database: Database) -> None:
    mine = queue(database)
    most = await mine.limit("org-1", CARD)
    assert most == CARD.limits.standard.tier_1.batch_queue  # type: ignore[union-attr]
    assert most is not None
    await mine.enqueue("org-1", "proj_1", CARD, "batch_1", most - 10)
    with pytest.raises(RateLimited) as refusal:
        await mine.enqueue("org-1", "proj_2", CARD, "batch_2", 11)
    assert refusal.value.code == "token_limit_exceeded"
    assert refusal.value.message.startswith(
        f"Enqueued token limit reached for gpt-4.1 in organization org-1. Limit: {most:,} enqueued tokens."
    )
    await mine.enqueue("org-2", "proj_3", CARD, "batch_3", most)
    await mine.enqueue("org-1", "proj_2", CARD, "batch_2", 10)
    # A step that is repeated after a crash holds nothing twice.
    await mine.enqueue("org-1", "proj_2", CARD, "batch_2", 10)
    assert await mine.held("org-1", CARD.family) == most
    await database.write(lambda c: mine.give_back_in(c, "batch_1", 100))
    assert await mine.held("org-1", CARD.family) == most - 100
    await database.write(lambda c: mine.give_back_in(c, "batch_2", 100))
    assert await mine.held("org-1", CARD.family) == most - 110
    for _ in range(2):
        await database.write(lambda c: mine.release_in(c, "batch_1"))
    # Another process finds the same account.
    assert await queue(database).held("org-1", CARD.family) == 0


async def test_the_last_of_a_limit_goes_to_one(database: Database, database_url: str, open_database: Open) -> None:
    queues = [queue(database), queue(open_database(database_url))]
    most = await queues[0].limit("org-1", CARD)
    assert most is not None
    part = most // 7
    outcomes = await asyncio.gather(
        *(queues[n % 2].enqueue("org-1", "proj_1", CARD, f"batch_{n}", part) for n in range(40)),
        return_exceptions=True,
    )
    assert sum(outcome is None for outcome in outcomes) == 7
    assert all(outcome is None or isinstance(outcome, RateLimited) for outcome in outcomes)
    assert await queues[1].held("org-1", CARD.family) == 7 * part


async def test_a_project_can_have_less_and_nobody_none(database: Database) -> None:
    mine = queue(database)
    mine._limits.accounts._lowered[("proj_1", CARD.family)] = {"batch": 100}
    with pytest.raises(RateLimited, match="project proj_1"):
        await mine.enqueue("org-1", "proj_1", CARD, "batch_1", 101)
    await mine.enqueue("org-1", "proj_2", CARD, "batch_2", 101)
    await queue(database, "off").enqueue("org-1", "proj_1", CARD, "batch_3", 10**15)
