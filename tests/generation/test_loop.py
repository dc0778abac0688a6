"""The loop of hosted tools on an upstream; the faces test it on embedded engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.upstreams import Scripted, scripted_upstream, whole
from tests.walking import Walk, walking

from inhouse.generation.events import ChoiceFinished, TextDelta
from inhouse.generation.items import FunctionTool, GenerationRequest, JsonObject, Message, Sampling, Text, ToolChoice
from inhouse.generation.loop import Hosting, declared, respond
from inhouse.generation.merge import in_order
from inhouse.tools.hosted import Answered, Declaration, HostedCall, HostedTool, ToolEvents

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"], "additionalProperties": False}


class Finding(HostedTool):
    kind = "finding"

    def __init__(self, parameters: dict[str, Any] | None = None) -> None:
        self.parameters = SCHEMA if parameters is None else parameters
        self.closed = 0

    def declarations(self) -> Sequence[Declaration]:
        return [Declaration("find", "find", "Find it.", self.parameters)]

    async def run(self, call: HostedCall) -> ToolEvents:
        yield [Answered(call, f"found {call.arguments}", f"just {call.arguments}")]

    async def close(self) -> None:
        self.closed += 1
        raise RuntimeError("it does not want to")


class Upstream(Scripted):
    """Gives one answer after the other."""

    answers: Sequence[Any] = ()

    async def serve(self, request: Any) -> Any:
        self.answer = self.answers[len(self.bodies)]
        return await super().serve(request)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upstream]:
    monkeypatch.setattr("tests.upstreams.Scripted", Upstream)
    async with scripted_upstream() as server:
        assert isinstance(server, Upstream)
        yield server


@pytest.fixture
async def walk(tmp_path: Path, server: Upstream) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        await walk.upstream(server.url)
        yield walk


def calls(*names: str) -> dict[str, Any]:
    told = [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": '{"q": "x"}'}}
        for place, name in enumerate(names)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    return whole({"content": "Wait. ", "tool_calls": told, "finish": "tool_calls"}, usage=usage)


def ask(**more: Any) -> GenerationRequest:
    return GenerationRequest(items=(Message("user", (Text("Hi"),)),), **more)


async def test_what_an_upstream_reads_and_what_it_all_used(walk: Walk, server: Upstream) -> None:
    tool = Finding()
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 8}}
    server.answers = [calls("find", "find"), whole({"content": "Done."}, usage=usage)]
    async with walk.call() as call:
        batches = [batch async for batch in respond(call, ask(sampling=Sampling(max_tokens=50)), Hosting((tool,)))]
    told = [event for batch in batches for event in batch]
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "Wait. Done."
    assert [event.reason for event in told if isinstance(event, ChoiceFinished)] == ["stop"]
    assert told[-1] is call.usage
    assert (call.usage.input_tokens, call.usage.cached_tokens, call.usage.output_tokens) == (30, 12, 7)
    assert [body["max_tokens"] for body in server.bodies] == [50, 45]
    assert server.bodies[0]["tools"][0]["function"]["strict"] is True
    call_of = {"type": "function", "function": {"name": "find", "arguments": '{"q": "x"}'}}
    assert server.bodies[1]["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Wait. ", "tool_calls": [{"id": "c0", **call_of}, {"id": "c1", **call_of}]},
        {"role": "tool", "tool_call_id": "c0", "content": 'found {"q": "x"}'},
        {"role": "tool", "tool_call_id": "c1", "content": 'found {"q": "x"}'},
    ]
    assert tool.closed == 1


async def test_a_forced_tool_among_others(walk: Walk, server: Upstream) -> None:
    tool = Finding()
    mine = FunctionTool("mine", None, {"type": "object", "properties": {}})
    server.answers = [calls("find"), whole({"content": "Done."})]
    request = ask(tools=(mine,), tool_choice=ToolChoice("required", frozenset()))
    async with walk.call() as call:
        async for _ in respond(call, request, Hosting((tool,), chosen=((tool, None),), forced=True)):
            pass
    first, second = server.bodies
    assert first["tool_choice"] == {"type": "function", "function": {"name": "find"}}
    assert second["tool_choice"] == "auto"
    assert [each["function"]["name"] for each in second["tools"]] == ["mine", "find"]


async def test_an_upstream_that_calls_what_it_was_not_offered_is_not_heard(walk: Walk, server: Upstream) -> None:
    made = calls("find")
    silent = calls("find")
    silent["choices"][0]["message"]["content"] = None
    server.answers = [made, silent, whole({"content": "Done."})]
    async with walk.call() as call:
        batches = [batch async for batch in respond(call, ask(), Hosting((Finding(),), most_calls=1))]
    assert isinstance(batches[-1][0], ChoiceFinished)
    assert not any("tools" in body for body in server.bodies[1:])
    told = [event for batch in batches for event in batch]
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "Wait. Done."


async def test_an_upstream_that_says_nothing_is_told_the_results_plainly(walk: Walk, server: Upstream) -> None:
    silent = whole({"content": ""}, usage={"prompt_tokens": 20, "completion_tokens": 1})
    spoken = whole({"content": "Done."}, usage={"prompt_tokens": 15, "completion_tokens": 2})
    server.answers = [calls("find"), silent, spoken]
    async with walk.call() as call:
        batches = [batch async for batch in respond(call, ask(sampling=Sampling(max_tokens=50)), Hosting((Finding(),)))]
    told = [event for batch in batches for event in batch]
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "Wait. Done."
    assert (call.usage.input_tokens, call.usage.output_tokens) == (45, 8)
    last = server.bodies[2]
    assert "tools" not in last
    assert last["max_tokens"] == 44
    assert last["messages"] == [
        {"role": "user", "content": 'Hi\n\nResult of find: just {"q": "x"}\nAnswer with the help of these results.'}
    ]


async def test_an_empty_object_is_an_answer_where_json_is_asked_for(walk: Walk, server: Upstream) -> None:
    server.answers = [calls("find"), whole({"content": "{}"})]
    async with walk.call() as call:
        batches = [batch async for batch in respond(call, ask(format=JsonObject()), Hosting((Finding(),)))]
    told = [event for batch in batches for event in batch]
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "Wait. {}"
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    "parameters", [{"type": "array"}, {"type": "object", "properties": 3}, {"$ref": "#/nowhere"}, {"type": "thing"}]
)
async def test_a_schema_that_cannot_be_read_takes_anything(parameters: dict[str, Any]) -> None:
    request = await declared(ask(), Hosting((Finding(parameters),)))
    (tool,) = request.tools
    assert isinstance(tool, FunctionTool)
    assert (tool.parameters, tool.strict) == ({"type": "object", "additionalProperties": True}, False)


async def test_streams_in_order() -> None:
    running = 0
    gate = asyncio.Event()

    async def stream(name: str, *, waits: bool = False, fails: bool = False) -> AsyncIterator[list[str]]:
        nonlocal running
        running += 1
        try:
            yield [f"{name}1"]
            if waits:
                await gate.wait()
            if fails:
                raise ValueError(name)
            yield [f"{name}2"]
        finally:
            running -= 1

    told = []
    async for batch in in_order([stream("a", waits=True), stream("b"), stream("c")]):  # type: ignore[list-item]
        told += batch
        if told == ["a1"]:
            while running > 1:  # the others are done, and wait for their turn
                await asyncio.sleep(0)
            gate.set()
    assert told == ["a1", "a2", "b1", "b2", "c1", "c2"]
    gate.clear()
    with pytest.raises(ValueError, match="b"):
        async for _ in in_order([stream("a"), stream("b", fails=True), stream("c", waits=True)]):  # type: ignore[list-item]
            pass
    assert running == 0
    waiting = in_order([stream("a", waits=True), stream("b", waits=True)])  # type: ignore[list-item]
    assert await anext(waiting) == ["a1"]
    await waiting.aclose()
    assert running == 0
    assert [batch async for batch in in_order([])] == []
