"""An OpenAPI document made by hand from the shapes of some families that are complete."""

from __future__ import annotations

from typing import Any

import msgspec

from inhouse.api.chat import wire as chat
from inhouse.api.completions import wire as completions
from inhouse.api.models import wire as models

Operations = list[tuple[str, str, Any, Any, Any, Any]]

OPERATIONS: Operations = [
    ("get", "/chat/completions", chat.ListChatCompletionsQuery, None, chat.ChatCompletionList, None),
    (
        "post",
        "/chat/completions",
        None,
        chat.CreateChatCompletionRequest,
        chat.ChatCompletion,
        chat.ChatCompletionChunk,
    ),
    ("get", "/chat/completions/{completion_id}", None, None, chat.StoredChatCompletion, None),
    (
        "post",
        "/chat/completions/{completion_id}",
        None,
        chat.UpdateChatCompletionRequest,
        chat.StoredChatCompletion,
        None,
    ),
    ("delete", "/chat/completions/{completion_id}", None, None, chat.ChatCompletionDeleted, None),
    (
        "get",
        "/chat/completions/{completion_id}/messages",
        chat.ListChatMessagesQuery,
        None,
        chat.ChatCompletionMessageList,
        None,
    ),
    (
        "post",
        "/completions",
        None,
        completions.CreateCompletionRequest,
        completions.Completion,
        completions.Completion,
    ),
    ("get", "/models", None, None, models.ModelList, None),
    ("get", "/models/{model}", None, None, models.Model, None),
    ("delete", "/models/{model}", None, None, models.ModelDeleted, None),
]


def document() -> dict[str, Any]:
    """The document. Each call makes a new one, which a test may spoil."""
    shapes = {shape for operation in OPERATIONS for shape in operation[2:] if shape}
    ordered = sorted(shapes, key=lambda shape: shape.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, Any] = {}
    for method, path, query, request, response, stream in OPERATIONS:
        parameters = [
            {"in": "path", "name": segment[1:-1], "required": True, "schema": {"type": "string"}}
            for segment in path.split("/")
            if segment.startswith("{")
        ]
        if query:
            properties = components[query.__name__]["properties"]
            parameters += [{"in": "query", "name": name, "schema": schema} for name, schema in properties.items()]
        content = {"application/json": {"schema": schema_of[response]}}
        if stream:
            content["text/event-stream"] = {"schema": schema_of[stream]}
        operation: dict[str, Any] = {"parameters": parameters, "responses": {"200": {"content": content}}}
        if request:
            operation["requestBody"] = {"content": {"application/json": {"schema": schema_of[request]}}}
        paths.setdefault(path, {})[method] = operation
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": components}}
