"""What a call costs: prices of the card, in nano-dollars a token, so nothing is ever rounded."""

from __future__ import annotations

import msgspec

from inhouse.catalog.cards import Card, Snapshot, TokenPrices
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage

DEFAULT, PRIORITY = "default", "priority"


class Rates(msgspec.Struct, frozen=True):
    """Nano-dollars a token that a call is billed by; they stand in its row of the ledger."""

    input: int
    cached_input: int
    output: int

    def cost_nanos(self, usage: Usage) -> int:
        """Nano-dollars for what was used: tokens by their prices, and the fees."""
        return (
            (usage.input_tokens - usage.cached_tokens) * self.input
            + usage.cached_tokens * self.cached_input
            + usage.output_tokens * self.output
            + usage.fee_nanos
        )


class Bound(msgspec.Struct, frozen=True):
    """The most that a request can use, as far as it can be told from the request; None: as much as the model takes."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    """Of one choice."""
    choices: int = 1
    prompts: int = 1
    fee_nanos: int = 0
    """Of what is not priced by token."""

    def cost_nanos(self, card: Card, snapshot: Snapshot, rates: Rates) -> int:
        """The most that it can cost, in nano-dollars."""
        window, output = card.context_window * self.prompts, card.max_output_of(snapshot)
        return (
            min(window, window if self.input_tokens is None else self.input_tokens) * rates.input
            + min(output, output if self.output_tokens is None else self.output_tokens) * self.choices * rates.output
            + self.fee_nanos
        )


def service_tier(card: Card, snapshot: Snapshot, asked: str | None) -> str:
    """The service tier that a request is processed and billed in.

    Raises:
        InvalidRequest: the model is not offered in the tier asked for.
    """
    if asked in (None, "auto", DEFAULT):
        return DEFAULT
    if asked == PRIORITY and card.prices_of(snapshot).priority is not None:
        return PRIORITY
    raise InvalidRequest(
        f"Invalid service_tier argument: '{asked}' is not available for the model {card.id}.", param="service_tier"
    )


def rates(card: Card, snapshot: Snapshot, tier: str, *, batch: bool = False) -> Rates:
    """What a token costs in this tier, or in a batch where the card has a price for that."""
    prices = card.prices_of(snapshot)
    chosen: TokenPrices | None = prices.batch if batch else prices.priority if tier == PRIORITY else None
    chosen = chosen or prices.standard
    cached = chosen.input if chosen.cached_input is None else chosen.cached_input
    return Rates(int(chosen.input), int(cached), int(chosen.output or 0))
