"""Buckets in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from inhouse.limits.buckets import MOST_DEBT, TOLERANCE, Amounts, Bucket, Taken

FIRST_SWEEP = 1024


class InMemory:
    """See ``BucketStore``. Full buckets are forgotten, so memory is bounded by what was used in the last window.

    Args:
        clock: seconds, never going back.
        parts: each bucket holds only this part of its limit: the share of one of several processes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, parts: int = 1) -> None:
        self._clock = clock
        self._parts = parts
        self._full_at: dict[str, float] = {}
        self._sweep_at = FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._full_at)

    async def take(self, buckets: Sequence[Bucket], amounts: Amounts) -> Taken:
        return self.take_now(buckets, amounts)

    def take_now(self, buckets: Sequence[Bucket], amounts: Amounts) -> Taken:
        now = self._clock()
        levels = self._full_at
        parts = self._parts
        before: list[float] = []
        after: list[float] = []
        admitted = True
        for bucket in buckets:
            full_at = levels.get(bucket.key, now)
            if full_at < now:
                full_at = now
            taken = full_at + amounts[bucket.unit] * bucket.per_unit * parts
            if taken > now + bucket.window + TOLERANCE:
                admitted = False
            before.append(full_at)
            after.append(taken)
        if not admitted:
            return Taken(False, now, before, parts)
        for bucket, taken in zip(buckets, after, strict=True):
            levels[bucket.key] = taken
        if len(levels) > self._sweep_at:
            self._sweep(now)
        return Taken(True, now, after, parts)

    def settle(self, buckets: Sequence[Bucket], change: Amounts) -> None:
        now = self._clock()
        levels = self._full_at
        for bucket in buckets:
            amount = change[bucket.unit]
            if not amount:
                continue
            full_at = levels.get(bucket.key, now)
            if full_at < now:
                full_at = now
            full_at += amount * bucket.per_unit * self._parts
            latest = now + MOST_DEBT * bucket.window
            if full_at > latest:
                full_at = latest
            if full_at > now:
                levels[bucket.key] = full_at
            else:
                levels.pop(bucket.key, None)

    def mirror(self, buckets: Sequence[Bucket], taken: Taken) -> None:
        """Remember how full buckets are elsewhere: the time until they are full is the same whatever the share."""
        here = self._clock() - taken.now
        for bucket, full_at in zip(buckets, taken.full_at, strict=True):
            self._full_at[bucket.key] = full_at + here
        if len(self._full_at) > self._sweep_at:
            self._sweep(self._clock())

    async def close(self) -> None:
        self._full_at.clear()

    def _sweep(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        # At least as many again may come before the next sweep, so that it costs each of them a constant.
        self._sweep_at = max(FIRST_SWEEP, 2 * len(self._full_at))
