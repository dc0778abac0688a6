"""Which buckets a request draws from: the tier's limits on the model's card, and what its project lowered."""

from __future__ import annotations

import msgspec

from inhouse.catalog.cards import Card, Tier, TierLimits
from inhouse.limits.buckets import DIMENSIONS, TOKENS, Bucket, bucket

PREFIX = "inhouse:limits:"
UNLIMITED = 2**62

ProjectLimits = dict[str, int]
"""A project's own limits for one family, by ``Dimension.field`` or ``batch``."""


class Plan(msgspec.Struct, frozen=True):
    """The buckets of one kind of request."""

    organization_id: str
    project_id: str
    group: str
    """The name these limits are counted under: the card's family, or its long-context family."""
    buckets: tuple[Bucket, ...]
    shown: tuple[tuple[str, int], ...]
    """Names that headers use, and the places of their buckets."""
    least_tokens: int
    """More tokens than this never pass."""

    def too_small(self, tokens: int) -> Bucket | None:
        """A bucket that could not hold ``tokens`` if it were full."""
        if tokens <= self.least_tokens:
            return None
        return next(bucket for bucket in self.buckets if bucket.unit == TOKENS and tokens > bucket.limit)


def limits_of(card: Card, tier: Tier, *, long: bool) -> tuple[str, TierLimits | None]:
    """The name under which a request is counted, and its limits; None where the tier has no access to the model."""
    table = card.limits.long_context
    if long and table is not None and (limits := table.of(tier)) is not None:
        return card.long_context_family, limits
    return card.family, card.limits.standard.of(tier)


def is_long(card: Card, input_tokens: int) -> bool:
    """Whether a prompt counts as long context."""
    table = card.limits.long_context
    return table is not None and input_tokens > table.above_tokens


def plan(
    organization_id: str, project_id: str, group: str, limits: TierLimits, lowered: ProjectLimits | None = None
) -> Plan:
    """The buckets of an organization, and those of a project where it has lower limits of its own."""
    # The braces make a cluster keep all buckets of an organization in one place, as the script needs it.
    organization = f"{PREFIX}{{{organization_id}}}:"
    buckets: list[Bucket] = []
    shown: dict[str, int] = {}
    for dimension in DIMENSIONS:
        most: int | None = getattr(limits, dimension.field)
        if most is not None:
            if dimension.field in ("rpm", "rpd", "tpm"):
                shown["tokens" if dimension.unit == TOKENS else "requests"] = len(buckets)
            buckets.append(bucket(f"{organization}{group}:{dimension.field}", most, dimension))
        own = (lowered or {}).get(dimension.field)
        if own is not None and (most is None or own < most):
            if dimension.field == "tpm":
                shown["project-tokens"] = len(buckets)
            key = f"{organization}{project_id}:{group}:{dimension.field}"
            buckets.append(bucket(key, own, dimension, project=True))
    tokens = [bucket.limit for bucket in buckets if bucket.unit == TOKENS]
    return Plan(
        organization_id, project_id, group, tuple(buckets), tuple(shown.items()), min(tokens, default=UNLIMITED)
    )
