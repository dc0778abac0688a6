"""What commands list: columns for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from inhouse.cli.common import err, out
from inhouse.kit.money import format_dollars

Row = Mapping[str, Any]
"""By name: texts, numbers, booleans, moments, lists of texts, and None. A name that ends in ``_nanos`` is money, in
``_bytes`` a size."""

NARROW = 16
"""Characters of a column that are not folded. The first column, which is what one copies, is never folded."""
GAP = 2


def print_rows(rows: Sequence[Row], *, json: bool, title: str | None = None) -> None:
    """Rows of the same names: as columns, or one below the other where the terminal is too narrow for columns."""
    if json:
        print_json(rows)
        return
    if title is not None:
        out.print(title, style="italic")
    if not rows:
        err.print("none yet", style="dim")
        return
    names = list(rows[0])
    cells = [[_cell(name, row[name]) for name in names] for row in rows]
    widths = [
        max(map(len, (_header(name), *column))) for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    if widths[0] + sum(GAP + min(width, NARROW) for width in widths[1:]) <= out.width:
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        for place, name in enumerate(names):
            table.add_column(_header(name), no_wrap=place == 0, overflow="fold")
        for line in cells:
            table.add_row(*map(Text, line))
        out.print(table)
        return
    margin = max(len(name) for name in names) + 2
    for line in cells:
        out.print(line[0], style="bold", markup=False, soft_wrap=True)
        for name, cell in zip(names[1:], line[1:], strict=True):
            if cell:
                out.print(f"  {_header(name):{margin}}{cell}", markup=False, soft_wrap=True)


def print_json(told: Any) -> None:
    """Indented, on stdout. Moments are written by RFC 3339, prices (kinds of int) in nano-dollars."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told, enc_hook=int), indent=2).decode() + "\n")


def moment(microseconds: int | None) -> datetime | None:
    """A point in time as the database keeps it."""
    return None if microseconds is None else datetime.fromtimestamp(microseconds / 1e6, UTC)


def _header(name: str) -> str:
    return name.removesuffix("_nanos").removesuffix("_bytes").replace("_", " ")


def _cell(name: str, value: Any) -> str:
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case int() if name.endswith("_nanos"):
            return format_dollars(value)
        case int() if name.endswith("_bytes"):
            return f"{value / 1e6:,.0f} MB"
        case list():
            return ", ".join(value)
        case _:
            return str(value)
