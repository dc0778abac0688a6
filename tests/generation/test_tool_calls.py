from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhouse.generation.events import TextDelta, ToolCallDelta, ToolCallDone, ToolCallStarted
from inhouse.generation.tool_calls import ToolCallParser, is_repeat, new_call_id

TOOLS = {"get_weather": "function", "get_time": "function", "run_sql": "custom"}
WEATHER = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
TIME = '{"name": "get_time", "arguments": {}}'


def parse(text: str, cuts: list[int] | None = None, *, parallel: bool = True):
    """Content, calls as (name, kind, arguments), and the parser, after feeding ``text`` cut at ``cuts``."""
    parser = ToolCallParser(TOOLS, parallel=parallel)
    bounds = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or [])})
    events = []
    for start, end in itertools.pairwise(bounds):
        events += parser.feed(text[start:end])
    events += parser.finish()
    content, calls, deltas = "", [], {}
    for event in events:
        match event:
            case TextDelta(text=piece):
                assert piece
                content += piece
            case ToolCallStarted(index=index, id=id, name=name, kind=kind):
                assert index == len(calls)
                assert re.fullmatch(r"call_[A-Za-z0-9]{24}", id)
                calls.append((name, kind))
                deltas[index] = ""
            case ToolCallDelta(index=index, text=piece):
                assert index == len(calls) - 1
                assert piece
                deltas[index] += piece
            case ToolCallDone(index=index, arguments=arguments):
                assert deltas[index] == arguments
                calls[index] = (*calls[index], arguments)
    assert all(len(call) == 3 for call in calls), "every started call is done"
    return content, calls, parser


OSLO = ("get_weather", "function", '{"city": "Oslo"}')
NOW = ("get_time", "function", "{}")

