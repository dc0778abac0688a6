"""A face whose handlers leave traces, and calls of it in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, Literal

import msgspec
import psycopg
from sqlalchemy.exc import OperationalError

from inhouse.api.operation import Download, Request, operation
from inhouse.kit.errors import NotFound, RateLimited, Unauthenticated
from inhouse.kit.sse import EventStream

KEY = {"authorization": "Bearer good"}


def away() -> OperationalError:
    """What a query raises while PostgreSQL is not there."""
    return OperationalError("SELECT 1", {}, psycopg.OperationalError("connection to hunter2 failed"))


class Caller(msgspec.Struct, frozen=True):
    organization_id: str = "org-one"
    project_id: str = "proj_one"
    key_id: str = "key_one"

    def may(self, scope: str) -> bool:
        return True


class Gate:
    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Any:
        if headers.get("authorization") != "Bearer good":
            raise Unauthenticated("Incorrect API key provided: x.", code="invalid_api_key")
        return Caller()


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=2_000_000)]
    stream: bool = False
    how: str = "well"


class Listing(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "asc"
    include: list[str] = []
    metadata: dict[str, str] = {}


class Thing(msgspec.Struct):
    id: str
    object: Literal["thing"] = "thing"
    query: Listing | None = None


class Delta(msgspec.Struct, tag_field="type", tag="thing.delta"):
    text: str


class Things:
    """A face whose handlers leave traces of what became of them."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.release = asyncio.Event()

    @operation("POST", "/things", id="createThing", tag="Things")
    async def create(self, request: Request, body: Wanted) -> Thing | EventStream[Thing]:
        """Create a thing."""
        request.respond["x-ratelimit-limit-requests"] = "500"
        match body.how:
            case "crash":
                raise RuntimeError("secret detail")
            case "away":
                raise away()
            case "refused":
                raise RateLimited("Slow down.", code="rate_limit_exceeded", headers={"retry-after": "3"})
            case "waits":
                await self._wait()
        if body.stream:
            return EventStream(self._things(body))
        return Thing(body.name)

    async def _wait(self) -> None:
        self.began.set()
        try:
            await self.release.wait()
            self.log.append("released")
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.log.append("cancelled")
            raise
        finally:
            self.ended.set()

    async def _things(self, body: Wanted) -> AsyncGenerator[list[Thing], None]:
        try:
            if body.how == "refused first":
                raise NotFound("No such thing.", code="thing_not_found")
            if body.how == "silent":
                await self.release.wait()
            if body.how == "silent, then refused":
                await self.release.wait()
                raise NotFound("No such thing.", code="thing_not_found")
            yield [Thing("a"), Thing("b")]
            if body.how == "endless":
                self.began.set()
                while True:
                    await asyncio.sleep(0.01)
                    yield [Thing("more")]
            if body.how == "stuck":
                self.began.set()
                await self.release.wait()
            if body.how == "refused later":
                raise RateLimited("Slow down.", code="rate_limit_exceeded")
            if body.how == "crash later":
                raise RuntimeError("secret detail")
            if body.how == "flood":
                self.began.set()
                while True:
                    yield [Thing("x" * 100_000)]
            yield [Thing("c")]
        finally:
            await asyncio.sleep(0)
            self.log.append("closed")
            self.ended.set()

    @operation("GET", "/things", id="listThings", tag="Things")
    async def list(self, request: Request, query: Listing) -> Thing:
        """List things."""
        return Thing("all", query=query)

    @operation("GET", "/things/{thing_id}", id="getThing", tag="Things")
    async def retrieve(self, request: Request, thing_id: str) -> Thing:
        """Get a thing."""
        return Thing(thing_id)

    @operation("DELETE", "/things/{thing_id}", id="deleteThing", tag="Things")
    async def delete(self, request: Request, thing_id: str) -> None:
        """Delete a thing."""

    @operation("GET", "/things/{thing_id}/parts/{number}", id="getPart", tag="Things")
    async def part(self, request: Request, number: Annotated[int, msgspec.Meta(ge=1)], thing_id: str) -> Thing:
        """Get a part."""
        return Thing(f"{thing_id}/{number}")

    @operation("GET", "/things/special/{name}", id="getSpecial", tag="Things")
    async def special(self, request: Request, name: str) -> Thing:
        """Get a special thing."""
        return Thing(f"special {name}")

    @operation("GET", "/things/{thing_id}/content", id="getContent", tag="Things")
    async def content(self, request: Request, thing_id: str) -> Download:
        """Get the content."""
        if thing_id == "whole":
            return Download(b"\x00\x01", "audio/wav", filename='a "näme".wav')
        return Download(self._pieces(), length=6)

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"abc"
            yield b"def"
        finally:
            self.log.append("closed")

    @operation("POST", "/things/{thing_id}/content", id="putContent", tag="Things")
    async def replace(self, request: Request, thing_id: str, body: bytes) -> Thing:
        """Replace the content."""
        return Thing(f"{thing_id} {len(body)}")

    @operation("POST", "/events", id="createEvents", tag="Events")
    async def events(self, request: Request, body: Wanted | None) -> EventStream[Delta]:
        """Stream typed events."""
        return EventStream(self._events(body), style="typed")

    async def _events(self, body: Wanted | None) -> AsyncGenerator[list[Delta], None]:
        yield [Delta("a"), Delta("b")]
        if body is not None:
            raise NotFound("Gone.")


class Answer:
    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start = messages[0]
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        self.writes = [message["body"] for message in messages[1:]]
        self.body = b"".join(self.writes)
        assert [message["more_body"] for message in messages[1:]] == [True] * (len(messages) - 2) + [False]

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


async def call(
    app: Any,
    method: str,
    path: str,
    body: bytes | list[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    query: str = "",
    root_path: str = "",
) -> Answer:
    chunks = [body] if isinstance(body, bytes) else list(body or [])
    given = {**KEY, **(headers or {})}
    if isinstance(body, bytes):
        given = {"content-type": "application/json", "content-length": str(len(body)), **given}
    messages: list[dict[str, Any]] = []
    complete = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if chunks:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}
        await complete.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            complete.set()

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
        "client": ("127.0.0.1", 5),
    }
    await app(scope, receive, send)
    return Answer(messages)


def post(**fields: Any) -> bytes:
    return json.dumps({"name": "n", **fields}).encode()
