"""What searches of earlier turns found is read again, whether or not clients were told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.walking import migrated

from inhouse.api.responses import recalling
from inhouse.api.responses.file_search import file_search_maker
from inhouse.api.responses.hosting import HostedTools
from inhouse.storage.database import Database
from inhouse.tools.file_search import Found, Search
from scripted import Platform, ScriptedEngine, check_order

SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
RESULTS = "file_search_call.results"
FACT = "The gulls are fed by Morag."


class Stores:
    """Vector stores that find what a test wrote."""

    def __init__(self) -> None:
        self.texts = [FACT]
        self.asked: list[tuple[str, ...]] = []

    async def check(self, project_id: str, store_ids: Sequence[str]) -> None:
        assert (project_id, tuple(store_ids)) == ("proj_one", ("vs_1",))

    async def search(self, project_id: str, store_ids: Sequence[str], search: Search) -> list[Found]:
        self.asked.append(search.queries)
        return [Found(f"file-{n}", f"{n}.txt", {}, 0.5, text) for n, text in enumerate(self.texts)]


def searching(query: str) -> str:
    return f'<tool_call>\n{{"name": "file_search", "arguments": {{"queries": ["{query}"]}}}}\n</tool_call>'


@pytest.fixture
def stores() -> Stores:
    return Stores()


Make = Callable[..., Platform]


@pytest.fixture
async def make(tmp_path: Path, stores: Stores) -> AsyncIterator[Make]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    made: list[Platform] = []

    def make(*script: Sequence[str | Exception]) -> Platform:
        hosts = HostedTools({"file_search": file_search_maker(stores)})  # type: ignore[arg-type]
        made.append(Platform(database, ScriptedEngine(*script), hosts))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()


async def turn(platform: Platform, text: str, **more: Any) -> dict[str, Any]:
    body = {"input": text, "tools": [SEARCH], **more}
    told: list[dict[str, Any]] = await platform.call("createResponse", {**body, "stream": True})
    check_order(told)
    response: dict[str, Any] = told[-1]["response"]
    return response


def held() -> tuple[list[str], ...]:
    """A search is strict, so the arguments of its call are written under the schema."""
    return ['<tool_call>\n{"name": "file_search", "arguments": {'], ['{"queries": ["gulls"]}']


async def test_a_chain_reads_again_what_clients_were_not_told(make: Make, stores: Stores) -> None:
    platform = make(*held(), ["Morag feeds them【1】."], ["Morag does【1】."])
    first = await turn(platform, "Who feeds the gulls?")
    call, _ = first["output"]
    assert call["type"] == "file_search_call"
    assert not call.get("results")
    second = await turn(platform, "Once more?", previous_response_id=first["id"])
    assert stores.asked == [("gulls",)], "no new search was needed"
    prompt = platform.engine.prompts[-1]
    assert f"Result 【1】, from 0.txt:\n{FACT}" in prompt
    assert "not at hand" not in prompt
    (message,) = second["output"]
    (part,) = message["content"]
    assert part["text"] == "Morag does."
    assert [(each["type"], each["file_id"]) for each in part["annotations"]] == [("file_citation", "file-0")]
    # Another process, and a request without the tool.
    other = make(["As I said."])
    await turn(other, "And?", previous_response_id=second["id"], tools=[])
    assert FACT in other.engine.prompts[-1]
    assert "【" not in other.engine.prompts[-1].split("Once more?")[0]


async def test_results_are_told_where_they_are_asked_for(make: Make) -> None:
    platform = make(*held(), ["Morag."])
    conversation = await platform.call("createConversation", {})
    first = await turn(platform, "Who?", conversation=conversation["id"])
    id = first["id"]
    item = first["output"][0]["id"]
    path = {"conversation_id": conversation["id"]}
    include = f"include[]={RESULTS}"
    for query in ("", include):
        got = await platform.call("getResponse", response_id=id, query=query)
        listed = await platform.call("listConversationItems", **path, query=query)
        one = await platform.call("getConversationItem", **path, item_id=item, query=query)
        calls = [got["output"][0], next(each for each in listed["data"] if each["id"] == item), one]
        for call in calls:
            assert "found" not in call
            assert [each["text"] for each in call.get("results") or ()] == ([FACT] if query else [])


async def test_results_that_were_asked_for_stay_with_the_response(make: Make) -> None:
    platform = make(*held(), ["Morag."], ["Still Morag."])
    first = await turn(platform, "Who?", include=[RESULTS])
    assert [each["text"] for each in first["output"][0]["results"]] == [FACT]
    again = await platform.call("getResponse", response_id=first["id"])
    assert again["output"] == first["output"]
    await turn(platform, "Still?", previous_response_id=first["id"])
    assert f"Result 【1】, from 0.txt:\n{FACT}" in platform.engine.prompts[-1]


async def test_only_the_newest_searches_are_read_again(
    make: Make, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recalling, "MOST_CHARS", 90)
    previous: dict[str, Any] = {}
    for number in range(3):
        stores.texts = [f"Fact {number}. " + "x" * 40]
        platform = make(*held(), ["Yes."])
        previous = {"previous_response_id": (await turn(platform, f"Question {number}", **previous))["id"]}
    platform = make(["Fine."])
    await turn(platform, "And?", **previous)
    prompt = platform.engine.prompts[-1]
    assert ["Fact 0." in prompt, "Fact 1." in prompt, "Fact 2." in prompt] == [False, False, True]
    assert prompt.count("The results are not at hand any more.") == 2
    counted = await platform.call(
        "Getinputtokencounts", {"model": "gpt-4.1", "input": "And?", "tools": [SEARCH], **previous}
    )
    assert counted["input_tokens"] == len(prompt)


async def test_a_background_response_keeps_what_it_found(make: Make) -> None:
    platform = make(*held(), ["Morag."], ["Morag."])
    await platform.runner.start()
    told = await platform.call(
        "createResponse", {"input": "Who?", "tools": [SEARCH], "background": True, "stream": True}
    )
    check_order(told)
    await turn(platform, "Who again?", previous_response_id=told[-1]["response"]["id"])
    assert FACT in platform.engine.prompts[-1]
