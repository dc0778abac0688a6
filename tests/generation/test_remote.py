"""Generation on an upstream, a real server on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.upstreams import Scripted, delta, scripted_upstream, whole
from tests.walking import Walk, events, walking

from inhouse.generation.core import generate
from inhouse.generation.items import (
    Audio,
    CustomTool,
    File,
    FunctionTool,
    GenerationRequest,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Sampling,
    Text,
    ToolCall,
    ToolChoice,
    ToolOutput,
)
from inhouse.kit.errors import APIError, InvalidRequest, Overloaded, RateLimited, ServerError


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted_upstream() as server:
        yield server


@pytest.fixture
async def walk(tmp_path: Path, server: Scripted) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        await walk.upstream(server.url)
        yield walk


def ask(*items: Any, **more: Any) -> GenerationRequest:
    return GenerationRequest(items=items or (Message("user", (Text("Hi"),)),), **more)


async def run(walk: Walk, request: GenerationRequest) -> list[dict[str, Any]]:
    async with walk.call() as call:
        return await events(generate(call, request))


async def sent(walk: Walk, server: Scripted, request: GenerationRequest) -> dict[str, Any]:
    server.answer = whole(*[{"content": "ok"}] * request.choices)
    await run(walk, request)
    return server.bodies[-1]


# What is sent


async def test_the_least_that_is_sent(walk: Walk, server: Scripted) -> None:
    body = await sent(walk, server, ask())
    assert body == {"model": "theirs", "messages": [{"role": "user", "content": "Hi"}]}


async def test_everything_that_is_sent(walk: Walk, server: Scripted) -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    sampling = Sampling(
        temperature=0.0,
        top_p=0.5,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        seed=7,
        stop=("a", "b"),
        logit_bias={5: 7.0},
        logprobs=0,
        max_tokens=9,
    )
    request = ask(
        sampling=sampling,
        tools=(
            FunctionTool("f", "does f", schema, strict=True),
            FunctionTool("g"),
            CustomTool("c", "does c"),
            CustomTool("r", None, "regex", "a+"),
        ),
        tool_choice=ToolChoice("required", frozenset({"c"}), named=True),
        parallel_tool_calls=False,
        format=JsonSchema("place", schema, strict=True, description="A place"),
        choices=2,
        prediction="so it goes",
    )
    body = await sent(walk, server, request)
    assert body == {
        "model": "theirs",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 0.0,
        "top_p": 0.5,
        "presence_penalty": 1.0,
        "frequency_penalty": -1.0,
        "seed": 7,
        "stop": ["a", "b"],
        "logit_bias": {"5": 7.0},
        "logprobs": True,
        "top_logprobs": 0,
        "max_tokens": 9,
        "n": 2,
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "does f", "parameters": schema, "strict": True},
            },
            {"type": "function", "function": {"name": "g"}},
            {"type": "custom", "custom": {"name": "c", "description": "does c"}},
            {
                "type": "custom",
                "custom": {
                    "name": "r",
                    "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
                },
            },
        ],
        "tool_choice": {"type": "custom", "custom": {"name": "c"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "place", "description": "A place", "schema": schema, "strict": True},
        },
        "prediction": {"type": "content", "content": "so it goes"},
    }


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (
            ToolChoice("auto", frozenset({"f", "g"})),
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [
                        {"type": "function", "function": {"name": "f"}},
                        {"type": "function", "function": {"name": "g"}},
                    ],
                },
            },
        ),
    ],
)
async def test_tool_choices(walk: Walk, server: Scripted, choice: ToolChoice, told: Any) -> None:
    body = await sent(walk, server, ask(tools=(FunctionTool("f"), FunctionTool("g")), tool_choice=choice))
    assert body["tool_choice"] == told


async def test_a_conversation(walk: Walk, server: Scripted) -> None:
    request = ask(
        Message("developer", (Text("Be brief."),)),
        Message(
            "user",
            (Text("See"), Image("https://x/y.png", "low"), Audio("QQ==", "wav"), File(None, "d29yZHM=", "a.txt")),
            name="ada",
        ),
        Message("assistant", (Text("I look."),)),
        ToolCall("c1", "f", "{}"),
        ToolCall("c2", "c", "free text", "custom"),
        ToolOutput("c1", "one"),
        ToolOutput("c2", "two"),
        ToolCall("c3", "f", "{}"),
        ToolOutput("c3", "three"),
        format=JsonObject(),
        stream=True,
    )
    server.chunks = [delta(content="ok"), delta(finish="stop")]
    await run(walk, request)
    [body] = server.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "name": "ada",
            "content": [
                {"type": "text", "text": "See"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
                {"type": "text", "text": "File: a.txt\n\nwords\n"},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "c", "input": "free text"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "two"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c3", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c3", "content": "three"},
    ]
    assert body["response_format"] == {"type": "json_object"}
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


# What comes back


async def test_a_whole_answer(walk: Walk, server: Scripted) -> None:
    server.answer = whole(
        {"content": "Hello", "refusal": None},
        {
            "content": None,
            "finish": "tool_calls",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "b", "type": "custom", "custom": {"name": "c", "input": "hi"}},
            ],
        },
        {"content": None, "refusal": "I won't.", "finish": "content_filter"},
        usage={
            "prompt_tokens": 2000,
            "completion_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 5, "accepted_prediction_tokens": 1},
            "total_tokens": 2030,
        },
    )
    assert await run(walk, ask(choices=3)) == [
        {"type": "text", "text": "Hello", "choice": 0, "logprobs": []},
        {"type": "finished", "reason": "stop", "choice": 0},
        {"type": "tool_call_started", "index": 0, "id": "a", "name": "f", "kind": "function", "choice": 1},
        {"type": "tool_call_delta", "index": 0, "text": '{"x":1}', "choice": 1},
        {"type": "tool_call_done", "index": 0, "arguments": '{"x":1}', "choice": 1},
        {"type": "tool_call_started", "index": 1, "id": "b", "name": "c", "kind": "custom", "choice": 1},
        {"type": "tool_call_delta", "index": 1, "text": "hi", "choice": 1},
        {"type": "tool_call_done", "index": 1, "arguments": "hi", "choice": 1},
        {"type": "finished", "reason": "tool_calls", "choice": 1},
        {"type": "refusal", "text": "I won't.", "choice": 2},
        {"type": "finished", "reason": "content_filter", "choice": 2},
        {
            "type": "usage",
            "input_tokens": 2000,
            "cached_tokens": 1024,
            "output_tokens": 30,
            "reasoning_tokens": 5,
            "accepted_prediction_tokens": 1,
            "rejected_prediction_tokens": 0,
            "units": 0,
            "fee_nanos": 0,
            "unread_tokens": 0,
        },
    ]
    [row] = await walk.rows()
    assert (row.input_tokens, row.cached_input_tokens, row.output_tokens) == (2000, 1024, 30)
    assert row.cost_nanos == 976 * 2000 + 1024 * 500 + 30 * 8000


async def test_a_stream(walk: Walk, server: Scripted) -> None:
    started = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    server.chunks = [
        delta(role="assistant", content=""),
        delta(content="Hel"),
        delta(content="lo"),
        delta(tool_calls=[started]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}]),
        delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}]),
        delta(tool_calls=[{"index": 1, "id": "b", "type": "custom", "custom": {"name": "c", "input": "h"}}]),
        delta(tool_calls=[{"index": 1, "custom": {"input": "i"}}]),
        delta(finish="tool_calls"),
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 30}},
    ]
    told = await run(walk, ask(stream=True))
    assert [event["type"] for event in told] == [
        "text",
        "text",
        "tool_call_started",
        "tool_call_delta",
        "tool_call_delta",
        "tool_call_done",
        "tool_call_started",
        "tool_call_delta",
        "tool_call_delta",
        "tool_call_done",
        "finished",
        "usage",
    ]
    assert [event["arguments"] for event in told if event["type"] == "tool_call_done"] == ['{"x":1}', "hi"]
    assert (told[-1]["input_tokens"], told[-1]["output_tokens"]) == (7, 30)


async def test_log_probabilities(walk: Walk, server: Scripted) -> None:
    entry = {
        "token": "é",
        "logprob": -0.5,
        "bytes": None,
        "top_logprobs": [{"token": "e", "logprob": -1.0, "bytes": [101]}],
    }
    chunk = delta(content="é")
    chunk["choices"][0]["logprobs"] = {"content": [entry], "refusal": None}
    server.chunks = [chunk, delta(finish="stop")]
    told = await run(walk, ask(stream=True))
    [logprob] = told[0]["logprobs"]
    assert logprob["bytes"] == list("é".encode())
    assert logprob["top"][0]["token"] == "e"


async def test_usage_is_counted_until_it_is_told(walk: Walk, server: Scripted) -> None:
    server.chunks, server.hangs = [delta(content="a"), delta(content="b"), delta(content="c")], True
    async with walk.call() as call:
        async with aclosing(generate(call, ask(stream=True))) as stream:
            while call.usage.output_tokens < 3:
                await anext(stream)
        await asyncio.wait_for(server.left.wait(), 120)
    [row] = await walk.rows()
    assert row.output_tokens == 3, "what a client that left was sent is billed"


async def test_servers_that_number_calls_loosely(walk: Walk, server: Scripted) -> None:
    def call(index: int, id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
        return delta(tool_calls=[{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}])

    server.chunks = [
        call(0, "a", "f", "{}"),
        call(0, "b", "g", '{"x"'),
        call(0, "b", None, ":1"),
        call(0, "", None, "}"),
        call(5, None, "h", "{}"),
        delta(finish="tool_calls"),
    ]
    told = await run(walk, ask(stream=True))
    started = [(event["index"], event["name"]) for event in told if event["type"] == "tool_call_started"]
    assert started == [(0, "f"), (1, "g"), (2, "h")]
    done = [(event["index"], event["arguments"]) for event in told if event["type"] == "tool_call_done"]
    assert done == [(0, "{}"), (1, '{"x":1}'), (2, "{}")]
    ids = [event["id"] for event in told if event["type"] == "tool_call_started"]
    assert ids[:2] == ["a", "b"]
    assert ids[2].startswith("call_")


async def test_servers_that_end_loosely(walk: Walk, server: Scripted) -> None:
    server.chunks = [delta(content="a"), delta(finish="stop"), delta(finish="stop", usage={"prompt_tokens": 1})]
    told = await run(walk, ask(stream=True))
    assert [event["type"] for event in told] == ["text", "finished", "usage"]
    server.chunks = [delta(content="a")]
    told = await run(walk, ask(stream=True))
    assert [event["type"] for event in told] == ["text", "finished", "usage"]
    assert told[1]["reason"] == "stop"
    server.chunks = [delta(content="a"), delta(finish="eos")]
    assert (await run(walk, ask(stream=True)))[1]["reason"] == "stop"


# Failures


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"error": {"message": "No such.", "param": "seed", "code": "bad_seed"}}, InvalidRequest, "No such."),
        (400, {"object": "error", "message": "flat", "code": 400}, InvalidRequest, "flat"),
        (400, b"<html>nginx</html>", InvalidRequest, "<html>nginx</html>"),
        (400, b"", InvalidRequest, "The upstream refused the request."),
        (413, {"error": {"message": "Too long."}}, InvalidRequest, "Too long."),
        (422, {"error": {"message": "Odd.", "code": 422}}, InvalidRequest, "Odd."),
        (401, {"error": {"message": "our key is secret"}}, ServerError, "The server had an error processing"),
        (403, {"error": {"message": "our key is secret"}}, ServerError, "The server had an error processing"),
        (404, {"error": {"message": "our model is secret"}}, ServerError, "The server had an error processing"),
        (429, {"error": {"message": "our limit is secret"}}, RateLimited, "over its own rate limit"),
        (500, b"a secret trace", ServerError, "The server had an error processing"),
        (503, {}, ServerError, "The server had an error processing"),
    ],
)
async def test_errors(
    walk: Walk, server: Scripted, stream: bool, status: int, body: Any, kind: type[APIError], message: str
) -> None:
    server.status, server.answer = status, body
    with pytest.raises(kind) as told:
        await run(walk, ask(stream=stream))
    assert message in told.value.message
    assert "secret" not in told.value.message
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", kind.status)
    if status == 400 and isinstance(body, dict) and "error" in body:
        assert (told.value.param, told.value.code) == ("seed", "bad_seed")
    elif kind is InvalidRequest:
        assert told.value.code is None, "codes that only repeat the status say nothing"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            {
                "code": 400,
                "message": "This model's maximum context length is 1048576 tokens, you asked for 2.",
            },
            "This model's maximum context length is 1048576 tokens, you asked for 2.",
        ),
        (
            {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size, try increasing it",
                "n_prompt_tokens": 1_048_577,
                "n_ctx": 1_048_576,
            },
            "This model's maximum context length is 1048576 tokens. However, your messages resulted in 1048577 tokens. "
            "Please reduce the length of the messages.",
        ),
        ({"code": "context_length_exceeded", "message": "Too long."}, "Too long."),
    ],
)
async def test_a_prompt_beyond_the_upstreams_window(
    walk: Walk, server: Scripted, error: dict[str, Any], message: str
) -> None:
    server.status, server.answer = 400, {"error": error}
    with pytest.raises(InvalidRequest) as told:
        await run(walk, ask())
    assert (told.value.code, told.value.param, told.value.message) == ("context_length_exceeded", "messages", message)


@pytest.mark.parametrize("code", ["", "x" * 65, "a\x00b", "two words", "7", 7, None])
async def test_a_code_that_would_not_fit_the_books_is_dropped(walk: Walk, server: Scripted, code: Any) -> None:
    server.status, server.answer = 400, {"error": {"message": "No.", "code": code}}
    with pytest.raises(InvalidRequest) as told:
        await run(walk, ask())
    assert told.value.code is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        {"choices": "none"},
        {},
        {"choices": []},
        whole({"content": "a"}, {"content": "nobody asked"}),
        {"choices": [{"index": -1, "message": {"content": "a"}}]},
        whole({"tool_calls": [{"id": "a", "function": {"arguments": "{}"}}]}),
        whole({"tool_calls": [{"id": "a"}]}),
        whole({"content": "a"}, usage={"prompt_tokens": -1}),
        whole({"content": "a"}, usage={"prompt_tokens": 10**30, "completion_tokens": 1}),
        whole({"content": "a"}, usage={"prompt_tokens": 1, "completion_tokens": 2**41}),
        whole({"content": "a"}, usage={"prompt_tokens": "many"}),
    ],
    ids=lambda answer: str(answer)[:60],
)
async def test_a_whole_answer_that_is_not_the_contract(walk: Walk, server: Scripted, answer: Any) -> None:
    server.answer = answer
    with pytest.raises(ServerError):
        await run(walk, ask())
    server.answer = whole({"content": "a"})
    await run(walk, ask())
    assert [(row.state, row.status) for row in await walk.rows()] == [("settled", 500), ("settled", 200)]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"{broken"],
        [delta(content="a"), b"\x00\x01"],
        [delta(content="a"), {"choices": [{"index": 1, "delta": {"content": "b"}}]}],
        [delta(finish="stop"), delta(content="more")],
        [],
    ],
)
async def test_a_stream_that_is_not_the_contract(walk: Walk, server: Scripted, chunks: list[Any]) -> None:
    server.chunks = chunks
    with pytest.raises(ServerError):
        await run(walk, ask(stream=True))
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", 500)


async def test_a_stream_that_is_cut(walk: Walk, server: Scripted) -> None:
    server.chunks, server.done = [delta(content="a")], False
    with pytest.raises(ServerError):
        await run(walk, ask(stream=True))
    [row] = await walk.rows()
    assert (row.status, row.output_tokens) == (500, 1)


async def test_an_error_inside_a_stream(walk: Walk, server: Scripted) -> None:
    server.chunks = [delta(content="a"), {"error": {"message": "Too long.", "code": 400}}]
    with pytest.raises(InvalidRequest, match=r"Too long\."):
        await run(walk, ask(stream=True))


async def test_fewer_choices_than_asked_for(walk: Walk, server: Scripted) -> None:
    server.answer = whole({"content": "a"})
    with pytest.raises(ServerError):
        await run(walk, ask(choices=2))


async def test_a_server_that_is_not_there(walk: Walk) -> None:
    await walk.upstream("http://127.0.0.1:9/v1")
    with pytest.raises(ServerError):
        await run(walk, ask())


async def test_a_server_that_has_no_connection_left(walk: Walk, server: Scripted) -> None:
    await walk.upstream(server.url, max_connections=1)
    server.chunks, server.hangs = [delta(content="a")], True
    async with walk.call() as call, aclosing(generate(call, ask(stream=True))) as stream:
        await anext(stream)
        with pytest.raises(Overloaded):
            await run(walk, ask(stream=True))