CASES = {
    "hermes": (f"<tool_call>\n{WEATHER}\n</tool_call>", "", [OSLO]),
    "hermes, several": (
        f"<tool_call>\n{WEATHER}\n</tool_call>\n<tool_call>\n{TIME}\n</tool_call>",
        "",
        [OSLO, NOW],
    ),
    "hermes, several in one": (f"<tool_call>{WEATHER}\n{TIME}</tool_call>", "", [OSLO, NOW]),
    "hermes, list": (f"<tool_call>[{WEATHER}, {TIME}]</tool_call> Done.", "Done.", [OSLO, NOW]),
    "hermes, not closed": (f"<tool_call>{WEATHER}", "", [OSLO]),
    "hermes, brace missing": (f"<tool_call>{WEATHER[:-1]}</tool_call>", "", [OSLO]),
    "hermes, no arguments": ('<tool_call>{"name": "get_time"}</tool_call>', "", [NOW]),
    "qwen's tools tag": (f"<tools>\n{WEATHER}\n</tools>", "", [OSLO]),
    "fenced": (f"```json\n{WEATHER}\n```", "", [OSLO]),
    "fenced, no language": (f"```\n{WEATHER}\n```", "", [OSLO]),
    "fenced, list": (f"```json\n[\n  {WEATHER},\n  {TIME}\n]\n```\nThat is all.", "That is all.", [OSLO, NOW]),
    "bare": (WEATHER, "", [OSLO]),
    "bare, blanks": (f"\n  {WEATHER}\n", "", [OSLO]),
    "bare, parameters": ('{"name": "get_weather", "parameters": {"city": "Oslo"}}', "", [OSLO]),
    "bare, function key": ('{"type": "function", "function": "get_time", "arguments": {}}', "", [NOW]),
    "bare list": (f"[{WEATHER},{TIME}]", "", [OSLO, NOW]),
    "bare, lines": (f"{WEATHER}\n{TIME}", "", [OSLO, NOW]),
    "bare, semicolons": (f"{WEATHER}; {TIME}", "", [OSLO, NOW]),
    "llama": ('<|python_tag|>{"name": "get_weather", "parameters": {"city": "Oslo"}}<|eom_id|>', "", [OSLO]),
    "mistral": (f"[TOOL_CALLS] [{WEATHER}]</s>", "", [OSLO]),
    "text before and after": (
        f"Let me look.\n\n<tool_call>{WEATHER}</tool_call>\nOne moment.",
        "Let me look.\nOne moment.",
        [OSLO],
    ),
    "text, then a line": (f"I will call it:\n{WEATHER}", "I will call it:", [OSLO]),
    "text, then a fence": (f"I will call it:\n```json\n{WEATHER}\n```", "I will call it:", [OSLO]),
    "name last": ('{"arguments": {"city": "Oslo"}, "name": "get_weather"}', "", [OSLO]),
    "keys around": ('{"id": 1, "name": "get_time", "arguments": {}, "type": "function"} ok', "ok", [NOW]),
    "arguments quoted": (
        r'{"name": "get_weather", "arguments": "{\"city\": \"Oslo\"}"}',
        "",
        [OSLO],
    ),
    "arguments quoted, escapes": (
        r'{"name": "get_weather", "arguments": "{\"city\": \"\\\"\ud83d\ude00\u00e9\"}"}',
        "",
        [("get_weather", "function", '{"city": "\\"😀é"}')],
    ),
    "arguments empty": ('{"name": "get_time", "arguments": ""}', "", [NOW]),
    "arguments null": ('{"name": "get_time", "arguments": null}', "", [NOW]),
    "braces and quotes in strings": (
        r'{"name": "get_weather", "arguments": {"city": "}{\"]\\", "x": [{"y": "}}"}]}} after',
        "after",
        [("get_weather", "function", r'{"city": "}{\"]\\", "x": [{"y": "}}"}]}')],
    ),
    "custom, quoted": (
        r'<tool_call>{"name": "run_sql", "input": "SELECT \"a\"\nFROM t"}</tool_call>',
        "",
        [("run_sql", "custom", 'SELECT "a"\nFROM t')],
    ),
    "custom, in an object": (
        '{"name": "run_sql", "arguments": {"input": "SELECT 1"}}',
        "",
        [("run_sql", "custom", "SELECT 1")],
    ),
    "custom, raw": (
        '<tool_input name="run_sql">SELECT "a" < 3 {',
        "",
        [("run_sql", "custom", 'SELECT "a" < 3 {')],
    ),
    "a call, then raw": (
        f'{WEATHER}\n<tool_input name="run_sql">SELECT 1',
        "",
        [OSLO, ("run_sql", "custom", "SELECT 1")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_a_call(case: str):
    text, content, calls = CASES[case]
    found, got, parser = parse(text)
    assert (found, got) == (content, calls)
    assert not parser.truncated


CONTENT = {
    "prose": "The weather in Oslo is fine.\n\nIt is 3 < 4, [see](x), `code` and {braces}.",
    "json answer": '{"name": "Ada", "age": 36}',
    "json answer with a tool's name": '{"name": "get_weather", "description": "tells the weather"}',
    "a tool's name alone": '{"name": "get_time"}',
    "json list": '[1, 2, {"a": []}]\n[]',
    "fenced json": '```json\n{"a": {"name": "get_weather"}}\n```\nrest',
    "fenced code": "```python\ndef f():\n    return {'a': 1}\n```",
    "a call inside code": f"```python\nx = 1\n{WEATHER}\n```\ntext",
    "a call inside a sentence": f"It looks like {WEATHER} there.",
    "unknown tool, hermes": '<tool_call>\n{"name": "rm_rf", "arguments": {"path": "/"}}\n</tool_call>',
    "unknown tool, bare": '{"name": "rm_rf", "arguments": {"path": "/"}}',
    "unknown tool, name last": '{"arguments": {"path": "/"}, "name": "rm_rf"}',
    "unknown tool, fenced": '```json\n{"name": "rm_rf", "arguments": {}}\n```',
    "raw input of a function": '<tool_input name="get_time">x',
    "arguments a list": '{"name": "get_time", "arguments": [1]}',
    "arguments a number": '{"name": "get_time", "arguments": 3}',
    "arguments prose": '{"name": "get_time", "arguments": "now, please"}',
    "not json": "<tool_call>get_time()</tool_call>",
    "html": "<table><tr><td>1</td></tr></table>",
    "an open bracket": "[",
    "an open brace": "so: {",
    "backticks": "`a` ``b`` ``",
    "blanks": "  \n\n ",
    "half an opener": "a <tool_",
}


@pytest.mark.parametrize("case", CONTENT)
def test_what_is_content(case: str):
    found, calls, parser = parse(CONTENT[case])
    assert (found, calls) == (CONTENT[case], [])
    assert not parser.truncated


@pytest.mark.parametrize("case", [*CASES, *CONTENT])
def test_one_character_at_a_time(case: str):
    text = CASES[case][0] if case in CASES else CONTENT[case]
    assert parse(text, list(range(len(text))))[:2] == parse(text)[:2]


FRAGMENTS = st.sampled_from(
    [
        *(text for text, _, _ in CASES.values()),
        *CONTENT.values(),
        *("\n", " ", "{", "}", '"', "[", "]", "```", "```json\n", "<tool_call>", "</tool_call>", "\\", "é😀", ",", "x"),
        *('{"name": "get_weather", "arguments": ', '{"name": ', '"name"', ': "get_time"', '{"arguments": {"a": "'),
        *(r'"\ud83d', r"\ude00", r"\u00", '<tool_input name="'),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(FRAGMENTS, max_size=5), st.lists(st.integers(0, 10_000), max_size=12), st.booleans())
def test_cutting_makes_no_difference(fragments: list[str], cuts: list[int], parallel: bool):
    text = "".join(fragments)
    whole, cut = parse(text, parallel=parallel), parse(text, cuts, parallel=parallel)
    assert cut[:2] == whole[:2]
    assert cut[2].truncated == whole[2].truncated


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_arguments_arrive_unharmed(value, ascii_only: bool, quoted: bool, cuts: list[int]):
    arguments = json.dumps({"value": value}, ensure_ascii=ascii_only)
    written = json.dumps(arguments, ensure_ascii=ascii_only) if quoted else arguments
    text = f'Sure.\n<tool_call>\n{{"name": "get_weather", "arguments": {written}}}\n</tool_call>'
    content, calls, _ = parse(text, cuts)
    assert content == "Sure."
    assert calls == [("get_weather", "function", arguments)]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='ab <{[`\n"}]:,', max_size=60))
def test_without_a_call_every_character_comes_out(text: str):
    assert parse(text)[:2] == (text, [])


@pytest.mark.parametrize("cut", range(len("<tool_call>") + 1, len("<tool_call>" + WEATHER) - 2))
def test_a_cut_call_never_leaks(cut: int):
    text = ("Look: <tool_call>" + WEATHER)[: cut + 6]
    content, calls, parser = parse(text, list(range(cut)))
    assert content == "Look:"
    assert parser.truncated
    if calls:
        assert calls[0][0] == "get_weather"
        assert '{"city": "Oslo"}'.startswith(calls[0][2])
    if '"get_weather"' in text:
        assert calls, "the name is known, so the call is told"


def test_a_bare_call_that_is_cut_is_told():
    content, calls, parser = parse(WEATHER[:41])
    assert (content, calls, parser.truncated) == ("", [("get_weather", "function", '{"ci')], True)


def test_text_is_released_as_soon_as_it_cannot_be_a_call():
    parser = ToolCallParser(TOOLS)
    assert parser.feed("Hello") == [TextDelta("Hello")]
    assert parser.feed(", a < b") == [TextDelta(", a < b")]
    assert parser.feed("\n") == []
    assert parser.feed('{"na') == []
    assert parser.feed('me": "A') == [TextDelta('\n{"name": "A')]


def test_arguments_are_streamed():
    parser = ToolCallParser(TOOLS, new_id=lambda: "call_1")
    assert parser.feed('{"name": "get_weather", "arg') == []
    assert parser.feed('uments": {"ci') == [
        ToolCallStarted(0, "call_1", "get_weather"),
        ToolCallDelta(0, '{"ci'),
    ]
    assert parser.feed('ty": "Os') == [ToolCallDelta(0, 'ty": "Os')]
    assert parser.feed('lo"}') == [ToolCallDelta(0, 'lo"}'), ToolCallDone(0, '{"city": "Oslo"}')]
    assert parser.feed("}") == []
    assert parser.finish() == []


def test_without_parallel_calls_the_first_ends_it():
    content, calls, parser = parse(f"<tool_call>{WEATHER}</tool_call><tool_call>{TIME}</tool_call> and", parallel=False)
    assert (content, calls, parser.done) == ("", [OSLO], True)


def test_where_the_value_begins():
    text = 'Hm.\n<tool_call>{"name": "get_weather", "arguments": {"city'
    parser = ToolCallParser(TOOLS)
    parser.feed(text)
    assert parser.value_at == text.index('{"city')


def test_a_flood_of_open_text_is_not_held_forever():
    parser = ToolCallParser(TOOLS)
    events = parser.feed('{"arguments": {"a": "' + "x" * 200_000)
    assert sum(len(event.text) for event in events if isinstance(event, TextDelta)) > 100_000


def test_choice_is_carried():
    parser = ToolCallParser(TOOLS, choice=2)
    events = parser.feed(f"Hi\n{WEATHER}") + parser.finish()
    assert len(events) == 4
    assert {event.choice for event in events} == {2}


def test_ids_differ():
    assert len({new_call_id() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("given_arguments", "expected"),
    [
        ('{"b": 2, "a": [1, "x"]}', True),
        ('{"a":[1.0,"x"],"b":2}', True),
        ('{"a": [true, "x"], "b": 2}', False),
        ('{"a": ["x", 1], "b": 2}', False),
        ('{"a": [1, "x"]}', False),
        ("{", False),
    ],
)
def test_is_repeat(given_arguments: str, expected: bool):
    answered = [("other", '{"a": [1, "x"], "b": 2}'), ("f", '{"a": [1, "x"], "b": 2}')]
    assert is_repeat("f", given_arguments, answered) is expected
    assert not is_repeat("g", given_arguments, answered)


def test_is_repeat_of_broken_arguments():
    assert is_repeat("f", "{", [("f", "{")])
    assert not is_repeat("f", "{}", [])
