"""Answers in JSON: any object, or what a schema says."""

from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest
from openai import BadRequestError, LengthFinishReasonError, OpenAI
from pydantic import BaseModel

from .running import CHAT, FAST, user


class Step(BaseModel):
    explanation: str
    output: str


class Solution(BaseModel):
    steps: list[Step]
    final_answer: int
    mood: Literal["calm", "eager"]
    remark: str | None


PRODUCT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
        "size": {"type": "string", "enum": ["S", "M", "L"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3},
        "parent": {"anyOf": [{"$ref": "#/$defs/ref"}, {"type": "null"}]},
    },
    "required": ["sku", "size", "count", "tags", "parent"],
    "additionalProperties": False,
    "$defs": {
        "ref": {
            "type": "object",
            "properties": {"id": {"type": "number"}},
            "required": ["id"],
            "additionalProperties": False,
        }
    },
}


def named(schema: Any, **options: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "product", "schema": schema, "strict": True, **options}}


def ask(client: OpenAI, text: str, response_format: Any, **options: Any) -> Any:
    return client.chat.completions.create(
        **{
            "model": CHAT,
            "messages": user(text),
            "response_format": response_format,
            "max_completion_tokens": 300,
            "temperature": 0,
            **options,
        }
    )


def test_any_json_object(client: OpenAI) -> None:
    completion = ask(client, "Describe a city as JSON with name and country.", {"type": "json_object"})
    assert completion.choices[0].finish_reason == "stop"
    assert isinstance(json.loads(completion.choices[0].message.content), dict)


def test_a_json_object_needs_the_word_json(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, "Describe a city.", {"type": "json_object"})
    assert refused.value.param == "messages"
    assert refused.value.body["message"] == (
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    )


@pytest.mark.parametrize("model", [CHAT, FAST])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_strict_answer_always_fits_its_schema(client: OpenAI, model: str, seed: int) -> None:
    """Whatever the temperature and however small the model."""
    completion = ask(client, "Invent a product.", named(PRODUCT), model=model, temperature=1.2, seed=seed)
    assert completion.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(completion.choices[0].message.content), PRODUCT)


def test_a_strict_answer_in_a_stream(client: OpenAI) -> None:
    stream = ask(client, "Invent a product.", named(PRODUCT), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    jsonschema.validate(json.loads(text), PRODUCT)


def test_a_schema_without_strict_still_guides(client: OpenAI) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    completion = ask(client, "Where is the Eiffel tower?", named(schema, strict=False))
    assert isinstance(json.loads(completion.choices[0].message.content)["city"], str)


def test_parse_gives_the_model_class(client: OpenAI) -> None:
    completion = client.chat.completions.parse(
        model=CHAT,
        messages=user("Solve 2 + 3 in one step."),
        response_format=Solution,
        max_completion_tokens=200,
        temperature=0,
    )
    parsed = completion.choices[0].message.parsed
    assert isinstance(parsed, Solution)


def test_parse_tells_of_an_answer_that_was_cut(client: OpenAI) -> None:
    with pytest.raises(LengthFinishReasonError):
        client.chat.completions.parse(
            model=CHAT, messages=user("Solve 2 + 3."), response_format=Solution, max_completion_tokens=4
        )


def refused_schemas() -> list[Any]:
    def obj(**parts: Any) -> dict[str, Any]:
        return {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], **parts}

    closed = obj(additionalProperties=False)
    inner = {"type": "object", "properties": {"b": obj()}, "required": ["b"], "additionalProperties": False}
    return [
        pytest.param(obj(), "In context=(), 'additionalProperties' is required to be supplied and to be false."),
        pytest.param(
            inner,
            "In context=('properties', 'b'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        pytest.param(
            {**closed, "required": []},
            "In context=(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Missing 'a'.",
        ),
        pytest.param(
            {"type": "array", "items": closed},
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
    ]


@pytest.mark.parametrize(("schema", "why"), refused_schemas())
def test_schemas_outside_the_official_subset_are_refused(client: OpenAI, schema: Any, why: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, "x", named(schema))
    error = refused.value
    assert error.body["message"] == f"Invalid schema for response_format 'product': {why}"
    assert (error.type, error.param, error.code) == ("invalid_request_error", "response_format", "invalid_json_schema")


@pytest.mark.parametrize(
    ("response_format", "param", "code"),
    [
        ({"type": "json_schema"}, "response_format.json_schema", "missing_required_parameter"),
        (
            {"type": "json_schema", "json_schema": {"schema": {}}},
            "response_format.json_schema.name",
            "missing_required_parameter",
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "x"}},
            "response_format.json_schema.schema",
            "missing_required_parameter",
        ),
        (named(PRODUCT, name="not a name"), "response_format.json_schema.name", "invalid_value"),
        ({"type": "yaml"}, "response_format.type", "invalid_value"),
        ("json", "response_format", "invalid_type"),
    ],
)
def test_malformed_formats_are_refused(client: OpenAI, response_format: Any, param: str, code: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, "json", response_format)
    assert (refused.value.param, refused.value.code) == (param, code)
