"""Assistants, threads and messages: made, changed, listed, refused; moved off and taken up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from assisted import WEATHER, Assisted, call

from inhouse.api.assistants.importing import take_up
from inhouse.api.assistants.migrating import Migrations
from inhouse.api.assistants.stores import Stores
from inhouse.api.prompts.service import PromptsService
from inhouse.api.responses.hosting import HostedTools
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database
from inhouse.tools.hosted import Answered, Cited, Declaration, HostedCall, HostedItem, HostedTool, ItemDone, ItemStarted
from scripted import ScriptedEngine

SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


@pytest.fixture
async def platform(database: Database) -> AsyncIterator[Assisted]:
    made = Assisted(database, ScriptedEngine(["Hello"]))
    yield made
    await made.close()


async def test_an_assistant_is_kept_as_it_was_made(platform: Assisted) -> None:
    made = await platform.call(
        "createAssistant",
        {"model": "gpt-4.1", "name": "Bot", "tools": [WEATHER], "response_format": SCHEMA, "top_p": 0.5},
    )
    assert (made["temperature"], made["top_p"], made["metadata"]) == (1.0, 0.5, {})
    assert (made["tools"], made["response_format"]) == ([WEATHER], SCHEMA)
    assert await platform.call("getAssistant", assistant_id=made["id"]) == made
    changed = await platform.call(
        "modifyAssistant", {"name": None, "instructions": "Be brief.", "tools": []}, assistant_id=made["id"]
    )
    assert changed == {**made, "name": None, "instructions": "Be brief.", "tools": []}
    assert (await platform.call("deleteAssistant", assistant_id=made["id"]))["object"] == "assistant.deleted"
    with pytest.raises(NotFound, match=f"No assistant found with id '{made['id']}'."):
        await platform.call("modifyAssistant", {"name": "Gone"}, assistant_id=made["id"])


async def test_pages_go_both_ways(platform: Assisted) -> None:
    made = [await platform.assistant(name=str(number)) for number in range(5)]

    async def page(query: str) -> tuple[list[str], bool]:
        found = await platform.call("listAssistants", query=query)
        assert found["first_id"] == (found["data"][0]["id"] if found["data"] else None)
        return [each["name"] for each in found["data"]], found["has_more"]

    assert await page("limit=2") == (["4", "3"], True)
    assert await page(f"limit=2&after={made[3]}") == (["2", "1"], True)
    assert await page(f"limit=5&after={made[3]}") == (["2", "1", "0"], False)
    assert await page(f"limit=2&before={made[0]}") == (["2", "1"], True)
    assert await page(f"order=asc&limit=2&after={made[0]}") == (["1", "2"], True)
    assert await page(f"order=asc&before={made[2]}") == (["0", "1"], False)
    assert await page(f"after={made[0]}") == ([], False)
    with pytest.raises(InvalidRequest, match="No assistant found with id 'asst_nope'"):
        await page("after=asst_nope")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tools": [{"type": "file_search"}]}, "Hosted tool 'file_search' is not supported with gpt-4.1."),
        ({"tools": [{"type": "code_interpreter"}]}, "Hosted tool 'code_interpreter' is not supported with gpt-4.1."),
        ({"tools": [WEATHER, WEATHER]}, "Tool names must be unique: 'get_weather' is given twice."),
        ({"tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}}}, "Vector stores are not supported"),
        ({"model": "gpt-3.5-turbo-instruct"}, "gpt-3.5-turbo-instruct"),
        ({"reasoning_effort": "low"}, "Unsupported parameter: 'reasoning_effort'"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {}}}},
            "Invalid schema for response_format 'a'",
        ),
        ({"name": "n" * 257}, "string too long"),
    ],
)
async def test_refused(platform: Assisted, body: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidRequest, NotFound)) as refused:
        await platform.assistant(**body)
    assert message in refused.value.message


async def test_runs_that_are_refused(platform: Assisted) -> None:
    assistant, thread = await platform.assistant(), await platform.thread("Hi")
    for body, message in [
        ({"tool_choice": "required"}, "Tool choice 'required' must be specified with 'tools'."),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "Tool choice 'f' not found in 'tools'"),
        ({"truncation_strategy": {"type": "last_messages"}}, "Missing required parameter"),
        ({"max_prompt_tokens": 255}, "integer below minimum value"),
    ]:
        with pytest.raises((InvalidRequest, NotFound)) as refused:
            await platform.run(thread, assistant, **body)
        assert message in refused.value.message
    with pytest.raises(NotFound, match="No assistant found with id 'asst_nope'"):
        await platform.run(thread, "asst_nope")
    with pytest.raises(NotFound, match="No thread found with id 'thread_nope'"):
        await platform.run("thread_nope", assistant)


async def test_messages(platform: Assisted) -> None:
    thread = await platform.thread()
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
    attachments = [{"file_id": "file-1", "tools": [{"type": "file_search"}]}]
    made = await platform.call(
        "createMessage",
        {"role": "user", "content": [{"type": "text", "text": "See"}, image], "attachments": attachments},
        thread_id=thread,
    )
    assert made["content"] == [{"type": "text", "text": {"value": "See", "annotations": []}}, image]
    assert (made["attachments"], made["status"], made["assistant_id"]) == (attachments, "completed", None)
    assert len(made["id"]) == len("msg_") + 24
    path = {"thread_id": thread, "message_id": made["id"]}
    changed = await platform.call("modifyMessage", {"metadata": {"a": "b"}}, **path)
    assert changed == {**made, "metadata": {"a": "b"}}
    assert await platform.call("getMessage", **path) == changed
    assert (await platform.call("deleteMessage", **path))["deleted"]
    with pytest.raises(NotFound, match=f"No message found with id '{made['id']}'."):
        await platform.call("deleteMessage", **path)
    changed = await platform.call("modifyThread", {"metadata": {"x": "y"}}, thread_id=thread)
    assert changed["metadata"] == {"x": "y"}


class SearchCall(HostedItem, kw_only=True, tag="file_search_call"):
    """As the contract of Responses tells a search."""

    status: str = "in_progress"
    queries: list[str] = []  # noqa: RUF012
    results: list[dict[str, Any]] | None = None


class Search(HostedTool):
    kind = "file_search"

    def declarations(self) -> list[Declaration]:
        return [
            Declaration(
                "file_search",
                "file_search",
                "Search",
                {"type": "object", "properties": {}, "additionalProperties": True},
            )
        ]

    def read(self, text: str) -> list[str | Cited]:
        before, mark, after = text.partition("【1】")
        cited = Cited({"type": "file_citation", "file_id": "file-1", "filename": "a.txt"})
        return [before, cited, after] if mark else [text]

    async def run(self, made: HostedCall) -> Any:
        yield [ItemStarted(SearchCall(id="fs_1"))]
        found = [{"file_id": "file-1", "filename": "a.txt", "score": 0.5, "text": "Paris is warm."}]
        yield [ItemDone(SearchCall(id="fs_1", status="completed", results=found))]
        yield [Answered(made, "Paris is warm.")]


class Kept:
    """What keeps vector stores; the first look finds a file that is still taken in."""

    def __init__(self) -> None:
        self.made: list[tuple[list[str], int | None]] = []
        self.added: list[tuple[str, list[str]]] = []
        self.looks = 0

    async def create(self, project_id: str, *, files: Any, days: int | None, **given: Any) -> Any:
        self.made.append(([each.file_id for each in files], days))
        return SimpleNamespace(id="vs_made"), None

    async def add_batch(self, project_id: str, store_id: str, new: Any) -> None:
        self.added.append((store_id, [each.file_id for each in new]))

    async def check(self, project_id: str, ids: Any) -> None:
        if "vs_nope" in ids:
            raise NotFound("Vector store vs_nope not found.")

    async def get(self, project_id: str, store_id: str) -> Any:
        self.looks += 1
        return None, SimpleNamespace(in_progress=int(self.looks == 1))


async def test_file_search(database: Database) -> None:
    asked: list[Any] = []

    def make(tool: Any, circumstances: Any) -> HostedTool:
        asked.append(tool)
        return Search()

    engine = ScriptedEngine([call("file_search", "{}")], ["Warm."])
    platform = Assisted(database, engine, HostedTools({"file_search": make}), stores=Stores(Kept()))
    await platform.runner.start()
    try:
        assistant = await platform.call(
            "createAssistant",
            {
                "model": "gpt-4.1",
                "tools": [{"type": "file_search", "file_search": {"max_num_results": 3}}],
                "tool_resources": {"file_search": {"vector_stores": [{"file_ids": ["file-1"]}]}},
            },
        )
        assert assistant["tool_resources"] == {"file_search": {"vector_store_ids": ["vs_made"]}}
        with pytest.raises(NotFound, match="vs_nope"):
            await platform.assistant(tool_resources={"file_search": {"vector_store_ids": ["vs_nope"]}})
        thread = await platform.thread("Is Paris warm?")
        run = await platform.ended(thread, (await platform.run(thread, assistant["id"]))["id"])
        assert run["status"] == "completed", run
        assert (asked[0].vector_store_ids, asked[0].max_num_results) == (["vs_made"], 3)
        searched, written = await platform.steps(thread, run["id"])
        assert (searched["status"], written["type"]) == ("completed", "message_creation")
        result = {"file_id": "file-1", "file_name": "a.txt", "score": 0.5}
        assert searched["step_details"]["tool_calls"] == [
            {"type": "file_search", "id": "fs_1", "file_search": {"results": [result]}}
        ]
        include = "include[]=step_details.tool_calls[*].file_search.results[*].content"
        whole = await platform.call(
            "getRunStep", thread_id=thread, run_id=run["id"], step_id=searched["id"], query=include
        )
        found = whole["step_details"]["tool_calls"][0]["file_search"]["results"]
        assert found == [{**result, "content": [{"type": "text", "text": "Paris is warm."}]}]
    finally:
        await platform.close()


async def test_attached_files_can_be_searched(database: Database) -> None:
    asked: list[Any] = []

    def make(tool: Any, circumstances: Any) -> HostedTool:
        asked.append(tool)
        return Search()

    kept = Kept()
    engine = ScriptedEngine([call("file_search", "{}")], ["Warm【1】."])
    platform = Assisted(database, engine, HostedTools({"file_search": make}), stores=Stores(kept))
    await platform.runner.start()
    try:
        assistant = await platform.assistant(tools=[{"type": "file_search"}])
        attached = {"file_id": "file-1", "tools": [{"type": "file_search"}]}
        message = {"role": "user", "content": "Is Paris warm?", "attachments": [attached]}
        made = await platform.call("createThread", {"messages": [message]})
        assert made["tool_resources"]["file_search"] == {"vector_store_ids": ["vs_made"]}
        assert kept.made == [(["file-1"], 7)]
        await platform.call(
            "createMessage",
            {**message, "attachments": [{**attached, "file_id": "file-2"}, {"file_id": "file-3"}]},
            thread_id=made["id"],
        )
        assert kept.added == [("vs_made", ["file-2"])], "file-3 names no tool"
        run = await platform.ended(made["id"], (await platform.run(made["id"], assistant))["id"])
        assert run["status"] == "completed", run
        assert asked[0].vector_store_ids == ["vs_made"]
        assert kept.looks > 1, "the run waited for files that were being taken in"
        [said, *_] = (await platform.call("listMessages", thread_id=made["id"]))["data"]
        text = said["content"][0]["text"]
        [cited] = text["annotations"]
        assert text["value"] == f"Warm{cited['text']}."
        assert text["value"][cited["start_index"] : cited["end_index"]] == cited["text"]
        assert cited["file_citation"] == {"file_id": "file-1"}
        bare = await platform.thread("Hello")
        await platform.call("createMessage", message, thread_id=bare)
        thread = await platform.call("getThread", thread_id=bare)
        assert thread["tool_resources"]["file_search"] == {"vector_store_ids": ["vs_made"]}
    finally:
        await platform.close()


async def test_moving_off(database: Database) -> None:
    platform = Assisted(database, ScriptedEngine([call("get_weather", '{"city": "Paris"}')], ["Warm."]))
    await platform.runner.start()
    try:
        assistant = await platform.assistant(
            name="Bot", instructions="Be {{kind}}.", tools=[WEATHER], temperature=0.5, response_format=SCHEMA
        )
        thread = await platform.thread("Weather in Paris?")
        await platform.call("modifyThread", {"metadata": {"user": "1"}}, thread_id=thread)
        run = await platform.ended(thread, (await platform.run(thread, assistant, response_format="auto"))["id"])
        (wanted,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        body = {"tool_outputs": [{"tool_call_id": wanted["id"], "output": "18"}]}
        await platform.call("submitToolOuputsToRun", body, thread_id=thread, run_id=run["id"])
        await platform.ended(thread, run["id"])
        lonely = await platform.thread("Hi")

        moved = await platform.call("migrateAssistant", assistant_id=assistant)
        assert moved["left_behind"] == ["the instructions hold {{…}}, which a saved prompt takes for a variable"]
        content = (await PromptsService(database).version("proj_one", moved["prompt_id"])).content
        assert (content.model, content.temperature) == ("gpt-4.1", 0.5)
        assert content.messages[0].content == "Be {{kind}}."
        (conversation,) = moved["threads"]
        assert (conversation["thread_id"], conversation["items"], conversation["left_behind"]) == (thread, 4, [])
        path = {"conversation_id": conversation["conversation_id"]}
        assert (await platform.call("getConversation", **path))["metadata"] == {"user": "1", "thread_id": thread}
        items = (await platform.call("listConversationItems", **path, query="order=asc"))["data"]
        assert [each["type"] for each in items] == ["message", "function_call", "function_call_output", "message"]
        assert items[3]["content"][0]["text"] == "Warm."
        # The conversation goes on in Responses.
        response = await platform.call(
            "createResponse",
            {
                "conversation": conversation["conversation_id"],
                "input": "And now?",
                "prompt": {"id": moved["prompt_id"], "variables": {"kind": "brief"}},
                "text": {"format": {"type": "text"}},
            },
        )
        assert response["status"] == "completed"
        assert "18" in platform.engine.prompts[-1]

        everything = await Migrations(database).migrate_all("proj_one")
        assert [[each.thread_id for each in found.threads] for found in everything] == [[thread], [lonely]]
    finally:
        await platform.close()


EXPORT: dict[str, Any] = {
    "assistants": {
        "object": "list",
        "data": [
            {
                "id": "asst_old",
                "object": "assistant",
                "created_at": 1_700_000_000,
                "name": "Old",
                "description": None,
                "model": "gpt-4o",
                "instructions": "Be old.",
                "tools": [{"type": "code_interpreter"}],
                "tool_resources": {"code_interpreter": {"file_ids": ["file-x"]}},
                "metadata": {},
                "top_p": 1.0,
                "temperature": 1.0,
                "response_format": "auto",
                "something_new": 1,
            }
        ],
    },
    "threads": [
        {
            "id": "thread_old",
            "object": "thread",
            "created_at": 1_700_000_001,
            "metadata": {"user": "1"},
            "tool_resources": {},
            "messages": {
                "object": "list",
                "data": [
                    {
                        "id": f"msg_{number}",
                        "object": "thread.message",
                        "created_at": 1_700_000_002,
                        "thread_id": "thread_old",
                        "role": "assistant" if number == 2 else "user",
                        "status": None,
                        "content": [
                            {
                                "type": "text",
                                "text": {
                                    "value": str(number),
                                    "annotations": [
                                        {
                                            "type": "file_citation",
                                            "text": "x",
                                            "start_index": 0,
                                            "end_index": 1,
                                            "file_citation": {"file_id": "file-x", "quote": "old"},
                                        }
                                    ]
                                    if number == 2
                                    else [],
                                },
                            }
                        ],
                        "assistant_id": None,
                        "run_id": None,
                        "attachments": [],
                        "metadata": {},
                    }
                    for number in (3, 2, 1)
                ],
            },
        }
    ],
    "runs": [{"id": "run_old", "object": "thread.run"}],
}


async def test_taking_up_an_export(platform: Assisted) -> None:
    for each in EXPORT["threads"][0]["messages"]["data"]:
        each["status"] = "completed"
    taken = await take_up(platform.database, "proj_one", json.dumps(EXPORT).encode())
    assert (taken.assistants, taken.threads, taken.messages, taken.known) == (1, 1, 3, 0)
    assert taken.left_behind == [
        "asst_old: what code_interpreter worked with; its files have other ids here",
        "1 × thread.run: runs are not taken up",
    ]
    assert await platform.said("thread_old") == [("user", "1"), ("assistant", "2"), ("user", "3")]
    assert (await platform.call("getAssistant", assistant_id="asst_old"))["created_at"] == 1_700_000_000
    again = await take_up(platform.database, "proj_one", json.dumps(EXPORT).encode())
    assert (again.assistants, again.threads, again.messages, again.known) == (0, 0, 0, 5)
    with pytest.raises(InvalidRequest, match="'code_interpreter' is not supported"):
        await platform.run("thread_old", "asst_old", model="gpt-4.1")
    await platform.runner.start()
    run = await platform.run("thread_old", "asst_old", tools=[], model="gpt-4.1")
    assert (await platform.ended("thread_old", run["id"]))["status"] == "completed"


async def test_exports_that_are_none(platform: Assisted) -> None:
    lines = b'{"object": "thread", "id": "thread_1", "created_at": 1, "metadata": {}}\n' + (
        b'{"object": "assistant", "id": "asst_1"}\n'
    )
    taken = await take_up(platform.database, "proj_one", lines)
    assert (taken.threads, len(taken.left_behind)) == (1, 1)
    for data in (b"no json", b'{"a": 1}'):
        with pytest.raises(InvalidRequest):
            await take_up(platform.database, "proj_one", data)
