"""Who runs now: slots and the shared KV cache, handed out before a request reaches llama.cpp.

llama.cpp fails *every* running request when its shared cache is full, so the sum of what is lent here stays below that.
A request that may write up to the end of a large window would, reserved whole, run alone. So a lease starts with the
prompt and at most ``GROWTH`` tokens and grows while the completion does. Where it cannot grow, a younger request that
can be continued later gives up its place and waits again, with its old place in the order: the oldest always gets on.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from inhouse.engines.protocol import EngineBusy

GROWTH = 1024
"""Tokens of completion that a lease holds ahead."""


class Lease:
    """A slot and ``tokens`` of the cache. Lower ``rank`` goes first: higher priority, then earlier arrival."""

    def __init__(self, rank: tuple[int, int], tokens: int, *, resumable: bool) -> None:
        self.rank = rank
        self.tokens = tokens
        self.resumable = resumable
        self.preempted = False
        self.on_preempt: Callable[[], None] | None = None
        """Called when the place is wanted back: stop the engine's work, release, acquire again with the same rank."""

    def preempt(self) -> None:
        if not self.preempted:
            self.preempted = True
            if self.on_preempt:
                self.on_preempt()


class Admission:
    """Slots and tokens of one engine.

    Args:
        slots: requests at once.
        kv_tokens: tokens that they hold together.
        max_queue: how many may wait; one more is refused.
    """

    def __init__(self, slots: int, kv_tokens: int, max_queue: int) -> None:
        self.slots = slots
        self.kv_tokens = kv_tokens
        self.max_queue = max_queue
        self._running: set[Lease] = set()
        self._waiting: list[tuple[tuple[int, int], int, asyncio.Future[None], Lease]] = []
        self._order = itertools.count()
        self._tie = itertools.count()

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return sum(not entry[2].done() for entry in self._waiting)

    @property
    def reserved(self) -> int:
        """Tokens of the cache that are lent out."""
        return sum(lease.tokens for lease in self._running)

    def rank(self, priority: int) -> tuple[int, int]:
        """The place in the order of a request that arrives now."""
        return (-priority, next(self._order))

    async def acquire(self, rank: tuple[int, int], tokens: int, *, resumable: bool, again: bool = False) -> Lease:
        """Wait for a slot and ``tokens``. ``again``: it ran before, so the bound of the queue is not its bound.

        Strictly in order: a small request never overtakes a large one, which would starve.

        Raises:
            ValueError: more tokens than the whole cache.
            EngineBusy: the queue is full.
        """
        if tokens > self.kv_tokens:
            raise ValueError(f"{tokens} tokens do not fit the engine's KV cache of {self.kv_tokens} tokens")
        lease = Lease(rank, tokens, resumable=resumable)
        if not self._waiting and self._fits(tokens):
            self._running.add(lease)
            return lease
        if not again and self.queued >= self.max_queue:
            raise EngineBusy(f"{self.max_queue} requests already wait for this model")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._tie), future, lease))
        self._admit()
        self._admit()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(lease)
            else:
                self._admit()
            raise
        return lease

    def grow(self, lease: Lease, tokens: int) -> bool:
        """Lend ``tokens`` more, taking them from younger resumable requests where need be. False: it cannot be."""
        missing = self.reserved + tokens - self.kv_tokens
        if missing > 0:
            victims: list[Lease] = []
            for other in sorted(self._running - {lease}, key=lambda other: other.rank, reverse=True):
                # One that cannot be continued takes from anyone who can.
                if missing > 0 and other.resumable and (other.rank > lease.rank or not lease.resumable):
                    victims.append(other)
                    missing -= other.tokens
            if missing > 0:
                return False
            for victim in victims:
                victim.preempt()
        # Lent at once although a victim's cells come free some milliseconds later: leases are grown that much ahead.
        lease.tokens += tokens
        return True

    def release(self, lease: Lease) -> None:
        self._running.discard(lease)
        self._admit()

    def _fits(self, tokens: int) -> bool:
        return len(self._running) < self.slots and self.reserved + tokens <= self.kv_tokens

    def _admit(self) -> None:
        while self._waiting:
            _, _, future, lease = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
            elif self._fits(lease.tokens):
                heapq.heappop(self._waiting)
                self._running.add(lease)
                future.set_result(None)
            else:
                return
