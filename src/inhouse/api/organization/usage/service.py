"""Usage and costs: buckets, pages, groups."""

from __future__ import annotations

import base64
import binascii
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Row

from inhouse.access import Caller
from inhouse.api.organization.usage import wire
from inhouse.api.organization.usage.store import Selection, UsageStore
from inhouse.catalog import Catalog
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.money import NANO
from inhouse.metering.ledger import Ledger
from inhouse.metering.rollups import DAY, HOUR, MINUTE, SUMS
from inhouse.metering.usage import Family

Sums = dict[str, Any]
Group = dict[str, Any]
Make = Callable[[Sums, Group], wire.AnyResult]

_WIDTHS = {"1m": (MINUTE, 60, 1440), "1h": (HOUR, 24, 168), "1d": (DAY, 7, 31)}
"""Seconds, default and greatest number of buckets in a page."""
_COLUMNS = {
    "project_id": "project_id",
    "user_id": "user_id",
    "api_key_id": "key_id",
    "model": "model",
    "batch": "batch",
    "service_tier": "service_tier",
    "size": "detail",
    "source": "detail",
    "vector_store_id": "detail",
    "context_level": "detail",
}
"""The column of a field of ``group_by``."""
_AMOUNTS = {
    "completions": ("requests", "input_tokens", "cached_input_tokens", "output_tokens"),
    "embeddings": ("requests", "input_tokens"),
    "moderations": ("requests", "input_tokens"),
}
"""The sums that results of a family tell."""
_UNITS_ONLY = ("requests", "units")
"""Those of the other families."""
_PARTS = (("input", "input"), ("cached input", "cached_input"), ("output", "output"), ("", "fee"))
"""Line items of a model, and the column of their money."""
_UNITS: dict[str, tuple[str, wire.QuantityUnit | None]] = {
    "completions": ("tool calls", None),
    "images": ("images", "images"),
    "audio_speeches": ("speech", "characters"),
    "audio_transcriptions": ("transcription", "duration_seconds"),
    "vector_stores": ("vector stores", None),
    "code_interpreter_sessions": ("code interpreter sessions", None),
    "file_search_calls": ("file search calls", None),
    "web_search_calls": ("web search calls", None),
}
"""What the fee of a family is called, and what its units are."""


class UsageService:
    def __init__(self, store: UsageStore, catalog: Catalog, ledger: Ledger) -> None:
        self._store = store
        self._catalog = catalog
        self._ledger = ledger

    async def usage(self, caller: Caller, family: Family, query: wire.RangeQuery, make: Make) -> wire.UsagePage:
        """A page of one family's buckets.

        Raises:
            InvalidRequest: the range, the limit or the cursor makes no sense.
        """
        width, usual, most = _WIDTHS[query.bucket_width]
        if query.limit is not None and query.limit > most:
            raise InvalidRequest(
                f"Invalid 'limit': integer above maximum value. Expected a value <= {most}, but got {query.limit} "
                "instead.",
                param="limit",
                code="integer_above_max_value",
            )
        chosen = msgspec.structs.asdict(query)
        selection = Selection(
            organization_id=caller.organization_id,
            family=family,
            project_ids=query.project_ids,
            user_ids=chosen.get("user_ids"),
            key_ids=chosen.get("api_key_ids"),
            models=self._snapshots(chosen.get("models")),
            batch=chosen.get("batch"),
            details=chosen.get("vector_store_ids") or chosen.get("context_levels"),
            sources=chosen.get("sources"),
            sizes=chosen.get("sizes"),
        )
        span = _Span(query, width, query.limit or usual)
        fields = list(dict.fromkeys(chosen["group_by"] or ()))
        columns = list(dict.fromkeys(_COLUMNS[field] for field in fields if field in _COLUMNS))
        amounts = _AMOUNTS.get(family, _UNITS_ONLY)
        reading = _Reading(fields, columns, amounts)

        def results(rows: Iterable[Row[Any]]) -> list[wire.AnyResult]:
            return [make(sums, group) for group, sums in reading.merged(rows)]

        await self._ledger.written()
        return await self._store.sums(
            selection, width, span.start, span.stop, columns, amounts, lambda rows: span.page(rows, results)
        )

    async def costs(self, caller: Caller, query: wire.CostsQuery) -> wire.UsagePage:
        """A page of days with what was spent.

        Raises:
            InvalidRequest: the range or the cursor makes no sense.
        """
        selection = Selection(
            organization_id=caller.organization_id, project_ids=query.project_ids, key_ids=query.api_key_ids
        )
        span = _Span(query, DAY, query.limit)
        fields = list(dict.fromkeys(query.group_by or ()))
        columns = [_COLUMNS[field] for field in fields if field in _COLUMNS]
        if "line_item" in fields:
            columns += ["model", "batch", "family"]

        def results(rows: Iterable[Row[Any]]) -> list[wire.AnyResult]:
            found: list[wire.AnyResult] = []
            for row in (each._asdict() for each in rows):
                group = _group(row, fields)
                if "line_item" not in fields:
                    found.append(_cost(sum(row[f"{part}_nanos"] for _, part in _PARTS), group))
                    continue
                for name, part in _PARTS:
                    if nanos := row[f"{part}_nanos"]:
                        found.append(_cost(nanos, group, *_line_item(row, name, part)))
            return found

        await self._ledger.written()
        return await self._store.sums(
            selection, DAY, span.start, span.stop, columns, SUMS, lambda rows: span.page(rows, results)
        )

    def _snapshots(self, models: Sequence[str] | None) -> list[str] | None:
        """Snapshots of the models named; a name that is not in the catalog may still be in the ledger."""
        if models is None:
            return None
        found: dict[str, None] = {}
        for name in models:
            card = self._catalog.cards.get(name)
            found |= dict.fromkeys([name, *(snapshot.id for snapshot in card.snapshots)] if card else [name])
        return list(found)


