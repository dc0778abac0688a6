"""What limits would do to traffic: the same buckets, on the traffic's own clock, without a model or a database."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import msgspec

from inhouse.catalog.cards import TIERS, Card, Cards, Snapshot, Tier
from inhouse.limits.buckets import TOKENS, Bucket, refused
from inhouse.limits.demand import Demand
from inhouse.limits.memory import InMemory
from inhouse.limits.plans import Plan, is_long, limits_of, plan

MOST_EXAMPLES = 10


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the traffic."""

    at: float
    """Unix seconds."""
    model: str
    input_tokens: int
    output_tokens: int = 0
    cached_tokens: int = 0
    max_tokens: int | None = None
    """As the request limited its answer; None if it did not."""
    seconds: float = 0.0
    """How long it took: then what it really used takes the place of what was reserved."""
    project: str = ""
    batch: bool = False
    service_tier: str | None = None

    def __post_init__(self) -> None:
        if min(self.input_tokens, self.output_tokens, self.cached_tokens, self.seconds, self.max_tokens or 0) < 0:
            raise ValueError("a count is below 0")
        if self.cached_tokens > self.input_tokens:
            raise ValueError("more tokens are cached than there are")


class Refusal(msgspec.Struct, frozen=True):
    """One request that would have got 429."""

    line: int
    at: float
    model: str
    limit: str
    retry_after_s: float | None
    """None: it is larger than the limit, and no waiting helps."""


class Outcome(msgspec.Struct):
    """What one tier did."""

    tier: Tier
    requests: int = 0
    refused: int = 0
    too_large: int = 0
    """Of the refused: larger than a limit."""
    no_access: int = 0
    """Of the refused: the tier does not have the model."""
    by_limit: dict[str, int] = msgspec.field(default_factory=dict)
    """Refused requests by family and limit, ``gpt-4.1 tokens per min (TPM)``."""
    first_at: float | None = None
    last_at: float | None = None
    first: list[Refusal] = msgspec.field(default_factory=list)


class _Kind(msgspec.Struct):
    """What is the same for all requests of one project, model and length of context."""

    plan: Plan | None
    most: int


class Simulator:
    """One tier's limits. Give it lines in the order of time; batch lines draw from no live limit and always pass."""

    def __init__(self, cards: Cards, tier: Tier) -> None:
        self.outcome = Outcome(tier)
        self._cards = cards
        self._tier = tier
        self._now = 0.0
        self._store = InMemory(lambda: self._now)
        self._kinds: dict[tuple[str, str, bool], _Kind] = {}
        self._settling: list[tuple[float, int, tuple[Bucket, ...], int]] = []
        self._number = 0

    def admit(self, line: Line, card: Card) -> bool:
        """Whether a request passes."""
        outcome = self.outcome
        outcome.requests += 1
        self._number += 1
        self._now = max(self._now, line.at)
        if line.batch:
            return True
        self._settle()
        kind = self._kind(line, card)
        if kind.plan is None:
            outcome.no_access += 1
            return self._refuse(line, f"{card.family}: no access", None)
        demand = Demand(input_tokens=line.input_tokens, max_tokens=line.max_tokens)
        amounts = demand.amounts(kind.most)
        if (small := kind.plan.too_small(amounts[TOKENS])) is not None:
            outcome.too_large += 1
            return self._refuse(line, f"{kind.plan.group} {small.name}", None)
        taken = self._store.take_now(kind.plan.buckets, amounts)
        if not taken.admitted:
            place = refused(kind.plan.buckets, amounts, taken)
            bucket = kind.plan.buckets[place]
            wait = taken.full_at[place] + amounts[bucket.unit] * bucket.per_unit - taken.now - bucket.window
            return self._refuse(line, f"{kind.plan.group} {bucket.name}", wait)
        change = line.input_tokens + line.output_tokens - amounts[TOKENS]
        if change:
            if line.seconds:
                heapq.heappush(self._settling, (line.at + line.seconds, self._number, kind.plan.buckets, change))
            else:
                self._store.settle(kind.plan.buckets, (0, change, 0))
        return True

    def _settle(self) -> None:
        now = self._now
        while self._settling and self._settling[0][0] <= now:
            self._now, _, buckets, change = heapq.heappop(self._settling)
            self._store.settle(buckets, (0, change, 0))
        self._now = now

    def _kind(self, line: Line, card: Card) -> _Kind:
        long = is_long(card, line.input_tokens)
        key = (line.project, card.id, long)
        found = self._kinds.get(key)
        if found is None:
            group, limits = limits_of(card, self._tier, long=long)
            made = None if limits is None else plan("org", line.project, group, limits)
            found = self._kinds[key] = _Kind(made, card.max_output_tokens or 0)
        return found

    def _refuse(self, line: Line, limit: str, wait: float | None) -> bool:
        outcome = self.outcome
        outcome.refused += 1
        outcome.by_limit[limit] = outcome.by_limit.get(limit, 0) + 1
        outcome.first_at = line.at if outcome.first_at is None else outcome.first_at
        outcome.last_at = line.at
        if len(outcome.first) < MOST_EXAMPLES:
            outcome.first.append(Refusal(self._number, line.at, line.model, limit, wait))
        return False


def sufficient(outcomes: Iterable[Outcome]) -> Tier | None:
    """The lowest tier that refused nothing."""
    fitting = [outcome.tier for outcome in outcomes if not outcome.refused]
    return min(fitting, key=TIERS.index, default=None)


def find(cards: Cards, model: str) -> tuple[Card, Snapshot]:
    """
    Raises:
        ValueError: there is no such model.
    """
    known = cards.resolve(model)
    if known is None:
        raise ValueError(f"there is no model {model!r}")
    return known
