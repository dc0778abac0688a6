"""Comparison of small schemas, written as JSON Schema and brought to a digest first."""

from __future__ import annotations

from typing import Any

import pytest

from comparison import Comparison, Direction
from official_surface import compact
from shapes import Shapes

STRING = {"type": "string"}
INTEGER = {"type": "integer"}
NULL = {"type": "null"}


def compare(
    official: dict[str, Any],
    ours: dict[str, Any],
    direction: Direction = "request",
    components: dict[str, Any] | None = None,
) -> dict[str, str | None]:
    shapes = Shapes({name: compact(schema, name) for name, schema in (components or {}).items()})
    return Comparison(shapes, shapes, direction).compare(compact(official), compact(ours)).official


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def tagged(value: str, **properties: Any) -> dict[str, Any]:
    return of(type={"enum": [value]}, **properties)


@pytest.mark.parametrize(
    ("official", "ours", "problem"),
    [
        ({"type": "integer"}, {"type": "number"}, None),
        ({"type": "number"}, {"type": "integer"}, "lacks type number"),
        ({"type": "string", "nullable": True}, STRING, "lacks type null"),
        ({"type": ["string", "null"]}, {"anyOf": [STRING, NULL]}, None),
        ({"anyOf": [STRING, {"enum": ["a"]}]}, STRING, None),
        (STRING, {"enum": ["a"]}, "values limited, officially open"),
        ({"const": "a"}, {"enum": ["a", "b"]}, None),
        ({"type": "string", "enum": ["a", None]}, {"enum": ["a"]}, None),
        (
            {"type": "array", "items": STRING},
            {"type": "array", "items": INTEGER},
            "items: lacks type string",
        ),
        (
            {"oneOf": [{"type": "array", "items": STRING}, {"type": "array", "items": INTEGER}]},
            {"type": "array", "items": {"anyOf": [STRING, {"type": "integer"}]}},
            None,
        ),
        (
            {"type": "object", "additionalProperties": STRING},
            {"type": "object", "additionalProperties": {"type": "integer"}},
            "values: lacks type string",
        ),
        ({"type": "object"}, of(a=STRING), None),
        ({"type": "object"}, of(a=STRING) | {"additionalProperties": False}, "closed object, officially free"),
        ({"allOf": [{"type": "object"}, {"properties": {"b": STRING}}]}, of(b=STRING), None),
        ({"$ref": "#/components/schemas/Name", "description": "d"}, STRING, None),
        ({}, STRING, None),
        (STRING, {}, "type any, officially string"),
    ],
)
def test_requests_take_what_is_officially_taken(
    official: dict[str, Any], ours: dict[str, Any], problem: str | None
) -> None:
    found = compare(of(a=official), of(a=ours), components={"Name": STRING})
    assert found["a"] == problem


@pytest.mark.parametrize(
    ("official", "ours", "problem"),
    [
        ({"anyOf": [STRING, NULL]}, STRING, None),
        (STRING, {"anyOf": [STRING, NULL]}, None),
        (STRING, {"anyOf": [STRING, {"type": "integer"}]}, "type integer, officially string"),
        ({"anyOf": [STRING, {"type": "integer"}]}, STRING, "lacks type integer"),
        (STRING, {"enum": ["a"]}, None),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "lacks b"),
    ],
)
def test_answers_send_what_is_officially_sent(
    official: dict[str, Any], ours: dict[str, Any], problem: str | None
) -> None:
    assert compare(of(a=official), of(a=ours), "response") == {"a": problem}


def test_answers_have_what_officially_has_to_be_there() -> None:
    official = of(a=STRING, b=STRING, c=STRING) | {"required": ["a", "b", "c"]}
    ours = of(a=STRING, b=STRING | {"default": "x"}, c=STRING) | {"required": ["a"]}
    assert compare(official, ours, "response") == {"a": None, "b": None, "c": "can be absent, officially required"}


