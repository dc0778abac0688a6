"""Generation on an embedded engine, with an engine that says what the test wrote."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.scripted import Say, ScriptedEngine
from tests.walking import Walk, events, walking

from inhouse.engines.protocol import BadConstraint, EngineBusy, EngineFailed
from inhouse.generation.core import generate
from inhouse.generation.events import TextDelta
from inhouse.generation.grammar import Follower
from inhouse.generation.items import (
    Audio,
    CustomTool,
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
from inhouse.kit.errors import APIError, InvalidRequest, Overloaded, ServerError

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = FunctionTool("weather", "Tells the weather.", PARAMETERS)
STRICT = FunctionTool("weather", "Tells the weather.", PARAMETERS, strict=True)
SHELL = CustomTool("shell")
SUMS = CustomTool("sums", None, "regex", r"[0-9]+\+[0-9]+")


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


def user(text: str) -> Message:
    return Message("user", (Text(text),), path="messages[0]")


def ask(*items: Any, **more: Any) -> GenerationRequest:
    sampling = {name: more.pop(name) for name in ("max_tokens", "stop", "logprobs", "seed") if name in more}
    return GenerationRequest(items=items or (user("Hi"),), sampling=Sampling(**sampling), **more)


class Told:
    """What a generation told, by kind."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self.all = told
        self.usage = told[-1]

    def of(self, kind: str, choice: int = 0) -> list[dict[str, Any]]:
        return [event for event in self.all if event["type"] == kind and event.get("choice", 0) == choice]

    def text(self, choice: int = 0) -> str:
        return "".join(event["text"] for event in self.of("text", choice))

    def reason(self, choice: int = 0) -> str:
        [end] = self.of("finished", choice)
        return str(end["reason"])

    def calls(self, choice: int = 0) -> list[tuple[str, str]]:
        """Names and arguments; deltas must give the same arguments."""
        made = []
        for started, done in zip(self.of("tool_call_started", choice), self.of("tool_call_done", choice), strict=True):
            assert started["index"] == done["index"] == len(made)
            deltas = [each["text"] for each in self.of("tool_call_delta", choice) if each["index"] == done["index"]]
            assert "".join(deltas) == done["arguments"]
            made.append((started["name"], done["arguments"]))
        return made


async def run(walk: Walk, engine: ScriptedEngine, request: GenerationRequest, **call: Any) -> Told:
    walk.engine(engine)
    async with walk.call(**call) as opened:
        told = Told(await events(generate(opened, request)))
    assert engine.running == 0
    return told


async def test_text_as_it_comes_then_its_end_then_the_usage(walk: Walk) -> None:
    engine = ScriptedEngine([Say(["Hel", ["lo ", "you"], "!"], cached=0)])
    walk.engine(engine)
    async with walk.call() as call:
        told = [batch async for batch in generate(call, ask())]
    assert [[type(event).__name__ for event in batch] for batch in told] == [
        ["TextDelta"],
        ["TextDelta", "TextDelta"],
        ["TextDelta"],
        ["ChoiceFinished"],
        ["Usage"],
    ]
    usage = told[-1][0]
    assert usage is call.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (len(engine.asked[0].prompt), 11, 0)
    assert (call.prefill_ms, call.decode_ms) == (10.0, 20.0)
    assert engine.stopped == 0


async def test_usage_grows_with_the_text(walk: Walk) -> None:
    walk.engine(ScriptedEngine([Say(["abc", "de"])]))
    seen = []
    async with walk.call() as call:
        async for batch in generate(call, ask()):
            seen += [call.usage.output_tokens for event in batch if isinstance(event, TextDelta)]
    assert seen == [3, 5], "a client that leaves in the middle is billed what it was sent"


async def test_reused_tokens_are_told_as_the_contract_tells_them(walk: Walk) -> None:
    engine = ScriptedEngine([Say(["x"], cached=1500)])
    told = await run(walk, engine, ask(user("y" * 1600)))
    assert told.usage["cached_tokens"] == 1408
    async with walk.call() as call:
        engine.script = [*[Say()] * 1, Say(["x"], cached=1500)]
        await events(generate(call, ask(user("y" * 1600))))
    assert call.prefill_ms is None, "a warm prompt says nothing of how fast a cold one is read"
    assert call.decode_ms == 20.0


