from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhouse.catalog.cards import load_cards
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.pricing import rates, service_tier
from inhouse.metering.usage import Usage, reported_cache

CARDS = load_cards()
TOKENS = st.integers(0, 10**9)


def cost(model: str, tier: str, usage: Usage, *, batch: bool = False) -> int:
    card = CARDS.get(model)
    assert card is not None
    return rates(card, card.default, tier, batch=batch).cost_nanos(usage)


@pytest.mark.parametrize(
    ("model", "tier", "usage", "nanos"),
    [
        ("gpt-4.1", "default", Usage(1_000_000, 0, 0), 2_000_000_000),
        ("gpt-4.1", "default", Usage(1_000_000, 1_000_000, 0), 500_000_000),
        ("gpt-4.1", "default", Usage(0, 0, 1_000_000), 8_000_000_000),
        ("gpt-4.1", "default", Usage(1, 0, 1), 10_000),
        ("gpt-4.1", "priority", Usage(1_000_000, 1_000_000, 0), 875_000_000),
        ("gpt-4.1", "priority", Usage(3, 1, 1), 2 * 3_500 + 875 + 14_000),
        ("gpt-4.1-nano", "default", Usage(3, 1, 1), 2 * 100 + 25 + 400),
        ("gpt-3.5-turbo-instruct", "default", Usage(2_000, 1_024, 1), 2_000 * 1_500 + 2_000),
        ("gpt-4.1", "default", Usage(0, 0, 0, fee_nanos=7), 7),
    ],
)
def test_published_prices(model: str, tier: str, usage: Usage, nanos: int) -> None:
    assert cost(model, tier, usage) == nanos


def test_a_batch_has_prices_of_its_own() -> None:
    assert cost("gpt-4.1", "default", Usage(1_000_000, 0, 1_000_000), batch=True) == 5_000_000_000
    assert cost("gpt-4.1", "default", Usage(1_000_000, 1_000_000, 0), batch=True) == 1_000_000_000
    # A card without them bills a batch like anything else.
    assert cost("gpt-3.5-turbo-instruct", "default", Usage(2, 0, 0), batch=True) == 3_000


@given(st.sampled_from([card.id for card in CARDS]), TOKENS, TOKENS, TOKENS)
def test_costs_are_whole_and_add_up(model: str, new: int, cached: int, out: int) -> None:
    apart = [Usage(new, 0, 0), Usage(cached, cached, 0), Usage(0, 0, out)]
    together = cost(model, "default", Usage(new + cached, cached, out))
    assert type(together) is int
    assert together == sum(cost(model, "default", usage) for usage in apart)
    assert together <= cost(model, "default", Usage(new + cached, 0, out)), "reuse never costs more"


@pytest.mark.parametrize(
    ("model", "asked", "granted"),
    [
        ("gpt-4.1", None, "default"),
        ("gpt-4.1", "auto", "default"),
        ("gpt-4.1", "default", "default"),
        ("gpt-4.1", "priority", "priority"),
        ("gpt-4.1", "flex", None),
        ("gpt-4.1", "scale", None),
        ("gpt-4.1", "fast", None),
        ("gpt-3.5-turbo-instruct", "priority", None),
    ],
)
def test_service_tiers(model: str, asked: str | None, granted: str | None) -> None:
    card = CARDS.get(model)
    assert card is not None
    if granted is not None:
        assert service_tier(card, card.default, asked) == granted
        return
    with pytest.raises(InvalidRequest) as refusal:
        service_tier(card, card.default, asked)
    assert refusal.value.message == f"Invalid service_tier argument: '{asked}' is not available for the model {model}."
    assert refusal.value.param == "service_tier"


@pytest.mark.parametrize(
    ("input_tokens", "reused", "told"),
    [
        (2_006, 1_920, 1_920),
        (12_033, 11_904, 11_904),
        (12_033, 12_032, 12_032),
        (1_200, 1_023, 0),
        (1_200, 1_024, 1_024),
        (1_200, 1_151, 1_024),
        (1_200, 1_152, 1_152),
        (1_100, 5_000, 1_024),
        (0, 0, 0),
    ],
)
def test_cached_tokens_are_told_in_steps(input_tokens: int, reused: int, told: int) -> None:
    assert reported_cache(input_tokens, reused) == told
