"""Buckets that refill continuously, and the arithmetic that every keeper of them shares.

Of a bucket only one number is kept: the time at which it is full again. With ``per_unit = window / limit`` seconds to
win one unit back,

    used      = (full_at - now) / per_unit                      nothing once full_at has passed
    admitted  when full_at + amount * per_unit <= now + window  that is, used + amount <= limit
    reset     = full_at - now                                   (limit - remaining) / limit * window

The last line is the published arithmetic: 499 of 500 requests a minute left reset in 120 ms. In any time ``t`` at most
``limit + limit * t / window`` units are admitted. A bucket whose time has passed is full and needs no memory, and a
limit that changes keeps the share that is used. ``lua/take.lua`` and ``lua/settle.lua`` do the same operations on the
same doubles in the same order, so that both keepers agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

MINUTE, DAY = 60.0, 86_400.0
TOLERANCE = 1e-6
"""Seconds by which a bucket may be overdrawn, so that rounding never refuses the last unit of a limit."""
MOST_DEBT = 2.0
"""Windows that a bucket is ahead at most, however much more than reserved was used and whoever sets the clock back."""

REQUESTS: Final = 0
TOKENS: Final = 1
IMAGES: Final = 2
Unit = Literal[0, 1, 2]
Amounts = tuple[int, int, int]
"""Of each unit: requests, tokens and images."""


class Dimension(msgspec.Struct, frozen=True):
    """One way of counting. ``field`` is its name on cards and in project limits, ``name`` the one in messages."""

    field: str
    name: str
    unit: Unit
    window: float
    """Seconds."""


DIMENSIONS = (
    Dimension("rpm", "requests per min (RPM)", REQUESTS, MINUTE),
    Dimension("rpd", "requests per day (RPD)", REQUESTS, DAY),
    Dimension("tpm", "tokens per min (TPM)", TOKENS, MINUTE),
    Dimension("tpd", "tokens per day (TPD)", TOKENS, DAY),
    Dimension("ipm", "images per min (IPM)", IMAGES, MINUTE),
)


class Bucket(msgspec.Struct, frozen=True):
    """What one organization or project may use of one dimension of one family of models."""

    key: str
    limit: int
    window: float
    unit: Unit
    per_unit: float
    """Seconds in which one unit refills."""
    name: str
    project: bool = False
    """The project's own limit, not its organization's."""


def bucket(key: str, limit: int, dimension: Dimension, *, project: bool = False) -> Bucket:
    """The bucket of ``limit`` units for a dimension."""
    return Bucket(
        key, limit, dimension.window, dimension.unit, dimension.window / limit, dimension.name, project=project
    )


class Taken(msgspec.Struct, frozen=True):
    """How an admission went. ``full_at`` has the buckets' times: after taking if admitted, untouched if not."""

    admitted: bool
    now: float
    """On the keeper's clock, in seconds."""
    full_at: list[float]
    parts: int = 1
    """The buckets were ``1 / parts`` of their limits: a local share."""


class StoreDown(Exception):
    """The shared store did not answer. Nothing is known of the buckets."""


class BucketStore(Protocol):
    """Keeps buckets. An admission takes from all of its buckets or from none."""

    async def take(self, buckets: Sequence[Bucket], amounts: Amounts) -> Taken:
        """Take ``amounts`` from every bucket by its unit.

        Raises:
            StoreDown
        """

    def settle(self, buckets: Sequence[Bucket], change: Amounts) -> None:
        """Take ``change`` more, or give back what is negative, whatever the limits say. Never fails or waits."""

    async def close(self) -> None: ...


def remaining(bucket: Bucket, full_at: float, now: float) -> int:
    """Whole units that are left."""
    left = (now + bucket.window - full_at) / bucket.per_unit
    # A hundredth: what the doubles of the largest limits may be off.
    return min(bucket.limit, max(0, int(left + 0.01)))


def refused(buckets: Sequence[Bucket], amounts: Amounts, taken: Taken) -> int:
    """Of the buckets that refused an admission, the place of the one that does so longest."""

    def lacking(index: int) -> float:
        bucket = buckets[index]
        cost = amounts[bucket.unit] * bucket.per_unit * taken.parts
        return taken.full_at[index] + cost - taken.now - bucket.window

    return max(range(len(buckets)), key=lacking)