async def test_what_was_reused_is_told_of_an_answer_that_is_broken_off(walk: Walk) -> None:
    called = '<tool_call>{"name": "weather", "arguments": {"city": "Linz"}}</tool_call>'
    engine = ScriptedEngine([Say([called], cached=1500, hangs=True)])
    told = await run(walk, engine, ask(user("y" * 1600), tools=(WEATHER,), parallel_tool_calls=False))
    assert (told.calls(), engine.stopped) == ([("weather", '{"city": "Linz"}')], 1)
    assert told.usage["cached_tokens"] == 1408
    engine.script = [Say(), Say(["Once", "upon"], cached=1500, hangs=True)]
    async with walk.call() as call:
        async with aclosing(generate(call, ask(user("y" * 1600)))) as batches:
            async for _ in batches:
                break
        assert call.usage.cached_tokens == 1408, "who leaves pays no more than who stays"


async def test_the_budget_is_the_least_of_all_limits(walk: Walk) -> None:
    engine = ScriptedEngine(lambda request: Say(["x"]), window=100)
    await run(walk, engine, ask())
    prompt = len(engine.asked[0].prompt)
    assert engine.asked[0].max_tokens == 100 - prompt
    await run(walk, engine, ask(max_tokens=7))
    assert engine.asked[1].max_tokens == 7
    await run(walk, engine, ask(max_tokens=99))
    assert engine.asked[2].max_tokens == 100 - prompt
    engine.window = 10_000_000
    await run(walk, engine, ask())
    assert engine.asked[3].max_tokens == 32_768


async def test_a_cut_answer_ends_with_length(walk: Walk) -> None:
    told = await run(walk, ScriptedEngine([Say(["abcdef"])]), ask(max_tokens=4))
    assert (told.text(), told.reason(), told.usage["output_tokens"]) == ("abcd", "length", 4)


async def test_a_prompt_that_fills_the_window_is_refused(walk: Walk) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await run(walk, ScriptedEngine([], window=40), ask(user("x" * 40)))
    assert refusal.value.code == "context_length_exceeded"
    assert refusal.value.param == "messages"
    assert "maximum context length is 40 tokens. However, your messages resulted in" in refusal.value.message
    assert [row.error_code for row in await walk.rows()] == ["context_length_exceeded"]


async def test_a_stop_text_is_not_told_even_when_pieces_cut_it(walk: Walk) -> None:
    """An engine holds back what may become a stop text; nothing above it may undo that."""
    told = await run(walk, ScriptedEngine([Say(["one ", "EN", "D two"])]), ask(stop=("END",)))
    assert told.reason() == "stop"
    assert "D" not in told.text()
    engine = ScriptedEngine([Say(["one END two"])])
    assert (await run(walk, engine, ask(stop=("END", "never")))).text() == "one "
    assert engine.asked[0].stop == ["END", "never"]


async def test_what_a_request_says_reaches_the_engine_and_defaults_are_the_deployments(walk: Walk) -> None:
    engine = ScriptedEngine(lambda request: Say(["x"]))
    walk.engine(engine)
    sampling = Sampling(
        temperature=0.0,
        top_p=0.5,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        seed=2**40,
        stop=("s",),
        logit_bias={5: 7.0},
        logprobs=2,
    )
    async with walk.call(tier="priority") as call:
        await events(generate(call, GenerationRequest(items=(user("Hi"),), sampling=sampling, choices=2)))
    first, second = engine.asked
    assert (first.temperature, first.top_p, first.presence_penalty, first.frequency_penalty) == (0.0, 0.5, 1.0, -1.0)
    assert (first.stop, first.logit_bias, first.logprobs, first.priority) == (["s"], {5: 7.0}, 2, 1)
    assert {first.seed, second.seed} == {0, 1}, "each answer is another draw, and repeats with its seed"
    async with walk.call() as call:
        await events(generate(call, ask()))
    asked, decoding = engine.asked[-1], call.decoding
    assert (asked.temperature, asked.top_p, asked.top_k) == (decoding.temperature, decoding.top_p, decoding.top_k)
    assert asked.temperature != 1.0, "the shipped deployment has defaults of its own"
    assert (asked.seed, asked.priority) == (None, 0)


async def test_several_answers_go_side_by_side(walk: Walk) -> None:
    engine = ScriptedEngine([Say(["a", "b"]), Say(["c"], reason="length"), Say([])])
    told = await run(walk, engine, ask(choices=3))
    assert {told.text(choice) for choice in range(3)} == {"ab", "c", ""}
    assert sorted(told.reason(choice) for choice in range(3)) == ["length", "stop", "stop"]
    assert told.all[-1]["type"] == "usage"
    assert told.usage["output_tokens"] == 3 + 1 + 1
    assert told.usage["input_tokens"] == len(engine.asked[0].prompt), "the prompt is read and billed once"


