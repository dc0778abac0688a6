"""WebSockets: declared beside operations, with the same checks of who calls.

    class Responses:
        @socket("/responses", id="connectResponses", scope=..., client=ClientEvent, server=ServerEvent)
        async def connect(self, socket: Socket) -> None:
            \"\"\"Answer items over a connection that stays open.\"\"\"

The handshake is authenticated before it is accepted; one that is refused is answered with the same status and JSON as
a request would be. What a client asks for on the connection is a request of its own: ``Socket.request`` proves the
caller anew each time, so that a key that was revoked meanwhile asks for nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import structlog

from inhouse.access.scopes import missing_scope
from inhouse.api.operation import DeclarationError, Headers, Operation, Request
from inhouse.kit.errors import APIError, NotFound, ServerError
from inhouse.kit.ids import request_id

if TYPE_CHECKING:
    from inhouse.api.dispatch import Access

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
SocketHandler = TypeVar("SocketHandler", bound=Callable[..., Awaitable[None]])

NORMAL = 1000
INTERNAL_ERROR = 1011

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("inhouse.api")


class SocketClosed(Exception):
    """The client closed the connection, or it is lost."""


@dataclass(frozen=True, slots=True)
class SocketOperation:
    """A WebSocket of the API, as declared."""

    path: str
    """Without the /v1 prefix; without placeholders."""
    id: str
    scope: str
    """What the caller's key must allow."""
    client_type: Any
    """Of one event that a client sends."""
    server_type: Any
    """Of one event that it receives."""
    handler: Callable[..., Awaitable[None]]


def socket(path: str, *, id: str, scope: str, client: Any, server: Any) -> Callable[[SocketHandler], SocketHandler]:
    """Declare the decorated method as what serves connections to a path."""

    def declare(handler: SocketHandler) -> SocketHandler:
        handler.__socket__ = SocketOperation(path, id, scope, client, server, handler)  # type: ignore[attr-defined]
        return handler

    return declare


def sockets_of(*faces: Any) -> list[SocketOperation]:
    """The sockets of faces: classes (for documents) or instances (to serve; handlers come bound).

    Raises:
        DeclarationError: two have the same path.
    """
    found: dict[str, SocketOperation] = {}
    for face in faces:
        cls = face if isinstance(face, type) else type(face)
        for name, member in vars(cls).items():
            declared = getattr(member, "__socket__", None)
            if isinstance(declared, SocketOperation):
                if declared.path in found:
                    raise DeclarationError(f"{declared.id}: {declared.path} is declared twice")
                found[declared.path] = replace(declared, handler=getattr(face, name))
    return list(found.values())


class Socket:
    """An open connection."""

    def __init__(self, access: Access, scope: Message, receive: Receive, send: Send) -> None:
        self.headers = Headers(scope["headers"])
        self._access = access
        self._scope = scope
        self._receive = receive
        self._send = send

    async def request(self, operation: Operation) -> Request:
        """A request for an operation, by whoever opened the connection.

        Raises:
            Unauthenticated, Forbidden: the key is not valid any more, or must not do this.
        """
        caller = await self._access.authenticate(self.headers, "POST", self._scope["path"])
        if not caller.may(operation.scope):
            raise missing_scope(operation.scope)
        client = self._scope.get("client")
        return Request(request_id(), operation, caller, self.headers, client[0] if client else None, perf_counter())

    async def receive(self) -> bytes:
        """The next message. Raises SocketClosed."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            raise SocketClosed
        text = message.get("text")
        return text.encode() if text is not None else message["bytes"] or b""

    async def send(self, data: bytes) -> None:
        """Send UTF-8 text; waits while the client does not read. Raises SocketClosed."""
        try:
            await self._send({"type": "websocket.send", "text": data.decode()})
        except (OSError, RuntimeError):  # RuntimeError: it was closed meanwhile
            raise SocketClosed from None

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """End the connection; it may be closed already."""
        with suppress(OSError, RuntimeError):
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


class Sockets:
    """Serves connections to declared paths below ``prefix``."""

    def __init__(self, declared: Iterable[SocketOperation], access: Access, prefix: str) -> None:
        self._declared = {f"{prefix.rstrip('/')}{each.path}": each for each in declared}
        self._access = access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # the handshake
        path = scope["path"]
        try:
            operation = self._declared.get(path.rstrip("/"))
            if operation is None:
                raise NotFound(f"Invalid URL (WebSocket {path[:200]})")
            caller = await self._access.authenticate(Headers(scope["headers"]), "GET", path)
            if not caller.may(operation.scope):
                raise missing_scope(operation.scope)
        except APIError as error:
            await _refuse(scope, send, error)
            return
        await send({"type": "websocket.accept", "headers": [(b"x-request-id", request_id().encode())]})
        socket = Socket(self._access, scope, receive, send)
        try:
            await operation.handler(socket)
        except SocketClosed:
            return
        except asyncio.CancelledError:
            await socket.close(1012, "The server is being restarted.")
            raise
        except Exception:
            _log.exception("socket failed", operation=operation.id, project=caller.project_id)
            await socket.close(INTERNAL_ERROR, "The server had an error.")
            return
        await socket.close()


def failure_of(error: Exception, request: str) -> APIError:
    """What a client is told of an error on a connection."""
    if isinstance(error, APIError):
        return error
    _log.error("request on a socket failed", request_id=request, exc_info=error)
    return ServerError(
        "The server had an error while processing your request. Sorry about that! You can retry your request, or look "
        f"for the request ID {request} in the server's log."
    )


async def _refuse(scope: Message, send: Send, error: APIError) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:100]})
        return
    body = _encode(error.body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id().encode()),
    ]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body, "more_body": False})