class _Span:
    """The buckets of one page."""

    def __init__(self, query: wire.RangeQuery | wire.CostsQuery, width: int, limit: int) -> None:
        now = int(time.time())
        end = now + 1 if query.end_time is None else min(query.end_time, now + 1)
        if query.end_time is not None and query.end_time <= query.start_time:
            raise InvalidRequest(
                "Invalid 'end_time': it must be after 'start_time'.", param="end_time", code="invalid_value"
            )
        first = query.start_time - query.start_time % width
        if query.page is not None:
            start, end = _read_cursor(query.page)
            if start % width or start < first or start >= end or end > now + 1:
                raise _bad_cursor()
            first = start
        self.start, self._width = first, width
        self.stop = min(max(-(-end // width) * width, first), first + limit * width)
        self._more = self.stop < end
        self._end = end

    def page(
        self, rows: Iterable[Row[Any]], results: Callable[[Iterable[Row[Any]]], list[wire.AnyResult]]
    ) -> wire.UsagePage:
        """Args: rows: in the order of their start, which comes first in each."""
        by_start = {start: results(same) for start, same in groupby(rows, key=itemgetter(0))}
        return wire.UsagePage(
            data=[
                wire.TimeBucket(start_time=start, end_time=start + self._width, results=by_start.get(start, []))
                for start in range(self.start, self.stop, self._width)
            ],
            has_more=self._more,
            next_page=_cursor(self.stop, self._end) if self._more else None,
        )


def _cursor(start: int, end: int) -> str:
    return "page_" + base64.urlsafe_b64encode(struct.pack(">QQ", start, end)).decode()


def _read_cursor(page: str) -> tuple[int, int]:
    try:
        start, end = struct.unpack(">QQ", base64.b64decode(page.removeprefix("page_"), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, struct.error):
        raise _bad_cursor() from None
    return start, end


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest(
        "Invalid 'page': it is not the 'next_page' of a page of this query.", param="page", code="invalid_value"
    )


class _Reading:
    """Reads rows (start, columns, amounts) as the fields that a query groups by, and sums."""

    def __init__(self, fields: Sequence[str], columns: Sequence[str], amounts: Sequence[str]) -> None:
        self._fields = fields
        self._columns = columns
        self._amounts = amounts
        self._known: dict[tuple[Any, ...], Group] = {}
        """The same groups come in every bucket."""

    def merged(self, rows: Iterable[Row[Any]]) -> Iterable[tuple[Group, Sums]]:
        """Rows of one bucket, those that differ only in a part of ``detail`` that was not asked for added up."""
        told = [self._read(row) for row in rows]
        if "detail" not in self._columns:
            return told
        merged: dict[tuple[Any, ...], tuple[Group, Sums]] = {}
        for group, sums in told:
            known = merged.setdefault(tuple(group.values()), (group, dict.fromkeys(sums, 0)))
            for name, amount in sums.items():
                known[1][name] += amount
        return merged.values()

    def _read(self, row: Row[Any]) -> tuple[Group, Sums]:
        until = 1 + len(self._columns)
        columns = row[1:until]
        group = self._known.get(columns)
        if group is None:
            group = self._known[columns] = _group(dict(zip(self._columns, columns, strict=True)), self._fields)
        return group, dict(zip(self._amounts, row[until:], strict=True))


def _group(row: Sums, fields: Sequence[str]) -> Group:
    """The fields of a result that the query groups by. What is not known of a row is null."""
    group: Group = {}
    for field in fields:
        match field:
            case "line_item":
                continue
            case "api_source":
                group[field] = "unlabeled"
            case "source" | "size":
                source, _, size = row["detail"].partition("/")
                group[field] = (source if field == "source" else size) or None
            case "batch":
                group[field] = bool(row["batch"])
            case _:
                group[field] = row[_COLUMNS[field]] or None
    return group


def _line_item(row: Sums, name: str, part: str) -> tuple[str, int | None, wire.QuantityUnit | None]:
    """What a sum of money is for, how much of it, and in which unit."""
    model, batch = row["model"], "batch " if row["batch"] else ""
    if part == "fee":
        what, unit = _UNITS.get(row["family"], ("fees", None))
        return f"{model}, {batch}{what}".removeprefix(", "), row["units"] if unit else None, unit
    tokens = {
        "input": row["input_tokens"] - row["cached_input_tokens"],
        "cached_input": row["cached_input_tokens"],
        "output": row["output_tokens"],
    }
    return f"{model}, {batch}{name}", tokens[part], "tokens"


def _cost(
    nanos: int,
    group: Group,
    line_item: str | None = None,
    quantity: int | None = None,
    unit: wire.QuantityUnit | None = None,
) -> wire.CostsResult:
    return wire.CostsResult(
        amount=wire.Amount(value=nanos / NANO),
        line_item=line_item,
        quantity=quantity,
        quantity_unit=unit,
        **group,
    )
