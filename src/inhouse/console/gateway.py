"""The API for the console's own scripts and pages: the same operations, with the key of the session.

    browser ── cookie + form token ──> /console/v1/… ── Authorization: Bearer KEY ──> /v1/…

A browser never sees the key. Every request needs the form token in a header, reads too: no link, form or page of
another site can send one, and what a file contains can never be shown as a page of this site.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from inhouse.access import PROVEN
from inhouse.access.sessions import proves
from inhouse.console.session import Door, SignedIn, from_here

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/console/v1"
_ADMIN = ("/v1/organization/", "/v1/projects/")
_PASSED = frozenset(
    {b"content-type", b"content-length", b"accept", b"transfer-encoding", b"user-agent", b"openai-beta"}
)
_OF_FILES = frozenset(
    {b"content-type", b"content-length", b"content-disposition", b"content-range", b"accept-ranges", b"etag"}
)
_GUARDS = ((b"content-security-policy", b"default-src 'none'; sandbox"), (b"x-content-type-options", b"nosniff"))


class Gateway:
    """ASGI: passes requests under ``/console/v1`` on to the application that serves ``/v1``."""

    def __init__(self, v1: Application, door: Door) -> None:
        self._v1 = v1
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        signed_in = await self._door.who(request)
        if signed_in is None:
            await _refusal(401, "You are not signed in.", "not_signed_in")(scope, receive, send)
            return
        if not from_here(request) or not proves(signed_in.token, request.headers.get("x-csrf-token", "")):
            await _refusal(403, "This request does not come from a page of your session.", "csrf")(scope, receive, send)
            return
        raw = scope.get("raw_path") or quote(scope["path"]).encode()
        path = "/v1" + raw.decode("latin-1").partition("?")[0].removeprefix(PREFIX)
        headers = [(name, value) for name, value in scope["headers"] if name in _PASSED]
        query, client = scope["query_string"], scope.get("client")
        passed = _scope(scope["method"], path, query, headers, signed_in, client)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_GUARDS]}
            await send(message)

        await self._v1(passed, receive, guarded)


class Answer:
    """What an operation answered."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else {}

    @property
    def message(self) -> str:
        """Of an error, in the API's words."""
        try:
            return str(self.json["error"]["message"])
        except (ValueError, KeyError, TypeError):
            return f"The server answered {self.status}."


class Passed(Response):
    """What an operation answers, as it comes: a file of any size. Never as a page of this site."""

    def __init__(self, v1: Application, passed: Scope) -> None:
        super().__init__()
        self._v1 = v1
        self._passed = passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() in _OF_FILES]
                message = {**message, "headers": [*kept, (b"cache-control", b"no-store"), *_GUARDS]}
            await send(message)

        await self._v1(self._passed, receive, guarded)


class Operations:
    """Calls operations for a page, within this process, with the key of who looks at it."""

    def __init__(self, v1: Application) -> None:
        self._v1 = v1

    async def call(
        self,
        signed_in: SignedIn,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        body: Mapping[str, Any] | None = None,
        more: Sequence[tuple[bytes, bytes]] = (),
    ) -> Answer:
        """One operation. ``path`` begins with ``/v1``; names in it must be quoted. ``more``: headers."""
        sent = b"" if body is None else json.dumps(body).encode()
        headers = [(b"content-length", str(len(sent)).encode()), *more]
        if body is not None:
            headers.append((b"content-type", b"application/json"))
        items = query.items() if isinstance(query, Mapping) else query
        asked = urlencode([(name, value) for name, value in items if value is not None])
        scope = _scope(method, path, asked.encode(), headers, signed_in, None)
        status, parts, told, over = 500, list[bytes](), False, asyncio.Event()

        async def receive() -> Message:
            nonlocal told
            if told:
                # A request that takes long is never taken for one whose client left; whoever watches for that ends.
                await over.wait()
                return {"type": "http.disconnect"}
            told = True
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        try:
            await self._v1(scope, receive, send)
        finally:
            over.set()
        return Answer(status, b"".join(parts))

    def passed(self, signed_in: SignedIn, request: Request, path: str) -> Response:
        """A file that an operation answers with, on its way to the browser: whole, or the range that it wants."""
        wanted = [(name, value) for name, value in request.headers.raw if name in (b"range", b"if-range")]
        return Passed(self._v1, _scope("GET", path, b"", wanted, signed_in, request.scope.get("client")))


def _scope(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], signed_in: SignedIn, client: Any
) -> dict[str, Any]:
    """A request by who is signed in: what administers in the organization's name or with an admin key, else the
    project's."""
    administers = path.startswith(_ADMIN)
    proof: list[tuple[bytes, bytes]] = []
    proven: dict[str, Any] = {}
    if signed_in.person is not None:
        proven[PROVEN] = signed_in.admin if administers else signed_in.project or signed_in.admin
    else:
        keys = signed_in.keys
        key = keys.admin if administers else keys.project or keys.admin
        proof = [(b"authorization", b"Bearer " + key.encode("latin-1"))] if key else []
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"console"), *headers, *proof],
        "client": client,
        "server": None,
        **proven,
    }


def _refusal(status: int, message: str, code: str) -> JSONResponse:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": error}, status)
