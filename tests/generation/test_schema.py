from __future__ import annotations

from typing import Any

import pytest

from inhouse.generation.schema import check_lenient, check_name, check_strict, resolve
from inhouse.kit.errors import InvalidRequest

STRING = {"type": "string"}


def obj(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def refusal(check, schema, *, context_param: str = "response_format", name: str = "answer") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        check(schema, context_param=context_param, name=name)
    assert refused.value.param == context_param
    assert refused.value.status == 400
    return refused.value


def without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in schema.items() if k != key}


REQUIRED = "'required' is required to be supplied and to be an array including every key in properties."
STRICT = {
    "no additionalProperties": (
        without(obj(a=STRING), "additionalProperties"),
        "In context=(), 'additionalProperties' is required to be supplied and to be false.",
    ),
    "additionalProperties true": (
        obj(a={**obj(), "additionalProperties": True}),
        "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
    ),
    "no required": (without(obj(a=STRING), "required"), f"In context=(), {REQUIRED} Missing 'a'."),
    "required too short": ({**obj(a=STRING, b=STRING), "required": ["a"]}, f"In context=(), {REQUIRED} Missing 'b'."),
    "required in items": (
        obj(calls={"type": "array", "items": without(obj(x=STRING), "required")}),
        f"In context=('properties', 'calls', 'items'), {REQUIRED} Missing 'x'.",
    ),
    "required too long": (
        {**obj(a=STRING), "required": ["a", "z"]},
        f"In context=(), {REQUIRED} Extra required key 'z' supplied.",
    ),
    "in anyOf": (
        obj(a={"anyOf": [STRING, without(obj(b=STRING), "required")]}),
        f"In context=('properties', 'a', 'anyOf', '1'), {REQUIRED} Missing 'b'.",
    ),
    "in definitions": (
        {**obj(a=STRING), "$defs": {"d": {"type": "object", "properties": {}}}},
        "In context=('$defs', 'd'), 'additionalProperties' is required to be supplied and to be false.",
    ),
    "nullable object": (
        obj(a={**without(obj(b=STRING), "required"), "type": ["object", "null"]}),
        f"In context=('properties', 'a', 'type', '0'), {REQUIRED} Missing 'b'.",
    ),
    "no properties": (
        {"type": "object", "additionalProperties": False},
        "In context=(), object schema missing properties.",
    ),
    "no type": (obj(a={}), "In context=('properties', 'a'), schema must have a 'type' key."),
    "const without type": (obj(a={"const": 1}), "In context=('properties', 'a'), schema must have a 'type' key."),
    "true": (obj(a=True), "In context=('properties', 'a'), schema must have a 'type' key."),
    "not a schema": (obj(a=3), "In context=('properties', 'a'), 3 is not of type 'object', 'boolean'."),
    "unknown type": (
        obj(a={"type": "date"}),
        "In context=('properties', 'a', 'type'), 'date' is not valid under any of the given schemas.",
    ),
    "no types": (
        obj(a={"type": []}),
        "In context=('properties', 'a', 'type'), [] is not valid under any of the given schemas.",
    ),
    "root an array": (
        {"type": "array", "items": STRING},
        "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
    ),
    "root without type": ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
    "root a reference": (
        {"$ref": "#/$defs/a", "$defs": {"a": obj()}},
        "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.",
    ),
    "root anyOf": ({**obj(a=STRING), "anyOf": [obj()]}, "In context=(), 'anyOf' is not permitted."),
    "root a list": ([], "[] is not of type 'object'."),
    "array without items": (
        obj(a={"type": "array"}),
        "In context=('properties', 'a'), array schema missing items.",
    ),
    "format": (
        obj(a={"type": "string", "format": "uri"}),
        "In context=('properties', 'a'), 'uri' is not a valid format.",
    ),
    "format of a union": (
        obj(url={"type": ["string", "null"], "format": "uri"}),
        "In context=('properties', 'url', 'type', '0'), 'uri' is not a valid format.",
    ),
    "pattern": (
        obj(a={"type": "string", "pattern": "("}),
        "In context=('properties', 'a'), '(' is not a 'regex'.",
    ),
    "reference with keywords": (
        {**obj(a={"$ref": "#/$defs/d", "description": "x"}), "$defs": {"d": STRING}},
        "context=('properties', 'a'), $ref cannot have keywords {'description'}.",
    ),
    "reference nowhere": (
        {**obj(a={"$ref": "#/$defs/e"}), "$defs": {"d": STRING}},
        "In context=('properties', 'a'), reference to component '#/$defs/e' which was not found in the schema.",
    ),
    "reference into a property": (
        obj(a=STRING, b={"$ref": "#/properties/a"}),
        "In context=('properties', 'b'), reference can only point to definitions defined at the top level of the "
        "schema.",
    ),
    "reference to elsewhere": (
        obj(a={"$ref": "https://example.com/s.json"}),
        "In context=('properties', 'a'), reference can only point to definitions defined at the top level of the "
        "schema.",
    ),
    "reference to itself": (
        {**obj(a={"$ref": "#/$defs/d"}), "$defs": {"d": {"$ref": "#/$defs/d"}}},
        "In context=('$defs', 'd'), reference '#/$defs/d' only refers to itself.",
    ),
    "reference not a string": (obj(a={"$ref": 3}), "In context=('properties', 'a'), 3 is not of type 'string'."),
    "bound not a number": (
        obj(a={"type": "integer", "minimum": "3"}),
        "In context=('properties', 'a', 'minimum'), '3' is not of type 'number'.",
    ),
    "count negative": (
        obj(a={"type": "array", "items": STRING, "minItems": -1}),
        "In context=('properties', 'a', 'minItems'), -1 is not a non-negative integer.",
    ),
    "multiple of nothing": (
        obj(a={"type": "number", "multipleOf": 0}),
        "In context=('properties', 'a', 'multipleOf'), 0 is less than or equal to the minimum of 0.",
    ),
    "enum empty": (
        obj(a={"type": "string", "enum": []}),
        "In context=('properties', 'a', 'enum'), [] is not a non-empty array.",
    ),
    "anyOf empty": (obj(a={"anyOf": []}), "In context=('properties', 'a'), [] is not a non-empty array for 'anyOf'."),
    "properties a list": (
        {**obj(), "properties": ["a"]},
        "In context=(), ['a'] is not of type 'object' for 'properties'.",
    ),
    "required a string": (
        {**obj(a=STRING), "required": "a"},
        "In context=('required',), 'a' is not of type 'array'.",
    ),
}


