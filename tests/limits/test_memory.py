from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inhouse.limits.buckets import DIMENSIONS, TOLERANCE, Bucket, bucket, refused, remaining
from inhouse.limits.memory import FIRST_SWEEP, InMemory

RPM, RPD, TPM, TPD, IPM = DIMENSIONS


def pair(rpm: int, tpm: int) -> tuple[Bucket, Bucket]:
    return bucket("r", rpm, RPM), bucket("t", tpm, TPM)


def test_the_published_arithmetic_of_resets(clock: Any) -> None:
    buckets = pair(500, 30_000)
    taken = InMemory(clock).take_now(buckets, (1, 30_000 - 28_713, 0))
    assert taken.admitted
    assert remaining(buckets[0], taken.full_at[0], taken.now) == 499
    assert taken.full_at[0] - taken.now == pytest.approx(0.12)
    assert remaining(buckets[1], taken.full_at[1], taken.now) == 28_713
    assert taken.full_at[1] - taken.now == pytest.approx(2.574)


def test_a_full_limit_is_admitted_to_its_last_unit_and_not_beyond(clock: Any) -> None:
    store = InMemory(clock)
    buckets = (bucket("r", 500, RPM),)
    assert [store.take_now(buckets, (1, 0, 0)).admitted for _ in range(501)] == [True] * 500 + [False]
    clock.pass_(0.119)
    assert not store.take_now(buckets, (1, 0, 0)).admitted
    clock.pass_(0.001)
    assert store.take_now(buckets, (1, 0, 0)).admitted


def test_all_buckets_are_taken_from_or_none(clock: Any) -> None:
    store = InMemory(clock)
    buckets = pair(10, 100)
    assert store.take_now(buckets, (1, 60, 0)).admitted
    denied = store.take_now(buckets, (1, 60, 0))
    assert not denied.admitted
    assert refused(buckets, (1, 60, 0), denied) == 1
    assert remaining(buckets[0], denied.full_at[0], denied.now) == 9, "the refused request was not counted"
    assert store.take_now(buckets, (1, 40, 0)).admitted


def test_each_dimension_counts_its_unit(clock: Any) -> None:
    store = InMemory(clock)
    buckets = tuple(bucket(each.field, 100, each) for each in DIMENSIONS)
    taken = store.take_now(buckets, (1, 7, 3))
    assert [remaining(each, at, taken.now) for each, at in zip(buckets, taken.full_at, strict=True)] == [
        99,
        99,
        93,
        93,
        97,
    ]
    assert [at - taken.now for at in taken.full_at] == pytest.approx([0.6, 864, 4.2, 6048, 1.8])


def test_settling_gives_back_what_was_not_used_and_charges_what_was_more(clock: Any) -> None:
    store = InMemory(clock)
    buckets = pair(10, 100)
    store.take_now(buckets, (1, 80, 0))
    store.settle(buckets, (0, -70, 0))
    assert store.take_now(buckets, (1, 90, 0)).admitted
    store.settle(buckets, (0, 50, 0))
    denied = store.take_now(buckets, (1, 1, 0))
    assert not denied.admitted
    assert remaining(buckets[1], denied.full_at[1], denied.now) == 0
    clock.pass_(30)  # 50 over the limit, less 50 that refilled
    assert not store.take_now(buckets, (1, 1, 0)).admitted
    clock.pass_(0.6)
    assert store.take_now(buckets, (1, 1, 0)).admitted


def test_a_debt_is_forgiven_after_two_windows(clock: Any) -> None:
    store = InMemory(clock)
    buckets = pair(10, 100)
    store.settle(buckets, (0, 1_000_000, 0))
    clock.pass_(119)
    assert store.take_now(buckets, (1, 90, 0)).admitted


def test_what_is_given_back_late_never_makes_more_than_the_limit(clock: Any) -> None:
    store = InMemory(clock)
    buckets = pair(10, 100)
    store.take_now(buckets, (1, 100, 0))
    clock.pass_(60)
    store.settle(buckets, (0, -100, 0))
    assert len(store) <= 1, "a full bucket needs no memory"
    assert store.take_now(buckets, (1, 100, 0)).admitted
    assert not store.take_now(buckets, (1, 1, 0)).admitted


def test_a_limit_that_changes_keeps_the_share_that_is_used(clock: Any) -> None:
    store = InMemory(clock)
    store.take_now((bucket("r", 100, RPM),), (50, 0, 0))
    grown = bucket("r", 1000, RPM)
    taken = store.take_now((grown,), (0, 0, 0))
    assert remaining(grown, taken.full_at[0], taken.now) == 500


def test_full_buckets_are_forgotten(clock: Any) -> None:
    store = InMemory(clock)
    for number in range(20 * FIRST_SWEEP):
        store.take_now((bucket(f"k{number}", 600, RPM),), (1, 0, 0))
        clock.pass_(0.01)  # each is full again after 0.1 s
    assert len(store) <= FIRST_SWEEP + 1


def test_a_share_is_a_part_of_every_limit(clock: Any) -> None:
    store = InMemory(clock, parts=4)
    buckets = (bucket("r", 100, RPM),)
    assert sum(store.take_now(buckets, (1, 0, 0)).admitted for _ in range(100)) == 25
    clock.pass_(60)
    assert sum(store.take_now(buckets, (1, 0, 0)).admitted for _ in range(100)) == 25


@given(
    limit=st.integers(1, 30_000_000),
    steps=st.lists(st.tuples(st.floats(0, 90), st.floats(0, 1.2)), min_size=1, max_size=60),
)
def test_never_more_than_the_limit_and_what_refilled(limit: int, steps: list[tuple[float, float]]) -> None:
    now = [5000.0]
    clock: Callable[[], float] = lambda: now[0]  # noqa: E731
    store = InMemory(clock)
    buckets = (bucket("t", limit, TPM),)
    admitted: list[tuple[float, int]] = []
    for wait, share in steps:
        now[0] += wait
        amount = int(share * limit)
        if store.take_now(buckets, (1, amount, 0)).admitted:
            admitted.append((now[0], amount))
    for first, (start, _) in enumerate(admitted):
        total = 0
        for at, amount in admitted[first:]:
            total += amount
            assert total <= limit + limit * (at - start) / 60 + limit * 2 * TOLERANCE / 60 + 1e-6
