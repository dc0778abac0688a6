from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest
from openapi_spec_validator import validate

from inhouse.api.openapi import document
from inhouse.api.operation import DeclarationError, Download, Request, operation, operations_of
from inhouse.kit.errors import NotFound
from inhouse.kit.sse import EventStream

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T]):
    data: list[T]
    has_more: bool = False


class Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class Image(msgspec.Struct, tag_field="type", tag="image"):
    url: str


class Create(msgspec.Struct, forbid_unknown_fields=True):
    """What to make."""

    model: str
    parts: list[Text | Image]
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None


class Made(msgspec.Struct):
    id: str
    object: Literal["made"] = "made"


class Began(msgspec.Struct, tag_field="type", tag="made.began"):
    id: str


class Ended(msgspec.Struct, tag_field="type", tag="made.ended"):
    made: Made


class Listing(msgspec.Struct, kw_only=True):
    model: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="How many.")] = 20
    include: list[str] = []
    metadata: dict[str, str] | None = None


class Face:
    @operation("POST", "/made", id="createMade", tag="Made", errors=(NotFound,), deprecated=True)
    async def create(self, request: Request, body: Create) -> Made | EventStream[Began | Ended]:
        """Make one.

        It is made
        at once.
        """
        return EventStream(self._events())

    async def _events(self) -> AsyncGenerator[list[Began | Ended], None]:
        yield [Began("a")]

    @operation("GET", "/made", id="listMade", tag="Made")
    async def list(self, request: Request, query: Listing) -> Page[Made]:
        """List them."""
        return Page([])

    @operation("GET", "/made/{made_id}/content", id="getContent", tag="Content")
    async def content(self, request: Request, made_id: str) -> Download:
        """Get what was made."""
        return Download(b"")

    @operation("DELETE", "/made/{made_id}", id="deleteMade", tag="Made")
    async def delete(self, request: Request, made_id: str) -> None:
        """Delete one."""

    @operation("POST", "/made/{made_id}/content", id="putContent", tag="Content", status=201)
    async def put(self, request: Request, made_id: str, body: bytes | None) -> Made:
        """Put what was made."""
        return Made(made_id)


