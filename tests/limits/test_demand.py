from __future__ import annotations

import pytest

from inhouse.limits.demand import Demand, estimate


def test_four_characters_are_a_token() -> None:
    assert [estimate(characters) for characters in (0, 1, 4, 5, 400)] == [0, 1, 1, 2, 100]


def test_images_count_by_their_detail() -> None:
    assert estimate(4, images_low=1, images_high=2) == 1 + 85 + 2 * 765


@pytest.mark.parametrize(
    ("demand", "tokens"),
    [
        (Demand(input_tokens=100), 100),
        (Demand(input_tokens=100, max_tokens=50), 100),
        (Demand(input_tokens=100, max_tokens=500), 500),
        (Demand(input_tokens=100, max_tokens=500, answers=3), 1500),
        (Demand(input_tokens=100, max_tokens=10**9), 32_768),
        (Demand(input_tokens=0), 1),
    ],
)
def test_the_larger_of_the_estimate_and_what_may_be_written_counts(demand: Demand, tokens: int) -> None:
    assert demand.amounts(32_768) == (1, tokens, 0)
