"""The ledger: one row a call, opened when it is admitted, settled exactly once.

Rows are buffered and written in groups, so that the cost of a commit is shared by all calls of the moment. A row is
durable before the first byte of its answer leaves, and settled before the last. What usage and cost come to by minute,
hour and day (``rollups``) is written in the same transaction.

A row carries the instance (``instances``) that serves it. While a call is open, every beat records what it has used so
far. If its process dies, another one, or the same one started again, settles the row as interrupted: it is billed what
was last recorded, which is never too much, and up to one beat too little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, Row, bindparam, insert, literal_column, select, update

from inhouse.metering import accounts, instances, rollups
from inhouse.metering.accounts import Alarm, Charge
from inhouse.metering.budgets import insufficient_quota
from inhouse.metering.refusals import is_of_rows, set_aside, told
from inhouse.metering.rollups import Booking, Series
from inhouse.metering.usage import Usage
from inhouse.storage.database import Database
from inhouse.storage.schema import calls
from inhouse.storage.schema import instances as instances_table

INTERRUPTED_STATUS = 500
CLIENT_CLOSED_REQUEST = 499
LOOK_EVERY_S = 0.5
MAX_IDS = 500
"""Ids in one statement."""
IS_OPEN = calls.c.state == literal_column("'open'")
"""Written out, not bound: only so do the databases see that ``ix_calls_open`` answers it."""

log = structlog.get_logger(__name__)


class Opening(msgspec.Struct, kw_only=True, frozen=True):
    """What is known when a call is admitted. Times are Unix microseconds, prices nano-dollars a token."""

    id: str
    created_at: int
    organization_id: str
    project_id: str
    key_id: str
    operation: str
    model: str
    snapshot: str
    deployment: str
    service_tier: str
    user_id: str = ""
    family: str = "completions"
    batch: bool = False
    detail: str = ""
    """See ``rollups.Series``."""
    input_price: int = 0
    cached_input_price: int = 0
    output_price: int = 0
    reserved_nanos: int = 0
    """Held on the caller's accounts while the call is open, see ``accounts``."""


class Settlement(msgspec.Struct, kw_only=True, frozen=True):
    """What a call came to. Money in nano-dollars, durations in milliseconds."""

    id: str
    settled_at: int
    status: int
    error_code: str | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_nanos: int
    units: int = 0
    fee_nanos: int = 0
    first_token_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None


class _OpenCall(msgspec.Struct):
    usage: Usage
    recorded: tuple[int, ...] = (0, 0, 0, 0, 0)


_USED = ("input_tokens", "cached_input_tokens", "output_tokens", "units", "fee_nanos")
COST = (
    (calls.c.input_tokens - calls.c.cached_input_tokens) * calls.c.input_price
    + calls.c.cached_input_tokens * calls.c.cached_input_price
    + calls.c.output_tokens * calls.c.output_price
    + calls.c.fee_nanos
)
"""What a row comes to by its own prices."""

OPEN_DELAY_S = 0.005
"""How long the opening of a call that gives nothing away before its end may wait for its settlement. Most such calls
through an upstream end sooner, and then one row is written once."""

_OPEN = insert(calls)
_SETTLE = (
    update(calls)
    .where(calls.c.id == bindparam("call_id"))
    .values({name: bindparam(f"new_{name}") for name in (*Settlement.__struct_fields__[1:], "state")})
)
_RECORD = (
    update(calls)
    .where(calls.c.id == bindparam("call_id"), calls.c.state == "open")
    .values({name: bindparam(f"new_{name}") for name in _USED})
)
_FIXED = (
    *(
        "id",
        "organization_id",
        "family",
        "project_id",
        "user_id",
        "key_id",
        "snapshot",
        "batch",
        "service_tier",
        "detail",
    ),
    *("input_price", "cached_input_price", "output_price", "reserved_nanos"),
)
_STILL_OPEN = (
    select(*(calls.c[name] for name in _FIXED))
    .where(calls.c.id.in_(bindparam("ids", expanding=True)), calls.c.state == "open")
    .order_by(calls.c.id)
    .with_for_update()
)
_ABANDONED = select(*(calls.c[name] for name in (*_FIXED, *_USED))).where(IS_OPEN)


