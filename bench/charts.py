"""Charts of the grid of lengths and depths, as SVG without scripts or fonts of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NAMES = {
    "one": "one sentence",
    "needles-2": "2 sentences",
    "needles-4": "4 sentences",
    "needles-8": "8 sentences",
    "similar": "one of 35 similar",
    "ith": "the i-th of 8",
    "walk": "3 steps in a graph",
    "two": "two passages",
    "chain": "two, common words",
    "paraphrase": "in other words",
}
WAYS = {"read": "read, as Inhouse does", "words": "read, by words alone", "last": "truncation"}
ANSWERING = "qwen2.5-coder-0.5b"
ANSWERS = {
    "read": "Right answers of Qwen2.5-Coder-0.5B that reads 1,500 tokens of passages",
    "all": "Right answers of Qwen2.5-Coder-0.5B that reads everything",
}
"""Of ``bench.whole``."""
LEFT, TOP, CELL_WIDTH, CELL_HEIGHT = 150, 58, 62, 26
LEAST_WIDTH = 520
"""So that the title fits."""


def draw(known: Mapping[str, float]) -> None:
    """Write the charts that the cells suffice for."""
    IMAGES.mkdir(exist_ok=True)
    for way in ("read", "last"):
        if grid := of(known, "search", way):
            title = f"What the search finds in 1,500 tokens of passages: {WAYS[way]}"
            if way == "last":
                title = "What stands in the last 32,768 tokens: truncation, at its best"
            (IMAGES / f"window-{way}.svg").write_text(heat(grid, title), "utf-8")
    for way, title in ANSWERS.items():
        if grid := of(known, ANSWERING, way):
            (IMAGES / f"window-answers-{way}.svg").write_text(heat(grid, title), "utf-8")


def of(known: Mapping[str, float], source: str, way: str) -> dict[tuple[str, int], list[float]]:
    """Cells of one way, by kind and length, over all depths."""
    grid: dict[tuple[str, int], list[float]] = {}
    for name, value in known.items():
        measured, read, kind, length, _ = name.rsplit("/", 4)
        if (measured, read) == (source, way):
            grid.setdefault((kind, int(length)), []).append(value)
    return grid


def heat(grid: Mapping[tuple[str, int], Sequence[float]], title: str) -> str:
    """A table of shares: kinds of questions down, lengths across."""
    kinds = [kind for kind in NAMES if any(each == kind for each, _ in grid)]
    lengths = sorted({length for _, length in grid})
    width, height = max(LEAST_WIDTH, LEFT + CELL_WIDTH * len(lengths) + 16), TOP + CELL_HEIGHT * len(kinds) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="20" font-size="13" font-weight="600" fill="#1c2733">{escape(title)}</text>',
    ]
    for column, length in enumerate(lengths):
        x = LEFT + CELL_WIDTH * (column + 0.5)
        out.append(f'<text x="{x}" y="{TOP - 10}" text-anchor="middle" fill="#4a5a6a">{_tokens(length)}</text>')
    for row, kind in enumerate(kinds):
        y = TOP + CELL_HEIGHT * row
        out.append(f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end" fill="#1c2733">{escape(NAMES[kind])}</text>')
        for column, length in enumerate(lengths):
            cells = grid.get((kind, length))
            if not cells:
                continue
            share = sum(cells) / len(cells)
            x = LEFT + CELL_WIDTH * column
            ink = "#fff" if share > 0.55 else "#1c2733"
            out.append(
                f'<rect x="{x + 1}" y="{y + 1}" width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}" rx="3" '
                f'fill="{_shade(share)}"><title>{len(cells)} depths</title></rect>'
            )
            out.append(
                f'<text x="{x + CELL_WIDTH / 2}" y="{y + 17}" text-anchor="middle" fill="{ink}">{share:.0%}</text>'
            )
    out.append(
        f'<text x="8" y="{height - 10}" fill="#4a5a6a">Tokens of the prompt across; the share of eight or ten depths '
        "at which it is right.</text></svg>\n"
    )
    return "\n".join(out)


def _tokens(length: int) -> str:
    return f"{length / 1_000_000:.1f}M" if length >= 1_000_000 else f"{round(length / 1024)}k"


def _shade(share: float) -> str:
    """From grey over sand to green."""
    low, high = (236, 229, 218), (15, 118, 110)
    mixed = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{each:02x}" for each in mixed)


def table(known: Mapping[str, float], source: str) -> str:
    """The same as a table of Markdown, over all lengths."""
    ways = [way for way in ("read", "words", "last", "all") if of(known, source, way)]
    lines = [f"| question | {' | '.join(ways)} |", "|:--|" + "--:|" * len(ways)]
    for kind, name in NAMES.items():
        cells = []
        for way in ways:
            values = [value for (each, _), found in of(known, source, way).items() if each == kind for value in found]
            cells.append(f"{sum(values):.0f} of {len(values)}" if values else "")
        if any(cells):
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
