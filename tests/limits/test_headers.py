from __future__ import annotations

from typing import Any

import msgspec
import pytest

from inhouse.catalog.cards import Card, TierLimits, load_cards
from inhouse.kit.errors import RateLimited
from inhouse.limits.headers import duration, limit_headers, limit_reached, too_large
from inhouse.limits.memory import InMemory
from inhouse.limits.plans import Plan, limits_of, plan

CARDS = load_cards()
VISIT = "Visit https://platform.openai.com/account/rate-limits to learn more."


def card(name: str = "gpt-4.1") -> Card:
    found = CARDS.get(name)
    assert found is not None
    return found


def planned(limits: TierLimits, lowered: dict[str, int] | None = None, group: str = "gpt-4.1") -> Plan:
    return plan("org-X", "proj_X", group, limits, lowered)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (14, "14ms"),
        (120, "120ms"),
        (1000, "1s"),
        (2572, "2.572s"),
        (8640, "8.64s"),
        (59_999, "59.999s"),
        (60_000, "1m0s"),
        (360_000, "6m0s"),
        (432_000, "7m12s"),
        (432_050, "7m12.05s"),
        (86_400_000, "24h0m0s"),
        (3_661_000, "1h1m1s"),
    ],
)
def test_durations_are_written_as_go_does(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_headers_of_an_answer(clock: Any) -> None:
    mine = planned(TierLimits(rpm=500, tpm=30_000))
    taken = InMemory(clock).take_now(mine.buckets, (1, 1287, 0))
    assert limit_headers(mine, taken) == {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "28713",
        "x-ratelimit-reset-tokens": "2.574s",
    }


def test_a_limit_a_day_is_the_one_shown(clock: Any) -> None:
    mine = planned(TierLimits(rpm=500, rpd=10_000, tpm=200_000, tpd=1_000_000))
    shown = limit_headers(mine, InMemory(clock).take_now(mine.buckets, (1, 22, 0)))
    assert shown["x-ratelimit-limit-requests"] == "10000"
    assert shown["x-ratelimit-remaining-requests"] == "9999"
    assert shown["x-ratelimit-reset-requests"] == "8.64s"
    assert shown["x-ratelimit-limit-tokens"] == "200000"
    assert shown["x-ratelimit-remaining-tokens"] == "199978"
    assert shown["x-ratelimit-reset-tokens"] == "6ms"


def test_a_project_limit_has_headers_of_its_own(clock: Any) -> None:
    mine = planned(TierLimits(rpm=500, tpm=150_000), {"tpm": 60_000})
    shown = limit_headers(mine, InMemory(clock).take_now(mine.buckets, (1, 3000, 0)))
    assert shown["x-ratelimit-limit-tokens"] == "150000"
    assert shown["x-ratelimit-limit-project-tokens"] == "60000"
    assert shown["x-ratelimit-remaining-project-tokens"] == "57000"
    assert shown["x-ratelimit-reset-project-tokens"] == "3s"


def refusal(clock: Any, limits: TierLimits, takes: list[tuple[int, int, int]], **given: Any) -> RateLimited:
    """What the last of ``takes`` is told; all before it pass."""
    mine = planned(limits, **given)
    store = InMemory(clock)
    for amounts in takes[:-1]:
        assert store.take_now(mine.buckets, amounts).admitted
    taken = store.take_now(mine.buckets, takes[-1])
    assert not taken.admitted
    return limit_reached(card(), mine, takes[-1], taken)


def test_requests_per_minute_word_for_word(clock: Any) -> None:
    error = refusal(clock, TierLimits(rpm=500, tpm=10**9), [(500, 0, 0), (1, 0, 0)])
    assert error.message == (
        "Rate limit reached for gpt-4.1 in organization org-X on requests per min (RPM): Limit 500, Used 500, "
        f"Requested 1. Please try again in 120ms. {VISIT}"
    )
    assert (error.status, error.type, error.code, error.param) == (429, "requests", "rate_limit_exceeded", None)
    assert error.headers["retry-after"] == "1"
    assert error.headers["retry-after-ms"] == "120"
    assert error.headers["x-ratelimit-remaining-requests"] == "0"
    assert error.headers["x-ratelimit-reset-requests"] == "1m0s"


def test_requests_per_day_word_for_word(clock: Any) -> None:
    error = refusal(clock, TierLimits(rpm=1000, rpd=200, tpm=10**9), [(200, 0, 0), (1, 0, 0)])
    assert error.message == (
        "Rate limit reached for gpt-4.1 in organization org-X on requests per day (RPD): Limit 200, Used 200, "
        f"Requested 1. Please try again in 7m12s. {VISIT}"
    )
    assert error.headers["retry-after"] == "432"


@pytest.mark.parametrize(
    ("used", "requested", "wait", "milliseconds"),
    [(30_000, 1741, "3.482s", "3482"), (15_658, 16_458, "4.232s", "4232"), (27_001, 8997, "11.996s", "11996")],
)
def test_tokens_per_minute_word_for_word(clock: Any, used: int, requested: int, wait: str, milliseconds: str) -> None:
    error = refusal(clock, TierLimits(rpm=500, tpm=30_000), [(1, used, 0), (1, requested, 0)])
    assert error.message == (
        f"Rate limit reached for gpt-4.1 in organization org-X on tokens per min (TPM): Limit 30000, Used {used}, "
        f"Requested {requested}. Please try again in {wait}. {VISIT}"
    )
    assert (error.type, error.code) == ("tokens", "rate_limit_exceeded")
    assert error.headers["retry-after-ms"] == milliseconds


def test_a_project_limit_names_the_project(clock: Any) -> None:
    error = refusal(clock, TierLimits(rpm=500, tpm=30_000), [(2, 0, 0), (1, 0, 0)], lowered={"rpm": 2})
    assert error.message.startswith(
        "Rate limit reached for gpt-4.1 in project proj_X organization org-X on requests per min (RPM): Limit 2, "
        "Used 2, Requested 1. Please try again in 30s."
    )


def test_the_longest_wait_is_told(clock: Any) -> None:
    error = refusal(clock, TierLimits(rpm=2, tpm=30_000), [(2, 30_000, 0), (1, 10, 0)])
    assert "(RPM): Limit 2, Used 2, Requested 1. Please try again in 30s." in error.message


def test_too_large_word_for_word() -> None:
    mine = planned(TierLimits(rpm=500, tpm=30_000))
    small = mine.too_small(42_257)
    assert small is not None
    error = too_large(card(), mine, small, 42_257)
    assert error.message == (
        "Request too large for gpt-4.1 in organization org-X on tokens per min (TPM): Limit 30000, Requested 42257. "
        f"The input or output tokens must be reduced in order to run successfully. {VISIT}"
    )
    assert (error.status, error.type, error.code) == (429, "tokens", "rate_limit_exceeded")
    assert error.headers == {"x-should-retry": "false"}
    assert mine.too_small(30_000) is None


def test_long_context_is_named() -> None:
    group, limits = limits_of(card(), "tier_3", long=True)
    assert limits is not None
    mine = planned(limits, group=group)
    small = mine.too_small(1_101_959)
    assert small is not None
    assert too_large(card(), mine, small, 1_101_959).message.startswith(
        "Request too large for gpt-4.1 (for limit gpt-4.1-long-context) in organization org-X on tokens per min "
        "(TPM): Limit 1000000, Requested 1101959."
    )


def test_families_share_buckets_and_cards_are_named() -> None:
    sibling = msgspec.structs.replace(card(), id="gpt-4.1-twin")
    first, second = (limits_of(each, "tier_1", long=False) for each in (card(), sibling))
    assert first == second
    assert first[1] is not None
    mine = planned(first[1], group=first[0])
    assert (
        "Request too large for gpt-4.1-twin in organization"
        in too_large(sibling, mine, mine.buckets[-1], 10**6).message
    )


def test_a_debt_is_waited_for(clock: Any) -> None:
    mine = planned(TierLimits(rpm=500, tpm=30_000))
    store = InMemory(clock)
    store.take_now(mine.buckets, (1, 30_000, 0))
    store.settle(mine.buckets, (0, 6000, 0))
    error = limit_reached(card(), mine, (1, 1000, 0), store.take_now(mine.buckets, (1, 1000, 0)))
    assert "Limit 30000, Used 36000, Requested 1000. Please try again in 14s." in error.message
    assert error.headers["x-ratelimit-remaining-tokens"] == "0"
    clock.pass_(13.99)
    assert not store.take_now(mine.buckets, (1, 1000, 0)).admitted
    clock.pass_(0.02)
    assert store.take_now(mine.buckets, (1, 1000, 0)).admitted
