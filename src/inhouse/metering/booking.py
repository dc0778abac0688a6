"""The ledger's rows: functions of a connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, literal_column, select, update

from inhouse.metering import accounts, instances, rollups
from inhouse.metering.accounts import Alarm, Charge
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.refusals import set_aside
from inhouse.metering.rollups import Booking, Series
from inhouse.metering.usage import Usage
from inhouse.storage.bulk import Plain, insert_plain, update_plain
from inhouse.storage.schema import calls
from inhouse.storage.schema import instances as instances_table

INTERRUPTED_STATUS = 500
MAX_IDS = 500
"""Ids in one statement."""
IS_OPEN = calls.c.state == literal_column("'open'")
"""Written out, not bound: only so do the databases see that ``ix_calls_open`` answers it."""

USED = ("input_tokens", "cached_input_tokens", "output_tokens", "units", "fee_nanos")
COST = (
    (calls.c.input_tokens - calls.c.cached_input_tokens) * calls.c.input_price
    + calls.c.cached_input_tokens * calls.c.cached_input_price
    + calls.c.output_tokens * calls.c.output_price
    + calls.c.fee_nanos
)
"""What a row comes to by its own prices."""

_OPENED = (*Opening.__struct_fields__, "state", "instance")
_SETTLED = (*Settlement.__struct_fields__, "state")
_AT_ONCE = (*Opening.__struct_fields__, "instance", *_SETTLED[1:])
_RECORD = (
    update(calls)
    .where(calls.c.id == bindparam("call_id"), calls.c.state == "open")
    .values({name: bindparam(f"new_{name}") for name in USED})
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
_ABANDONED = select(*(calls.c[name] for name in (*_FIXED, *USED))).where(IS_OPEN)


def store(
    connection: Connection,
    opened: Mapping[str, Opening],
    settled: Iterable[Settlement],
    instance: str,
    known: Mapping[Series, int],
) -> tuple[dict[Series, int], list[Alarm]]:
    """Write openings that the database does not have yet, and settle calls, each once.

    Args:
        settled: the first settlement of a call counts.
        instance: that serves the calls.
        known: see ``rollups.add``, also for what is returned.
    """
    final = _first(settled)
    openings = [opened[id] for id in opened.keys() & final.keys()]
    unsettled = [_open(opening, instance) for id, opening in opened.items() if id not in final]
    insert_plain(connection, calls, _OPENED, unsettled)
    at_once = [(*msgspec.structs.astuple(each), instance, *_settled(final[each.id])[1:]) for each in openings]
    insert_plain(connection, calls, _AT_ONCE, at_once)
    rows: list[Any] = [*openings, *_settle(connection, [each for id, each in final.items() if id not in opened])]
    return _book(connection, rows, [_booking(row, final[row.id]) for row in rows], known)


def replay(
    connection: Connection, opened: Iterable[Opening], settled: Iterable[Settlement], instance: str
) -> list[Alarm]:
    """Like ``store``, of a journal of which the database may hold any part already."""
    insert_plain(connection, calls, _OPENED, [_open(opening, instance) for opening in opened], ignore_known=True)
    final = _first(settled)
    rows = _settle(connection, final.values())
    _, alarms = _book(connection, rows, [_booking(row, final[row.id]) for row in rows], {})
    return alarms


def _first(settled: Iterable[Settlement]) -> dict[str, Settlement]:
    final: dict[str, Settlement] = {}
    for settlement in settled:
        final.setdefault(settlement.id, settlement)
    return final


def _open(opening: Opening, instance: str) -> Plain:
    return *msgspec.structs.astuple(opening), "open", instance


def _settled(settlement: Settlement) -> Plain:
    return *msgspec.structs.astuple(settlement), "settled"


def _settle(connection: Connection, settlements: Collection[Settlement]) -> list[Row[Any]]:
    """Settle those whose rows are still open. Returns these rows as they were."""
    final = {settlement.id: settlement for settlement in settlements}
    found = [row for ids in _chunks(sorted(final)) for row in connection.execute(_STILL_OPEN, {"ids": ids})]
    update_plain(connection, calls, _SETTLED, [_settled(final[row.id]) for row in found])
    return found


def admit(connection: Connection, opening: Opening, instance: str, now: int) -> bool:
    """Open a call and reserve ``reserved_nanos`` for it, both or neither. Returns whether that was there."""
    nanos = opening.reserved_nanos
    if not accounts.reserve(connection, opening.organization_id, opening.project_id, nanos, now):
        return False
    insert_plain(connection, calls, _OPENED, [_open(opening, instance)])
    return True


def _book(
    connection: Connection, rows: list[Row[Any]], bookings: list[Booking], known: Mapping[Series, int]
) -> tuple[dict[Series, int], list[Alarm]]:
    """Everything beside the rows themselves that settling them changes."""
    accounts.share(connection, (row.organization_id for row in rows))
    series = rollups.add(connection, bookings, known)
    charges = [
        Charge(row.organization_id, row.project_id, booking.settled_at, booking.cost_nanos, row.reserved_nanos)
        for row, booking in zip(rows, bookings, strict=True)
    ]
    return series, accounts.settle(connection, charges)


def recover(connection: Connection, now: int, spared: Collection[str] = ()) -> tuple[int, list[Alarm]]:
    """Settle the open calls of dead processes as interrupted, except those of ``spared`` instances."""
    dead = [id for id in instances.dead(connection) if id not in spared]
    alive = select(instances_table.c.id).where(instances_table.c.id.not_in(dead))
    theirs = (calls.c.instance.not_in(alive), calls.c.instance.not_in(sorted(spared)))
    rows = list(connection.execute(_ABANDONED.where(*theirs).with_for_update()))
    for ids in _chunks([row.id for row in rows]):
        _interrupt(connection, ids, now)
    _, alarms = _book(connection, rows, [_booking(row, row, now) for row in rows], {})
    if dead:
        instances.remove(connection, dead)
    return len(rows), alarms


def refuse(connection: Connection, settlement: Settlement, reason: str, now: int) -> list[Alarm]:
    """Set a settlement aside and close its call, if that is open, as interrupted."""
    set_aside(connection, settlement.id, now, reason, settlement)
    mine = (calls.c.id == settlement.id, calls.c.state == "open")
    rows = list(connection.execute(select(*(calls.c[name] for name in (*_FIXED, *USED))).where(*mine)))
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


def beat(connection: Connection, id: str, used: list[dict[str, Any]]) -> bool:
    if used:
        connection.execute(_RECORD, used)
    return instances.beat(connection, id)


def used_columns(usage: Usage) -> tuple[int, ...]:
    """In the order of ``USED``."""
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
        rollups.sums_of(
            used.status if interrupted_at is None else INTERRUPTED_STATUS,
            used.input_tokens,
            used.cached_input_tokens,
            used.output_tokens,
            used.units,
            row.input_price,
            row.cached_input_price,
            row.output_price,
            used.fee_nanos,
        ),
    )


def _chunks(ids: list[str]) -> Iterable[list[str]]:
    return (ids[at : at + MAX_IDS] for at in range(0, len(ids), MAX_IDS))
