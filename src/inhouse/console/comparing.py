"""Two to four models side by side: bars of what can be measured, a table of what can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from inhouse.catalog.cards import Card
from inhouse.catalog.served import ServedBy
from inhouse.catalog.terms import Terms, fields_of
from inhouse.console.dates import day
from inhouse.console.prices import price_lines
from inhouse.kit.money import format_dollars

MOST = 4


class Measure(msgspec.Struct, frozen=True):
    """One model's bar. ``share`` is percent of the longest; ``text`` None: there is no such figure."""

    card: Card
    text: str | None
    share: float


class Chart(msgspec.Struct, frozen=True):
    title: str
    unit: str
    measures: list[Measure]


class Row(msgspec.Struct, frozen=True):
    """One line of the table; a cell is words, or whether something is supported."""

    label: str
    cells: list[str | bool]


def charts(cards: Sequence[Card], served: Mapping[str, ServedBy | None]) -> list[Chart]:
    """Bars for every figure that at least one of the models has."""
    figures: list[tuple[str, str, list[int | float | None], str]] = []
    labels = dict.fromkeys((line.label, line.unit) for card in cards for line in price_lines(card) if line.nano)
    for label, unit in labels:
        of = [next((p.nano for p in price_lines(card) if (p.label, p.unit) == (label, unit)), None) for card in cards]
        figures.append((f"{label} price", f"per {unit}", [*of], "money"))
    figures.append(("Context window", "tokens", [card.context_window for card in cards], "count"))
    figures.append(("Max output", "tokens", [card.max_output_tokens for card in cards], "count"))
    here = [served.get(card.default_snapshot) for card in cards]
    figures.append(("Window here", "tokens", [one.window if one else None for one in here], "count"))
    decode = [one.decode_tokens_per_second if one else None for one in here]
    figures.append(("Speed measured here", "tokens a second", [*decode], "rate"))
    return [
        Chart(title, unit, [_measure(card, value, values, kind) for card, value in zip(cards, values, strict=True)])
        for title, unit, values, kind in figures
        if any(value is not None for value in values)
    ]


def rows(cards: Sequence[Card], served: Mapping[str, ServedBy | None], terms: Terms) -> list[tuple[str, list[Row]]]:
    """Groups of lines: facts, then modalities, endpoints, features and tools in the order of the model page."""
    here = [served.get(card.default_snapshot) for card in cards]
    facts = [
        Row("Served here by", [f"{one.weights} on {one.engine}" if one else "Not deployed here" for one in here]),
        Row("Window here", [f"{one.window:,} tokens" if one else "–" for one in here]),
        Row("Intelligence", [card.intelligence.label if card.intelligence else "–" for card in cards]),
        Row("Speed", [card.speed.label if card.speed else "–" for card in cards]),
        Row("Knowledge cutoff", [day(card.knowledge_cutoff) if card.knowledge_cutoff else "–" for card in cards]),
        Row("Default snapshot", [card.default_snapshot for card in cards]),
    ]
    groups = [("Facts", facts)]
    modalities = [dict(fields_of(card.modalities)) for card in cards]
    for side, title in (("input", "Input"), ("output", "Output")):
        lines = [
            Row(label, [bool(getattr(one[key], side)) for one in modalities]) for key, label in terms.modalities.items()
        ]
        groups.append((title, [line for line in lines if any(line.cells)]))
    endpoints = {key: term.label for key, term in terms.endpoints.items()}
    for title, name, labels in (
        ("Endpoints", "endpoints", endpoints),
        ("Features", "features", terms.features),
        ("Tools", "tools", terms.tools),
    ):
        lines = [
            Row(label, [bool(getattr(getattr(card, name), key)) for card in cards]) for key, label in labels.items()
        ]
        groups.append((title, [line for line in lines if any(line.cells)]))
    return [(title, lines) for title, lines in groups if lines]


def _measure(card: Card, value: int | float | None, values: Sequence[int | float | None], kind: str) -> Measure:
    if value is None:
        return Measure(card, None, 0)
    longest = max(each for each in values if each is not None) or 1
    text = format_dollars(int(value)) if kind == "money" else f"{value:,}" if kind == "count" else f"{value:,.1f}"
    return Measure(card, text, round(100 * value / longest, 1))
