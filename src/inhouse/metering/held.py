"""A ledger that keeps what calls came to until somebody writes it in a transaction of their own.

A line of a batch is billed in the transaction that keeps its answer, so both are there or neither: a line that must be
done again, because the process died or the engine failed, is not billed twice, and none that is kept is not billed.

    async with calls.open(...)             # of ``Calls`` with this ledger
        ...
    held = ledger.take(request_id)
    await database.write(lambda connection: (keep(connection, answer), ledger.book_in(connection, [held])))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection

from inhouse.metering import booking
from inhouse.metering.accounts import Alarm
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import CLIENT_CLOSED_REQUEST, Ledger
from inhouse.metering.usage import Usage


class Held(msgspec.Struct):
    """One call, from its opening on."""

    opening: Opening
    usage: Usage
    reserved: bool = False
    """Whether its row is in the database already, because something is reserved for it."""
    settlement: Settlement | None = None


class HeldLedger:
    """Takes calls as ``Ledger`` does. Only what is reserved on a budget is written at once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[str, Held] = {}

    @property
    def instance(self) -> str:
        return self._ledger.instance

    @property
    def direct(self) -> Ledger:
        """For steps that cost nothing: they are entered when they are done, whatever becomes of the line."""
        return self._ledger

    def open(self, opening: Opening, usage: Usage | None = None) -> asyncio.Future[None]:
        """Note a call. Nothing of its answer is given away before ``book_in``."""
        self.open_lazily(opening, usage)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def open_lazily(self, opening: Opening, usage: Usage | None = None) -> None:
        self._held[opening.id] = Held(opening, usage or Usage())

    async def admit(self, opening: Opening, usage: Usage | None = None) -> None:
        """As ``Ledger.admit``. If the process dies, the reservation ends and nothing is billed: it is told no usage."""
        await self._ledger.admit(opening)
        self._held[opening.id] = Held(opening, usage or Usage(), reserved=True)

    async def settle(self, settlement: Settlement) -> None:
        if (held := self._held.get(settlement.id)) is not None:
            held.settlement = settlement

    def take(self, id: str) -> Held | None:
        """A call that has ended; None for one that was never admitted."""
        held = self._held.pop(id, None)
        return None if held is None or held.settlement is None else held

    async def drop(self, held: Held) -> None:
        """Bill nothing for a call: its answer is not kept."""
        if held.reserved:
            id, now = held.opening.id, time.time_ns() // 1000
            await self._ledger.settle(
                Settlement(
                    id=id,
                    settled_at=now,
                    status=CLIENT_CLOSED_REQUEST,
                    error_code="not_kept",
                    input_tokens=0,
                    cached_input_tokens=0,
                    output_tokens=0,
                    cost_nanos=0,
                )
            )

    def book_in(self, connection: Connection, calls: Iterable[Held]) -> list[Alarm]:
        """Enter calls, in the caller's transaction. ``booked`` follows when that is committed."""
        given = list(calls)
        opened = {each.opening.id: each.opening for each in given if not each.reserved}
        settled = [each.settlement for each in given if each.settlement is not None]
        return booking.store(connection, opened, settled, self.instance, {})[1]

    def booked(self, calls: Iterable[Held], alarms: list[Alarm]) -> None:
        """Calls are in the database: their usage is not recorded any more, and people are told of alarms."""
        for each in calls:
            self._ledger.forget(each.opening.id)
        self._ledger.tell(alarms)
