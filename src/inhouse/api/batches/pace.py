"""How many requests of batches are asked of one deployment at once, by all batches of this process together.

An engine of our own has slots: they are kept full, with one more waiting, so that none is idle between two. What an
upstream takes is only known from its answers: the number grows while it answers, first as fast as in TCP's slow start,
and is halved when it says that it is too much (additive increase, multiplicative decrease: Chiu and Jain 1989).
"""

from __future__ import annotations

import asyncio
from collections import deque

FIRST = 8
"""Requests at once of an upstream that has not answered yet."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Pace:
    """Hands out turns, in the order they are asked for.

    Args:
        limit: turns at once.
        most: that it grows to; ``limit`` itself for what does not adapt.
    """

    def __init__(self, limit: int, most: int) -> None:
        self.limit = float(limit)
        self.in_flight = 0
        self._most = most
        self._adapts = most > limit
        self._starting = True
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pauses = 0
        self._until = 0.0
        self._cut_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> float:
        """Wait for a turn.

        Returns:
            When it began, for ``leave``.
        """
        loop = asyncio.get_running_loop()
        if self._waiting or not self._free(loop.time()):
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            self._admit()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.in_flight -= 1
                    self._admit()
                raise
        else:
            self.in_flight += 1
        return loop.time()

    def leave(self, began: float, *, busy: bool | None) -> None:
        """Give a turn back.

        Args:
            busy: whether the deployment said that it has too much to do; None if it said nothing.
        """
        now = asyncio.get_running_loop().time()
        full = self.in_flight >= int(self.limit)
        self.in_flight -= 1
        if busy:
            # All that were asked before it said so say the same; that is one reason to slow down, not many.
            if began >= self._cut_at:
                self._cut_at = now
                self._starting = False
                if self._adapts:
                    self.limit = max(1.0, self.limit / 2)
                pause = min(FIRST_PAUSE_S * 2.0**self._pauses, LONGEST_PAUSE_S)
                self._pauses = min(self._pauses + 1, 10)
                self._until = now + pause
        elif busy is False:
            self._pauses = 0
            if self._adapts and full:
                self.limit = min(float(self._most), self.limit + (1.0 if self._starting else 1.0 / self.limit))
        self._admit()

    def _free(self, now: float) -> bool:
        return self.in_flight < int(self.limit) and now >= self._until

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._free(loop.time()):
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
        if self._waiting and self._timer is None and loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._admit()
