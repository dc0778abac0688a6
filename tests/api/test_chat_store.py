"""Stored chat completions, on both databases. Another project comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from inhouse.api.chat.store import CompletionStore, Stored
from inhouse.storage.database import Database

Open = Callable[[str], Database]
MINE, THEIRS = "proj_mine", "proj_theirs"


def stored(id: str, at: int = 1, model: str = "gpt-4.1", **metadata: str) -> Stored:
    return Stored(id, at, model, msgspec.json.encode(metadata).decode(), "[]", '{"é": "\\u0000"}')


@pytest.fixture
def store(database: Database) -> CompletionStore:
    return CompletionStore(database)


async def listed(store: CompletionStore, **more: Any) -> tuple[list[str], bool]:
    asked: dict[str, Any] = {"after": None, "limit": 20, "order": "asc", "models": None, "metadata": {}}
    page = await store.page(more.pop("project", MINE), **{**asked, **more})
    assert page is not None
    return [row.id for row in page[0]], page[1]


async def test_another_project_sees_and_changes_nothing(store: CompletionStore) -> None:
    await store.add(THEIRS, stored("chatcmpl-1", x="y"))
    await store.add(MINE, stored("chatcmpl-2"))
    assert await store.get(MINE, "chatcmpl-1") is None
    assert await store.set_metadata(MINE, "chatcmpl-1", "{}") is None
    assert not await store.delete(MINE, "chatcmpl-1")
    assert await listed(store) == (["chatcmpl-2"], False)
    assert await store.page(MINE, after="chatcmpl-1", limit=1, order="asc", models=None, metadata={}) is None
    assert await store.get(THEIRS, "chatcmpl-1") == stored("chatcmpl-1", x="y")


async def test_add_get_change_delete(store: CompletionStore) -> None:
    await store.add(MINE, stored("a", x="y"))
    assert await store.get(MINE, "a") == stored("a", x="y")
    changed = await store.set_metadata(MINE, "a", '{"z":"w"}')
    assert changed == stored("a", z="w") == await store.get(MINE, "a")
    assert await store.delete(MINE, "a")
    assert not await store.delete(MINE, "a")
    assert await store.get(MINE, "a") is None
    assert await listed(store) == ([], False)


async def test_pages_in_both_orders_also_where_times_are_equal(store: CompletionStore) -> None:
    for id, at in (("c", 1), ("a", 2), ("b", 2), ("d", 2), ("e", 3)):
        await store.add(MINE, stored(id, at))
    for order, everything in (("asc", ["c", "a", "b", "d", "e"]), ("desc", ["e", "d", "b", "a", "c"])):
        assert await listed(store, order=order) == (everything, False)
        walked: list[str] = []
        after, more = None, True
        while more:
            page, more = await listed(store, order=order, limit=2, after=after)
            walked += page
            after = page[-1]
        assert walked == everything
        assert await listed(store, order=order, limit=5) == (everything, False)
        assert await listed(store, order=order, after=everything[-1]) == ([], False)


async def test_a_page_after_a_completion_that_is_gone(store: CompletionStore) -> None:
    await store.add(MINE, stored("a"))
    await store.delete(MINE, "a")
    assert await store.page(MINE, after="a", limit=1, order="asc", models=None, metadata={}) is None


async def test_filters(store: CompletionStore) -> None:
    await store.add(MINE, stored("a", 1, "gpt-4.1", team="red", run="1"))
    await store.add(MINE, stored("b", 2, "gpt-4o", team="red", run="2"))
    await store.add(MINE, stored("c", 3, "gpt-4.1"))
    assert (await listed(store, models=["gpt-4.1"]))[0] == ["a", "c"]
    assert (await listed(store, metadata={"team": "red"}))[0] == ["a", "b"]
    assert (await listed(store, metadata={"team": "red", "run": "2"}))[0] == ["b"]
    assert (await listed(store, metadata={"team": "red"}, models=["gpt-4.1"]))[0] == ["a"]
    assert (await listed(store, metadata={"team": "blue"}))[0] == []
    assert (await listed(store, metadata={"none": "red"}))[0] == []
    assert await listed(store, metadata={"team": "red"}, limit=1) == (["a"], True)


@pytest.mark.parametrize(
    "name",
    ["a.b", "a b", 'a"b', "a'b", "a\\b", "$", "$.x", "", "é", "a[0]", "0", "-1", "%", ":x", "\U0001f469", "a\x01b"],
)
async def test_names_and_values_of_any_kind_are_found(store: CompletionStore, name: str) -> None:
    await store.add(MINE, stored("a", 1, **{name: f"value of {name}", "other": "x"}))
    await store.add(MINE, stored("b", 2, **{f"{name}x": f"value of {name}"}))
    assert (await listed(store, metadata={name: f"value of {name}"}))[0] == ["a"]
    assert (await listed(store, metadata={name: "x"}))[0] == []


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
async def test_a_zero_character_finds_only_itself(store: CompletionStore, text: str) -> None:
    await store.add(MINE, stored("a", 1, x="y"))
    await store.add(MINE, stored("b", 2, x=text, **{text: "y"}))
    assert (await listed(store, metadata={"x": "y"}))[0] == ["a"]
    assert (await listed(store, metadata={"x": text}))[0] == ["b"]
    assert (await listed(store, metadata={text: "y"}))[0] == ["b"]


async def test_what_only_looks_like_a_pair_is_not_found(store: CompletionStore) -> None:
    # In JSON: {"a":"b",":":"zzz"}, which holds the text `",":":"`.
    await store.add(MINE, stored("a", 1, **{"a": "b", ":": "zzz"}))
    await store.add(MINE, stored("b", 2, **{",": ":"}))
    await store.add(MINE, stored("c", 3, **{"a": "b", ":": "zzz"}))
    await store.add(MINE, stored("d", 4, **{",": ":"}))
    for limit in (1, 2, 3):
        walked: list[str] = []
        more = True
        while more:
            page, more = await listed(store, metadata={",": ":"}, limit=limit, after=walked[-1] if walked else None)
            walked += page
        assert walked == ["b", "d"]


async def test_a_value_longer_than_any_is_just_not_found(store: CompletionStore) -> None:
    await store.add(MINE, stored("a", 1, x="y"))
    assert await listed(store, metadata={"x": "y" * 200_000}) == ([], False)


async def test_numbers_are_not_texts(store: CompletionStore) -> None:
    await store.add(MINE, stored("a", 1, x="1"))
    await store.add(MINE, stored("b", 2, x="1.0"))
    assert (await listed(store, metadata={"x": "1"}))[0] == ["a"]
