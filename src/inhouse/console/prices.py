"""Prices as people are shown them: each with its own unit, whatever the kind of model is billed by."""

from __future__ import annotations

import msgspec

from inhouse.catalog.cards import Card, TokenPrices

TOKENS = "1M tokens"


class PriceLine(msgspec.Struct, frozen=True):
    """One price. ``nano`` is in nano-dollars for one ``unit``; None is not offered, 0 is free."""

    label: str
    nano: int | None
    unit: str = TOKENS

    @property
    def short(self) -> str:
        return self.label if self.unit == TOKENS else f"per {self.unit.replace('1M', 'million')}"


def price_lines(card: Card, prices: TokenPrices | None = None) -> list[PriceLine]:
    """What a model charges for, in the order of the published page.

    Args:
        prices: of a way of processing; the standard ones if None. Fees for time and characters have no other way.
    """
    if prices is None:
        if card.prices.audio_minute is not None:
            return [PriceLine("Audio", int(card.prices.audio_minute), "minute")]
        if card.prices.million_characters is not None:
            return [PriceLine("Speech", int(card.prices.million_characters), "1M characters")]
        prices = card.prices.standard
    if not prices.input and not prices.output:
        return [PriceLine("Use", 0)]
    lines = [PriceLine("Text input" if prices.audio_input is not None else "Input", prices.input.per_million)]
    if prices.audio_input is not None:
        lines.append(PriceLine("Audio input", prices.audio_input.per_million))
    if prices.cached_input is not None:
        lines.append(PriceLine("Cached input", prices.cached_input.per_million))
    elif card.endpoints.chat_completions:
        lines.append(PriceLine("Cached input", None))
    if prices.output is not None:
        spoken = card.modalities.audio.output and not card.modalities.text.output
        lines.append(PriceLine("Audio output" if spoken else "Output", prices.output.per_million))
    return lines


def headline(card: Card) -> list[PriceLine]:
    """The one or two prices that stand for a model: what goes in, and what comes out of it."""
    lines = [line for line in price_lines(card) if line.nano is not None]
    if len(lines) == 1:
        return lines
    return [lines[0], lines[-1]] if card.prices.standard.output is not None else lines[:1]


def priced_by(card: Card) -> str:
    """Title of the price section: what the model is billed by."""
    unit = price_lines(card)[0].unit
    if unit == TOKENS:
        return "Text tokens" if card.prices.standard.audio_input is None else "Text and audio tokens"
    return "Audio" if unit == "minute" else "Characters"
