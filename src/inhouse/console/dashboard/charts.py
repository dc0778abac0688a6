"""Stacked bars by day, drawn by the server: they need no script and scale to any width."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

import msgspec

from inhouse.console.dates import short_day

TONES = 6
"""Series with a colour of their own; the rest are added up as the last."""
HEIGHT = 180.0
DAY_S = 86_400


class Bar(msgspec.Struct, frozen=True):
    """A part of a day's column. ``x`` and ``width`` are percent, ``y`` and ``height`` units of ``HEIGHT``."""

    x: float
    y: float
    width: float
    height: float
    tone: int
    title: str


class Series(msgspec.Struct, frozen=True):
    name: str
    total: float
    tone: int


class Chart(msgspec.Struct, frozen=True):
    bars: list[Bar]
    series: list[Series]
    highest: float
    first: str
    last: str
    rows: list[tuple[str, float]]
    """Day and sum, for who reads rather than sees."""

    @property
    def total(self) -> float:
        return sum(each.total for each in self.series)


def stacked(
    points: list[tuple[int, str, float]], start: int, days: int, unit: str = "", beside: Chart | None = None
) -> Chart:
    """Columns of the days from ``start``.

    Args:
        points: start of the day in Unix seconds, name of the series, amount; of a day and name there may be several.
        start: of the first day, in Unix seconds.
        unit: ``$`` before the amount of a bar's title, or a word after it.
        beside: another chart of the same page, whose names keep their colours and their order.
    """
    totals: dict[str, float] = defaultdict(float)
    columns: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for at, name, amount in points:
        if amount > 0:
            totals[name] += amount
            columns[(at - start) // DAY_S][name] += amount
    known = [each.name for each in beside.series] if beside is not None else []
    names = known + sorted(totals.keys() - set(known), key=lambda name: (-totals[name], name))
    tone = {name: min(place, TONES - 1) + 1 for place, name in enumerate(names)}
    names = [name for name in names if name in totals]
    highest = max((sum(column.values()) for column in columns.values()), default=0.0)
    step = 100 / days
    bars = []
    for day, column in sorted(columns.items()):
        y = HEIGHT
        for name in names:
            if amount := column.get(name, 0.0):
                height = HEIGHT * amount / highest
                y -= height
                title = f"{_day(start + day * DAY_S)} · {name}: {_amount(amount, unit)}"
                width = round(step * 0.72, 3)
                bars.append(
                    Bar(round(day * step + step * 0.14, 3), round(y, 2), width, round(height, 2), tone[name], title)
                )
    return Chart(
        bars,
        [Series(name, totals[name], tone[name]) for name in names],
        highest,
        _day(start),
        _day(start + (days - 1) * DAY_S),
        [(_day(start + day * DAY_S), sum(columns[day].values())) for day in range(days) if day in columns],
    )


def _day(seconds: int) -> str:
    return short_day(datetime.fromtimestamp(seconds, UTC))


def _amount(amount: float, unit: str) -> str:
    return f"${amount:,.6f}".rstrip("0").rstrip(".") if unit == "$" else f"{amount:,.0f} {unit}".strip()
