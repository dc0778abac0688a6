"""The OpenAPI 3.1 document, made from the operations as they are declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

import inhouse
from inhouse.api.forms import UploadedFile
from inhouse.api.operation import Operation, operations_of, response_types
from inhouse.api.socket import SocketOperation, sockets_of
from inhouse.api.wire import RequestObject
from inhouse.kit.errors import (
    APIError,
    ErrorResponse,
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerError,
    Unauthenticated,
)

Document = dict[str, Any]

_TEMPLATE = "#/components/schemas/{name}"
_SECURITY = "ApiKeyAuth"
_ALWAYS: tuple[type[APIError], ...] = (Unauthenticated, Forbidden, RateLimited, ServerError)
_MEANINGS = {
    400: "The request is not valid.",
    401: "No valid API key was given.",
    403: "The API key may not do this.",
    404: "What the path or the request names does not exist.",
    409: "The request conflicts with the state of what it names.",
    413: "The request body is too large.",
    429: "A rate limit or quota is reached.",
    500: "The server failed.",
    503: "The server is overloaded for the moment.",
}


def document(
    operations: Iterable[Operation] | None = None,
    *,
    sockets: Iterable[SocketOperation] = (),
    webhooks: Mapping[str, Any] | None = None,
    server_url: str = "http://127.0.0.1:4141/v1",
) -> Document:
    """The document of operations; by default of every face in ``api.surface``.

    Args:
        sockets: WebSockets, told as ``x-websocket`` of their path, which the format has no words for.
        webhooks: the payload's type by the name of each webhook.
        server_url: base of the paths, with the /v1 prefix.
    """
    if operations is None:
        from inhouse.api.surface import FACES, SOCKETS, WEBHOOKS

        operations, sockets, webhooks = operations_of(*FACES), sockets_of(*SOCKETS), WEBHOOKS
    operations, sockets, webhooks = list(operations), list(sockets), webhooks or {}
    further = [type for each in sockets for type in (each.client_type, each.server_type)]
    schemas = _Schemas(operations, [*further, *webhooks.values()])
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    for socket in sockets:
        paths.setdefault(socket.path, {})["x-websocket"] = {
            "operationId": socket.id,
            "client": schemas.of(socket.client_type),
            "server": schemas.of(socket.server_type),
        }
    told: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Inhouse API",
            "version": inhouse.__version__,
            "description": "A model platform with the contracts of the OpenAI API, on your own machines.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "security": [{_SECURITY: []}],
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "securitySchemes": {_SECURITY: {"type": "http", "scheme": "bearer"}},
            "headers": {
                "RequestId": {
                    "description": "Names this request in the server's log.",
                    "schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
                }
            },
            "schemas": dict(sorted(schemas.components.items())),
        },
    }
    if webhooks:
        told["webhooks"] = {name: _webhook(schemas.of(type)) for name, type in webhooks.items()}
    return told


@cache
def whole_document() -> Document:
    """``document()`` of everything, made once in a process, which takes a fifth of a second. Not to be changed."""
    return document()


@cache
def whole_json() -> bytes:
    return msgspec.json.encode(whole_document())


def _webhook(schema: Document) -> Document:
    return {
        "post": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {"200": {"description": "It is taken. It is sent again after any answer that is not 2xx."}},
        }
    }


class _Schemas:
    """The schema of every type that the operations name, and the components these refer to."""

    def __init__(self, operations: list[Operation], further: Iterable[Any] = ()) -> None:
        types: dict[Any, None] = {ErrorResponse: None, **dict.fromkeys(further)}
        queries: dict[Any, None] = {}
        for each in operations:
            for type in (each.body_type, *response_types(each), each.event_type, *each.path_types.values()):
                if type is not None and type is not bytes:
                    types[type] = None
            if each.query_type is not None:
                queries[each.query_type] = None
        # One call for all, so that types of one name are told apart the same way everywhere.
        everything = [*types, *(query for query in queries if query not in types)]
        found, components = msgspec.json.schema_components(
            everything, ref_template=_TEMPLATE, schema_hook=_custom_schema
        )
        self.components: dict[str, Document] = components
        for loose in _loosely_tagged(RequestObject):
            if (component := components.get(loose.__name__)) is not None:
                tag = str(loose.__struct_config__.tag_field)
                component["properties"][tag] = {"anyOf": [component["properties"][tag], {"type": "null"}]}
                component["required"] = [name for name in component["required"] if name != tag]
        self._of: dict[Any, Document] = dict(zip(everything, found, strict=True))
        self._queries = {query: self._resolved(query) for query in queries}
        for query in queries:
            if query not in types:
                self.components.pop(self._name(query), None)

    def of(self, type: Any) -> dict[str, Any]:
        return self._of[type]

    def query(self, type: Any) -> dict[str, Any]:
        """The object schema of a query Struct, whose properties become parameters."""
        return self._queries[type]

    def _name(self, type: Any) -> str:
        return str(self._of[type].get("$ref", "")).rpartition("/")[2]

    def _resolved(self, type: Any) -> dict[str, Any]:
        return self.components[self._name(type)]


def _loosely_tagged(base: type[RequestObject]) -> Iterator[type[RequestObject]]:
    for each in base.__subclasses__():
        if each.optional_tag:
            yield each
        yield from _loosely_tagged(each)


def _custom_schema(type: type) -> dict[str, Any]:
    if type is UploadedFile:
        return {"type": "string", "format": "binary"}
    raise NotImplementedError(type)


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.description:
        told["description"] = operation.description
    if operation.deprecated:
        told["deprecated"] = True
    parameters = [*_path_parameters(operation, schemas), *_query_parameters(operation, schemas)]
    if operation.beta is not None:
        only = {"type": "string", "enum": [operation.beta]}
        parameters.append({"name": "OpenAI-Beta", "in": "header", "required": True, "schema": only})
    if parameters:
        told["parameters"] = parameters
    if operation.body_kind != "none":
        told["requestBody"] = {"required": operation.body_required, "content": _body(operation, schemas)}
    told["responses"] = _responses(operation, schemas)
    return told


def _path_parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": schemas.of(type)}
        for name, type in operation.path_types.items()
    ]


PARAMETER = "x-parameter"
"""In the schema of a query's field: the name that the official document gives it, where that has brackets."""