@pytest.mark.parametrize("case", STRICT)
def test_strict_refuses(case: str):
    schema, message = STRICT[case]
    error = refusal(check_strict, schema)
    assert error.message == f"Invalid schema for response_format 'answer': {message}"
    assert error.code == "invalid_json_schema"


@pytest.mark.parametrize(
    "keyword",
    [
        *("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties"),
        *("propertyNames", "minProperties", "maxProperties", "contains", "uniqueItems", "unevaluatedProperties"),
        *("minLength", "maxLength", "prefixItems"),
    ],
)
def test_keywords_that_strict_does_not_know(keyword: str):
    error = refusal(check_strict, obj(a={"type": "string", keyword: 1}))
    assert error.message.endswith(f"In context=('properties', 'a'), '{keyword}' is not permitted.")


@pytest.mark.parametrize("param", ["tools[0].function.parameters", "tools[2].parameters"])
def test_a_function_is_named(param: str):
    error = refusal(check_strict, without(obj(a=STRING), "required"), context_param=param, name="get_weather")
    assert error.message == f"Invalid schema for function 'get_weather': In context=(), {REQUIRED} Missing 'a'."
    assert error.code == "invalid_function_parameters"


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for _ in range(levels):
        schema = obj(a=schema)
    return schema


def test_limits_hold_exactly():
    check = {"context_param": "response_format", "name": "answer"}
    check_strict(nested(10), **check)
    assert "11 levels of nesting exceeds limit of 10." in refusal(check_strict, nested(11)).message
    check_strict(obj(**{f"p{i}": STRING for i in range(5_000)}), **check)
    many = refusal(check_strict, obj(**{f"p{i}": STRING for i in range(5_001)})).message
    assert "5001 parameters exceeds limit of 5000." in many

    def enum(count: int, length: int) -> dict[str, Any]:
        return obj(a={"type": "string", "enum": [f"{i:0{length}}" for i in range(count)]})

    check_strict(enum(1_000, 15), **check)
    assert "1001 enum values exceeds limit of 1000." in refusal(check_strict, enum(1_001, 14)).message
    check_strict(enum(250, 100), **check)
    assert "exceeds limit of 15000" in refusal(check_strict, enum(251, 100)).message
    check_strict(obj(a={"type": "string", "const": "x" * 119_999}), **check)
    long = refusal(check_strict, obj(a={"type": "string", "const": "x" * 120_000})).message
    assert "120001 total string length exceeds limit of 120000." in long