async def test_an_answer_that_fails_ends_the_others(walk: Walk) -> None:
    engine = ScriptedEngine([Say(["a"], hangs=True), Say(["b"], error=EngineFailed("died"))])
    with pytest.raises(ServerError):
        await run(walk, engine, ask(choices=2))
    assert (engine.running, engine.stopped) == (0, 2)


# Tools


async def test_calls_in_pieces(walk: Walk) -> None:
    written = 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Linz"}}\n</tool_call>\n<tool_call>'
    written += '{"name": "shell", "arguments": {"input": "ls \\"x\\""}}</tool_call>'
    for size in (1, 3, 1000):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        told = await run(walk, ScriptedEngine([Say(pieces)]), ask(tools=(WEATHER, SHELL)))
        assert told.text().strip() == "Let me see."
        assert told.calls() == [("weather", '{"city": "Linz"}'), ("shell", 'ls "x"')]
        assert [event["kind"] for event in told.of("tool_call_started")] == ["function", "custom"]
        ids = [event["id"] for event in told.of("tool_call_started")]
        assert len(set(ids)) == 2
        assert all(id.startswith("call_") and len(id) == 29 for id in ids)
        assert told.reason() == "tool_calls"
        assert told.usage["output_tokens"] == len(written) + 1


async def test_one_call_where_only_one_is_wanted_stops_the_engine(walk: Walk) -> None:
    call = '{"name": "weather", "arguments": {"city": "Linz"}}\n'
    engine = ScriptedEngine([Say([call, call, call], hangs=True)])
    told = await run(walk, engine, ask(tools=(WEATHER,), parallel_tool_calls=False))
    assert told.calls() == [("weather", '{"city": "Linz"}')]
    assert engine.stopped == 1
    assert told.usage["output_tokens"] == len(call)


async def test_a_call_that_is_cut_ends_with_length(walk: Walk) -> None:
    told = await run(
        walk,
        ScriptedEngine([Say(['{"name": "weather", "arguments": {"city": "Lin'])]),
        ask(tools=(WEATHER,), max_tokens=44),
    )
    [(name, arguments)] = told.calls()
    assert name == "weather"
    assert arguments.startswith('{"city"')
    assert told.reason() == "length"


async def test_tool_choice(walk: Walk) -> None:
    engine = ScriptedEngine(lambda request: Say(['{"name": "weather", "arguments": {"city": "Linz"}}']))
    tools = (WEATHER, SHELL)
    told = await run(walk, engine, ask(tools=tools, tool_choice=ToolChoice("none")))
    assert told.calls() == []
    assert told.reason() == "stop"
    assert engine.asked[-1].grammar is None
    told = await run(walk, engine, ask(tools=tools, tool_choice=ToolChoice("required")))
    assert told.reason() == "tool_calls"
    assert "shell" in (engine.asked[-1].grammar or "")
    told = await run(
        walk, engine, ask(tools=tools, tool_choice=ToolChoice("required", frozenset({"weather"}), named=True))
    )
    assert told.calls() == [("weather", '{"city": "Linz"}')]
    assert told.reason() == "stop", "the contract tells a named tool's end so"
    assert "shell" not in (engine.asked[-1].grammar or "")
    assert "shell" not in str(engine.rendered[-1])


async def test_a_strict_function_called_freely_is_written_again_under_its_schema(walk: Walk) -> None:
    free = '<tool_call>\n{"name": "weather", "arguments": {"town": 7, "nonsense": tru'
    held = ['{"city": ', '"Linz"}']
    engine = ScriptedEngine([Say([free], hangs=True), Say(held)])
    told = await run(walk, engine, ask(tools=(STRICT,)))
    assert told.calls() == [("weather", '{"city": "Linz"}')]
    assert told.text() == ""
    assert told.reason() == "tool_calls"
    first, second = engine.asked
    assert first.grammar is None
    assert '"city"' in (second.grammar or "")
    opening = await engine.detokenize(second.prompt[len(first.prompt) :])
    assert opening == '<tool_call>\n{"name": "weather", "arguments": '
    assert second.max_tokens == first.max_tokens - len(free)
    assert engine.stopped == 1, "the free text is not waited for"
    assert told.usage["output_tokens"] == len(free) + len("".join(held)) + 1


