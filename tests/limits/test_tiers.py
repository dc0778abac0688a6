from __future__ import annotations

import pytest

from inhouse.catalog.cards import CardError, Tier
from inhouse.kit.money import nano_dollars
from inhouse.limits.tiers import DAY_US, NextTier, Spend, earned, load_rule, way_to_next

NOW = 1_700_000_000_000_000


def spent(dollars: str, days: int = 0) -> Spend:
    return Spend(nano_dollars(dollars), NOW - days * DAY_US)


@pytest.mark.parametrize(
    ("dollars", "tier"),
    [
        ("4.99", "tier_1"),  # where the rule begins here
        ("5", "tier_1"),
        ("49.999999999", "tier_1"),
        ("50", "tier_2"),
        ("100", "tier_3"),
        ("250", "tier_4"),
        ("999.99", "tier_4"),
        ("1000", "tier_5"),
        ("50000", "tier_5"),
    ],
)
def test_what_is_spent_earns_a_tier(dollars: str, tier: Tier) -> None:
    assert earned(load_rule("paid"), spent(dollars), NOW) == tier


@pytest.mark.parametrize(
    ("dollars", "days", "tier"),
    [
        ("2000", 0, "tier_1"),
        ("2000", 6, "tier_1"),
        ("2000", 7, "tier_3"),
        ("99", 400, "tier_2"),
        ("2000", 13, "tier_3"),
        ("2000", 14, "tier_4"),
        ("2000", 29, "tier_4"),
        ("2000", 30, "tier_5"),
    ],
)
def test_the_older_rule_asks_for_days_too(dollars: str, days: int, tier: Tier) -> None:
    assert earned(load_rule("paid_and_days"), spent(dollars, days), NOW) == tier


def test_who_spent_nothing_begins_at_the_first_tier() -> None:
    assert earned(load_rule("paid"), Spend(), NOW) == "tier_1"


def test_the_way_to_the_next_tier() -> None:
    rule = load_rule("paid_and_days")
    assert way_to_next(rule, "tier_1", Spend(), NOW) == NextTier("tier_2", nano_dollars("50"), 7)
    assert way_to_next(rule, "tier_3", spent("260", 3), NOW) == NextTier("tier_4", 0, 11)
    assert way_to_next(rule, "tier_5", spent("5000", 90), NOW) is None


def test_the_tables_hold_what_was_published() -> None:
    dollars = [each.usage_limit // 10**9 for each in load_rule("paid").tiers]
    assert dollars == [100, 100, 500, 1000, 5000, 200_000]
    assert [each.usage_limit // 10**9 for each in load_rule("paid_and_days").tiers][-1] == 50_000


def test_an_unknown_rule_is_told() -> None:
    with pytest.raises(CardError, match="no rule 'lifetime'"):
        load_rule("lifetime")
