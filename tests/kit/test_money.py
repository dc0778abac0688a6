from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from inhouse.kit.money import (
    DAY,
    GIGABYTE,
    Fee,
    TokenPrice,
    format_dollars,
    format_dollars_short,
    nano_dollars,
    prorated,
)


@pytest.mark.parametrize(
    ("published", "per_token"),
    [("2.00", 2_000), ("0.50", 500), ("8", 8_000), ("0.025", 25), ("0.001", 1), ("0", 0), ("150", 150_000)],
)
def test_a_price_for_a_million_tokens_is_whole_nano_dollars_for_one(published: str, per_token: int) -> None:
    assert TokenPrice.parse(published) == per_token
    assert TokenPrice.parse(published).per_million == nano_dollars(published)


@pytest.mark.parametrize("published", ["0.0005", "0.0375625", "2.0000001"])
def test_a_price_finer_than_a_nano_dollar_a_token_is_refused(published: str) -> None:
    with pytest.raises(ValueError, match="whole number of nano-dollars a token"):
        TokenPrice.parse(published)


@pytest.mark.parametrize(
    "text",
    ["", " 2.00", "2.00 ", "-1", "+1", "1e3", "1,000", "$2", ".5", "2.", "NaN", "Infinity", "٢", "1" * 40, "0x2"],
)
def test_only_plain_decimal_amounts_are_read(text: str) -> None:
    with pytest.raises(ValueError, match="amount in dollars"):
        nano_dollars(text)


@pytest.mark.parametrize("value", [2.0, 2, None, b"2.00", True])
def test_other_types_are_not_amounts(value: Any) -> None:
    with pytest.raises(ValueError, match="amount in dollars"):
        nano_dollars(value)


def test_dollars_are_read_exactly() -> None:
    assert nano_dollars("0.1") * 3 == nano_dollars("0.3")
    assert nano_dollars("999999999999.999999999") == 999_999_999_999_999_999_999
    with pytest.raises(ValueError, match="whole number of nano-dollars"):
        nano_dollars("0.0000000001")


def test_a_token_cost_is_exact_and_a_plain_int() -> None:
    cost = 1_047_576 * TokenPrice.parse("2.00") + 32_768 * TokenPrice.parse("8.00")
    assert type(cost) is int
    assert format_dollars(cost) == "$2.357296"


def test_fees_are_prorated_half_up_once() -> None:
    storage = Fee.parse("0.10")
    assert prorated(storage, GIGABYTE * DAY, GIGABYTE * DAY) == nano_dollars("0.10")
    assert prorated(1, 1, 2) == 1
    assert prorated(1, 499, 1_000) == 0
    assert prorated(3, 1, 2) == 2
    assert prorated(storage, 0, GIGABYTE * DAY) == 0
    for price, used, unit in [(-1, 1, 1), (1, -1, 1), (1, 1, 0)]:
        with pytest.raises(ValueError, match="fee needs"):
            prorated(price, used, unit)


def test_prorating_is_the_nearest_whole_of_the_exact_fee() -> None:
    dice = random.Random(7)
    for _ in range(500):
        price, used, unit = dice.randrange(10**9), dice.randrange(10**18), dice.randrange(1, 10**15)
        assert prorated(price, used, unit) == (Fraction(price * used, unit) + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize(
    ("dollars", "long", "short"),
    [
        ("2", "$2.00", "$2"),
        ("0.50", "$0.50", "$0.50"),
        ("0.1", "$0.10", "$0.10"),
        ("0.025", "$0.025", "$0.025"),
        ("1234.5", "$1,234.50", "$1,234.50"),
        ("0", "$0.00", "$0"),
        ("0.000000001", "$0.000000001", "$0.000000001"),
        ("100", "$100.00", "$100"),
    ],
)
def test_amounts_for_people(dollars: str, long: str, short: str) -> None:
    assert format_dollars(nano_dollars(dollars)) == long
    assert format_dollars_short(nano_dollars(dollars)) == short


def test_a_refund_shows_its_sign_before_the_currency() -> None:
    assert format_dollars(-nano_dollars("1.5")) == "-$1.50"