NOTHING: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"type": "object"},
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
)
OPEN: tuple[dict[str, Any], ...] = (
    {"type": "object", "additionalProperties": True},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
    {"$ref": "#/$defs/a", "$defs": {"a": PARAMETERS}},
    {"type": "object", "minProperties": 1},
)


async def test_a_function_without_arguments_is_called_with_none(walk: Walk) -> None:
    written = ['{"input": 3, "note": "{}"}', '"{\\"input\\": 3}"', "{}", "null"]
    for parameters, strict, value in itertools.product(NOTHING, (False, True), written):
        magic = FunctionTool("magic", None, parameters, strict)
        engine = ScriptedEngine([Say([f'<tool_call>\n{{"name": "magic", "arguments": {value}}}\n</tool_call>'])])
        told = await run(walk, engine, ask(tools=(magic, WEATHER)))
        assert told.calls() == [("magic", "{}")]
        assert (told.text(), told.reason()) == ("", "tool_calls")
        assert len(engine.asked) == 1, "what it is called with is known"


async def test_calls_beside_one_without_arguments_keep_theirs(walk: Walk) -> None:
    calls = ['{"name": "magic", "arguments": {"x": 1}}', '{"name": "weather", "arguments": {"city": "Linz"}}']
    said = "".join(f"<tool_call>\n{call}\n</tool_call>\n" for call in [*calls, calls[0]])
    told = await run(walk, ScriptedEngine([Say([said])]), ask(tools=(FunctionTool("magic"), WEATHER)))
    assert told.calls() == [("magic", "{}"), ("weather", '{"city": "Linz"}'), ("magic", "{}")]


async def test_arguments_are_not_invented_without_end(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['{"name": "magic", "arguments": {"a": "', *["x" * 100] * 30])])
    told = await run(walk, engine, ask(tools=(FunctionTool("magic"),)))
    assert told.calls() == [("magic", "{}")]
    assert told.reason() == "tool_calls"
    assert (engine.stopped, told.usage["output_tokens"] < 1500) == (1, True)


async def test_a_forced_call_of_a_function_without_arguments_can_have_none(walk: Walk) -> None:
    for parameters in NOTHING:
        magic = FunctionTool("magic", None, parameters)
        engine = ScriptedEngine([Say(['{"name": "magic", "arguments": {}}'])])
        choice = ToolChoice("required", frozenset({"magic"}), named=True)
        told = await run(walk, engine, ask(tools=(magic,), tool_choice=choice))
        assert told.calls() == [("magic", "{}")]
        follower = Follower(str(engine.asked[0].grammar))
        assert follower.feed('{"name": "magic", "arguments": {')
        assert not follower.feed('"')


async def test_the_repeat_of_a_call_without_arguments_is_a_repeat(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['{"name": "magic", "arguments": {"again": true}}']), Say(["It is 7."])])
    before = (user("Magic?"), ToolCall("c", "magic", "{}"), ToolOutput("c", "7"))
    told = await run(walk, engine, ask(*before, tools=(FunctionTool("magic", None, {"type": "object"}),)))
    assert (told.calls(), told.text()) == ([], "It is 7.")


async def test_a_function_of_any_arguments_keeps_them(walk: Walk) -> None:
    for parameters in OPEN:
        engine = ScriptedEngine([Say(['{"name": "magic", "arguments": {"input": 3}}'])])
        told = await run(walk, engine, ask(tools=(FunctionTool("magic", None, parameters),)))
        assert told.calls() == [("magic", '{"input": 3}')]


async def test_text_before_a_held_call_stays(walk: Walk) -> None:
    engine = ScriptedEngine(
        [Say(["I look.\n", '{"name": "weather", "arguments": {'], hangs=True), Say(['{"city": "Ulm"}'])]
    )
    told = await run(walk, engine, ask(tools=(STRICT,)))
    assert told.text().strip() == "I look."
    assert told.calls() == [("weather", '{"city": "Ulm"}')]


async def test_a_grammar_tool_called_freely_is_written_again_under_its_grammar(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['{"name": "sums", "arguments": {"input": "one plus'], hangs=True), Say(["12", "+5"])])
    told = await run(walk, engine, ask(tools=(SUMS,)))
    assert told.calls() == [("sums", "12+5")]
    assert told.of("tool_call_started")[0]["kind"] == "custom"
    assert "[0-9]+" in (engine.asked[1].grammar or "")


