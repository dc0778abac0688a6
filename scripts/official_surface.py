"""Derive a digest of an API's surface from its OpenAPI document: names, types and enums, no sentences.

    python scripts/official_surface.py openapi.yaml surface.csv

writes `scripts/official_surface.json` from the official document, which is not kept here, and a table of operations
(columns family, method, path; some of them are known only from the SDK and have no shapes). Both sides of the coverage
score are digests of this kind.

A digest is `{"operations": {"POST /path": {...}}, "schemas": {name: schema}}`. An operation has `family`, `id`, and
the schemas `path` and `query` (objects of parameters), `request`, `response` and `stream` (one event), as far as it has
them, and `request_media` / `response_media` where bodies are not JSON. A schema keeps these keywords of JSON Schema:
`$ref` (a bare name), `type`, `enum`, `properties`, `required`, `items`, `additionalProperties`, `anyOf`, `allOf`; plus
`tag`, the discriminator, and `defaults`, the properties that have one.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
Digest = dict[str, dict[str, Any]]

OUTPUT = Path(__file__).with_name("official_surface.json")
METHODS = ("get", "post", "put", "patch", "delete")
EVENT_STREAM = "text/event-stream"
JSON = "application/json"

# Streams that the official document only tells of in words.
TOLD_STREAMS = {
    "POST /completions": "CreateCompletionResponse",
    "GET /responses/{response_id}": "ResponseStreamEvent",
    "GET /responses/{response_id}?beta=true": "BetaResponseStreamEvent",
    "POST /threads/runs": "AssistantStreamEvent",
    "POST /threads/{thread_id}/runs": "AssistantStreamEvent",
    "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs": "AssistantStreamEvent",
}
# WebSockets, which an OpenAPI document cannot declare: events of the client, events of the server.
TOLD_SOCKETS = {
    "WS /responses": ("ResponsesClientEvent", "ResponsesServerEvent"),
    "WS /realtime": ("RealtimeClientEvent", "RealtimeServerEvent"),
}


def digest(document: Mapping[str, Any]) -> Digest:
    """The digest of an OpenAPI 3.1 document.

    A path item may declare a WebSocket as `x-websocket: {operationId, client, server}`, with a schema of the events of
    either side. Webhooks count as operations of method WEBHOOK whose response is their payload.
    """
    schemas = {
        name: compact(schema, name) for name, schema in document.get("components", {}).get("schemas", {}).items()
    }
    operations = dict(_operations(document))
    return {
        "operations": operations,
        "schemas": {name: schemas[name] for name in sorted(_reached(operations, schemas))},
    }


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method in item:
                yield f"{method.upper()} {path}", _operation(item[method], item.get("parameters", []))
        if socket := item.get("x-websocket"):
            yield (
                f"WS {path}",
                _present(
                    id=socket.get("operationId"), request=compact(socket["client"]), stream=compact(socket["server"])
                ),
            )
    for name, item in document.get("webhooks", {}).items():
        yield (
            f"WEBHOOK {name}",
            {"family": "webhooks", "response": _body(item["post"]["requestBody"]["content"])},
        )


def _operation(declared: Mapping[str, Any], shared: list[Mapping[str, Any]]) -> dict[str, Any]:
    parameters = {(p["in"], p["name"]): p for p in [*shared, *declared.get("parameters", [])]}
    sent = declared.get("requestBody", {}).get("content", {})
    answered: dict[str, Any] = {}
    for status, response in declared.get("responses", {}).items():
        if status.startswith("2"):
            answered |= response.get("content", {})
    stream = answered.pop(EVENT_STREAM, None)
    return _present(
        id=declared.get("operationId"),
        path=_parameters(p for (place, _), p in parameters.items() if place == "path"),
        query=_parameters(p for (place, _), p in parameters.items() if place == "query"),
        request=_body(sent),
        request_media=sorted(set(sent) - {JSON}),
        response=_body(answered),
        response_media=sorted(set(answered) - {JSON}),
        stream=compact(stream["schema"]) if stream else None,
    )


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _parameters(declared: Iterable[Mapping[str, Any]]) -> Schema | None:
    parameters = {p["name"]: p for p in declared}
    if not parameters:
        return None
    properties = {name: compact(p.get("schema", {})) for name, p in sorted(parameters.items())}
    required = sorted(name for name, p in parameters.items() if p.get("required"))
    return {"type": "object", "properties": properties, **_present(required=required)}


def _body(content: Mapping[str, Any]) -> Schema | None:
    """One schema for all media types that have properties."""
    schemas = [compact(media["schema"]) for media in content.values() if "schema" in media]
    schemas = [schema for schema in schemas if schema != {"type": "string"}]
    return (schemas[0] if len(schemas) == 1 else {"anyOf": schemas}) if schemas else None


def compact(schema: Any, component: str | None = None) -> Schema:
    """The keywords of a schema that say names, types and values. `component` is what a recursive reference means."""
    if not isinstance(schema, Mapping):
        return {}
    small: Schema = {}
    if "$recursiveRef" in schema:
        return {"$ref": component}
    if "type" in schema:
        small["type"] = schema["type"]
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values:
        small["enum"] = sorted(values, key=str)
    if properties := schema.get("properties"):
        small["properties"] = {name: compact(properties[name], component) for name in sorted(properties)}
        if defaults := sorted(name for name, value in properties.items() if "default" in value):
            small["defaults"] = defaults
    if schema.get("required"):
        small["required"] = sorted(schema["required"])
    if "items" in schema:
        small["items"] = compact(schema["items"], component)
    extra = schema.get("additionalProperties")
    if extra is False:
        small["additionalProperties"] = False
    elif isinstance(extra, Mapping) and (value := compact(extra, component)):
        small["additionalProperties"] = value
    if alternatives := [*schema.get("oneOf", ()), *schema.get("anyOf", ())]:
        small["anyOf"] = [compact(alternative, component) for alternative in alternatives]
    if "allOf" in schema:
        small["allOf"] = [compact(part, component) for part in schema["allOf"]]
    if tag := schema.get("discriminator", {}).get("propertyName"):
        small["tag"] = tag
    if "$ref" in schema:
        reference = {"$ref": schema["$ref"].rsplit("/", 1)[-1]}
        small = {"allOf": [reference, small]} if small else reference
    if schema.get("nullable"):
        small = {"anyOf": [small, {"type": "null"}]}
    return small


def _reached(operations: Mapping[str, Any], schemas: Mapping[str, Schema]) -> set[str]:
    reached: set[str] = set()
    waiting: list[Any] = list(operations.values())
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            name = node.get("$ref")
            if isinstance(name, str) and name not in reached:
                reached.add(name)
                waiting.append(schemas[name])
            waiting.extend(node.values())
    return reached


def official(document: Mapping[str, Any], rows: Iterable[Mapping[str, str]]) -> Digest:
    """The digest of the official document, with families and what the document only tells in words."""
    paths = document["paths"]
    for key, name in TOLD_STREAMS.items():
        method, path = key.split(" ", 1)
        content = paths[path][method.lower()]["responses"]["200"]["content"]
        content[EVENT_STREAM] = {"schema": {"$ref": name}}
    for key, (client, server) in TOLD_SOCKETS.items():
        item = paths.setdefault(key.removeprefix("WS "), {})
        item["x-websocket"] = {"client": {"$ref": client}, "server": {"$ref": server}}
    surface = digest(document)
    operations = surface["operations"]
    for row in rows:
        method, path = row["method"], row["path"]
        if method == "WS" and "beta" not in path:
            path = path.split("?")[0]
        if method.isalpha():
            operations.setdefault(f"{method} {path}", {})["family"] = row["family"]
    surface["operations"] = {key: dict(sorted(operations[key].items())) for key in sorted(operations)}
    return surface


def dump(surface: Digest) -> str:
    """JSON with one operation and one schema a line, so that a change is one line of a diff."""
    sections = []
    for section, entries in surface.items():
        lines = (
            f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'), ensure_ascii=False)}"
            for key, value in entries.items()
        )
        sections.append(f'"{section}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


def main() -> None:
    import yaml

    parser = argparse.ArgumentParser(description="Write scripts/official_surface.json.")
    parser.add_argument("openapi", type=Path, help="the official OpenAPI document, YAML")
    parser.add_argument("surface", type=Path, help="CSV of the operations: family, method, path")
    arguments = parser.parse_args()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(arguments.openapi.read_text(), Loader=loader)  # a safe loader either way
    with arguments.surface.open(newline="") as file:
        surface = official(document, csv.DictReader(file))
    OUTPUT.write_text(dump(surface))
    operations = surface["operations"]
    print(f"{OUTPUT.name}: {len(operations)} operations, {len(surface['schemas'])} schemas")


if __name__ == "__main__":
    main()