def _query_parameters(operation: Operation, schemas: _Schemas) -> list[dict[str, Any]]:
    if operation.query_type is None:
        return []
    schema = schemas.query(operation.query_type)
    required = schema.get("required", ())
    parameters = []
    for name, each in schema.get("properties", {}).items():
        if (told := each.get(PARAMETER)) is not None:
            each = {key: value for key, value in each.items() if key != PARAMETER}
            name = told
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in required, "schema": each}
        if "description" in each:
            parameter["description"] = each["description"]
        if "object" in _kinds(each):
            parameter |= {"style": "deepObject", "explode": True}
        elif "array" in _kinds(each):
            parameter |= {"style": "form", "explode": True}
        parameters.append(parameter)
    return parameters


def _kinds(schema: dict[str, Any]) -> set[Any]:
    return {each.get("type") for each in [schema, *schema.get("anyOf", ())]}


def _body(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    if operation.body_kind == "bytes":
        return {
            "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        }
    media_type = "multipart/form-data" if operation.body_kind == "form" else "application/json"
    return {media_type: {"schema": schemas.of(operation.body_type)}}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answers := [schemas.of(each) for each in response_types(operation)]:
        schema = answers[0] if len(answers) == 1 else {"anyOf": answers}
        content["application/json"] = {"schema": schema}
    if operation.event_type is not None:
        content["text/event-stream"] = {"schema": schemas.of(operation.event_type)}
    if operation.downloads:
        content["application/octet-stream"] = {"schema": {}}
    headers = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
    responses: dict[str, Any] = {}
    if content:
        responses[str(operation.status)] = {"description": "Success.", "headers": headers, "content": content}
    if operation.empty:
        responses["204"] = {"description": "Success, without content.", "headers": headers}
    error = {"application/json": {"schema": schemas.of(ErrorResponse)}}
    for status in sorted({each.status for each in _errors(operation)}):
        meaning = _MEANINGS.get(status, f"{HTTPStatus(status).phrase}.")
        responses[str(status)] = {"description": meaning, "headers": headers, "content": error}
    return responses


def _errors(operation: Operation) -> set[type[APIError]]:
    errors = {*_ALWAYS, *operation.errors}
    if operation.body_kind != "none":
        errors |= {InvalidRequest, PayloadTooLarge}
    if operation.query_type is not None:
        errors.add(InvalidRequest)
    if operation.path_types:
        errors.add(NotFound)
    return errors
