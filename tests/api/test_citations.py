"""Marks of a hosted tool in the model's text, as the Responses face tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.walking import migrated

from inhouse.api.responses.hosting import HostedTools
from inhouse.storage.database import Database
from inhouse.tools.file_search.citing import Citations
from inhouse.tools.file_search.service import Found
from inhouse.tools.hosted import Answered, Cited, Declaration, HostedCall, HostedTool, ToolEvents
from scripted import Platform, ScriptedEngine, check_order

SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
CALL = '<tool_call>\n{"name": "file_search", "arguments": {}}\n</tool_call>'
BUDGET = Found("file-1", "budget.txt", {}, 0.5, "The marketing budget is 3400 euros.")


class Searching(HostedTool):
    kind = "file_search"

    def __init__(self) -> None:
        self.citations = Citations()

    def declarations(self) -> Sequence[Declaration]:
        return [Declaration("file_search", "file_search", "Search.", {"type": "object", "properties": {}})]

    async def run(self, call: HostedCall) -> ToolEvents:
        self.citations.number(BUDGET)
        yield [Answered(call, "【1】 budget.txt")]

    def read(self, text: str) -> list[str | Cited]:
        return self.citations.read(text)

    def end_text(self, *, last: bool) -> list[str | Cited]:
        return self.citations.end(last=last)


async def told_of(database: Database, *script: Sequence[str | Exception], **body: Any) -> list[dict[str, Any]]:
    platform = Platform(
        database, ScriptedEngine(*script), HostedTools({"file_search": lambda tool, circumstances: Searching()})
    )
    told: list[dict[str, Any]] = await platform.call(
        "createResponse", {"input": "Hi", "tools": [SEARCH], "stream": True, **body}
    )
    check_order(told)
    response = told[-1]["response"]
    again = await platform.call("getResponse", response_id=response["id"])
    assert again["output"] == response["output"]
    await platform.close()
    return told


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("pieces", "text", "places"),
    [
        (["It is 3400 euros 【", "1", "】. Really", "."], "It is 3400 euros. Really.", [16]),
        (["【1】It is 3400 euros."], "It is 3400 euros.", [0]),
        (["It is 3400 euros【1】【1】"], "It is 3400 euros", [16, 16]),
        (["Marketing budget: 3400 euros."], "Marketing budget: 3400 euros.", [29]),
        (["I do not know anything of that 【"], "I do not know anything of that 【", []),
        (["Not 【7】."], "Not 【7】.", []),
    ],
)
async def test_marks_become_annotations(database: Database, pieces: list[str], text: str, places: list[int]) -> None:
    told = await told_of(database, [CALL], pieces)
    (message,) = (item for item in told[-1]["response"]["output"] if item["type"] == "message")
    (part,) = message["content"]
    assert part["text"] == text
    expected = [
        {"type": "file_citation", "file_id": "file-1", "filename": "budget.txt", "index": place} for place in places
    ]
    assert part["annotations"] == expected
    added = [event for event in told if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in added] == expected
    assert [event["annotation_index"] for event in added] == list(range(len(places)))
    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == text
    assert "【1】" not in msgspec.json.encode(deltas).decode()


async def test_text_without_a_search_is_left_as_it_is(database: Database) -> None:
    told = await told_of(database, ["As it says 【1】."])
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "As it says 【1】."
