"""Usage tiers: what qualifies for them, and the way to the next. The table is data, ``tiers.toml``.

The published rule counts payments. Nobody pays in advance for a server of their own, so here an organization has
"paid" what its settled calls came to, and its first payment is its first call that cost something. For the same reason
the rule begins at tier 1: an organization that had to pay before its first call would never make one. The Free tier is
only for those that an administrator puts there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated

import msgspec

from inhouse.catalog.cards import TIERS, CardError, Fact, Text, Tier, decode_file
from inhouse.kit.money import Fee

FIRST: Tier = "tier_1"
DAY_US = 86_400_000_000


class Qualification(Fact, frozen=True, kw_only=True):
    """What a tier takes, and what may be used in it a month; nano-dollars."""

    tier: Tier
    paid: Fee = Fee(0)
    days: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Since the first payment."""
    usage_limit: Fee


class TierRule(Fact, frozen=True, kw_only=True):
    source: Text
    tiers: tuple[Qualification, ...]

    def __post_init__(self) -> None:
        if tuple(each.tier for each in self.tiers) != TIERS:
            raise ValueError(f"a rule names exactly {', '.join(TIERS)}, in this order")


class Spend(msgspec.Struct, frozen=True):
    """What an organization's settled calls came to, in nano-dollars, and when the first of them was settled."""

    nanos: int = 0
    first_at: int | None = None
    """Unix microseconds; None while nothing was spent."""

    def days(self, now: int) -> int:
        """Whole days since the first."""
        return 0 if self.first_at is None else max(0, (now - self.first_at) // DAY_US)


class NextTier(msgspec.Struct, frozen=True):
    """The way to the next tier: both have to be done."""

    tier: Tier
    missing_nanos: int
    missing_days: int


class _RuleFile(Fact, frozen=True, kw_only=True):
    rules: dict[str, TierRule]


def load_rule(name: str) -> TierRule:
    """A rule of ``tiers.toml``: ``paid``, or ``paid_and_days``.

    Raises:
        CardError: the file does not decode, or has no such rule.
    """
    file = files("inhouse.limits").joinpath("tiers.toml")
    rules = decode_file(file, _RuleFile).rules
    if name not in rules:
        raise CardError(f"{file.name}: there is no rule {name!r}")
    return rules[name]


def earned(rule: TierRule, spend: Spend, now: int) -> Tier:
    """The highest tier that an organization qualifies for. ``now`` in Unix microseconds."""
    days = spend.days(now)
    met = [each.tier for each in rule.tiers if spend.nanos >= each.paid and days >= each.days]
    return max(met[-1], FIRST, key=TIERS.index)


def way_to_next(rule: TierRule, tier: Tier, spend: Spend, now: int) -> NextTier | None:
    """What is missing for the tier above ``tier``; None at the top."""
    place = TIERS.index(tier) + 1
    if place == len(TIERS):
        return None
    above = rule.tiers[place]
    return NextTier(above.tier, max(0, above.paid - spend.nanos), max(0, above.days - spend.days(now)))


def month_began(now: int) -> int:
    """The first moment of the calendar month in UTC; Unix microseconds."""
    first = datetime.fromtimestamp(now / 1_000_000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return int(first.timestamp()) * 1_000_000