def test_recursion_is_accepted():
    tree = obj(children={"type": "array", "items": {"$ref": "#"}})
    check_strict(tree, context_param="response_format", name="tree")
    linked = {**obj(head={"$ref": "#/$defs/n"}), "$defs": {"n": obj(next={"anyOf": [{"$ref": "#/$defs/n"}, STRING]})}}
    check_strict(linked, context_param="response_format", name="list")


def test_patterns_may_name_letters_of_any_script():
    check_strict(
        obj(a={"type": "string", "pattern": r"^\p{L}[\p{Lu}\P{N}]\pL$"}), context_param="response_format", name="x"
    )
    assert "is not a 'regex'" in refusal(check_strict, obj(a={"type": "string", "pattern": r"\p{"})).message


def test_depth_without_end_is_refused_not_crashed():
    schema: dict[str, Any] = STRING
    for _ in range(5_000):
        schema = {"anyOf": [schema]}
    for check in (check_strict, check_lenient):
        assert "nested too deeply" in refusal(check, obj(a=schema)).message


def test_long_values_are_cut_in_messages():
    assert len(refusal(check_strict, obj(a={"type": "x" * 100_000})).message) < 1_000


FUNCTION = {"context_param": "tools[0].function.parameters", "name": "f"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {}, "b": True}, "required": ["c"]},
        {"type": "object", "properties": {"a": {"oneOf": [STRING, {"minLength": 3}], "format": "uri"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/d", "title": "A"}}, "$defs": {"d": STRING}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": r"\p{L}(?<x>a)"}}},
        {"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": {"type": "null"}},
    ],
)
def test_lenient_accepts(schema):
    check_lenient(schema, **FUNCTION)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        (
            {"type": "string"},
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
        ),
        ({"type": "object"}, "In context=(), object schema missing properties."),
        (
            {"type": "object", "properties": {}, "oneOf": []},
            "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "array"}}},
            "In context=('properties', 'a'), array schema missing items.",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "any"}}},
            "In context=('properties', 'a', 'type'), 'any' is not valid under any of the given schemas.",
        ),
        (
            {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}},
            "In context=('properties', 'a'), reference to component '#/nowhere' which was not found in the schema.",
        ),
        ("x", "'x' is not of type 'object'."),
    ],
)
def test_lenient_refuses(schema, message: str):
    error = refusal(check_lenient, schema, **FUNCTION)
    assert error.message == f"Invalid schema for function 'f': {message}"
    assert error.code == "invalid_function_parameters"


def test_a_lenient_response_format_needs_no_object():
    check_lenient({"type": "array", "items": STRING}, context_param="response_format", name="list")


@pytest.mark.parametrize("name", ["a", "get_weather-2", "X" * 64])
def test_names(name: str):
    check_name(name, param="tools[0].function.name")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("", "empty_string", "Expected a string with minimum length 1"),
        ("a.b", "invalid_value", "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."),
        ("a\n", "invalid_value", "string does not match pattern"),
        ("é", "invalid_value", "string does not match pattern"),
        ("x" * 65, "string_above_max_length", "maximum length 64, but got a string with length 65 instead."),
    ],
)
def test_names_that_are_refused(name: str, code: str, words: str):
    with pytest.raises(InvalidRequest) as refused:
        check_name(name, param="tools[0].function.name")
    assert refused.value.code == code
    assert refused.value.param == "tools[0].function.name"
    assert refused.value.message.startswith("Invalid 'tools[0].function.name': ")
    assert words in refused.value.message


def test_resolve():
    root = {"a/b": [1, {"c~": 2}]}
    assert resolve(root, "#") is root
    assert resolve(root, "#/a~1b/1/c~0") == 2
    assert resolve(root, "#/a~1b/2") is None
    assert resolve(root, "#/x") is None
    assert resolve(root, "other.json#/a") is None
