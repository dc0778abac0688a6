"""What a call costs: prices of the card, in nano-dollars a token, so nothing is ever rounded."""

from __future__ import annotations

from inhouse.catalog.cards import Card, Snapshot, TokenPrices
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage

DEFAULT, PRIORITY = "default", "priority"


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


def cost_nanos(card: Card, snapshot: Snapshot, tier: str, usage: Usage) -> int:
    """Nano-dollars for what was used."""
    prices = card.prices_of(snapshot)
    rates: TokenPrices = (prices.priority if tier == PRIORITY else None) or prices.standard
    cached = rates.input if rates.cached_input is None else rates.cached_input
    return (
        (usage.input_tokens - usage.cached_tokens) * rates.input
        + usage.cached_tokens * cached
        + usage.output_tokens * rates.output
    )
