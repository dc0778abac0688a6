"""The order of a response's events, in every way it can go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.walking import migrated

from inhouse.engines.deployments import Embedded
from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.kit.errors import APIError, InvalidRequest, NotFound, Overloaded
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine, check_order, events

Make = Callable[..., Platform]
CALL = '<tool_call>\n{"name": "look_up", "arguments": {"word": "a"}}\n</tool_call>'
TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": True},
    "strict": False,
}


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    made: list[Platform] = []

    def make(*script: Sequence[str | Exception], window: int = 100_000) -> Platform:
        made.append(Platform(database, ScriptedEngine(*script, window=window)))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()


def types(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told]


async def test_text(make: Make) -> None:
    told = await make(["Hel", "lo"]).call("createResponse", {"input": "Hi", "stream": True})
    check_order(told)
    assert types(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert told[0]["response"]["status"] == "in_progress"
    assert told[0]["response"]["output"] == []
    assert told[2]["item"] == {
        "id": told[2]["item"]["id"],
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }
    assert told[3]["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    assert "".join(e["delta"] for e in told if e["type"] == "response.output_text.delta") == "Hello"
    assert told[6]["text"] == told[7]["part"]["text"] == told[8]["item"]["content"][0]["text"] == "Hello"
    last = told[-1]["response"]
    assert (last["status"], last["error"], last["incomplete_details"]) == ("completed", None, None)
    assert last["output"] == [told[8]["item"]]
    assert last["usage"] == {
        "input_tokens": len("user: Hi"),
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": len("user: Hi") + 2,
    }


async def test_deltas_are_padded_unless_that_is_not_wanted(make: Make) -> None:
    platform = make(["Hello"])
    told = await platform.call("createResponse", {"input": "Hi", "stream": True})
    assert told[4]["obfuscation"]
    told = await platform.call(
        "createResponse", {"input": "Hi", "stream": True, "stream_options": {"include_obfuscation": False}}
    )
    assert "obfuscation" not in told[4]


async def test_a_function_call_after_text(make: Make) -> None:
    told = await make(["Let me see. ", CALL[:30], CALL[30:]]).call(
        "createResponse", {"input": "Hi", "tools": [TOOL], "stream": True}
    )
    check_order(told)
    assert [kind for kind in types(told) if not kind.endswith("delta")] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    begun, arguments, done = (
        next(e for e in told if e["type"] == kind and e.get("output_index") == 1)
        for kind in (
            "response.output_item.added",
            "response.function_call_arguments.done",
            "response.output_item.done",
        )
    )
    assert (begun["item"]["status"], begun["item"]["arguments"]) == ("in_progress", "")
    assert (arguments["name"], arguments["arguments"]) == ("look_up", '{"word": "a"}')
    assert done["item"] == {**begun["item"], "arguments": '{"word": "a"}', "status": "completed"}
    assert "".join(e["delta"] for e in told if e["type"].endswith("arguments.delta")) == '{"word": "a"}'


async def test_a_function_without_parameters_is_called_with_none(make: Make) -> None:
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    free = {"type": "object", "properties": {}}
    for more in ({"parameters": free, "strict": False}, {"parameters": closed, "strict": True}, {"parameters": None}):
        tool = {"type": "function", "name": "look_up", **more}
        told = await make([CALL[:40], CALL[40:]]).call(
            "createResponse", {"input": "Hi", "tools": [tool], "stream": True}
        )
        check_order(told)
        assert [e["delta"] for e in told if e["type"].endswith("arguments.delta")] == ["{}"]
        (item,) = told[-1]["response"]["output"]
        assert (item["name"], item["arguments"], item["status"]) == ("look_up", "{}", "completed")


async def test_parallel_calls_are_items_of_their_own(make: Make) -> None:
    platform = make([CALL + "\n" + CALL.replace('"a"', '"b"')])
    told = await platform.call("createResponse", {"input": "Hi", "tools": [TOOL], "stream": True})
    check_order(told)
    calls = told[-1]["response"]["output"]
    assert [call["arguments"] for call in calls] == ['{"word": "a"}', '{"word": "b"}']
    assert len({call["call_id"] for call in calls}) == len({call["id"] for call in calls}) == 2


async def test_a_custom_tool_call(make: Make) -> None:
    text = '{"name": "run", "input": "print(1)"}'
    told = await make([text]).call(
        "createResponse",
        {"input": "Hi", "tools": [{"type": "custom", "name": "run"}], "tool_choice": "required", "stream": True},
    )
    check_order(told)
    assert [kind for kind in types(told) if not kind.endswith("delta")] == [
        "created",
        "in_progress",
        "output_item.added",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    item = told[-1]["response"]["output"][0]
    assert (item["type"], item["name"], item["input"], item["status"]) == (
        "custom_tool_call",
        "run",
        "print(1)",
        "completed",
    )


async def test_a_tool_of_a_namespace_is_called_by_its_own_name(make: Make) -> None:
    platform = make(['{"name": "desk__look_up", "arguments": {}}'])
    tools = [{"type": "namespace", "name": "desk", "description": "", "tools": [TOOL]}]
    response = await platform.call("createResponse", {"input": "Hi", "tools": tools, "tool_choice": "required"})
    call = response["output"][0]
    assert (call["namespace"], call["name"]) == ("desk", "look_up")
    await platform.call(
        "createResponse",
        {
            "previous_response_id": response["id"],
            "input": [{"type": "function_call_output", "call_id": call["call_id"], "output": "found"}],
        },
    )
    assert "desk__look_up" in platform.engine.prompts[-1]


async def test_text_cut_at_the_limit(make: Make) -> None:
    platform = make(["Hel"])
    platform.engine.reason = "length"
    told = await platform.call("createResponse", {"input": "Hi", "max_output_tokens": 16, "stream": True})
    check_order(told)
    last = told[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["completed_at"] is None
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert (await platform.call("getResponse", response_id=last["response"]["id"]))["status"] == "incomplete"


async def test_a_call_cut_at_the_limit(make: Make) -> None:
    platform = make(["<tool_call>", '{"name": "look_up", "arguments": {"wo'])
    platform.engine.reason = "length"
    told = await platform.call("createResponse", {"input": "Hi", "tools": [TOOL], "stream": True})
    check_order(told)
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["output"][0]["status"] == "incomplete"


async def test_an_empty_answer_is_an_empty_message(make: Make) -> None:
    told = await make([""]).call("createResponse", {"input": "Hi", "stream": True})
    check_order(told)
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == ""


async def test_log_probabilities_where_they_are_included(make: Make) -> None:
    platform = make(["Hi"])
    told = await platform.call(
        "createResponse", {"input": "Hi", "stream": True, "include": ["message.output_text.logprobs", "new.thing"]}
    )
    delta, done = told[4], told[5]
    assert delta["logprobs"] == done["logprobs"]
    assert delta["logprobs"][0]["token"] == "Hi"
    assert told[-1]["response"]["output"][0]["content"][0]["logprobs"] == delta["logprobs"]
    told = await platform.call("createResponse", {"input": "Hi", "stream": True, "top_logprobs": 2})
    assert told[4]["logprobs"] == []


async def test_an_engine_that_fails_before_the_first_event_is_an_http_error(make: Make) -> None:
    platform = make([EngineBusy("full")])
    with pytest.raises(Overloaded):
        await platform.call("createResponse", {"input": "Hi", "stream": True})
    assert await platform.settled() == [("settled", 503)]


async def test_an_engine_that_fails_on_the_way_ends_everything(make: Make) -> None:
    platform = make(["Hel", EngineFailed("died")])
    told = await platform.call("createResponse", {"input": "Hi", "stream": True})
    check_order(told)
    failed = told[-1]["response"]
    assert told[-1]["type"] == "response.failed"
    assert (failed["status"], failed["error"]["code"]) == ("failed", "server_error")
    assert failed["output"][0]["status"] == "incomplete"
    assert failed["output"][0]["content"][0]["text"] == "Hel"
    kept = await platform.call("getResponse", response_id=failed["id"])
    assert kept["status"] == "failed"
    assert kept["output"] == failed["output"]
    assert await platform.settled() == [("settled", 500)]


async def test_a_defect_on_the_way_is_told_without_its_detail(make: Make) -> None:
    platform = make(["Hel", RuntimeError("secret detail")])
    told = await platform.call("createResponse", {"input": "Hi", "stream": True})
    check_order(told)
    assert told[-1]["type"] == "response.failed"
    assert "secret" not in str(told)


@pytest.mark.parametrize("stage", range(1, 9))
@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_client_that_leaves(make: Make, stage: int, how: str) -> None:
    """Wherever a stream is cut: the engine stops, the call is settled, and nothing stays in progress."""
    platform = make(["One. ", CALL[:40], CALL[40:], " More", " text", "."])
    stream = await platform.stream({"input": "Hi", "tools": [TOOL]})
    seen: list[dict[str, Any]] = []
    at_stage = asyncio.Event()

    async def read() -> None:
        async with aclosing(events(stream)) as told:
            async for event in told:
                seen.append(event)
                if len(seen) == stage:
                    if how == "closed":
                        return
                    at_stage.set()
                    await asyncio.sleep(60)

    reading = asyncio.create_task(read())
    if how == "cancelled":
        await at_stage.wait()
        reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    assert platform.engine.open == 0
    ((state, status),) = await platform.settled()
    assert state == "settled"
    kept = await platform.call("getResponse", response_id=seen[0]["response"]["id"])
    assert (kept["status"], status) == ("cancelled", 499)
    assert all(item["status"] in ("completed", "incomplete") for item in kept["output"])


async def test_a_client_that_leaves_while_the_model_is_silent(make: Make) -> None:
    platform = make(["One", " two"])
    platform.engine.gate = asyncio.Event()
    stream = await platform.stream({"input": "Hi"})
    seen: list[dict[str, Any]] = []

    async def read() -> None:
        async for event in events(stream):
            seen.append(event)  # noqa: PERF401 - each as it comes

    reading = asyncio.create_task(read())
    while not seen:
        await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert platform.engine.open == 0
    kept = await platform.call("getResponse", response_id=seen[0]["response"]["id"])
    assert kept["status"] == "cancelled"
    assert kept["output"][0]["content"][0]["text"] == "One"


async def test_a_client_that_leaves_before_the_first_event_leaves_nothing(make: Make) -> None:
    platform = make(["One"])
    stream = await platform.stream({"input": "Hi"})
    await stream.batches.aclose()
    assert platform.engine.open == 0
    assert await platform.settled() == []


async def test_a_response_is_kept_before_its_end_is_told(make: Make) -> None:
    platform = make(["One"])
    stream = await platform.stream({"input": "Hi"})
    async with aclosing(events(stream)) as told:
        async for event in told:
            if event["type"] == "response.completed":
                response_id = event["response"]["id"]
                break
    assert (await platform.call("getResponse", response_id=response_id))["status"] == "completed"


@pytest.mark.parametrize(
    ("body", "error", "param", "code"),
    [
        ({}, InvalidRequest, None, "missing_required_parameter"),
        ({"input": "Hi", "model": None}, InvalidRequest, "model", "missing_required_parameter"),
        ({"input": "Hi", "model": "gpt-0"}, NotFound, "model", "model_not_found"),
        ({"input": [{"role": "robot", "content": "x"}]}, InvalidRequest, "input[0].role", "invalid_value"),
        ({"input": [{"content": "x"}]}, InvalidRequest, "input[0].type", "missing_required_parameter"),
        ({"input": "Hi", "nonsense": 1}, InvalidRequest, "nonsense", "unknown_parameter"),
        ({"input": "Hi", "tools": [{"type": "web_search"}]}, InvalidRequest, "tools", None),
        ({"input": "Hi", "tools": [{"type": "computer"}]}, InvalidRequest, "tools", None),
        ({"input": "Hi", "tools": [TOOL, TOOL]}, InvalidRequest, "tools", None),
        ({"input": "Hi", "tool_choice": "required"}, InvalidRequest, "tool_choice", None),
        ({"input": "Hi", "tool_choice": {"type": "function", "name": "x"}}, InvalidRequest, "tool_choice", None),
        ({"input": "Hi", "prompt_cache_key": "k" * 65}, InvalidRequest, "prompt_cache_key", "string_above_max_length"),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            InvalidRequest,
            "input[0].content[0]",
            "invalid_value",
        ),
        ({"input": "Hi", "background": True, "store": False}, InvalidRequest, "store", None),
        ({"input": "Hi", "prompt": {"id": "pmpt_1"}}, NotFound, "prompt.id", None),
        ({"input": "Hi", "reasoning": {"effort": "low"}}, InvalidRequest, "reasoning.effort", "unsupported_parameter"),
        ({"input": "Hi", "text": {"verbosity": "low"}}, InvalidRequest, "text.verbosity", "unsupported_value"),
        ({"input": "Hi", "text": {"format": {"type": "json_object"}}}, InvalidRequest, "input", None),
        ({"input": "Hi", "max_output_tokens": 40_000}, InvalidRequest, "max_output_tokens", "invalid_value"),
        (
            {"input": [{"type": "function_call_output", "call_id": "call_1", "output": "x"}]},
            InvalidRequest,
            "input",
            None,
        ),
        (
            {"input": [{"type": "function_call", "call_id": "call_1", "name": "x", "arguments": "{}"}]},
            InvalidRequest,
            "input",
            None,
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, NotFound, "input", None),
        (
            {"input": [{"type": "compaction", "encrypted_content": "bm90IG91cnM="}]},
            InvalidRequest,
            None,
            "invalid_encrypted_content",
        ),
        (
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]}
                ]
            },
            InvalidRequest,
            "input[0].content[0].type",
            None,
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_refused(
    make: Make, body: dict[str, Any], error: type[APIError], param: str | None, code: str | None, stream: bool
) -> None:
    with pytest.raises(error) as refused:
        await make(["Hello"]).call("createResponse", {"stream": stream, **body})
    assert (refused.value.param, refused.value.code) == (param, code)


async def test_what_agents_send_is_taken(make: Make) -> None:
    """Items of reasoning models, facts about the client and wishes that this model cannot fulfil break nothing."""
    platform = make(["Hello"])
    response = await platform.call(
        "createResponse",
        {
            "instructions": "Be brief.",
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
                {"role": "user", "content": "First"},
                {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA", "content": None},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Said"}]},
                {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{}", "id": None},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "It"}]},
                {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "x", "status": "completed"},
                {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
                {"role": "user", "content": "Second"},
            ],
            "include": ["reasoning.encrypted_content", "something.new"],
            "client_metadata": {"installation": "x"},
            "reasoning": None,
            "store": False,
            "prompt_cache_key": "k",
            "tools": [TOOL],
        },
    )
    assert response["status"] == "completed"
    prompt = platform.engine.prompts[-1]
    for said in ("Be brief.", "Rules.", "First", "Said", "look_up", "It", "done", "Second"):
        assert said in prompt
    with pytest.raises(NotFound):
        await platform.call("getResponse", response_id=response["id"])


async def test_functions_are_strict_where_they_can_be(make: Make) -> None:
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    tools = [
        {"type": "function", "name": "one", "parameters": closed},
        {"type": "function", "name": "two", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
    ]
    response = await make(["Hello"]).call("createResponse", {"input": "Hi", "tools": tools})
    assert [tool["strict"] for tool in response["tools"]] == [True, False]
    with pytest.raises(InvalidRequest):
        await make(["Hello"]).call("createResponse", {"input": "Hi", "tools": [{**tools[1], "strict": True}]})


async def test_truncation_drops_the_oldest_items_and_keeps_the_instructions(make: Make) -> None:
    platform = make(["Hello"], window=400)
    turns = [{"role": "user", "content": f"turn {number} " + "x" * 40} for number in range(20)]
    body = {"instructions": "Always keep this.", "input": turns}
    native = Embedded(weights="native.gguf", title="Native", window_strategy="native")
    await platform.calls._catalog.bindings.bind("gpt-4.1", native, "test")
    with pytest.raises(InvalidRequest) as refused:
        await platform.call("createResponse", body)
    assert refused.value.code == "context_length_exceeded"
    response = await platform.call("createResponse", {**body, "truncation": "auto"})
    assert response["status"] == "completed"
    prompt = platform.engine.prompts[-1]
    assert "Always keep this." in prompt
    assert "turn 19 " in prompt
    assert "turn 0 " not in prompt
    assert len(prompt) <= 300
    assert len(prompt) > 200


async def test_tokens_are_counted_as_the_model_would_read_them(make: Make) -> None:
    platform = make(["Hello"])
    counted = await platform.call(
        "Getinputtokencounts", {"model": "gpt-4.1", "input": "Hi", "instructions": "Be brief."}
    )
    response = await platform.call("createResponse", {"input": "Hi", "instructions": "Be brief."})
    assert counted == {"object": "response.input_tokens", "input_tokens": response["usage"]["input_tokens"]}
