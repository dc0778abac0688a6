"""Tools: when the model may, must and must not call, how calls are told, and what follows them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import openai
import pytest
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

from .running import CHAT, user

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {"name": "get_weather", "description": "Current weather of a city.", "parameters": CITY}
TIME: Any = {"name": "get_time", "description": "Current time in a city.", "parameters": CITY}
TOOLS: list[Any] = [{"type": "function", "function": WEATHER}, {"type": "function", "function": TIME}]
PARIS = user("What is the weather in Paris?")


class GetWeather(BaseModel):
    """Current weather of a city."""

    city: str


def ask(client: OpenAI, messages: Any = PARIS, **options: Any) -> Any:
    return client.chat.completions.create(
        **{
            "model": CHAT,
            "messages": messages,
            "tools": TOOLS,
            "max_completion_tokens": 60,
            "temperature": 0,
            **options,
        }
    )


def calls(completion: Any) -> list[tuple[str, Any]]:
    """Names and arguments; checks what every message with calls has."""
    message = completion.choices[0].message
    made = message.tool_calls or []
    assert all(call.type == "function" and re.fullmatch(r"call_\w{24}", call.id) for call in made)
    assert len({call.id for call in made}) == len(made)
    for call in made:
        jsonschema.validate(json.loads(call.function.arguments), CITY)
    return [(call.function.name, json.loads(call.function.arguments)) for call in made]


def function(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> Any:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [function(name) for name in names]}}


# Choosing


@pytest.mark.parametrize(
    ("choice", "name", "reason"),
    [
        ("auto", "get_weather", "tool_calls"),
        ("required", "get_weather", "tool_calls"),
        (function("get_time"), "get_time", "stop"),
        (allowed("required", "get_time"), "get_time", "tool_calls"),
        (allowed("auto", "get_weather"), "get_weather", "tool_calls"),
    ],
)
def test_tool_choice(client: OpenAI, choice: Any, name: str, reason: str) -> None:
    completion = ask(client, tool_choice=choice)
    assert [called for called, _ in calls(completion)] == [name]
    assert completion.choices[0].message.content is None
    assert completion.choices[0].finish_reason == reason


def test_none_calls_nothing(client: OpenAI) -> None:
    completion = ask(client, tool_choice="none", max_completion_tokens=20)
    assert completion.choices[0].message.tool_calls is None
    assert completion.choices[0].message.content


def test_required_calls_even_where_nothing_fits(client: OpenAI) -> None:
    assert calls(ask(client, user("Good morning!"), tool_choice="required"))


def test_small_talk_calls_nothing(client: OpenAI) -> None:
    completion = ask(client, user("Good morning! How are you?"), max_completion_tokens=20)
    assert calls(completion) == []
    assert completion.choices[0].message.content


BOTH = user("Get the weather in Paris and also the weather in London.")


def test_parallel_calls(client: OpenAI) -> None:
    completion = ask(client, BOTH, tool_choice="required", max_completion_tokens=100)
    assert len(calls(completion)) == 2


def test_parallel_calls_can_be_forbidden(client: OpenAI) -> None:
    for choice in ("auto", "required"):
        completion = ask(client, BOTH, tool_choice=choice, parallel_tool_calls=False, max_completion_tokens=100)
        assert len(calls(completion)) == 1


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_strict_arguments_fit_any_schema(client: OpenAI, choice: str) -> None:
    parameters = {
        "type": "object",
        "properties": {
            "place": {
                "type": "object",
                "properties": {
                    "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
                    "country": {"type": "string", "enum": ["FR", "DE"]},
                },
                "required": ["zip", "country"],
                "additionalProperties": False,
            },
            "days": {"type": "integer", "minimum": 1, "maximum": 3},
        },
        "required": ["place", "days"],
        "additionalProperties": False,
    }
    tool = {**WEATHER, "name": "forecast", "parameters": parameters, "strict": True}
    completion = ask(client, tools=[{"type": "function", "function": tool}], tool_choice=choice, temperature=1, seed=3)
    (call,) = completion.choices[0].message.tool_calls
    jsonschema.validate(json.loads(call.function.arguments), parameters)


def test_a_tool_without_parameters(client: OpenAI) -> None:
    tool = {"name": "roll_dice", "description": "Rolls a die."}
    completion = ask(client, user("Roll the dice."), tools=[{"type": "function", "function": tool}])
    (call,) = completion.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {}


def test_a_call_that_is_cut_says_length(client: OpenAI) -> None:
    completion = ask(client, tool_choice="required", max_completion_tokens=12)
    assert completion.choices[0].finish_reason == "length"


def test_parse_reads_arguments_into_the_class(client: OpenAI) -> None:
    completion = client.chat.completions.parse(
        model=CHAT,
        messages=PARIS,
        tools=[openai.pydantic_function_tool(GetWeather)],
        max_completion_tokens=60,
        temperature=0,
    )
    (call,) = completion.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == GetWeather(city="Paris")


# Streams


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_streamed_call_comes_in_pieces_and_never_as_text(client: OpenAI, choice: str) -> None:
    chunks = list(ask(client, stream=True, tool_choice=choice))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert not any(delta.content for delta in deltas)
    assert [delta.role for delta in deltas if delta.role] == ["assistant"]
    pieces = [piece for delta in deltas for piece in delta.tool_calls or []]
    first, *rest = pieces
    assert (first.index, first.type, first.function.name, first.function.arguments) == (
        0,
        "function",
        "get_weather",
        "",
    )
    assert first.id.startswith("call_")
    assert all(piece.id is None and piece.type is None and piece.function.name is None for piece in rest)
    assert len(rest) > 2
    assert json.loads("".join(piece.function.arguments for piece in rest)) == {"city": "Paris"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_streamed_parallel_calls_have_an_index_each(client: OpenAI) -> None:
    stream = ask(client, BOTH, tool_choice="required", max_completion_tokens=100, stream=True)
    pieces = [piece for chunk in stream for piece in chunk.choices[0].delta.tool_calls or []]
    arguments = {0: "", 1: ""}
    for piece in pieces:
        arguments[piece.index] += piece.function.arguments
    assert all(json.loads(each)["city"] for each in arguments.values())
    assert [piece.index for piece in pieces if piece.id] == [0, 1]


def test_the_helper_of_the_sdk_puts_calls_together(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model=CHAT,
        messages=PARIS,
        tools=[openai.pydantic_function_tool(GetWeather)],
        max_completion_tokens=60,
        temperature=0,
    ) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in seen
    assert "tool_calls.function.arguments.done" in seen
    said = final.choices[0].message
    (call,) = said.tool_calls or []
    assert call.function.parsed_arguments == GetWeather(city="Paris")
    # The message can be sent back as the helper made it.
    told: Any = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
    messages: Any = [*PARIS, said, told]
    again = client.chat.completions.create(model=CHAT, messages=messages, max_completion_tokens=8)
    assert again.choices[0].message.content


# What follows


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answered_call_leads_to_words(client: OpenAI, strict: bool, stream: bool) -> None:
    """Small models like to call again what was just answered; that would never end."""
    tools = [{"type": "function", "function": {**each["function"], "strict": strict}} for each in TOOLS]
    asked = ask(client, tools=tools)
    (call,) = asked.choices[0].message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    messages = [*PARIS, asked.choices[0].message.model_dump(exclude_none=True), result]
    answer = ask(client, messages, tools=tools, stream=stream)
    if stream:
        choices = [chunk.choices[0] for chunk in answer]
        assert not any(choice.delta.tool_calls for choice in choices)
        text, reason = "".join(choice.delta.content or "" for choice in choices), choices[-1].finish_reason
    else:
        assert answer.choices[0].message.tool_calls is None
        text, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert "18" in text
    assert "get_weather" not in text
    assert reason == "stop"


# Custom tools


def custom(format: Any = None) -> Any:
    tool: dict[str, Any] = {"name": "calculator", "description": "Computes an arithmetic expression."}
    return [{"type": "custom", "custom": {**tool, **({"format": format} if format else {})}}]


def grammar(syntax: str, definition: str) -> Any:
    return {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}


SUM = user("Use the calculator to compute 12+3.")


REGEX = (grammar("regex", r"[0-9]{1,3} [+*] [0-9]{1,3}"), r"[0-9]{1,3} [+*] [0-9]{1,3}")
LARK = (grammar("lark", 'start: NUMBER "+" NUMBER\nNUMBER: /[0-9]{1,3}/'), r"[0-9]{1,3}\+[0-9]{1,3}")


@pytest.mark.parametrize(
    ("choice", "format", "pattern"),
    [
        ("auto", None, r"(?s).+"),
        ("required", {"type": "text"}, r"(?s).+"),
        ("auto", *REGEX),
        ({"type": "custom", "custom": {"name": "calculator"}}, *REGEX),
        ("auto", *LARK),
        ("required", *LARK),
    ],
    ids=["free", "text", "regex", "regex-named", "lark", "lark-required"],
)
def test_custom_tools_take_text(client: OpenAI, choice: Any, format: Any, pattern: str) -> None:
    completion = ask(client, SUM, tools=custom(format), tool_choice=choice)
    (call,) = completion.choices[0].message.tool_calls
    assert call.type == "custom"
    assert call.custom.name == "calculator"
    assert re.fullmatch(pattern, call.custom.input)
    assert completion.choices[0].finish_reason == ("stop" if isinstance(choice, dict) else "tool_calls")
    assert completion.choices[0].message.content is None


def test_a_custom_call_in_a_stream(client: OpenAI) -> None:
    tools = custom(grammar("regex", r"[0-9]{1,3} [+*] [0-9]{1,3}"))
    chunks = list(ask(client, SUM, tools=tools, tool_choice="required", stream=True))
    pieces = [piece.model_dump() for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert not any(chunk.choices[0].delta.content for chunk in chunks)
    assert pieces[0]["type"] == "custom"
    assert pieces[0]["custom"] == {"name": "calculator", "input": ""}
    text = "".join(piece["custom"]["input"] for piece in pieces)
    assert re.fullmatch(r"[0-9]{1,3} [+*] [0-9]{1,3}", text)


def test_the_answer_of_a_custom_tool(client: OpenAI) -> None:
    asked = ask(client, SUM, tools=custom(), tool_choice="required")
    (call,) = asked.choices[0].message.tool_calls
    message = {"role": "assistant", "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "1515"}
    answer = ask(client, [*SUM, message, result], tools=custom(), tool_choice="none")
    assert answer.choices[0].message.tool_calls is None
    assert "1515" in answer.choices[0].message.content


# The old form


FUNCTIONS: list[Any] = [WEATHER, TIME]


@pytest.mark.parametrize(
    ("choice", "reason"), [("auto", "function_call"), (None, "function_call"), ({"name": "get_weather"}, "stop")]
)
def test_functions(client: OpenAI, choice: Any, reason: str) -> None:
    options = {} if choice is None else {"function_call": choice}
    completion = ask(client, tools=openai.omit, functions=FUNCTIONS, **options)
    message = completion.choices[0].message
    assert message.tool_calls is None
    assert message.function_call.name == "get_weather"
    assert json.loads(message.function_call.arguments) == {"city": "Paris"}
    assert completion.choices[0].finish_reason == reason


def test_a_function_call_that_is_cut_says_length(client: OpenAI) -> None:
    completion = ask(
        client,
        tools=openai.omit,
        functions=FUNCTIONS,
        function_call={"name": "get_weather"},
        max_completion_tokens=10,
    )
    assert completion.choices[0].finish_reason == "length"


def test_a_function_call_in_a_stream(client: OpenAI) -> None:
    stream = ask(client, tools=openai.omit, functions=FUNCTIONS, stream=True)
    choices = [chunk.choices[0] for chunk in stream]
    pieces = [choice.delta.function_call for choice in choices if choice.delta.function_call]
    assert [piece.name for piece in pieces if piece.name] == ["get_weather"]
    assert json.loads("".join(piece.arguments for piece in pieces)) == {"city": "Paris"}
    assert choices[-1].finish_reason == "function_call"
    assert not any(choice.delta.content or choice.delta.tool_calls for choice in choices)


def test_functions_none(client: OpenAI) -> None:
    completion = ask(client, tools=openai.omit, functions=FUNCTIONS, function_call="none", max_completion_tokens=10)
    assert completion.choices[0].message.function_call is None


def test_an_answered_function_leads_to_words(client: OpenAI) -> None:
    made = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    messages = [
        *PARIS,
        {"role": "assistant", "content": None, "function_call": made},
        {"role": "function", "name": "get_weather", "content": "18 degrees and sunny"},
    ]
    answer = ask(client, messages, tools=openai.omit, functions=FUNCTIONS)
    assert answer.choices[0].message.function_call is None
    assert "18" in answer.choices[0].message.content


# Refusals

F: Any = {"type": "function", "function": {"name": "f"}}
OPEN: Any = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("options", "param", "code", "message"),
    [
        ({"tools": []}, "tools", "empty_array", "Invalid 'tools': empty array."),
        ({"tools": [F] * 129}, "tools", "array_above_max_length", "Expected an array with maximum length 128"),
        ({"tools": [F, F]}, "tools", None, "Tool names must be unique"),
        (
            {"tools": [{"type": "function"}]},
            "tools[0].function",
            "missing_required_parameter",
            "Missing required parameter: 'tools[0].function'.",
        ),
        (
            {"tools": [F, {"type": "function", "function": {"name": "not a name"}}]},
            "tools[1].function.name",
            "invalid_value",
            "string does not match pattern",
        ),
        (
            {"tools": [{"type": "web_search"}]},
            "tools[0].type",
            "invalid_value",
            "Supported values are: 'function' and 'custom'.",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": OPEN}}]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
            "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to "
            "be false.",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "array"}}}]},
            "tools[0].function.parameters",
            "invalid_function_parameters",
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
        ({"tool_choice": "must"}, "tool_choice", "invalid_value", "'none', 'auto', and 'required'"),
        ({"tool_choice": function("f")}, "tool_choice", None, "Tool choice 'f' not found in 'tools' parameter."),
        ({"tools": openai.omit, "tool_choice": "auto"}, "tool_choice", None, "only allowed when 'tools' are specified"),
        ({"tools": openai.omit, "parallel_tool_calls": True}, "parallel_tool_calls", None, "only allowed when 'tools'"),
        ({"functions": [WEATHER]}, "functions", None, "cannot be used together"),
        (
            {"tools": custom(grammar("regex", "("))},
            "tools[0].custom.format.grammar.definition",
            "invalid_value",
            "Invalid regex grammar: ",
        ),
        (
            {"tools": custom(grammar("lark", "start: nope"))},
            "tools[0].custom.format.grammar.definition",
            "invalid_value",
            "Invalid lark grammar: ",
        ),
    ],
)
def test_tools_that_are_refused(client: OpenAI, options: Any, param: str, code: str | None, message: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, **options)
    assert (refused.value.param, refused.value.code, refused.value.type) == (param, code, "invalid_request_error")
    assert message in refused.value.body["message"]


def test_results_without_their_call_are_refused(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, [*PARIS, {"role": "tool", "tool_call_id": "call_1", "content": "18"}])
    assert refused.value.param == "messages.[1].role"
    assert "must be a response to a preceeding message with 'tool_calls'" in refused.value.body["message"]


def test_calls_without_their_result_are_refused(client: OpenAI) -> None:
    made = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    with pytest.raises(BadRequestError) as refused:
        ask(client, [*PARIS, {"role": "assistant", "tool_calls": [made]}, *user("Well?")])
    assert refused.value.body["message"].endswith("The following tool_call_ids did not have response messages: call_1")
