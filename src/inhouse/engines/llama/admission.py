"""Who runs now: slots and the shared KV cache, handed out before a request reaches llama.cpp.

llama.cpp fails *every* running request when its shared cache is full, so the sum of what is lent here stays below that.
A request that may write up to the end of a large window would, reserved whole, run alone. So a lease starts with the
prompt and at most ``GROWTH`` tokens and grows while the completion does. Where it cannot grow, a younger request that
can be continued later gives up its place and waits again, with its old place in the order: the oldest always gets on.

A request of negative priority, a line of a batch, runs only in places that nobody else wants: where others wait, it
gives up its place if it can be continued. Beside others few lines run, because each that is decoded slows down
everybody's next token; they come back when nobody else was there for a while.

The order is fair between tenants (start-time fair queueing): a request gets the turn that is being served, or the one
after the last that its tenant waits for. So a tenant's first request stands before the second of another, however many
that one has sent; and where the queue is full, it is the last in this order that is refused, not the last to come.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from inhouse.engines.protocol import EngineBusy

GROWTH = 1024
"""Tokens of completion that a lease holds ahead."""

BESIDE = 8
"""Of so many slots, one is for lines of batches while others run; at least one is."""
QUIET_SECONDS = 1.0
"""How long nobody else must have been there before lines take all slots again. Who talks comes back soon, and each
line that gives up its place has to be read again."""


class Rank(NamedTuple):
    """A place in the order; the lower goes first."""

    urgency: int
    """The negative priority."""
    turn: int
    arrival: int
    tenant: str


class Lease:
    """A slot and ``tokens`` of the cache."""

    def __init__(self, rank: Rank, tokens: int, *, resumable: bool, again: bool) -> None:
        self.rank = rank
        self.tokens = tokens
        self.resumable = resumable
        self.again = again
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
        timeout: seconds that one may wait; then it is refused. None waits for ever.
    """

    def __init__(self, slots: int, kv_tokens: int, max_queue: int, timeout: float | None = None) -> None:
        self.slots = slots
        self.kv_tokens = kv_tokens
        self.max_queue = max_queue
        self.timeout = timeout
        self._running: set[Lease] = set()
        self._waiting: list[tuple[Rank, int, asyncio.Future[None], Lease]] = []
        self._order = itertools.count()
        self._tie = itertools.count()
        self._serving: dict[int, int] = {}
        """By urgency, the latest turn that got a slot."""
        self._beside = max(1, slots // BESIDE)
        self._quiet: asyncio.TimerHandle | None = None
        """Runs while nobody but lines of batches is there, and others were until a moment ago."""

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

    def rank(self, priority: int, tenant: str = "") -> Rank:
        """The place in the order of a request that arrives now, to be used at once."""
        mine = [rank.turn for rank in self._ranks() if rank.tenant == tenant and rank.urgency == -priority]
        turn = max(self._serving.get(-priority, 0), max(mine, default=-1) + 1)
        return Rank(-priority, turn, next(self._order), tenant)

    async def acquire(self, rank: Rank, tokens: int, *, resumable: bool, again: bool = False) -> Lease:
        """Wait for a slot and ``tokens``. ``again``: it ran before, so the bounds of the queue are not its bounds.

        Strictly in order: a small request never overtakes a large one, which would starve.

        Raises:
            ValueError: more tokens than the whole cache.
            EngineBusy: the queue is full and this would be its last, a more urgent request took its place, or the wait
                was too long.
        """
        if tokens > self.kv_tokens:
            raise ValueError(f"{tokens} tokens do not fit the engine's KV cache of {self.kv_tokens} tokens")
        lease = Lease(rank, tokens, resumable=resumable, again=again)
        if not self._waiting and self._fits(lease):
            self._start(lease)
            self._displace()
            return lease
        if not again and self.queued >= self.max_queue:
            self._make_room(rank)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._tie), future, lease))
        self._admit()
        self._displace()
        try:
            async with asyncio.timeout(None if again else self.timeout):
                await future
        except TimeoutError:
            if lease in self._running:  # just so
                return lease
            self._admit()
            raise EngineBusy(f"no slot came free in {self.timeout:g} seconds") from None
        except asyncio.CancelledError:
            if lease in self._running:
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
        if not _is_line(lease.rank) and not any(not _is_line(other.rank) for other in self._running):
            self._stop_timer()
            self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._forget_others)
        self._admit()

    def _forget_others(self) -> None:
        self._quiet = None
        self._admit()

    def _stop_timer(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None

    def _start(self, lease: Lease) -> None:
        if not _is_line(lease.rank):
            self._stop_timer()
        self._running.add(lease)
        urgency, turn = lease.rank.urgency, lease.rank.turn
        self._serving[urgency] = max(turn, self._serving.get(urgency, 0))

    def _ranks(self) -> Iterator[Rank]:
        return (rank for rank, _, future, _ in self._waiting if not future.done())

    def _make_room(self, rank: Rank) -> None:
        """Refuse the last that waits, or the newcomer of ``rank`` if it would be the last itself."""
        busy = EngineBusy(f"{self.max_queue} requests already wait for this model")
        last = max((entry for entry in self._waiting if not entry[2].done() and not entry[3].again), default=None)
        if last is None or last[0] < rank:
            raise busy
        future = last[2]
        future.set_exception(busy)
        future.exception()  # its request may have left at this very moment; that is not a warning

    def _displace(self) -> None:
        """Have lines of batches give up their places for what waits before them, and for what runs beside them."""
        wanted = [entry[3] for entry in self._waiting if not entry[2].done() and not _is_line(entry[0])]
        lines = sorted(
            (each for each in self._running if _is_line(each.rank)), key=lambda each: each.rank, reverse=True
        )
        if not lines or not (wanted or self._others_run):
            return
        slots = max(len(self._running) + len(wanted) - self.slots, len(lines) - self._beside)
        tokens = self.reserved + sum(lease.tokens for lease in wanted) - self.kv_tokens
        for lease in lines:
            if slots <= 0 and tokens <= 0:
                return
            if lease.resumable:
                lease.preempt()
                slots -= 1
                tokens -= lease.tokens

    @property
    def _others_run(self) -> bool:
        """Whether anything but lines of batches runs, or did a moment ago."""
        return self._quiet is not None or not all(_is_line(lease.rank) for lease in self._running)

    def _fits(self, lease: Lease) -> bool:
        if _is_line(lease.rank) and self._others_run:
            lines = sum(_is_line(other.rank) for other in self._running)
            if lines >= self._beside:
                return False
        return len(self._running) < self.slots and self.reserved + lease.tokens <= self.kv_tokens

    def _admit(self) -> None:
        while self._waiting:
            _, _, future, lease = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
            elif self._fits(lease):
                heapq.heappop(self._waiting)
                self._start(lease)
                future.set_result(None)
            else:
                return


def _is_line(rank: Rank) -> bool:
    return rank.urgency > 0