async def test_a_required_grammar_tool_comes_raw(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['<tool_input name="su', 'ms">12+', "5</tool_input>"])])
    told = await run(walk, engine, ask(tools=(SUMS,), tool_choice=ToolChoice("required")))
    assert told.calls() == [("sums", "12+5")]


async def test_a_custom_text_tool(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['{"name": "shell", "input": "ls é', '\\n-l"}'])])
    told = await run(walk, engine, ask(tools=(SHELL,), tool_choice=ToolChoice("required")))
    assert told.calls() == [("shell", "ls é\n-l")]


async def test_a_held_call_has_no_more_than_what_is_left(walk: Walk) -> None:
    opening = '{"name": "weather", "arguments": {'
    engine = ScriptedEngine([Say([opening], hangs=True), Say(['{"city": "Linz"}'])])
    told = await run(walk, engine, ask(tools=(STRICT,), max_tokens=len(opening) + 6))
    assert told.calls() == [("weather", '{"city')]
    assert told.reason() == "length"
    assert told.usage["output_tokens"] == len(opening) + 6


async def test_a_held_call_without_anything_left_is_cut(walk: Walk) -> None:
    opening = '{"name": "weather", "arguments": {'
    engine = ScriptedEngine([Say([opening, "x"])])
    told = await run(walk, engine, ask(tools=(STRICT,), max_tokens=len(opening)))
    assert told.calls() == [("weather", "")]
    assert told.reason() == "length"
    assert told.usage["output_tokens"] == len(opening), "never more than max_tokens"
    assert len(engine.asked) == 1


async def test_a_second_prompt_that_is_longer_keeps_to_the_window(walk: Walk) -> None:
    """The opening, tokenized alone, may take more tokens than it was written with."""

    class Coarse(ScriptedEngine):
        """Tells three tokens for what it tokenizes to many more."""

        def _piece(self, text: str, request: Any) -> Any:
            piece = super()._piece(text, request)
            piece.count = 3
            return piece

    engine = Coarse([Say(['{"name": "weather", "arguments": {'], hangs=True), Say(['{"city": "Linz"}'])], window=600)
    told = await run(walk, engine, ask(tools=(STRICT,)))
    assert told.calls() == [("weather", '{"city": "Linz"}')]
    assert len(engine.asked[1].prompt) + engine.asked[1].max_tokens == 600


async def test_a_second_pass_claims_nothing_of_the_first_as_cached(walk: Walk) -> None:
    engine = ScriptedEngine(
        [Say(['{"name": "weather", "arguments": {'], hangs=True), Say(['{"city": "Linz"}'], cached=3000)]
    )
    walk.engine(engine)
    async with walk.call() as call:
        told = Told(await events(generate(call, ask(user("x" * 1100), tools=(STRICT,)))))
    assert told.usage["cached_tokens"] == 0
    assert (call.prefill_ms, call.decode_ms) == (None, None), "its time is not that of the whole answer"
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", 200)


async def test_an_engine_that_leaves_its_constraint_is_not_believed(walk: Walk) -> None:
    engine = ScriptedEngine([Say(['{"city"', ": 7}"])])
    schema = JsonSchema("place", PARAMETERS, strict=True)
    with pytest.raises(ServerError):
        await run(walk, engine, ask(format=schema))
    assert engine.stopped == 1


async def test_forms_of_answers(walk: Walk) -> None:
    engine = ScriptedEngine(lambda request: Say(['{"city": "Linz"}']))
    for form in (JsonObject(), JsonSchema("place", PARAMETERS, strict=True), JsonSchema("place", {"type": "object"})):
        told = await run(walk, engine, ask(format=form))
        assert json.loads(told.text()) == {"city": "Linz"}
        assert engine.asked[-1].grammar is not None


async def test_a_form_and_tools_leave_both_ways_open(walk: Walk) -> None:
    schema = JsonSchema("place", PARAMETERS, strict=True)
    engine = ScriptedEngine([Say(['{"city": "Linz"}'])])
    told = await run(walk, engine, ask(format=schema, tools=(SHELL,)))
    assert (told.text(), told.calls(), told.reason()) == ('{"city": "Linz"}', [], "stop")
    engine = ScriptedEngine([Say(['{"name": "shell", "input": "ls"}'])])
    told = await run(walk, engine, ask(format=schema, tools=(SHELL,)))
    assert (told.text(), told.calls(), told.reason()) == ("", [("shell", "ls")], "tool_calls")


