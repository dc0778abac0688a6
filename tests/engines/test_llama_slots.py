"""Who gets which slot of llama.cpp, and whether what it holds may be used."""

from __future__ import annotations

from inhouse.engines.llama.slots import Slots
from inhouse.engines.supervisor import Endpoint

HERE = Endpoint("http://127.0.0.1:1", "key")
TEXT = list(range(100))


def test_llama_chooses_for_a_single_tenant() -> None:
    slots = Slots(2)
    assert [slots.take(HERE, "a", TEXT).body for _ in range(3)] == [{"cache_prompt": True}] * 3


def test_from_the_second_tenant_on_each_keeps_to_its_own() -> None:
    slots = Slots(2)
    first = slots.take(HERE, "a", TEXT)
    slots.learn(first, 1)
    second = slots.take(HERE, "b", TEXT)
    assert second.body == {"id_slot": 0, "cache_prompt": False}, "the other one is at work"
    for place in (first, second):
        slots.give(place, ended=True)
    again = slots.take(HERE, "b", [*TEXT, 7])
    assert again.body == {"id_slot": 0, "cache_prompt": True}
    slots.give(again, ended=True)
    assert slots.take(HERE, "a", TEXT).body == {"id_slot": 1, "cache_prompt": True}


def test_the_slot_that_begins_most_alike_is_taken_else_the_one_not_used_for_longest() -> None:
    slots = Slots(3)
    slots.take(HERE, "a", [1])
    prompts = [[1, *TEXT], [2, *TEXT], [3, *TEXT]]
    for place in [slots.take(HERE, "b", prompt) for prompt in prompts]:
        slots.give(place, ended=True)
    found = slots.take(HERE, "b", [2, *TEXT, 5])
    assert found.body == {"id_slot": 1, "cache_prompt": True}
    slots.give(found, ended=True)
    assert slots.take(HERE, "c", [2, *TEXT]).body == {"id_slot": 0, "cache_prompt": False}


def test_a_slot_whose_request_was_broken_off_is_left_to_notice_it() -> None:
    slots = Slots(2)
    slots.take(HERE, "a", [1])
    broken = slots.take(HERE, "b", TEXT)
    slots.give(broken, ended=False)
    slots.give(slots.take(HERE, "c", TEXT), ended=True)
    assert slots.take(HERE, "d", TEXT).slot != broken.slot


def test_another_process_holds_nothing() -> None:
    slots = Slots(1)
    old = slots.take(HERE, "a", TEXT)
    there = Endpoint("http://127.0.0.1:2", "other")
    assert slots.take(there, "b", TEXT).body == {"cache_prompt": True}
    slots.learn(old, 0)
    slots.give(old, ended=True)
    assert slots.take(there, "c", TEXT).body == {"id_slot": 0, "cache_prompt": False}
