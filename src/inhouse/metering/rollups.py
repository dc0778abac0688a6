"""Sums of settled calls by minute, hour and day.

They are kept twice: series by series, and over all users, keys and details of a project and model. That is what most
questions ask for, and it does not grow with the people who call. A call counts in the minute, hour and day (UTC) in
which it was settled, so a bucket that is over never changes. The sums are written in the transaction that settles the
call, so they hold what the ledger holds, whenever the process dies.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Connection, Select, Table, and_, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from inhouse.storage.schema import calls, usage_rollups, usage_series, usage_totals

K = TypeVar("K")

MINUTE, HOUR, DAY = 60, 3600, 86_400
WIDTHS = (MINUTE, HOUR, DAY)
"""Seconds that the sums are kept for."""
SECOND_US = 1_000_000
ALL = "*"
"""Stands for every user, key and detail in the series of totals."""
MERGED = ("user_id", "key_id", "detail")
"""What totals do not tell apart."""

SUMS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "units",
    "input_nanos",
    "cached_input_nanos",
    "output_nanos",
    "fee_nanos",
)
"""Columns that add up."""
_FIRST_COST = SUMS.index("input_nanos")


class Series(msgspec.Struct, frozen=True):
    """A combination that usage is told apart by. What does not apply is empty."""

    organization_id: str
    family: str
    project_id: str
    user_id: str
    key_id: str
    model: str
    """The snapshot."""
    batch: bool
    service_tier: str
    detail: str = ""
    """What the family tells apart besides: ``source/size`` of images, a vector store, a context level."""

    @property
    def total(self) -> Series:
        """The series of totals that this one is part of."""
        return msgspec.structs.replace(self, **dict.fromkeys(MERGED, ALL))


class Booking(NamedTuple):
    """What one settled call adds."""

    series: Series
    settled_at: int
    """Unix microseconds."""
    sums: tuple[int, ...]
    """To each of ``SUMS``."""

    @property
    def cost_nanos(self) -> int:
        return sum(self.sums[_FIRST_COST:])


def sums_of(
    status: int,
    input_tokens: int,
    cached_input_tokens: int,
    output_tokens: int,
    units: int,
    input_price: int,
    cached_input_price: int,
    output_price: int,
    fee_nanos: int,
) -> tuple[int, ...]:
    """What a call adds to each of ``SUMS``. Prices in nano-dollars a token."""
    return (
        int(status < 400 or input_tokens + output_tokens + units > 0),
        input_tokens,
        cached_input_tokens,
        output_tokens,
        units,
        (input_tokens - cached_input_tokens) * input_price,
        cached_input_tokens * cached_input_price,
        output_tokens * output_price,
        fee_nanos,
    )


def add(connection: Connection, bookings: Iterable[Booking], known: Mapping[Series, int]) -> dict[Series, int]:
    """Adds calls to their sums. The caller makes sure that each is booked once.

    Args:
        known: ids of series that are committed already.

    Returns:
        The ids of the other series, to be remembered once this transaction is committed.
    """
    booked: defaultdict[tuple[Series, int], list[tuple[int, ...]]] = defaultdict(list)
    for booking in bookings:
        second = booking.settled_at // SECOND_US
        booked[booking.series, second - second % MINUTE].append(booking.sums)
    if not booked:
        return {}
    minutes = {key: [sum(amounts) for amounts in zip(*sums, strict=True)] for key, sums in booked.items()}
    wholes: dict[tuple[Series, int], list[int]] = {}
    for (series, minute), amounts in minutes.items():
        _add_to(wholes, (series.total, minute), amounts)
    # In the order of the key, so that two processes never wait for each other's rows.
    mine = sorted({key[0] for key in (*minutes, *wholes)} - known.keys(), key=msgspec.structs.astuple)
    new = {series: _id_of(connection, series) for series in mine}
    ids = {**known, **new} if new else known
    for table, sums in ((usage_rollups, minutes), (usage_totals, wholes)):
        totals: dict[tuple[int, int, int], list[int]] = {}
        for (series, minute), amounts in sums.items():
            for width in WIDTHS:
                _add_to(totals, (ids[series], width, minute - minute % width), amounts)
        rows = sorted((*key, *total) for key, total in totals.items())
        names = ("series_id", "width", "start", *SUMS)
        connection.execute(_add(table, connection.dialect.name), [dict(zip(names, row, strict=True)) for row in rows])
    return new


def _add_to(totals: dict[K, list[int]], key: K, amounts: Sequence[int]) -> None:
    found = totals.get(key)
    totals[key] = list(amounts) if found is None else [a + b for a, b in zip(found, amounts, strict=True)]


def as_booked(width: int) -> Select[Any]:
    """The sums as the ledger has them, series by series: what ``as_kept`` has to equal."""
    second = calls.c.settled_at // SECOND_US
    start = (second - second % width).label("start")
    used = calls.c.input_tokens + calls.c.output_tokens + calls.c.units
    uncached = calls.c.input_tokens - calls.c.cached_input_tokens
    amounts = {
        "requests": case((and_(calls.c.status >= 400, used == 0), 0), else_=1),
        "input_tokens": calls.c.input_tokens,
        "cached_input_tokens": calls.c.cached_input_tokens,
        "output_tokens": calls.c.output_tokens,
        "units": calls.c.units,
        "input_nanos": uncached * calls.c.input_price,
        "cached_input_nanos": calls.c.cached_input_tokens * calls.c.cached_input_price,
        "output_nanos": calls.c.output_tokens * calls.c.output_price,
        "fee_nanos": calls.c.fee_nanos,
    }
    dimensions = [calls.c["snapshot" if name == "model" else name] for name in Series.__struct_fields__]
    return (
        select(*dimensions, start, *(func.sum(amounts[name]).label(name) for name in SUMS))
        .where(calls.c.state != "open")
        .group_by(*dimensions, start)
    )


def as_kept(width: int) -> Select[Any]:
    """The sums as they are kept."""
    dimensions = [usage_series.c[name] for name in Series.__struct_fields__]
    return (
        select(*dimensions, usage_rollups.c.start, *(usage_rollups.c[name] for name in SUMS))
        .join_from(usage_rollups, usage_series, usage_series.c.id == usage_rollups.c.series_id)
        .where(usage_rollups.c.width == width)
    )


def as_merged() -> Select[Any]:
    """The sums over all users, keys and details as the others have them: what ``as_totals`` has to equal."""
    kept = [usage_series.c[name] for name in Series.__struct_fields__ if name not in MERGED]
    return (
        select(
            *kept,
            usage_rollups.c.width,
            usage_rollups.c.start,
            *(func.sum(usage_rollups.c[name]).label(name) for name in SUMS),
        )
        .join_from(usage_rollups, usage_series, usage_series.c.id == usage_rollups.c.series_id)
        .group_by(*kept, usage_rollups.c.width, usage_rollups.c.start)
    )


def as_totals() -> Select[Any]:
    """The sums over all users, keys and details as they are kept."""
    kept = [usage_series.c[name] for name in Series.__struct_fields__ if name not in MERGED]
    return (
        select(*kept, usage_totals.c.width, usage_totals.c.start, *(usage_totals.c[name] for name in SUMS))
        .join_from(usage_totals, usage_series, usage_series.c.id == usage_totals.c.series_id)
        .where(usage_series.c.key_id == ALL)
    )


def _id_of(connection: Connection, series: Series) -> int:
    values = msgspec.structs.asdict(series)
    found = select(usage_series.c.id).where(*(usage_series.c[name] == value for name, value in values.items()))
    known = connection.execute(found).scalar()
    if known is None:
        connection.execute(_new_series(connection.dialect.name), values)
        known = connection.execute(found).scalar_one()
    return int(known)


@cache
def _new_series(dialect: str) -> Any:
    return _insert(dialect)(usage_series).on_conflict_do_nothing()


@cache
def _add(table: Table, dialect: str) -> Any:
    statement = _insert(dialect)(table)
    return statement.on_conflict_do_update(
        index_elements=["series_id", "width", "start"],
        set_={name: table.c[name] + statement.excluded[name] for name in SUMS},
    )


def _insert(dialect: str) -> Any:
    return sqlite.insert if dialect == "sqlite" else postgresql.insert