def test_document_is_valid_and_complete() -> None:
    told = document(operations_of(Face), server_url="http://127.0.0.1:1/v1")
    validate(told)
    assert told["servers"] == [{"url": "http://127.0.0.1:1/v1"}]
    assert told["tags"] == [{"name": "Made"}, {"name": "Content"}]
    assert {path: sorted(item) for path, item in told["paths"].items()} == {
        "/made": ["get", "post"],
        "/made/{made_id}": ["delete"],
        "/made/{made_id}/content": ["get", "post"],
    }

    create = told["paths"]["/made"]["post"]
    assert (create["operationId"], create["tags"], create["deprecated"]) == ("createMade", ["Made"], True)
    assert (create["summary"], create["description"]) == ("Make one.", "It is made\nat once.")
    assert create["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Create"}}},
    }
    assert sorted(create["responses"]) == ["200", "400", "401", "403", "404", "413", "429", "500"]
    content = create["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Made"}
    assert content["text/event-stream"]["schema"]["discriminator"]["mapping"] == {
        "made.began": "#/components/schemas/Began",
        "made.ended": "#/components/schemas/Ended",
    }
    error = create["responses"]["404"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/ErrorResponse"}
    assert told["components"]["schemas"]["Create"]["description"] == "What to make."
    assert told["components"]["schemas"]["Create"]["additionalProperties"] is False
    assert told["components"]["securitySchemes"] == {"ApiKeyAuth": {"type": "http", "scheme": "bearer"}}


def test_query_becomes_parameters() -> None:
    told = document(operations_of(Face))
    parameters = {each["name"]: each for each in told["paths"]["/made"]["get"]["parameters"]}
    assert list(parameters) == ["model", "limit", "include", "metadata"]
    assert parameters["model"]["required"] is True
    assert parameters["limit"]["schema"]["maximum"] == 100
    assert parameters["limit"]["description"] == "How many."
    assert parameters["include"]["style"] == "form"
    assert parameters["metadata"]["style"] == "deepObject"
    assert "Listing" not in told["components"]["schemas"]


def test_no_content_raw_bodies_and_downloads() -> None:
    paths = document(operations_of(Face))["paths"]
    assert "content" not in paths["/made/{made_id}"]["delete"]["responses"]["204"]
    content = paths["/made/{made_id}/content"]
    assert list(content["get"]["responses"]["200"]["content"]) == ["application/octet-stream"]
    assert content["post"]["requestBody"]["required"] is False
    assert list(content["post"]["requestBody"]["content"]) == ["application/octet-stream"]
    assert "201" in content["post"]["responses"]


def test_document_of_the_surface() -> None:
    validate(document())


def test_operations_of_classes_and_instances() -> None:
    face = Face()
    unbound, bound = operations_of(Face), operations_of(face)
    assert [each.id for each in unbound] == [each.id for each in bound]
    assert not any(each.bound for each in unbound)
    assert bound[0].handler == face.create


class Twice:
    @operation("GET", "/made", id="listAgain", tag="Made")
    async def list(self, request: Request) -> Made:
        """List them."""
        return Made("a")


class SameId:
    @operation("GET", "/others", id="listMade", tag="Made")
    async def list(self, request: Request) -> Made:
        """List others."""
        return Made("a")


@pytest.mark.parametrize("faces", [(Face, Twice), (Face, SameId), (object(),)])
def test_faces_that_do_not_fit_together(faces: tuple[Any, ...]) -> None:
    with pytest.raises(DeclarationError):
        operations_of(*faces)


async def good(self: Any, request: Request) -> Made:
    """Fine."""
    return Made("a")


async def no_result(self: Any, request: Request):  # type: ignore[no-untyped-def]
    """Fine."""


async def no_docs(self: Any, request: Request) -> Made:
    return Made("a")


async def no_request(self: Any, body: Create) -> Made:
    """Fine."""
    return Made("a")


async def no_annotation(self: Any, request: Request, body) -> Made:  # type: ignore[no-untyped-def]
    """Fine."""
    return Made("a")


async def strange_query(self: Any, request: Request, query: int) -> Made:
    """Fine."""
    return Made("a")


async def strange_body(self: Any, request: Request, body: list[Made] | list[Text]) -> Made:
    """Fine."""
    return Made("a")


async def named(self: Any, request: Request, made_id: str) -> Made:
    """Fine."""
    return Made("a")


async def bare_stream(self: Any, request: Request) -> EventStream:  # type: ignore[type-arg]
    """Fine."""
    return EventStream(Face()._events())


async def unknown_name(self: Any, request: Request) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
    """Fine."""


async def body_of_get(self: Any, request: Request, body: Create) -> Made:
    """Fine."""
    return Made("a")


def not_async(self: Any, request: Request) -> Made:
    """Fine."""
    return Made("a")


@pytest.mark.parametrize(
    ("handler", "method", "path", "says"),
    [
        (no_result, "GET", "/a", "result has no annotation"),
        (no_docs, "GET", "/a", "docstring"),
        (no_request, "POST", "/a", "self, request: Request"),
        (no_annotation, "POST", "/a", "'body' has no annotation"),
        (strange_query, "GET", "/a", "query must be a Struct"),
        (strange_body, "POST", "/a", "body: "),
        (named, "GET", "/a/{other}", "path parameters are"),
        (good, "GET", "/a/{made_id}", "path parameters are"),
        (bare_stream, "GET", "/a", "EventStream"),
        (unknown_name, "GET", "/a", "Nowhere"),
        (body_of_get, "GET", "/a", "GET takes no body"),
        (not_async, "GET", "/a", "async def"),
        (good, "GET", "a", "path must look like"),
        (good, "LOOK", "/a", "method must be one of"),
    ],
)
def test_wrong_declarations_fail_at_once(handler: Any, method: Any, path: str, says: str) -> None:
    with pytest.raises(DeclarationError, match=says) as failed:
        operation(method, path, id="x", tag="X")(handler)
    assert f"test_openapi.{handler.__name__} ({method} {path})" in str(failed.value)


def test_errors_must_be_api_errors() -> None:
    with pytest.raises(DeclarationError, match="errors must be APIError classes"):
        operation("GET", "/a", id="x", tag="X", errors=(ValueError,))(good)  # type: ignore[arg-type]
