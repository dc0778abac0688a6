"""Which of llama.cpp's slots a request gets, so that nobody finds what another tenant's prompt left there.

llama.cpp keeps what was computed in a slot, and gives a request the slot, or a state kept in memory, that begins most
like it. Between tenants that would tell, by ``cached_tokens`` and by the time an answer takes, whether somebody else
has sent a text. So from the second tenant on slots are chosen here: a tenant reuses its own, and takes another's only
to begin anew. As long as there is one tenant, llama.cpp chooses, which also finds states that left the slots.
"""

from __future__ import annotations

import time
from typing import Any

from inhouse.engines.supervisor import Endpoint

ALIKE = 0.1
"""Part of a prompt that a slot must hold already to be taken for that."""
SETTLES_S = 1.0
"""How long the engine may take to notice that a request was broken off; other slots are taken before."""


class Place:
    """A request's slot, until it is given back.

    Args:
        slot: its number; None if llama.cpp chooses.
        reuse: whether what it holds may be used.
    """

    def __init__(self, slot: int | None, *, reuse: bool) -> None:
        self.slot = slot
        self.reuse = reuse

    @property
    def body(self) -> dict[str, Any]:
        """Its part of ``POST /completion``."""
        chosen = {} if self.slot is None else {"id_slot": self.slot}
        return {**chosen, "cache_prompt": self.reuse}


class _Slot:
    def __init__(self, tenant: str | None) -> None:
        self.tenant = tenant
        self.tokens: list[int] = []
        self.busy = False
        self.turn = 0
        self.broken_off = -SETTLES_S


class Slots:
    """Of one engine.

    Args:
        count: slots that it has. No more requests may have a place at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._endpoint: Endpoint | None = None
        self._only: str | None = None
        self._slots: list[_Slot] = []
        self._open: set[Place] = set()
        self._turn = 0

    def take(self, endpoint: Endpoint, tenant: str, prompt: list[int]) -> Place:
        """A place for a prompt. ``give`` it back."""
        if endpoint != self._endpoint:  # another process, which holds nothing yet
            self._endpoint, self._only, self._slots, self._open = endpoint, tenant, [], set()
        if not self._slots and tenant != self._only:
            self._slots = [_Slot(self._only) for _ in range(self._count)]
            for place in self._open:
                if place.slot is not None:
                    self._slots[place.slot].busy = True
        place = Place(None, reuse=True) if not self._slots else self._choose(tenant, prompt)
        self._open.add(place)
        return place

    def learn(self, place: Place, slot: int) -> None:
        """Which slot llama.cpp has chosen."""
        if place.slot is None and place in self._open and 0 <= slot < self._count:
            place.slot = slot
            if self._slots:
                self._slots[slot].busy = True

    def give(self, place: Place, *, ended: bool) -> None:
        """The request is over. ``ended``: the engine knows."""
        if place not in self._open:  # of a process that is gone
            return
        self._open.discard(place)
        if self._slots and place.slot is not None:
            slot = self._slots[place.slot]
            slot.busy = False
            if not ended:
                slot.broken_off = time.monotonic()

    def _choose(self, tenant: str, prompt: list[int]) -> Place:
        free = [slot for slot in self._slots if not slot.busy]
        if not free:
            return Place(None, reuse=False)
        mine = [(_common(slot.tokens, prompt), slot) for slot in free if slot.tenant == tenant]
        alike, best = max(mine, key=lambda each: each[0], default=(0, None))
        if best is None or alike < ALIKE * len(prompt):
            settled = time.monotonic() - SETTLES_S
            best = min(free, key=lambda slot: (slot.broken_off > settled, slot.turn))
        reuse = best.tenant == tenant
        self._turn += 1
        best.tenant, best.tokens, best.busy, best.turn = tenant, prompt, True, self._turn
        return Place(self._slots.index(best), reuse=reuse)


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens two prompts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
