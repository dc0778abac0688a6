from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from inhouse.kit.ids import new_id, request_id


@pytest.mark.parametrize(
    ("prefix", "pattern"),
    [
        ("chatcmpl-", r"chatcmpl-[0-9A-Za-z]{29}"),
        ("cmpl-", r"cmpl-[0-9A-Za-z]{29}"),
        ("call_", r"call_[0-9A-Za-z]{24}"),
        ("asst_", r"asst_[0-9A-Za-z]{24}"),
        ("resp_", r"resp_[0-9a-f]{48}"),
        ("batch_", r"batch_[0-9a-f]{32}"),
    ],
)
def test_prefix_and_length(prefix: str, pattern: str) -> None:
    made = {new_id(prefix) for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(pattern, each) for each in made)


def test_length_can_be_given() -> None:
    assert re.fullmatch(r"msg_[0-9A-Za-z]{24}", new_id("msg_", 24))
    assert len(new_id("x-", 500)) == 502


def test_request_id() -> None:
    assert re.fullmatch(r"req_[0-9a-f]{32}", request_id())
    assert request_id() != request_id()


def test_letters_are_evenly_likely() -> None:
    text = new_id("", 620_000)
    counts = [text.count(letter) for letter in set(text)]
    assert len(counts) == 62
    # 10,000 each on average with a standard deviation of 99; 7 of these are never met by chance.
    assert min(counts) > 9_300
    assert max(counts) < 10_700


def test_threads_share_no_randomness() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [id for ids in threads.map(lambda _: [new_id("resp_") for _ in range(2_000)], range(8)) for id in ids]
    assert len(set(made)) == len(made)


def test_a_child_process_shares_no_randomness() -> None:
    new_id("resp_")  # there is a block in memory now
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id("resp_") for _ in range(10)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 10_000).decode()
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 10 * 53
    assert not any(new_id("resp_") in theirs for _ in range(100))
