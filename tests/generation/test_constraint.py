from __future__ import annotations

import datetime
import itertools
import json
import re
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from inhouse.generation.constraint import arguments, json_object, json_schema, tool_call
from inhouse.generation.grammar import Follower
from inhouse.generation.items import CustomTool, FunctionTool
from inhouse.generation.schema import check_strict
from inhouse.generation.tool_calls import ToolCallParser
from inhouse.kit.errors import InvalidRequest

SAMPLES = 12
CHECKS = jsonschema.FormatChecker(())


def obj(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING: dict[str, Any] = {"type": "string"}
NODE = obj(value={"type": "integer"}, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})
TREE = obj(name=STRING, children={"type": "array", "items": {"$ref": "#"}, "maxItems": 2})

STRICT: dict[str, dict[str, Any]] = {
    "strings": obj(a=STRING, b=STRING),
    "empty object": obj(),
    "empty nested": obj(meta=obj(), ok={"type": "boolean"}),
    "null": obj(nothing={"type": "null"}),
    "boolean": obj(yes={"type": "boolean"}),
    "integer": obj(n={"type": "integer"}),
    "number": obj(x={"type": "number"}),
    "integer, bounds": obj(n={"type": "integer", "minimum": -3, "maximum": 12}),
    "integer, open bounds": obj(n={"type": "integer", "exclusiveMinimum": 17, "exclusiveMaximum": 1003}),
    "integer, one bound": obj(n={"type": "integer", "minimum": 0}),
    "integer, multiple": obj(n={"type": "integer", "multipleOf": 7, "minimum": 10, "maximum": 500}),
    "number, bounds": obj(x={"type": "number", "minimum": 0.25, "maximum": 1.5}),
    "number, open bounds": obj(x={"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 0}),
    "number, multiple": obj(x={"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2}),
    "integer, negative multiple": obj(n={"type": ["integer", "null"], "multipleOf": 5, "maximum": -10}),
    "number, negative multiple": obj(x={"type": "number", "multipleOf": 0.25, "minimum": -1.1, "maximum": -0.2}),
    "latitude": obj(
        lat={"type": "number", "minimum": -90, "maximum": 90},
        lon={"type": "number", "minimum": -180, "maximum": 180},
    ),
    "enum": obj(color={"type": "string", "enum": ["red", "green", "blue"]}),
    "enum, quotes and unicode": obj(c={"type": "string", "enum": ['say "hi"', "back\\slash", "línea\nnueva", "🙂"]}),
    "enum, numbers": obj(n={"type": "integer", "enum": [1, 2, 300]}),
    "enum, nullable": obj(c={"type": ["string", "null"], "enum": ["a", None]}),
    "enum, large": obj(c={"type": "string", "enum": [f"value {i}" for i in range(500)]}),
    "const": obj(kind={"type": "string", "const": "circle"}, radius={"type": "number"}),
    "nullable": obj(a={"type": ["string", "null"]}, b={"type": ["integer", "null"]}),
    "many types": obj(a={"type": ["string", "integer", "boolean", "null"]}),
    "anyOf": obj(shape={"anyOf": [obj(r={"type": "number"}), obj(w={"type": "integer"}, h={"type": "integer"})]}),
    "anyOf, with null": obj(a={"anyOf": [obj(b=STRING), {"type": "null"}]}),
    "anyOf, discriminated": obj(
        item={
            "anyOf": [
                obj(type={"type": "string", "const": "a"}, x={"type": "integer"}),
                obj(type={"type": "string", "const": "b"}, y={"type": "boolean"}),
            ]
        }
    ),
    "anyOf, scalars": obj(a={"anyOf": [{"type": "integer", "maximum": 3}, {"type": "string", "enum": ["none"]}]}),
    "array": obj(tags={"type": "array", "items": {"type": "boolean"}}),
    "array, bounds": obj(tags={"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4}),
    "array, exact": obj(p={"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}),
    "array, empty only": obj(p={"type": "array", "items": {"type": "number"}, "maxItems": 0}),
    "array of arrays": obj(
        m={"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}, "maxItems": 3}
    ),
    "array of objects": obj(
        people={"type": "array", "items": obj(name=STRING, age={"type": "integer"}), "maxItems": 2}
    ),
    "linked list": {**obj(head={"$ref": "#/$defs/node"}), "$defs": {"node": NODE}},
    "tree by root reference": TREE,
    "shared definition": {
        **obj(a={"$ref": "#/$defs/point"}, b={"$ref": "#/$defs/point"}),
        "$defs": {"point": obj(x={"type": "integer"}, y={"type": "integer"})},
    },
    "definitions, old name": {**obj(a={"$ref": "#/definitions/id"}), "definitions": {"id": {"type": "integer"}}},
    "reference to a reference": {
        **obj(a={"$ref": "#/$defs/b"}),
        "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"type": "boolean"}},
    },
    "date": obj(day={"type": "string", "format": "date"}),
    "date-time": obj(at={"type": "string", "format": "date-time"}),
    "time": obj(at={"type": "string", "format": "time"}),
    "duration": obj(span={"type": "string", "format": "duration"}),
    "email": obj(to={"type": "string", "format": "email"}),
    "hostname": obj(host={"type": "string", "format": "hostname"}),
    "addresses": obj(v4={"type": "string", "format": "ipv4"}, v6={"type": "string", "format": "ipv6"}),
    "uuid": obj(id={"type": "string", "format": "uuid"}),
    "pattern": obj(user={"type": "string", "pattern": "^@[a-zA-Z0-9_]{1,15}$"}),
    "pattern, not anchored": obj(a={"type": "string", "pattern": "[0-9]{2}"}),
    "pattern, alternatives": obj(a={"type": "string", "pattern": "^(?:yes|no|x{2,4})$"}),
    "pattern, quotes": obj(a={"type": "string", "pattern": '^["\\\\]{1,3}$'}),
    "unicode names": obj(**{"größe": {"type": "integer"}, "名前": STRING, 'a "b"': STRING, "\n": {"type": "null"}}),
    "descriptions": {**obj(a={**STRING, "title": "A", "description": "first"}), "title": "T", "description": "d"},
    "deep": obj(a=obj(b=obj(c=obj(d=obj(e=obj(f={"type": "boolean"})))))),
    "wide": obj(**{f"field_{i}": {"type": "boolean"} for i in range(60)}),
    "properties named like keywords": obj(type=STRING, properties={"type": "integer"}, enum={"type": "boolean"}),
}


@CHECKS.checks("date")
def _is_date(text: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and _parses(datetime.date.fromisoformat, text)


@CHECKS.checks("time")
def _is_time(text: str) -> bool:
    return bool(re.search(r"(Z|[+-]\d\d:\d\d)$", text)) and _parses(datetime.time.fromisoformat, text)


@CHECKS.checks("date-time")
def _is_date_time(text: str) -> bool:
    day, _, time = text.partition("T")
    return _is_date(day) and _is_time(time)


@CHECKS.checks("duration")
def _is_duration(text: str) -> bool:
    return len(text) > 2 and bool(re.fullmatch(r"P(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)", text))


@CHECKS.checks("hostname")
def _is_hostname(text: str) -> bool:
    labels = text.split(".")
    return len(text) <= 253 and all(re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", label) for label in labels)


@CHECKS.checks("email")
def _is_email(text: str) -> bool:
    local, _, host = text.partition("@")
    return bool(re.fullmatch(r"[\w+-]+(\.[\w+-]+)*", local)) and len(local) <= 64 and _is_hostname(host)


for _name in ("ipv4", "ipv6", "uuid"):
    CHECKS.checks(_name)(jsonschema.FormatChecker.checkers[_name][0])


def _parses(parse, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def is_valid(value, schema) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=CHECKS).validate(value)


def strict(schema, name: str = "answer"):
    check_strict(schema, context_param="response_format", name=name)
    return json_schema(schema, strict=True, context_param="response_format", name=name)


@pytest.mark.parametrize("case", STRICT)
def test_strict_output_is_valid(case: str, sentence):
    schema = STRICT[case]
    constraint = strict(schema)
    assert constraint.dropped == ()
    ended = 0
    for seed in range(SAMPLES):
        text = sentence(constraint.grammar, seed)
        if text is not None:
            is_valid(json.loads(text), schema)
            ended += 1
    assert ended >= SAMPLES // 2


@pytest.mark.parametrize("form", ["date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"])
def test_formats_hold(form: str, sentence):
    schema = obj(a={"type": "string", "format": form})
    constraint = strict(schema)
    for seed in range(150):
        text = sentence(constraint.grammar, seed)
        assert text is not None, "a format ends"
        is_valid(json.loads(text), schema)


@pytest.mark.parametrize(
    ("day", "possible"),
    [
        ("2024-02-29", True),
        ("2000-02-29", True),
        ("2023-02-29", False),
        ("1900-02-29", False),
        ("2023-04-31", False),
        ("2023-12-31", True),
        ("0000-01-01", False),
    ],
)
def test_days_of_the_calendar(day: str, possible: bool):
    follower = Follower(strict(obj(day={"type": "string", "format": "date"})).grammar)
    assert follower.feed(json.dumps({"day": day})) is possible
    assert follower.complete is possible


def test_there_are_no_free_blanks():
    grammar = strict(obj(a={"type": "array", "items": {"type": "boolean"}}, b=obj())).grammar
    follower = Follower(grammar)
    assert follower.feed('{"a": [true, false], "b": {}}')
    assert follower.complete
    for text in ('{ "a"', '{"a":  [', '{"a": [ ', '{"a": [true ', '{"a": []\n', "\n", '{"a": [], "b": {}} '):
        assert not Follower(grammar).feed(text)


def test_a_client_cannot_change_the_spacing():
    schema = {**obj(a=STRING), "x-guidance": {"whitespace_flexible": True}}
    assert not Follower(strict(schema).grammar).feed('{ "a"')


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (obj(a={"type": "integer", "minimum": 3, "maximum": 1}), "required property 'a' is unsatisfiable"),
        (obj(a={"type": "string", "pattern": "(?=x)y"}), "look-around"),
        (obj(a={"type": "string", "pattern": r"(a)\1"}), "backreferences"),
        (obj(a={"type": "array", "items": STRING, "minItems": 3, "maxItems": 2}), "'a' is unsatisfiable"),
        # The compiler would take all memory for it, and end the process.
        (obj(a={"type": "array", "items": STRING, "minItems": 1_000_000_000}), "more than 10000 items"),
    ],
)
def test_a_strict_schema_that_cannot_be_held_to_is_refused(schema, words: str):
    with pytest.raises(InvalidRequest) as refused:
        strict(schema)
    assert refused.value.code == "invalid_json_schema"
    assert refused.value.param == "response_format"
    assert refused.value.message.startswith("Invalid schema for response_format 'answer': ")
    assert words in refused.value.message
    assert "%json" not in refused.value.message


@pytest.mark.parametrize(
    ("array", "dropped"),
    [
        ({"minItems": 1_000_000_000}, ("minItems",)),
        ({"maxItems": 1_000_000_000}, ()),
        ({"minItems": 2, "maxItems": 1_000_000_000}, ()),
        ({"items": [{"type": "array", "minItems": 1_000_000_000}]}, ("minItems",)),
        (
            {"default": {"type": "array", "minItems": 1_000_000_000}, "items": {"$ref": "#/properties/a/default"}},
            ("*",),
        ),
    ],
)
def test_numbers_of_items_never_cost_the_process_its_memory(array: dict[str, Any], dropped: tuple[str, ...]):
    schema = {"type": "object", "properties": {"a": {"type": "array", **array}}}
    found = json_schema(schema, strict=False, context_param="response_format", name="answer")
    assert found.dropped == dropped


def test_many_arrays_share_one_bound():
    arrays = {f"p{i}": {"type": "array", "items": STRING, "maxItems": 9_000} for i in range(40)}
    found = strict(obj(**arrays))
    assert found.grammar.count('"maxItems":9000') == 1
    assert Follower(found.grammar).feed('{"p0": ["a"], "p1": ["b"], "p2": ["c"')


def test_an_object_with_more_optional_properties_than_can_be_compiled_is_left_open():
    many = {f"p{i}": STRING for i in range(5_000)}
    schema = {"type": "object", "properties": many}
    found = json_schema(schema, strict=False, context_param="response_format", name="answer")
    assert found.dropped == ("properties",)


LENIENT = {
    "optional": {"type": "object", "properties": {"a": STRING, "b": {"type": "integer"}}, "required": ["b"]},
    "oneOf": {"type": "object", "properties": {"a": {"oneOf": [{"type": "null"}, {"type": "boolean"}]}}},
    "lengths": {"type": "object", "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 4}}},
    "tuple": {
        "type": "object",
        "properties": {"a": {"type": "array", "items": [{"type": "integer"}, {"type": "null"}]}},
    },
    "any object": {"type": "object"},
    "typed extras": {"type": "object", "additionalProperties": {"type": "integer"}},
    "allOf": {"type": "object", "properties": {"a": {"allOf": [{"type": "integer"}, {"minimum": 4}]}}},
}


@pytest.mark.parametrize("case", LENIENT)
def test_lenient_output_is_valid(case: str, sentence):
    constraint = json_schema(LENIENT[case], strict=False, context_param="response_format", name="a")
    assert constraint.dropped == ()
    for seed in range(SAMPLES):
        text = sentence(constraint.grammar, seed)
        if text is not None:
            jsonschema.Draft7Validator(LENIENT[case]).validate(json.loads(text))


@pytest.mark.parametrize(
    ("extra", "dropped"),
    [
        ({"uniqueItems": True, "type": "array", "items": STRING}, ("uniqueItems",)),
        ({"not": {"type": "null"}, "type": "string"}, ("not",)),
        ({"type": "string", "format": "phone"}, ("format",)),
        ({"type": "string", "pattern": "(?=x)y"}, ("pattern",)),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, ("if", "then")),
    ],
)
def test_what_a_lenient_schema_loses_is_named(extra, dropped, sentence):
    schema = {"type": "object", "properties": {"a": extra, "b": {"type": "boolean"}}, "required": ["b"]}
    constraint = json_schema(schema, strict=False, context_param="response_format", name="a")
    assert constraint.dropped == dropped
    for seed in range(SAMPLES):
        text = sentence(constraint.grammar, seed)
        if text is not None:
            assert isinstance(json.loads(text)["b"], bool)


def test_a_lenient_schema_that_means_nothing_gives_an_object():
    constraint = json_schema(
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 2, "maximum": 1}}, "required": ["a"]},
        strict=False,
        context_param="response_format",
        name="a",
    )
    assert constraint.dropped == ("*",)
    assert Follower(constraint.grammar).feed('{"x": 1}')


def test_json_object(sentence):
    grammar = json_object().grammar
    for seed in range(SAMPLES):
        text = sentence(grammar, seed)
        if text is not None:
            assert isinstance(json.loads(text), dict)
    assert not Follower(grammar).feed("[")


WEATHER = FunctionTool(name="get_weather", parameters=STRICT["enum"], strict=True, param="tools[0].function.parameters")
LISTED = FunctionTool(name="get", parameters=STRICT["linked list"], strict=True)
BARE = FunctionTool(name="now")
NOTE = CustomTool(name="note")
SUM = CustomTool(name="sum", syntax="lark", definition='start: N ("+" N)*\nN: /[0-9]{1,3}/\n')
CODE = CustomTool(name="code", syntax="regex", definition="[A-Z]{3}/[0-9]{2}")
KINDS = {"get_weather": "function", "get": "function", "now": "function", "note": "custom", "sum": "custom"}
KINDS["code"] = "custom"


def calls_in(text: str) -> list[tuple[str, str]]:
    parser = ToolCallParser(KINDS)
    events = [*parser.feed(text), *parser.finish()]
    assert not any(type(event).__name__ == "TextDelta" for event in events), "all of it is calls"
    names = [event.name for event in events if type(event).__name__ == "ToolCallStarted"]
    return list(
        zip(names, [event.arguments for event in events if type(event).__name__ == "ToolCallDone"], strict=True)
    )


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(
    "tools",
    [[WEATHER], [LISTED], [BARE], [NOTE], [SUM], [CODE], [WEATHER, LISTED, BARE], [WEATHER, NOTE, SUM, CODE, BARE]],
    ids=lambda tools: "+".join(tool.name for tool in tools),
)
def test_forced_calls(tools, parallel: bool, sentence):
    grammar = tool_call(tools, parallel=parallel).grammar
    seen = []
    for seed in range(40):
        text = sentence(grammar, seed)
        if text is None:
            continue
        calls = calls_in(text)
        seen.append([name for name, _ in calls])
        for name, value in calls:
            tool = next(tool for tool in tools if tool.name == name)
            if isinstance(tool, FunctionTool):
                is_valid(json.loads(value), tool.parameters or {"const": {}})
            elif tool is SUM:
                assert re.fullmatch(r"[0-9]{1,3}(\+[0-9]{1,3})*", value)
            elif tool is CODE:
                assert re.fullmatch("[A-Z]{3}/[0-9]{2}", value)
    assert {name for names in seen for name in names} == {tool.name for tool in tools}
    assert all(names for names in seen)
    if not parallel:
        assert all(len(names) == 1 for names in seen)
    elif any(isinstance(tool, FunctionTool) for tool in tools):
        assert any(len(names) > 1 for names in seen)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (json_object(), ['{"city": "Linz"}', '{"name": "x"}', '{"n": {"name": "get_weather"}}', "{}"]),
        (
            json_schema(obj(city={"type": "string"}), strict=True, context_param="response_format", name="x"),
            ['{"city": "Linz"}'],
        ),
        (
            json_schema(
                obj(name={"type": "string"}, arguments={"type": "integer"}),
                strict=True,
                context_param="response_format",
                name="x",
            ),
            ['{"name": "get_weather", "arguments": 1}', '{"name": "get_weathers", "arguments": 1}'],
        ),
    ],
    ids=["any object", "another object", "an object like a call"],
)
@pytest.mark.parametrize("parallel", [False, True])
def test_beside_tools_every_answer_can_be_reached(answer, said: list[str], parallel: bool, sentence):
    grammar = tool_call([WEATHER, NOTE, SUM], parallel=parallel, instead=answer).grammar
    calls = ['{"name": "get_weather", "arguments": {"color": "red"}}', '<tool_input name="sum">1+2</tool_input>']
    for text in [*said, *calls]:
        follower = Follower(grammar)
        assert all(follower.feed(char) for char in text), text
        assert follower.complete, text
    kinds = set()
    for seed in range(40):
        if (text := sentence(grammar, seed)) is not None:
            parser = ToolCallParser(KINDS)
            parser.feed(text)
            parser.finish()
            kinds.add(parser.calls > 0)
    assert kinds == {True, False}


def test_a_call_goes_on_under_its_own_constraint():
    follower = Follower(arguments(WEATHER).grammar)
    assert follower.feed('{"color": "red"}')
    assert follower.complete
    assert Follower(arguments(SUM).grammar).feed("1+2")
    assert not Follower(arguments(SUM).grammar).feed("x")
    assert Follower(arguments(NOTE).grammar).feed('"any text')


def test_tools_that_cannot_be_held_to_are_refused():
    bad = FunctionTool(
        name="f", parameters=obj(a={"type": "string", "pattern": "(?!x)"}), strict=True, param="tools[3].parameters"
    )
    with pytest.raises(InvalidRequest, match="Invalid schema for function 'f'") as refused:
        tool_call([WEATHER, bad], parallel=False)
    assert (refused.value.param, refused.value.code) == ("tools[3].parameters", "invalid_function_parameters")


def test_the_follower_notices_text_that_leaves_the_grammar():
    follower = Follower(strict(obj(a={"type": "boolean"})).grammar)
    assert follower.feed('{"a": ')
    assert not follower.complete
    assert not follower.feed("maybe")
    assert not follower.feed("true")
    assert not follower.complete


@pytest.mark.parametrize(
    ("schema", "text", "allowed"),
    [
        ({"type": "integer"}, "9007199254740991", True),
        ({"type": "integer"}, "-9007199254740992", False),
        ({"type": "integer", "minimum": 5, "maximum": 2**70}, "5", True),
        ({"type": ["integer", "number"]}, "1e30", True),
        ({"type": "number"}, "6.02e23", True),
        ({"type": "number", "minimum": 0, "maximum": 1}, "0.123456789", True),
        ({"type": "number", "minimum": 0, "maximum": 1}, "0.1234567891", False),
        ({"type": "number", "minimum": 0, "maximum": 1}, "1.000000001", False),
        ({"type": "number", "minimum": 0, "maximum": 1e-12}, "0.00000000000001", True),
        ({"type": "number", "minimum": 0, "maximum": 1e20}, "1000000000000000", True),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.1}, "0", False),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.1}, "0.000000001", True),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, "1", False),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, "1.5", False),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-12}, "0.0000000000001", True),
        ({"type": "number", "minimum": -180, "maximum": 180}, "-12.5", True),
        ({"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2}, "-1.5", True),
        ({"type": "number", "multipleOf": 0.5, "minimum": -2, "maximum": 2}, "-1.25", False),
        ({"type": "integer", "multipleOf": 7}, "-21", True),
        ({"type": "integer", "multipleOf": 7}, "-22", False),
        ({"type": "integer", "multipleOf": 0.5, "maximum": 3}, "-4", True),
        ({"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 2}, "1", True),
        ({"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 2}, "2", False),
    ],
)
def test_numbers_end(schema, text: str, allowed: bool):
    assert Follower(strict(obj(a=schema)).grammar).feed('{"a": ' + text + "}") is allowed


VALUES = ["0", "-0", "0.0", "1", "1.0", "1.5", "-1", "0.1", "0.10", "0.05", "-0.1", "0.000000001", "10", "10.1", "3.5"]
VALUES += ["0.25", "0.2500001", "0.2499999", "-2", "7", "99", "1e1", "-1e-1"]
BOUNDS = [None, 0, 1, -0.1, 0.25, 10]


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize("step", [None, 0.05, 2])
@pytest.mark.parametrize("low", ["minimum", "exclusiveMinimum"])
@pytest.mark.parametrize("high", ["maximum", "exclusiveMaximum"])
def test_no_number_outside_its_bounds(kind: str, step, low: str, high: str):
    for least, most in itertools.product(BOUNDS, BOUNDS):
        number = {"type": kind, low: least, high: most, "multipleOf": step}
        number = {key: value for key, value in number.items() if value is not None}
        try:
            grammar = strict(obj(a=number)).grammar
        except InvalidRequest:
            assert least is not None
            assert most is not None
            continue
        for text in VALUES:
            if Follower(grammar).feed('{"a": ' + text + "}"):
                value = Decimal(text)
                assert kind == "number" or value == int(value)
                assert (
                    least is None or value > Decimal(str(least)) or (low == "minimum" and value == Decimal(str(least)))
                )
                assert most is None or value < Decimal(str(most)) or (high == "maximum" and value == Decimal(str(most)))
                assert step is None or value % Decimal(str(step)) == 0