# The guard of the loop


def answered(arguments: str = '{"city": "Linz"}', then: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    return (user("Weather in Linz?"), ToolCall("c1", "weather", arguments), ToolOutput("c1", "18 degrees"), *then)


REPEATED = '<tool_call>{"name": "weather", "arguments": {"city":"Linz"}}</tool_call>'


async def test_a_call_that_was_just_answered_becomes_words(walk: Walk) -> None:
    engine = ScriptedEngine([Say([REPEATED[:20], REPEATED[20:]], hangs=True), Say(["It is 18 degrees."])])
    told = await run(walk, engine, ask(*answered(), tools=(WEATHER,)))
    assert told.calls() == []
    assert (told.text(), told.reason()) == ("It is 18 degrees.", "stop")
    assert engine.asked[1].grammar is not None, "it must not call again"
    prompt = await engine.detokenize(engine.asked[1].prompt)
    assert "Result of weather: 18 degrees" in prompt
    assert "Weather in Linz?" in prompt
    assert told.usage["output_tokens"] == len(REPEATED) + len("It is 18 degrees.") + 1


async def test_a_strict_call_that_was_just_answered_becomes_words_too(walk: Walk) -> None:
    engine = ScriptedEngine([Say([REPEATED], hangs=True), Say(['{"city": "Linz"}']), Say(["It is 18 degrees."])])
    told = await run(walk, engine, ask(*answered(), tools=(STRICT,)))
    assert told.calls() == []
    assert (told.text(), told.reason()) == ("It is 18 degrees.", "stop")


async def test_another_call_after_an_answered_one_goes_out(walk: Walk) -> None:
    other = '{"name": "weather", "arguments": {"city": "Graz"}}'
    engine = ScriptedEngine([Say([other[:30], other[30:]])])
    told = await run(walk, engine, ask(*answered(), tools=(WEATHER,)))
    assert told.calls() == [("weather", '{"city": "Graz"}')]
    engine = ScriptedEngine([Say([other], hangs=True), Say(['{"city": ', '"Graz"}'])])
    told = await run(walk, engine, ask(*answered(), tools=(STRICT,)))
    assert told.calls() == [("weather", '{"city": "Graz"}')]
    assert told.reason() == "tool_calls"


async def test_a_repeat_after_a_fresh_call_is_only_dropped(walk: Walk) -> None:
    fresh = '{"name": "weather", "arguments": {"city": "Graz"}}\n'
    engine = ScriptedEngine([Say([fresh, '{"name": "weather", "arguments": {"city": "Linz"}}'], hangs=True)])
    told = await run(walk, engine, ask(*answered(), tools=(WEATHER,)))
    assert told.calls() == [("weather", '{"city": "Graz"}')]
    assert told.reason() == "tool_calls"
    assert len(engine.asked) == 1


async def test_the_user_may_have_a_call_made_again(walk: Walk) -> None:
    engine = ScriptedEngine([Say([REPEATED])])
    told = await run(walk, engine, ask(*answered(then=(user("And now?"),)), tools=(WEATHER,)))
    assert told.calls() == [("weather", '{"city":"Linz"}')]
    engine = ScriptedEngine([Say(['{"name": "weather", "arguments": {"city": "Linz"}}'])])
    told = await run(walk, engine, ask(*answered(), tools=(WEATHER,), tool_choice=ToolChoice("required")))
    assert told.calls() == [("weather", '{"city": "Linz"}')], "who requires a call gets one"


async def test_words_after_a_repeat_keep_to_the_wanted_form(walk: Walk) -> None:
    schema = JsonSchema("place", PARAMETERS, strict=True)
    engine = ScriptedEngine(
        [Say(['{"name": "weather", "arguments": {"city": "Linz"}}'], hangs=True), Say(['{"city": "Linz"}'])]
    )
    told = await run(walk, engine, ask(*answered(), tools=(WEATHER,), format=schema))
    assert told.text() == '{"city": "Linz"}'
    assert '"city"' in (engine.asked[1].grammar or "")


# Log probabilities


async def test_log_probabilities_stand_beside_their_text(walk: Walk) -> None:
    told = await run(walk, ScriptedEngine([Say(["ab", "é"])]), ask(logprobs=1))
    entries = [entry for event in told.of("text") for entry in event["logprobs"]]
    assert [entry["token"] for entry in entries] == ["a", "b", "é"]
    assert [len(entry["top"]) for entry in entries] == [1, 1, 1]
    assert entries[2]["bytes"] == list("é".encode())


async def test_log_probabilities_of_a_call_are_not_those_of_the_text(walk: Walk) -> None:
    written = 'See é: <tag>\n<tool_call>{"name": "weather", "arguments": {"city": "Linz"}}</tool_call>'
    for size in (1, 4, 16, 1000):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        told = await run(walk, ScriptedEngine([Say(pieces)]), ask(tools=(WEATHER,), logprobs=0))
        assert told.calls()
        for event in told.of("text"):
            assert "".join(entry["token"] for entry in event["logprobs"]) == event["text"]


async def test_no_log_probabilities_unless_asked(walk: Walk) -> None:
    told = await run(walk, ScriptedEngine([Say(["ab"])]), ask())
    assert [event.get("logprobs") for event in told.of("text")] == [[]]


# Failures


@pytest.mark.parametrize(
    ("error", "kind", "code", "words"),
    [
        (EngineFailed("secret reason"), ServerError, None, "The server had an error processing your request."),
        (EngineBusy("full"), Overloaded, "server_is_overloaded", "currently overloaded"),
        (BadConstraint("what is wrong with it"), InvalidRequest, None, "what is wrong with it"),
        (ValueError("it is impossible"), InvalidRequest, None, "it is impossible"),
    ],
)
@pytest.mark.parametrize("pieces", [[], ["begun"]])
async def test_what_a_client_is_told_when_an_engine_fails(
    walk: Walk, error: Exception, kind: type[APIError], code: str | None, words: str, pieces: list[str]
) -> None:
    with pytest.raises(kind) as told:
        await run(walk, ScriptedEngine([Say(pieces, error=error)]), ask())
    assert told.value.code == code
    assert words in told.value.message
    assert "secret" not in told.value.message
    [row] = await walk.rows()
    assert (row.status, row.state, row.output_tokens) == (told.value.status, "settled", len("".join(pieces)))
    if kind is Overloaded:
        assert told.value.headers["retry-after"] == "5"
    if kind is ServerError:
        assert row.id in told.value.message


async def test_messages_that_the_template_refuses_are_the_clients_fault(walk: Walk) -> None:
    engine = ScriptedEngine(
        refuses=lambda messages: "Unable to generate parser.\n----\nError: Jinja Exception: roles must alternate"
    )
    with pytest.raises(InvalidRequest) as refusal:
        await run(walk, engine, ask())
    assert refusal.value.message == "The model deployed here cannot take this request: roles must alternate"
    assert refusal.value.param == "messages"


@pytest.mark.parametrize(
    ("part", "kind"),
    [(Image("https://x"), "image_url"), (Image("", file_id="file-1"), "image_url"), (Audio("", "wav"), "input_audio")],
)
async def test_what_an_embedded_model_cannot_read_is_refused(walk: Walk, part: Any, kind: str) -> None:
    message = Message("user", (Text("See:"), part), path="messages[0]")
    with pytest.raises(InvalidRequest, match=f"{kind} is only supported by certain models") as refusal:
        await run(walk, ScriptedEngine(), ask(message))
    assert refusal.value.param == "messages[0].content[1].type"


@pytest.mark.parametrize("choices", [1, 3])
async def test_closing_stops_the_engine(walk: Walk, choices: int) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say(["abc"], hangs=True)))
    async with walk.call() as call:
        async with aclosing(generate(call, ask(choices=choices))) as stream:
            await anext(stream)
        assert engine.running == 0
        assert engine.stopped == choices
    [row] = await walk.rows()
    assert row.output_tokens == 3 * choices


@pytest.mark.parametrize("choices", [1, 3])
@pytest.mark.parametrize("pieces", [[], ["abc"]])
async def test_cancelling_stops_the_engine(walk: Walk, choices: int, pieces: list[str]) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say(pieces, hangs=True)))

    async def serve() -> None:
        async with walk.call() as call:
            await events(generate(call, ask(choices=choices)))

    task = asyncio.create_task(serve())
    while engine.running < choices:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (engine.running, engine.stopped) == (0, choices)
    [row] = await walk.rows()
    assert (row.state, row.status, row.error_code) == ("settled", 499, "client_disconnected")
