"""Chat Completions over ASGI, on an engine that says what the test wrote. Another project and anonymous come first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.scripted import Say, ScriptedEngine
from tests.walking import Client, Walk, walking

from inhouse.access import store as access_store
from inhouse.engines.protocol import EngineFailed
from inhouse.storage.schema import projects

PATH = "/v1/chat/completions"
USER = {"role": "user", "content": "Hi"}
WEATHER = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = '{"name": "weather", "arguments": {"city": "Linz"}}'


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(lambda request: Say(["Hel", "lo"])))
        yield walk


@pytest.fixture
async def client(walk: Walk) -> Client:
    return await walk.client()


async def stranger(walk: Walk) -> Client:
    """A client of another project."""

    def work(connection: Any) -> None:
        known = access_store.project(connection, None)
        assert known is not None
        row = {"id": "proj_other", "organization_id": known.organization_id, "name": "Other", "created_at": 1}
        connection.execute(projects.insert().values(**row))

    await walk.platform.database.write(work)
    made = await walk.platform.access.create_key("other", project_id="proj_other")
    return await walk.client(authorization=f"Bearer {made.secret}")


def ask(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4.1", "messages": list(messages) or [USER], **more}


# Whole answers


async def test_anonymous(walk: Walk) -> None:
    for method, path in (
        ("POST", PATH),
        ("GET", PATH),
        ("GET", f"{PATH}/x"),
        ("POST", f"{PATH}/x"),
        ("DELETE", f"{PATH}/x"),
    ):
        answer = await (await walk.client(x="y")).request(method, path, ask() if method == "POST" else None)
        assert answer.status == 401, path
    assert await walk.rows() == []


async def test_an_answer(walk: Walk, client: Client) -> None:
    answer = await client.post(PATH, ask())
    assert answer.status == 200
    told = ChatCompletion.model_validate(answer.json(), strict=True)
    assert told.id.startswith("chatcmpl-")
    assert (told.model, told.service_tier) == ("gpt-4.1-2025-04-14", "default")
    [choice] = told.choices
    assert (choice.message.content, choice.message.refusal, choice.finish_reason) == ("Hello", None, "stop")
    assert choice.message.tool_calls is None
    assert choice.logprobs is None
    assert told.usage is not None
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens
    [row] = await walk.rows()
    assert row.id == answer.headers["x-request-id"]
    assert (row.input_tokens, row.output_tokens) == (told.usage.prompt_tokens, told.usage.completion_tokens)
    again = ChatCompletion.model_validate((await client.post(PATH, ask())).json())
    assert again.system_fingerprint == told.system_fingerprint


async def test_several_answers_with_log_probabilities(walk: Walk, client: Client) -> None:
    told = ChatCompletion.model_validate((await client.post(PATH, ask(n=3, logprobs=True, top_logprobs=1))).json())
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    for choice in told.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(entry.token for entry in choice.logprobs.content) == "Hello"
        assert all(len(entry.top_logprobs) == 1 for entry in choice.logprobs.content)


async def test_calls(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say([CALL + "\n" + '{"name": "note", "arguments": {"input": "hi"}}'])]))
    tools = [{"type": "function", "function": WEATHER}, {"type": "custom", "custom": {"name": "note"}}]
    answer = await client.post(PATH, ask(tools=tools))
    [choice] = ChatCompletion.model_validate(answer.json(), strict=True).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    first, second = choice.message.tool_calls
    assert first.type == "function"
    assert (first.function.name, first.function.arguments) == ("weather", '{"city": "Linz"}')
    assert second.type == "custom"
    assert (second.custom.name, second.custom.input) == ("note", "hi")
    # The answer can be sent back as it came.
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in (first, second)]
    walk.engine(ScriptedEngine([Say(["Done."])]))
    answer = await client.post(PATH, ask(USER, answer.json()["choices"][0]["message"], *results, tools=tools))
    assert answer.json()["choices"][0]["message"]["content"] == "Done."


async def test_the_old_form_of_calls(walk: Walk, client: Client) -> None:
    engine = walk.engine(ScriptedEngine([Say([CALL]), Say(["No call."]), Say([CALL[:44]], reason="length")]))
    answer = (await client.post(PATH, ask(functions=[WEATHER], n=3))).json()
    reasons = {choice["finish_reason"] for choice in answer["choices"]}
    assert reasons == {"function_call", "stop", "length"}
    called = [choice["message"] for choice in answer["choices"] if "function_call" in choice["message"]]
    called.sort(key=lambda message: -len(message["function_call"]["arguments"]))
    assert called[0]["function_call"] == {"name": "weather", "arguments": '{"city": "Linz"}'}
    assert called[1]["function_call"]["name"] == "weather", "a call that was cut is told as far as it went"
    assert all("tool_calls" not in choice["message"] for choice in answer["choices"])
    history = [USER, called[0], {"role": "function", "name": "weather", "content": "18"}]
    engine.script = lambda request: Say(["18 degrees."])
    answer = (await client.post(PATH, ask(*history, functions=[WEATHER], function_call="auto"))).json()
    assert answer["choices"][0]["message"]["content"] == "18 degrees."
    assert "18" in await engine.detokenize(engine.asked[-1].prompt)
    engine.script = lambda request: Say([CALL])
    answer = (await client.post(PATH, ask(functions=[WEATHER], function_call={"name": "weather"}))).json()
    assert answer["choices"][0]["finish_reason"] == "stop", "a function that was named ends so"
    assert answer["choices"][0]["message"]["function_call"]["name"] == "weather"


# Streams


def chunks(answer: Any) -> list[ChatCompletionChunk]:
    *events, done = answer.events
    assert done == "[DONE]"
    return [ChatCompletionChunk.model_validate(event, strict=True) for event in events]


async def test_a_stream(walk: Walk, client: Client) -> None:
    answer = await client.post(PATH, ask(stream=True))
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    first, *middle, last = chunks(answer)
    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == ""
    assert "".join(chunk.choices[0].delta.content or "" for chunk in middle) == "Hello"
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.model_dump(exclude_unset=True) == {}
    assert (
        len({(chunk.id, chunk.created, chunk.model, chunk.system_fingerprint) for chunk in (first, *middle, last)}) == 1
    )
    assert all("usage" not in event for event in answer.events[:-1])
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", 200)


async def test_a_stream_with_usage_and_without_padding(client: Client) -> None:
    answer = await client.post(
        PATH, ask(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    )
    *most, last = chunks(answer)
    assert all(event["usage"] is None for event in answer.events[:-2])
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 6
    assert not any("obfuscation" in event for event in answer.events[:-1])
    assert most


async def test_padding_hides_the_length_of_a_chunk(client: Client) -> None:
    answer = await client.post(PATH, ask(stream=True))
    sizes = {
        len(event["obfuscation"]) + len(event["choices"][0]["delta"].get("content") or "")
        for event in answer.events[:-1]
    }
    assert all(size % 16 == 0 for size in sizes)


async def test_streamed_answers_side_by_side(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say(["a", "b"]), Say(["c"], reason="length")]))
    told = chunks(await client.post(PATH, ask(stream=True, n=2, logprobs=True)))
    texts = {0: "", 1: ""}
    ends = {}
    for chunk in told:
        [choice] = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            ends[choice.index] = choice.finish_reason
        elif choice.delta.content:
            assert choice.logprobs is not None
            assert choice.logprobs.content is not None
            assert [entry.token for entry in choice.logprobs.content] == [choice.delta.content]
    assert set(texts.values()) == {"ab", "c"}
    assert set(ends.values()) == {"stop", "length"}
    assert sum(chunk.choices[0].delta.role == "assistant" for chunk in told) == 2


async def test_a_streamed_call(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say([CALL[at : at + 5] for at in range(0, len(CALL), 5)])]))
    tools = [{"type": "function", "function": WEATHER}]
    answer = await client.post(PATH, ask(stream=True, tools=tools))
    told = chunks(answer)
    started = told[0].choices[0].delta
    assert (started.role, started.content) == ("assistant", None)
    assert started.tool_calls is not None
    [call] = started.tool_calls
    assert (call.index, call.type) == (0, "function")
    assert call.function is not None
    assert (call.function.name, call.function.arguments) == ("weather", "")
    deltas = [chunk.choices[0].delta.tool_calls for chunk in told[1:-1]]
    assert (
        "".join(each[0].function.arguments or "" for each in deltas if each and each[0].function) == '{"city": "Linz"}'
    )
    assert all(each and each[0].id is None and each[0].type is None for each in deltas)
    assert told[-1].choices[0].finish_reason == "tool_calls"
    assert "weather" not in "".join(chunk.choices[0].delta.content or "" for chunk in told)


async def test_a_streamed_custom_call(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say(['{"name": "note", "input": "h', 'i"}'])]))
    answer = await client.post(PATH, ask(stream=True, tools=[{"type": "custom", "custom": {"name": "note"}}]))
    deltas = [call for event in answer.events[:-1] for call in event["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0]["type"] == "custom"
    assert deltas[0]["custom"] == {"name": "note", "input": ""}
    assert "".join(delta["custom"]["input"] for delta in deltas) == "hi"
    assert all("function" not in delta for delta in deltas)


async def test_the_old_form_of_calls_streams(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say([CALL[:30], CALL[30:]]), Say(["No."])]))
    answer = await client.post(PATH, ask(stream=True, functions=[WEATHER], n=2))
    calls: dict[int, str] = {}
    ends = {}
    for event in answer.events[:-1]:
        [choice] = event["choices"]
        assert "tool_calls" not in choice["delta"]
        if "function_call" in choice["delta"]:
            calls[choice["index"]] = calls.get(choice["index"], "") + choice["delta"]["function_call"].get(
                "arguments", ""
            )
        if choice["finish_reason"]:
            ends[choice["index"]] = choice["finish_reason"]
    assert list(calls.values()) == ['{"city": "Linz"}']
    assert set(ends.values()) == {"function_call", "stop"}
    assert ends[next(iter(calls))] == "function_call"


async def test_a_failure_before_the_stream_is_an_answer(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say(error=EngineFailed("dead"))]))
    answer = await client.post(PATH, ask(stream=True))
    assert answer.status == 500
    assert answer.json()["error"]["type"] == "server_error"
    answer = await client.post(PATH, ask(stream=True, model="gpt-9"))
    assert (answer.status, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_failure_inside_the_stream_is_an_event(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say(["Hel"], error=EngineFailed("dead"))]))
    answer = await client.post(PATH, ask(stream=True))
    assert answer.status == 200
    assert answer.events[-1]["error"]["type"] == "server_error"
    assert "[DONE]" not in answer.events
    [row] = await walk.rows()
    assert (row.status, row.output_tokens) == (500, 3)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_stops_the_engine(walk: Walk, client: Client, stream: bool) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say(["abc"], hangs=True)))
    if stream:
        await client.request("POST", PATH, ask(stream=True), leave_after=1)
    else:
        asking = asyncio.create_task(client.request("POST", PATH, ask()))
        while not engine.running:
            await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    for _ in range(200):
        rows = await walk.rows()
        if rows and rows[0].state == "settled":
            break
        await asyncio.sleep(0.01)
    assert (engine.running, engine.stopped) == (0, 1)
    assert [(row.state, row.status, row.error_code) for row in rows] == [("settled", 499, "client_disconnected")]


# What is refused


@pytest.mark.parametrize(
    ("more", "param", "words"),
    [
        ({"top_logprobs": 1}, "top_logprobs", "'top_logprobs' parameter is only allowed when 'logprobs' is enabled"),
        ({"stream_options": {}}, "stream_options", "only allowed when 'stream' is enabled"),
        ({"metadata": {"a": "b"}}, "metadata", "only allowed when 'store' is enabled"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "at the same time is not supported"),
        ({"max_tokens": 32_769}, "max_tokens", "max_tokens is too large: 32769. This model supports at most 32768"),
        ({"max_completion_tokens": 10**9}, "max_completion_tokens", "max_completion_tokens is too large"),
        (
            {"tool_choice": "auto"},
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        (
            {"parallel_tool_calls": True},
            "parallel_tool_calls",
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified",
        ),
        ({"function_call": "auto"}, "function_call", "is only allowed when 'functions' are specified"),
        (
            {"functions": [WEATHER], "tools": [{"type": "function", "function": WEATHER}]},
            "functions",
            "cannot be used together",
        ),
        (
            {"tools": [{"type": "function", "function": WEATHER}] * 2},
            "tools",
            "Tool names must be unique: 'weather' is given twice",
        ),
        (
            {
                "tools": [{"type": "function", "function": WEATHER}],
                "tool_choice": {"type": "function", "function": {"name": "x"}},
            },
            "tool_choice",
            "Tool choice 'x' not found in 'tools' parameter",
        ),
        ({"functions": [WEATHER], "function_call": {"name": "x"}}, "function_call", "'x' not found in 'functions'"),
        ({"response_format": {"type": "json_object"}}, "messages", "must contain the word 'json'"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format.json_schema.schema",
            "Missing required parameter",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
                }
            },
            "response_format",
            "'additionalProperties' is required",
        ),
        (
            {
                "tools": [
                    {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}
                ]
            },
            "tools[0].function.parameters",
            "'additionalProperties' is required",
        ),
        ({"logit_bias": {"x": 1}}, "logit_bias", "Invalid key in 'logit_bias': x"),
        ({"reasoning_effort": "low"}, None, "Unrecognized request argument supplied: reasoning_effort"),
        ({"web_search_options": {}}, None, "Web search options not supported with this model."),
        ({"verbosity": "low"}, "verbosity", "Unsupported value: 'verbosity' does not support 'low'"),
        ({"service_tier": "flex"}, "service_tier", "Invalid service_tier argument"),
        ({"messages": [{"role": "assistant"}]}, "messages.[0].content", "expected a string, got null"),
        (
            {"messages": [USER, {"role": "user", "content": None}]},
            "messages.[1].content",
            "Invalid value for 'content': expected a string, got null.",
        ),
        ({"messages": [{"role": "system", "content": None}]}, "messages.[0].content", "expected a string, got null"),
        (
            {"messages": [{"role": ["user"], "content": None}]},
            "messages[0].role",
            "Invalid type for 'messages[0].role'",
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "a.b", "arguments": "{}"}}],
                    },
                    {"role": "tool", "tool_call_id": "a", "content": "r"},
                ]
            },
            "messages[0].tool_calls[0].function.name",
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        ),
        (
            {"messages": [{"role": "assistant", "audio": {"id": "a"}}]},
            "messages[0].audio.id",
            "Audio 'a' was not found",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]},
            "messages[0].content[0].type",
            "image_url is only supported by certain models",
        ),
    ],
)
async def test_what_does_not_go_together(client: Client, more: dict[str, Any], param: str | None, words: str) -> None:
    answer = await client.post(PATH, {**ask(), **more})
    error = answer.json()["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert words in error["message"]


async def test_what_helpers_of_the_sdks_add_to_a_message_is_taken(client: Client) -> None:
    function = {"name": "f", "arguments": "{}", "parsed_arguments": {}}
    made = {"id": "a", "type": "function", "index": 0, "function": function}
    said = {"role": "assistant", "content": "{}", "parsed": {"x": 1}, "tool_calls": [made]}
    answer = await client.post(PATH, ask(USER, said, {"role": "tool", "tool_call_id": "a", "content": "r"}))
    assert answer.status == 200
    for wrong, param in (
        ({**USER, "parsed": None}, "messages[0].parsed"),
        ({"role": "assistant", "tool_calls": [{**made, "nonsense": 1}]}, "messages[0].tool_calls[0].nonsense"),
        ({"role": "assistant", "tool_calls": [1]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": {"index": 0}}, "messages[0].tool_calls"),
    ):
        refused = await client.post(PATH, ask(wrong))
        assert (refused.status, refused.json()["error"]["param"]) == (400, param)


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids]
    return {"role": "assistant", "tool_calls": calls}


def result(id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": "r"}


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([USER, called("a", "b"), result("b"), result("a"), USER], None),
        ([USER, called("a"), result("a"), called("b"), result("b")], None),
        ([USER, called("a"), result("a"), result("a")], None),
        ([USER, {"role": "function", "name": "f", "content": "r"}], None),
        ([USER, called("a")], "a"),
        ([USER, called("a", "b"), result("a")], "b"),
        ([USER, called("a"), USER, result("a")], "a"),
        ([USER, result("a")], "tool"),
        ([result("a")], "tool"),
        ([USER, called("a"), result("a"), USER, result("a")], "tool"),
        ([USER, called("a"), result("b")], "tool"),
    ],
)
async def test_calls_and_results_belong_together(client: Client, messages: list[Any], fault: str | None) -> None:
    answer = await client.post(PATH, ask(*messages))
    if fault is None:
        assert answer.status == 200, answer.text
        return
    assert answer.status == 400
    message = answer.json()["error"]["message"]
    if fault == "tool":
        assert "must be a response to a preceeding message with 'tool_calls'" in message
    else:
        assert f"did not have response messages: {fault}" in message


# Stored completions


async def store(client: Client, **more: Any) -> dict[str, Any]:
    answer = await client.post(PATH, ask(store=True, **more))
    assert answer.status == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_another_project_finds_nothing_of_what_is_stored(walk: Walk, client: Client) -> None:
    id = (await store(client))["id"]
    other = await stranger(walk)
    for method, path, body in (
        ("GET", f"{PATH}/{id}", None),
        ("POST", f"{PATH}/{id}", {"metadata": {"a": "b"}}),
        ("DELETE", f"{PATH}/{id}", None),
        ("GET", f"{PATH}/{id}/messages", None),
        ("GET", f"{PATH}?after={id}", None),
    ):
        answer = await other.request(method, path, body)
        assert answer.status == 404, path
        assert f"No such chat completion: {id}" in answer.json()["error"]["message"]
    assert (await other.get(PATH)).json()["data"] == []
    assert (await client.get(f"{PATH}/{id}")).status == 200


async def test_what_is_stored_is_what_was_answered(walk: Walk, client: Client) -> None:
    made = await store(client, metadata={"team": "red"}, seed=7, user="ada", temperature=0.5)
    kept = (await client.get(f"{PATH}/{made['id']}")).json()
    ChatCompletion.model_validate(kept)
    assert {name: kept[name] for name in made} == made
    assert kept["metadata"] == {"team": "red"}
    assert (kept["seed"], kept["input_user"], kept["temperature"], kept["top_p"]) == (7, "ada", 0.5, 1.0)
    [row] = await walk.rows()
    assert kept["request_id"] == row.id
    listed = (await client.get(f"{PATH}?metadata[team]=red")).json()
    assert [each["id"] for each in listed["data"]] == [made["id"]]
    assert (await client.get(f"{PATH}?metadata[team]=blue")).json()["data"] == []
    updated = (await client.post(f"{PATH}/{made['id']}", {"metadata": {"team": "blue"}})).json()
    assert updated["metadata"] == {"team": "blue"}
    assert (await client.get(f"{PATH}/{made['id']}")).json() == updated
    gone = (await client.request("DELETE", f"{PATH}/{made['id']}")).json()
    assert gone == {"id": made["id"], "object": "chat.completion.deleted", "deleted": True}
    assert (await client.get(f"{PATH}/{made['id']}")).status == 404


async def test_nothing_is_stored_unless_asked(client: Client) -> None:
    await client.post(PATH, ask())
    await client.post(PATH, ask(store=False, stream=True))
    assert (await client.get(PATH)).json()["data"] == []


async def test_a_stream_is_stored_as_a_whole(client: Client) -> None:
    answer = await client.post(PATH, ask(store=True, stream=True, metadata={"a": "b"}))
    [kept] = (await client.get(PATH)).json()["data"]
    assert kept["id"] == answer.events[0]["id"]
    assert kept["created"] == answer.events[0]["created"]
    assert (kept["object"], kept["metadata"]) == ("chat.completion", {"a": "b"})
    assert kept["choices"][0]["message"]["content"] == "Hello"


async def test_a_stream_that_was_left_is_not_stored(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine(lambda request: Say(["abc"], hangs=True)))
    await client.request("POST", PATH, ask(stream=True, store=True), leave_after=1)
    assert (await client.get(PATH)).json()["data"] == []


async def test_messages_of_a_stored_completion(client: Client) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [
        {"role": "system", "content": "Be brief.", "name": "boss"},
        {"role": "user", "content": parts},
        called("c1"),
        result("c1"),
        {"role": "assistant", "content": None, "refusal": "No."},
    ]
    made = await client.post(PATH, ask(*messages, store=True))
    id = made.json()["id"]
    told = (await client.get(f"{PATH}/{id}/messages")).json()
    assert [each["id"] for each in told["data"]] == [f"{id}-{number}" for number in range(5)]
    assert [each["role"] for each in told["data"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert (told["data"][0]["content"], told["data"][0]["name"]) == ("Be brief.", "boss")
    assert [part["text"] for part in told["data"][1]["content_parts"]] == ["a", "b"]
    assert told["data"][1]["content"] is None
    assert told["data"][2]["tool_calls"] == called("c1")["tool_calls"]
    assert (told["data"][3]["tool_call_id"], told["data"][4]["refusal"]) == ("c1", "No.")
    assert (told["first_id"], told["last_id"], told["has_more"]) == (f"{id}-0", f"{id}-4", False)
    page = (await client.get(f"{PATH}/{id}/messages?limit=2&order=desc")).json()
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([f"{id}-4", f"{id}-3"], True)
    page = (await client.get(f"{PATH}/{id}/messages?limit=2&order=desc&after={id}-3")).json()
    assert [each["id"] for each in page["data"]] == [f"{id}-2", f"{id}-1"]
    assert (await client.get(f"{PATH}/{id}/messages?after=nothing")).status == 404


async def test_pages_of_stored_completions(client: Client) -> None:
    ids = [(await store(client))["id"] for _ in range(3)]
    page = (await client.get(f"{PATH}?limit=2")).json()
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[:2], True)
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", ids[0], ids[1])
    page = (await client.get(f"{PATH}?limit=2&after={ids[1]}")).json()
    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[2:], False)
    page = (await client.get(f"{PATH}?order=desc&model=gpt-4.1-2025-04-14")).json()
    assert [each["id"] for each in page["data"]] == ids[::-1]
    assert (await client.get(f"{PATH}?after=chatcmpl-none")).status == 404
    empty = (await client.get(f"{PATH}?model=gpt-9")).json()
    assert (empty["data"], empty["first_id"], empty["has_more"]) == ([], None, False)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=up", "metadata[a]=%00", "after=%00", "nothing=1"])
async def test_odd_queries_are_no_failures(client: Client, query: str) -> None:
    assert (await client.get(f"{PATH}?{query}")).status in (200, 400, 404)
