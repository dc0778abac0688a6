from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from official_surface import OUTPUT, compact, digest, dump, official

COMMITTED = OUTPUT.read_text()


def test_a_schema_keeps_names_and_types_and_drops_sentences() -> None:
    schema = {
        "description": "A sentence.",
        "title": "T",
        "x-note": "n",
        "type": "object",
        "required": ["b", "a"],
        "properties": {
            "description": {"type": "string", "description": "A property of that name.", "default": "x"},
            "b": {"$ref": "#/components/schemas/B", "description": "d"},
            "a": {"oneOf": [{"const": 1}, {"type": "string", "nullable": True, "example": "e"}]},
        },
        "additionalProperties": False,
        "discriminator": {"propertyName": "a", "mapping": {}},
    }
    assert compact(schema) == {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"enum": [1]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}]},
            "b": {"$ref": "B"},
            "description": {"type": "string"},
        },
        "defaults": ["description"],
        "required": ["a", "b"],
        "additionalProperties": False,
        "tag": "a",
    }


def test_a_recursive_reference_names_its_component() -> None:
    assert compact({"type": "array", "items": {"$recursiveRef": "#"}}, "Filter")["items"] == {"$ref": "Filter"}


def test_an_operation_with_everything() -> None:
    found = digest(
        {
            "paths": {
                "/a/{id}": {
                    "parameters": [{"in": "path", "name": "id", "required": True, "schema": {"type": "string"}}],
                    "post": {
                        "operationId": "doA",
                        "parameters": [
                            {"in": "query", "name": "q", "schema": {"type": "integer"}},
                            {"in": "header", "name": "h", "schema": {"type": "string"}},
                        ],
                        "requestBody": {
                            "content": {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/A"}}}
                        },
                        "responses": {
                            "200": {
                                "content": {
                                    "application/json": {"schema": {"type": "object"}},
                                    "text/event-stream": {"schema": {"type": "object", "properties": {"e": {}}}},
                                    "video/mp4": {"schema": {"type": "string", "format": "binary"}},
                                }
                            },
                            "400": {"content": {"application/json": {"schema": {"type": "string"}}}},
                        },
                    },
                }
            },
            "webhooks": {"w": {"post": {"requestBody": {"content": {"application/json": {"schema": {"enum": [1]}}}}}}},
            "components": {"schemas": {"A": {"type": "object"}, "Unused": {"type": "object"}}},
        }
    )
    assert found == {
        "operations": {
            "POST /a/{id}": {
                "id": "doA",
                "path": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
                "query": {"type": "object", "properties": {"q": {"type": "integer"}}},
                "request": {"$ref": "A"},
                "request_media": ["multipart/form-data"],
                "response": {"type": "object"},
                "response_media": ["video/mp4"],
                "stream": {"type": "object", "properties": {"e": {}}},
            },
            "WEBHOOK w": {"family": "webhooks", "response": {"enum": [1]}},
        },
        "schemas": {"A": {"type": "object"}},
    }


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from strings(value)


def test_the_committed_digest_is_compact_and_holds_no_sentences() -> None:
    assert len(COMMITTED) < 1_500_000
    assert not [text for text in strings(json.loads(COMMITTED)["schemas"]) if len(text) > 120 or text.count(" ") > 2]


def test_the_committed_digest_has_one_sorted_operation_a_line() -> None:
    surface = json.loads(COMMITTED)
    assert dump(surface) == COMMITTED
    for section in surface.values():
        assert list(section) == sorted(section)
    lines = COMMITTED.splitlines()
    assert sum(line.startswith(('"GET ', '"POST ', '"DELETE ', '"WS ', '"WEBHOOK ')) for line in lines) == len(
        surface["operations"]
    )
    assert all("family" in operation for operation in surface["operations"].values())


def test_the_committed_digest_knows_every_kind_of_operation() -> None:
    operations = json.loads(COMMITTED)["operations"]
    assert len(operations) > 390
    assert operations["POST /completions"]["stream"] == {"$ref": "CreateCompletionResponse"}
    assert operations["POST /threads/runs"]["stream"] == {"$ref": "AssistantStreamEvent"}
    assert operations["WS /realtime"]["stream"] == {"$ref": "RealtimeServerEvent"}
    assert operations["WEBHOOK batch_completed"]["family"] == "webhooks"
    assert operations["POST /decisions"] == {"family": "decisions"}


def test_families_come_from_the_table(monkeypatch: Any) -> None:
    monkeypatch.setattr("official_surface.TOLD_STREAMS", {})
    monkeypatch.setattr("official_surface.TOLD_SOCKETS", {})
    document = {"paths": {"/b": {"get": {"responses": {}}}}}
    rows = [
        {"method": "GET", "path": "/b", "family": "f"},
        {"method": "POST", "path": "/a", "family": "g"},
        {"method": "(local)", "path": "unwrap", "family": "g"},
    ]
    assert official(document, rows)["operations"] == {"GET /b": {"family": "f"}, "POST /a": {"family": "g"}}