def test_variants_are_matched_by_their_discriminator() -> None:
    official = {"oneOf": [tagged("a", x=STRING), tagged("b", x=STRING, y=STRING)]}
    ours = {"anyOf": [tagged("b", y=STRING), tagged("a", x=STRING, y=STRING)]}
    assert compare(of(v=official), of(v=ours)) == {
        "v": None,
        "v(a).type": None,
        "v(a).x": None,
        "v(b).type": None,
        "v(b).x": "missing",
        "v(b).y": None,
    }


def test_a_discriminator_of_several_values_is_a_variant_for_each() -> None:
    official = {"oneOf": [of(type={"enum": ["a", "a2"]}, x=STRING), tagged("b")]}
    ours = {"anyOf": [tagged("a", x=STRING), tagged("b")]}
    assert compare(of(v=official), of(v=ours)) == {
        "v": None,
        "v(a).type": None,
        "v(a).x": None,
        "v(a2).type": "missing",
        "v(a2).x": "missing",
        "v(b).type": None,
    }


def test_a_second_constant_tells_variants_apart() -> None:
    def message(role: str, **properties: Any) -> dict[str, Any]:
        return tagged("message", role={"enum": [role]}, **properties)

    official = {"oneOf": [message("user", x=STRING), message("system", y=STRING), tagged("other")]}
    ours = {"anyOf": [message("user", x=STRING, y=STRING), message("system"), tagged("other")]}
    found = compare(of(v=official), of(v=ours))
    assert found["v(message).y"] == "missing"
    assert found["v(message).x"] is None


def test_a_lone_object_is_matched_among_our_variants() -> None:
    ours = {"anyOf": [tagged("a", x=STRING), tagged("b", y=STRING)]}
    assert compare(of(v=tagged("b", y=STRING)), of(v=ours)) == {"v": None, "v.type": None, "v.y": None}


def test_one_renamed_constant_does_not_hide_the_rest() -> None:
    assert compare(tagged("a", x=STRING), tagged("b", x=STRING)) == {"type": "lacks a", "x": None}


def test_recursion_ends_where_it_begins() -> None:
    tree = of(name=STRING, children={"type": "array", "items": {"$ref": "#/components/schemas/Tree"}})
    ours = of(name=STRING, children={"type": "array", "items": {"type": "object"}})
    reference = {"$ref": "#/components/schemas/Tree"}
    assert compare(reference, ours, components={"Tree": tree}) == {"name": None, "children": None}
    assert compare(reference, reference, components={"Tree": tree}) == {"name": None, "children": None}


def test_a_mixed_in_component_counts_at_every_depth() -> None:
    base = of(a=STRING)
    outer = {"allOf": [{"$ref": "#/$defs/Base"}, of(inner={"allOf": [{"$ref": "#/$defs/Base"}, of(b=STRING)]})]}
    found = compare(outer, of(), components={"Base": base})
    assert set(found) == {"a", "inner", "inner.a", "inner.b"}


def test_values_of_maps_are_compared() -> None:
    official = {"type": "object", "additionalProperties": of(x=STRING)}
    ours = {"type": "object", "additionalProperties": of(y=STRING)}
    assert compare(of(m=official), of(m=ours)) == {"m": None, "m{}.x": "missing"}


def test_what_nothing_tells_apart_is_compared_as_one() -> None:
    official = {"oneOf": [tagged("message", x=STRING), tagged("message", x={"type": "array"}), tagged("other")]}
    ours = {"anyOf": [tagged("message", x={"anyOf": [STRING, {"type": "array"}]}), tagged("other")]}
    assert compare(of(v=official), of(v=ours))["v(message).x"] is None
    assert compare(of(v=official), of(v={"anyOf": [tagged("message", x=STRING), tagged("other")]})) != {}


def test_answers_of_several_formats_are_told_apart_by_what_they_hold() -> None:
    def shape(*names: str) -> dict[str, Any]:
        return {"type": "object", "properties": dict.fromkeys(names, STRING), "required": list(names)}

    official = {"oneOf": [shape("text"), shape("text", "language"), shape("text", "speaker", "turns")]}
    ours = {"anyOf": [shape("text", "speaker", "turns"), shape("text"), shape("text", "language", "task")]}
    assert set(compare(official, ours, "response").values()) == {None}
