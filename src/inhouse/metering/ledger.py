"""The ledger: one row a call, opened when it is admitted, settled exactly once.

Rows are written in groups, so that all calls of the moment share the cost of a commit. With a journal (``journal``) a
call is on the books when the journal has it, and the database a moment later; without one, when it is committed. It is
on the books before the first byte of its answer leaves, and settled before the last. What usage and cost come to by
minute, hour and day (``rollups``) is written in the same transaction.

A row carries the instance (``instances``) that serves it. While a call is open, every beat records what it has used so
far. If its process dies, another one, or the same one started again, reads what its journal holds, and settles what is
then still open as interrupted: billed what was last recorded, which is never too much, and up to one beat too little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from inhouse.metering import booking, instances
from inhouse.metering.accounts import Alarm
from inhouse.metering.budgets import insufficient_quota
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.refusals import told
from inhouse.metering.rollups import Series
from inhouse.metering.usage import Usage
from inhouse.storage.database import Database, is_of_rows
from inhouse.storage.flushing import Flusher
from inhouse.storage.journal import Journal, abandoned, instances_in

CLIENT_CLOSED_REQUEST = 499
OPEN_DELAY_S = 0.005
"""How long the opening of a call that gives nothing away before its end may wait for its settlement. Most such calls
through an upstream end sooner, and then both are written at once."""
GROUP_S = 0.05
"""How long the database waits for what the journal has: the longer, the more calls share a transaction."""

LOOK_EVERY_S = 0.5

Entry = Opening | Settlement
Store = Callable[[Mapping[str, Opening], Sequence[Settlement]], Awaitable[None]]

log = structlog.get_logger(__name__)
_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)


class _OpenCall(msgspec.Struct):
    usage: Usage
    recorded: tuple[int, ...] = (0, 0, 0, 0, 0)


class Ledger:
    """Writes calls to the database in groups. ``start`` comes before the first call, ``close`` after the last.

    Errors of the database reach every call of the group, and while it fails every call: one whose row cannot be
    written is not served. A settlement that could not be written is tried again with every beat, unless it is itself
    what the database refuses (``refusals``).

    Args:
        journal: folder of the journals of the processes that share the database; None to do without. A database that
            other machines share should: what is only in a journal is lost with its machine.
        beat_s: seconds between two beats.
    """

    def __init__(self, database: Database, journal: Path | None = None, *, beat_s: float = instances.BEAT_S) -> None:
        self.instance = instances.new_instance_id()
        self._database = database
        self._folder = journal
        self._journal: Journal | None = None
        self._beat_s = beat_s
        self._opened: dict[str, Opening] = {}
        """That the database does not have yet."""
        self._unwritten: dict[str, Opening] = {}
        """Of these, those that the journal does not have either."""
        self._on_the_way: dict[str, Opening] = {}
        """Those that the journal does not have, and that the database is being told of."""
        self._later: asyncio.TimerHandle | None = None
        self._settled: list[Settlement] = []
        self._open: dict[str, _OpenCall] = {}
        self._series: dict[Series, int] = {}
        self._flusher = Flusher(self._write)
        self._failing = False
        self._beating: asyncio.Task[None] | None = None
        self._withdrawals: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Take part: tell the others that this process is alive, and settle what dead ones left open.

        Returns:
            How many calls that were.
        """
        process = instances.this_process()
        await self._database.write(lambda connection: instances.register(connection, self.instance, process))
        interrupted = await self.recover()
        if self._folder is not None:
            self._journal = Journal(self._folder, self.instance)
        self._beating = asyncio.create_task(self._beat())
        return interrupted

    async def others(self) -> int:
        """How many other server processes work on this database.

        One that was killed elsewhere leaves a row that looks alive for a while, so where there is one, this waits for
        its next beat: ``2 * beat_s`` at most.
        """
        known = await self._database.read(lambda connection: instances.beats(connection, self.instance))
        until = time.monotonic() + 2 * self._beat_s
        while known and time.monotonic() < until:
            await asyncio.sleep(min(LOOK_EVERY_S, self._beat_s))
            found = await self._database.read(lambda connection: instances.beats(connection, self.instance))
            if alive := sum(id not in known or at > known[id] for id, at in found.items()):
                return alive
        return 0

    @property
    def direct(self) -> Ledger:
        """Itself: nothing is held back."""
        return self

    def open(self, opening: Opening, usage: Usage | None = None) -> asyncio.Future[None]:
        """Book a call whose answer may begin before its end.

        The future resolves when it is on the books; shield it when you await it.

        Args:
            usage: kept up to date by the call; what is recorded of it if this process should die.
        """
        self._book(opening, usage)
        if not self._enter(opening):
            return self._flusher.flush()
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def open_lazily(self, opening: Opening, usage: Usage | None = None) -> None:
        """Book a call that gives nothing away before it is settled: on the books within ``OPEN_DELAY_S``."""
        self._book(opening, usage)
        self._unwritten[opening.id] = opening
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(OPEN_DELAY_S, self._enter_unwritten)

    def _book(self, opening: Opening, usage: Usage | None) -> None:
        self._opened[opening.id] = opening
        self._open[opening.id] = _OpenCall(usage or Usage())

    async def admit(self, opening: Opening, usage: Usage | None = None) -> None:
        """Book a call and reserve ``reserved_nanos`` for it, both or neither. Its row is durable when this returns.

        Raises:
            RateLimited: ``insufficient_quota``.
        """
        now = time.time_ns() // 1000
        booked = self._database.submit(partial(booking.admit, opening=opening, instance=self.instance, now=now))
        try:
            admitted = await asyncio.shield(booked)
        except asyncio.CancelledError:
            # The client left while its call was being booked: if it was, it is settled with nothing used.
            withdrawal = asyncio.create_task(self._withdraw(opening, booked))
            self._withdrawals.add(withdrawal)
            withdrawal.add_done_callback(self._withdrawals.discard)
            raise
        if not admitted:
            raise insufficient_quota()
        self._open[opening.id] = _OpenCall(usage or Usage())

    async def _withdraw(self, opening: Opening, booked: asyncio.Future[bool]) -> None:
        if await booked:
            now = time.time_ns() // 1000
            await self.settle(
                Settlement(
                    id=opening.id,
                    settled_at=now,
                    status=CLIENT_CLOSED_REQUEST,
                    error_code="client_disconnected",
                    input_tokens=0,
                    cached_input_tokens=0,
                    output_tokens=0,
                    cost_nanos=0,
                )
            )

    async def settle(self, settlement: Settlement) -> None:
        """Close a call. Returns when that is on the books; a second settlement of one id changes nothing."""
        self._open.pop(settlement.id, None)
        self._settled.append(settlement)
        # Without its opening, a settlement in the journal would be nothing: the transaction may never end.
        opening = self._unwritten.pop(settlement.id, None) or self._on_the_way.get(settlement.id)
        entered = self._enter(settlement) if opening is None else self._enter(opening, settlement)
        if not entered:
            await asyncio.shield(self._flusher.flush())

    def forget(self, id: str) -> None:
        """A call was settled by somebody else, see ``metering.held``."""
        self._open.pop(id, None)

    @staticmethod
    def tell(alarms: list[Alarm]) -> None:
        """Tell people of alarms that a committed booking gave."""
        _tell(alarms)

    async def written(self) -> None:
        """Returns when the database has everything that was on the books when this was called."""
        if self._opened or self._settled or self._flusher.running:
            await asyncio.shield(self._flusher.flush())

    async def recover(self) -> int:
        """Settle the calls of dead processes: as their journals say, the others as interrupted.

        Returns:
            How many were interrupted.
        """
        spared: set[str] = set()
        if self._folder is not None:
            await self._replay(self._folder)
            spared = instances_in(self._folder)
        now = time.time_ns() // 1000
        count, alarms = await self._database.write(partial(booking.recover, now=now, spared=spared))
        _tell(alarms)
        return count

    async def _replay(self, folder: Path) -> None:
        for left in abandoned(folder, _decoder):
            entries = list(left.entries())
            opened = {entry.id: entry for entry in entries if isinstance(entry, Opening)}
            settled = [entry for entry in entries if isinstance(entry, Settlement)]

            async def store(
                opened: Mapping[str, Opening], settled: Sequence[Settlement], instance: str = left.instance
            ) -> None:
                work = partial(booking.replay, opened=opened.values(), settled=settled, instance=instance)
                _tell(await self._database.write(work))

            try:
                await store(opened, settled)
            except Exception as error:
                if not is_of_rows(error):
                    raise
                await self._one_by_one(opened, settled, store)
            left.discard()

    async def close(self) -> None:
        """Finish writing and leave. Calls that are still open then count as interrupted."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*self._withdrawals, return_exceptions=True)
        await asyncio.gather(self.written(), return_exceptions=True)
        if self._beating is not None and not self._settled and not self._opened:
            await self._database.write(lambda connection: instances.remove(connection, [self.instance]))
            if self._journal is not None:
                self._journal.close()

    async def beat(self) -> None:
        """Say that this process is alive, record what open calls have used, and settle what others left."""
        used: list[dict[str, Any]] = []
        for id, call in self._open.items():
            now = booking.used_columns(call.usage)
            if now != call.recorded and id not in self._opened:
                call.recorded = now
                used.append({"call_id": id, **{f"new_{name}": n for name, n in zip(booking.USED, now, strict=True)}})
        try:
            alive = await self._database.write(partial(booking.beat, id=self.instance, used=used))
        except Exception as error:
            if not is_of_rows(error):
                raise
            log.exception("what open calls have used could not be recorded")
            alive = await self._database.write(partial(booking.beat, id=self.instance, used=[]))
        if not alive:
            # The others took this process for dead and settled its calls; it goes on as a new one.
            self.instance = instances.new_instance_id()
            log.error("this process was taken for dead after a pause; its open calls were settled as interrupted")
            process = instances.this_process()
            await self._database.write(lambda connection: instances.register(connection, self.instance, process))
        if self._settled:
            await asyncio.shield(self._flusher.flush())
        if interrupted := await self.recover():
            log.warning("calls of a dead process were settled as interrupted", calls=interrupted)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self.beat()
            except Exception:
                log.exception("the ledger's beat failed")

    def _enter(self, *entries: Entry) -> bool:
        """Whether the journal has taken them, so that nobody need wait for the database."""
        if self._journal is None or self._failing:
            return False
        try:
            self._journal.write(entries)
        except (OSError, OverflowError, TypeError, ValueError):
            log.exception("the journal cannot take a call")
            return False
        self._flusher.flush_in(GROUP_S)
        return True

    def _enter_unwritten(self) -> None:
        self._later = None
        unwritten, self._unwritten = self._unwritten, {}
        if unwritten and not self._enter(*unwritten.values()):
            self._flusher.flush()

    async def _write(self) -> Exception | None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        unwritten, self._unwritten = self._unwritten, {}
        self._on_the_way = unwritten
        opened, self._opened = self._opened, {}
        settled, self._settled = self._settled, []
        parts = self._journal.turn() if self._journal is not None else []
        refused: Exception | None = None
        try:
            try:
                await self._store(opened, settled)
            except Exception as error:
                if not is_of_rows(error):
                    raise
                refused = await self._one_by_one(opened, settled, self._store)
        except Exception:
            self._failing = True
            # Openings of calls that were refused are gone; the others will be settled, and need a row then.
            wanted = self._open.keys() | {each.id for each in self._settled}
            if self._journal is not None:
                wanted |= opened.keys() - unwritten.keys()
            self._settled[:0] = settled
            self._opened = {id: each for id, each in opened.items() if id in wanted} | self._opened
            raise
        finally:
            self._on_the_way = {}
        self._failing = False
        for part in parts:
            part.empty()
        return refused

    async def _store(self, opened: Mapping[str, Opening], settled: Sequence[Settlement]) -> None:
        work = partial(booking.store, opened=opened, settled=settled, instance=self.instance, known=self._series)
        series, alarms = await self._database.write(work)
        self._series |= series
        _tell(alarms)

    async def _one_by_one(
        self, opened: Mapping[str, Opening], settled: Sequence[Settlement], store: Store
    ) -> Exception | None:
        """Write a group of which the database refused something, so that only that is refused.

        What was written before something else went wrong stays: a settlement that comes again changes nothing.

        Returns:
            Why an opening was refused, if one was.
        """
        refused: Exception | None = None
        final = {settlement.id: settlement for settlement in reversed(settled)}
        for id in dict.fromkeys((*opened, *final)):
            if id in opened:
                try:
                    await store({id: opened[id]}, [])
                except Exception as error:
                    if not is_of_rows(error):
                        raise
                    log.error("the database refused a call", call=told(opened[id]), exc_info=error)
                    refused = error
            if id in final:
                try:
                    await store({}, [final[id]])
                except Exception as error:
                    if not is_of_rows(error):
                        raise
                    await self._set_aside(final[id], error)
        return refused

    async def _set_aside(self, settlement: Settlement, error: Exception) -> None:
        kept = told(settlement)
        log.error("the database refused a settlement; it was set aside", settlement=kept, exc_info=error)
        now = time.time_ns() // 1000
        work = partial(booking.refuse, settlement=settlement, reason=repr(error), now=now)
        try:
            _tell(await self._database.write(work))
        except Exception:
            log.exception("a refused settlement could not be kept", settlement=kept)


def _tell(alarms: list[Alarm]) -> None:
    for alarm in alarms:
        log.warning("spend alert: the threshold of this month is reached", **msgspec.structs.asdict(alarm))