class Ledger:
    """Writes calls to the database in groups. ``start`` comes before the first call, ``close`` after the last.

    Errors of the database reach every call of the group: a call whose row cannot be written is not served. A
    settlement that could not be written is tried again with every beat, unless it is itself what the database refuses
    (``refusals``).
    """

    def __init__(self, database: Database, *, beat_s: float = instances.BEAT_S) -> None:
        self.instance = instances.new_instance_id()
        self._database = database
        self._beat_s = beat_s
        self._opened: dict[str, Opening] = {}
        self._later: asyncio.TimerHandle | None = None
        self._settled: list[Settlement] = []
        self._open: dict[str, _OpenCall] = {}
        self._series: dict[Series, int] = {}
        self._flushed: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
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

    def open(self, opening: Opening, usage: Usage | None = None) -> asyncio.Future[None]:
        """Book a call whose answer may begin before its end.

        The future resolves when the row is durable; shield it when you await it.

        Args:
            usage: kept up to date by the call; what is recorded of it if this process should die.
        """
        self._book(opening, usage)
        return self._flush()

    def open_lazily(self, opening: Opening, usage: Usage | None = None) -> None:
        """Book a call that gives nothing away before it is settled: its row is durable within ``OPEN_DELAY_S``."""
        self._book(opening, usage)
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(OPEN_DELAY_S, self._flush)

    def _book(self, opening: Opening, usage: Usage | None) -> None:
        self._opened[opening.id] = opening
        self._open[opening.id] = _OpenCall(usage or Usage())

    async def admit(self, opening: Opening, usage: Usage | None = None) -> None:
        """Book a call and reserve ``reserved_nanos`` for it, both or neither. Its row is durable when this returns.

        Raises:
            RateLimited: ``insufficient_quota``.
        """
        now = time.time_ns() // 1000
        booking = self._database.submit(partial(_admit, row=self._row(opening), now=now))
        try:
            admitted = await asyncio.shield(booking)
        except asyncio.CancelledError:
            # The client left while its call was being booked: if it was, it is settled with nothing used.
            withdrawal = asyncio.create_task(self._withdraw(opening, booking))
            self._withdrawals.add(withdrawal)
            withdrawal.add_done_callback(self._withdrawals.discard)
            raise
        if not admitted:
            raise insufficient_quota()
        self._open[opening.id] = _OpenCall(usage or Usage())

    async def _withdraw(self, opening: Opening, booking: asyncio.Future[bool]) -> None:
        if await booking:
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

    def _row(self, opening: Opening) -> dict[str, Any]:
        return {**msgspec.structs.asdict(opening), "state": "open", "instance": self.instance}

    async def settle(self, settlement: Settlement) -> None:
        """Close a call's row. Returns when it is durable; a second settlement of one id changes nothing."""
        self._open.pop(settlement.id, None)
        self._settled.append(settlement)
        await asyncio.shield(self._flush())

    async def recover(self) -> int:
        """Settle the calls of dead processes as interrupted, billed what was last recorded of them.

        Returns:
            How many there were.
        """
        now = time.time_ns() // 1000
        count, alarms = await self._database.write(partial(_recover, now=now))
        _tell(alarms)
        return count

    async def close(self) -> None:
        """Finish writing and leave. Calls that are still open then count as interrupted."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*self._withdrawals, return_exceptions=True)
        while self._writer is not None:
            await asyncio.shield(self._writer)
        if self._beating is not None and not self._settled:
            await self._database.write(lambda connection: instances.remove(connection, [self.instance]))

    async def beat(self) -> None:
        """Say that this process is alive, record what open calls have used, and settle what others left."""
        used: list[dict[str, Any]] = []
        for id, call in self._open.items():
            now = _used(call.usage)
            if now != call.recorded and id not in self._opened:
                call.recorded = now
                used.append({"call_id": id, **{f"new_{name}": n for name, n in zip(_USED, now, strict=True)}})
        try:
            alive = await self._database.write(partial(_beat, id=self.instance, used=used))
        except Exception as error:
            if not is_of_rows(error):
                raise
            log.exception("what open calls have used could not be recorded")
            alive = await self._database.write(partial(_beat, id=self.instance, used=[]))
        if not alive:
            # The others took this process for dead and settled its calls; it goes on as a new one.
            self.instance = instances.new_instance_id()
            log.error("this process was taken for dead after a pause; its open calls were settled as interrupted")
            process = instances.this_process()
            await self._database.write(lambda connection: instances.register(connection, self.instance, process))
        if self._settled:
            await asyncio.shield(self._flush())
        if interrupted := await self.recover():
            log.warning("calls of a dead process were settled as interrupted", calls=interrupted)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self.beat()
            except Exception:
                log.exception("the ledger's beat failed")

    def _flush(self) -> asyncio.Future[None]:
        """The write that will hold everything buffered so far."""
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return self._flushed

    async def _write(self) -> None:
        try:
            while (flushed := self._flushed) is not None:
                self._flushed = None
                if self._later is not None:
                    self._later.cancel()
                    self._later = None
                opened, self._opened = self._opened, {}
                settled, self._settled = self._settled, []
                work = partial(_store, opened=opened, settled=settled, instance=self.instance, known=self._series)
                try:
                    series, alarms = await self._database.write(work)
                except asyncio.CancelledError:  # the loop ends; nobody may be left waiting for this group
                    flushed.cancel()
                    raise
                except Exception as error:
                    failed: Exception | None = error
                    if is_of_rows(error):
                        failed = await self._one_by_one(opened, settled)
                    else:
                        self._settled[:0] = settled
                    if failed is None:
                        flushed.set_result(None)
                    else:
                        flushed.set_exception(failed)
                        flushed.exception()  # an opening that nobody awaits any more is not a warning
                else:
                    self._series |= series
                    flushed.set_result(None)
                    _tell(alarms)
        finally:
            self._writer = None

    async def _one_by_one(self, opened: dict[str, Opening], settled: list[Settlement]) -> Exception | None:
        """Write a group of which the database refused something, so that only that is refused.

        Returns:
            Why an opening was refused, or why the rest has to wait; None if neither is so.
        """
        failed: Exception | None = None
        final = {settlement.id: settlement for settlement in reversed(settled)}
        waiting = dict(final)
        for id in dict.fromkeys((*opened, *final)):
            steps: list[tuple[dict[str, Opening], list[Settlement]]] = []
            if id in opened:
                steps.append(({id: opened[id]}, []))
            if id in final:
                steps.append(({}, [final[id]]))
            for opening, settlement in steps:
                work = partial(_store, opened=opening, settled=settlement, instance=self.instance, known=self._series)
                try:
                    series, alarms = await self._database.write(work)
                except Exception as error:
                    if not is_of_rows(error):
                        self._settled[:0] = waiting.values()
                        return error
                    if settlement:
                        await self._set_aside(settlement[0], error)
                    else:
                        failed = error
                else:
                    self._series |= series
                    _tell(alarms)
            waiting.pop(id, None)
        return failed

    async def _set_aside(self, settlement: Settlement, error: Exception) -> None:
        kept = told(settlement)
        log.error("the database refused a settlement; it was set aside", settlement=kept, exc_info=error)
        now = time.time_ns() // 1000
        try:
            _tell(await self._database.write(partial(_refuse, settlement=settlement, reason=repr(error), now=now)))
        except Exception:
            log.exception("a refused settlement could not be kept", settlement=kept)


def _store(
    connection: Connection,
    opened: dict[str, Opening],
    settled: list[Settlement],
    instance: str,
    known: dict[Series, int],
) -> tuple[dict[Series, int], list[Alarm]]:
    final = {settlement.id: settlement for settlement in reversed(settled)}
    rows: list[Any] = []
    still_open, whole = [], []
    for opening in opened.values():
        row = msgspec.structs.asdict(opening) | {"instance": instance}
        settlement = final.get(opening.id)
        if settlement is None:
            still_open.append(row | {"state": "open"})
        else:
            whole.append(row | msgspec.structs.asdict(settlement) | {"state": "settled"})
            rows.append(opening)
    if still_open:
        connection.execute(_OPEN, still_open)
    if whole:
        connection.execute(_OPEN, whole)
    earlier = sorted(final.keys() - opened.keys())
    found = [row for ids in _chunks(earlier) for row in connection.execute(_STILL_OPEN, {"ids": ids})]
    if found:
        changes = []
        for earlier_row in found:
            values = msgspec.structs.asdict(final[earlier_row.id])
            changes.append({"call_id": values.pop("id"), "new_state": "settled"})
            changes[-1] |= {f"new_{name}": value for name, value in values.items()}
        connection.execute(_SETTLE, changes)
    rows += found
    if not rows:
        return {}, []
    return _book(connection, rows, [_booking(row, final[row.id]) for row in rows], known)


def _admit(connection: Connection, row: dict[str, Any], now: int) -> bool:
    if not accounts.reserve(connection, row["organization_id"], row["project_id"], row["reserved_nanos"], now):
        return False
    connection.execute(_OPEN, row)
    return True


def _book(
    connection: Connection, rows: list[Row[Any]], bookings: list[Booking], known: dict[Series, int]
) -> tuple[dict[Series, int], list[Alarm]]:
    """Everything beside the rows themselves that settling them changes."""
    accounts.share(connection, (row.organization_id for row in rows))
    series = rollups.add(connection, bookings, known)
    charges = [
        Charge(row.organization_id, row.project_id, booking.settled_at, booking.cost_nanos, row.reserved_nanos)
        for row, booking in zip(rows, bookings, strict=True)
    ]
    return series, accounts.settle(connection, charges)


def _recover(connection: Connection, now: int) -> tuple[int, list[Alarm]]:
    dead = instances.dead(connection)
    alive = select(instances_table.c.id).where(instances_table.c.id.not_in(dead))
    rows = list(connection.execute(_ABANDONED.where(calls.c.instance.not_in(alive)).with_for_update()))
    for ids in _chunks([row.id for row in rows]):
        _interrupt(connection, ids, now)
    _, alarms = _book(connection, rows, [_booking(row, row, now) for row in rows], {})
    if dead:
        instances.remove(connection, dead)
    return len(rows), alarms


def _refuse(connection: Connection, settlement: Settlement, reason: str, now: int) -> list[Alarm]:
    set_aside(connection, settlement.id, now, reason, settlement)
    mine = (calls.c.id == settlement.id, calls.c.state == "open")
    rows = list(connection.execute(select(*(calls.c[name] for name in (*_FIXED, *_USED))).where(*mine)))
    if not rows:
        return []
    _interrupt(connection, [settlement.id], now)
    return _book(connection, rows, [_booking(row, row, now) for row in rows], {})[1]


def _interrupt(connection: Connection, ids: list[str], now: int) -> None:
    connection.execute(
        update(calls)
        .where(calls.c.id.in_(ids))
        .values(
            state="interrupted",
            settled_at=now,
            status=INTERRUPTED_STATUS,
            error_code="interrupted",
            cost_nanos=COST,
        )
    )


def _beat(connection: Connection, id: str, used: list[dict[str, Any]]) -> bool:
    if used:
        connection.execute(_RECORD, used)
    return instances.beat(connection, id)


def _tell(alarms: list[Alarm]) -> None:
    for alarm in alarms:
        log.warning("spend alert: the threshold of this month is reached", **msgspec.structs.asdict(alarm))


def _used(usage: Usage) -> tuple[int, ...]:
    """In the order of ``_USED``."""
    return usage.input_tokens, usage.cached_tokens, usage.output_tokens, usage.units, usage.fee_nanos


def _booking(row: Row[Any] | Opening, used: Any, interrupted_at: int | None = None) -> Booking:
    return Booking(
        Series(
            row.organization_id,
            row.family,
            row.project_id,
            row.user_id,
            row.key_id,
            row.snapshot,
            bool(row.batch),
            row.service_tier,
            row.detail,
        ),
        used.settled_at if interrupted_at is None else interrupted_at,
        used.status if interrupted_at is None else INTERRUPTED_STATUS,
        used.input_tokens,
        used.cached_input_tokens,
        used.output_tokens,
        used.units,
        row.input_price,
        row.cached_input_price,
        row.output_price,
        used.fee_nanos,
    )


def _chunks(ids: list[str]) -> Iterable[list[str]]:
    return (ids[at : at + MAX_IDS] for at in range(0, len(ids), MAX_IDS))
