"""Sums of usage by bucket: the query. It is bound to an organization; others' rows do not exist for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Row, Select, and_, cast, func, or_, select

from inhouse.metering.rollups import ALL, MERGED
from inhouse.storage.database import Database
from inhouse.storage.schema import usage_rollups, usage_totals
from inhouse.storage.schema import usage_series as series

T = TypeVar("T")


class Selection(msgspec.Struct, kw_only=True):
    """What to add up. A list that is None does not restrict; an empty one selects nothing."""

    organization_id: str
    family: str | None = None
    """None: every family."""
    project_ids: Sequence[str] | None = None
    user_ids: Sequence[str] | None = None
    key_ids: Sequence[str] | None = None
    models: Sequence[str] | None = None
    batch: bool | None = None
    details: Sequence[str] | None = None
    sources: Sequence[str] | None = None
    sizes: Sequence[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        lists = {
            series.c.project_id: self.project_ids,
            series.c.user_id: self.user_ids,
            series.c.key_id: self.key_ids,
            series.c.model: self.models,
            series.c.detail: self.details,
        }
        found: list[ColumnElement[bool]] = [series.c.organization_id == self.organization_id]
        if self.family is not None:
            found.append(series.c.family == self.family)
        if self.batch is not None:
            found.append(series.c.batch == self.batch)
        found += [column.in_(values) for column, values in lists.items() if values is not None]
        if self.sources is not None:
            found.append(or_(*(series.c.detail.startswith(f"{each}/", autoescape=True) for each in self.sources)))
        if self.sizes is not None:
            found.append(or_(*(series.c.detail.endswith(f"/{each}", autoescape=True) for each in self.sizes)))
        return found

    @property
    def merges(self) -> bool:
        """Whether totals of all users, keys and details can answer it."""
        return all(each is None for each in (self.user_ids, self.key_ids, self.details, self.sources, self.sizes))


def query(
    selection: Selection, width: int, start: int, end: int, dimensions: Sequence[str], amounts: Sequence[str]
) -> Select[Any]:
    """See ``UsageStore.sums``. Asks the totals where nothing is told apart that they merge."""
    whole = selection.merges and not set(dimensions) & set(MERGED)
    rollups = usage_totals if whole else usage_rollups
    columns = [series.c[name] for name in dimensions]
    # PostgreSQL adds up to a numeric, whose every value would be a Decimal here.
    sums = [cast(func.sum(rollups.c[name]), BigInteger).label(name) for name in amounts]
    return (
        select(rollups.c.start, *columns, *sums)
        .join_from(series, rollups, and_(rollups.c.series_id == series.c.id, rollups.c.width == width))
        .where(*selection.conditions(), series.c.key_id == ALL if whole else series.c.key_id != ALL)
        .where(rollups.c.start >= start, rollups.c.start < end)
        .group_by(rollups.c.start, *columns)
        .order_by(rollups.c.start, *columns)
    )


class UsageStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(
        self,
        selection: Selection,
        width: int,
        start: int,
        end: int,
        dimensions: Sequence[str],
        amounts: Sequence[str],
        make: Callable[[Iterable[Row[Any]]], T],
    ) -> T:
        """Sums of the buckets in [start, end), told apart by ``dimensions`` (fields of ``Series``), in their order.

        Args:
            width: 60, 3600 or 86400 seconds.
            start, end: Unix seconds, multiples of ``width``.
            amounts: which of ``rollups.SUMS``.
            make: makes what is wanted of the rows (start, dimensions, amounts), in the thread that reads them: there
                may be tens of thousands, and the event loop is not to wait for them.
        """
        asked = query(selection, width, start, end, dimensions, amounts)
        return await self._database.read(lambda connection: make(connection.execute(asked)))
