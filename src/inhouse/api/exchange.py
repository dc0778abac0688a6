"""One request and its answer.

A request goes: route, authenticate, read the body, validate, handler, encode. Nothing else runs in between, and no
task is made for one that is answered quickly: the client's presence is watched only from ``_GRACE_S`` on.

When the client leaves, the task that serves it is cancelled once: inside the handler, or inside the stream's generator,
or while sending, after which the generator is closed. Servers tell of it through ``receive()``: uvicorn when the
connection is lost, granian likewise, once per connection, so at most one ``receive()`` may wait at a time. Both end a
waiting ``receive()`` with a disconnect, too, when the answer is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from inhouse.access import PROVEN
from inhouse.access.scopes import missing_scope
from inhouse.api.beta import check_beta
from inhouse.api.cors import cors_headers
from inhouse.api.forms import MOST_TEXT, read_form
from inhouse.api.operation import Download, Headers, Operation, Request
from inhouse.kit.errors import APIError, InvalidRequest, Overloaded, PayloadTooLarge, ServerError
from inhouse.kit.ids import request_id
from inhouse.kit.sse import KEEPALIVE, EventStream
from inhouse.kit.validation import convert, decode, parse_query
from inhouse.storage.blobs import Spool
from inhouse.storage.database import is_unreachable

if TYPE_CHECKING:
    from inhouse.api.dispatch import Dispatcher

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]

_GRACE_S = 0.05
_MOST_DRAINED = 2
"""How many times the limit of a body is read at most, so that a client that sends too much still reads its answer."""
_TURN = 32
"""Batches after which a stream lets others run: neither its generator nor a send to a lost client need ever wait."""
_CLIENT_LEFT = 499

_JSON = (b"content-type", b"application/json")
_VERSION = (b"openai-version", b"2020-10-01")
_EVENTS = (
    (b"content-type", EventStream.media_type),
    (b"cache-control", b"no-cache"),
    # Reverse proxies that buffer would hold events back.
    (b"x-accel-buffering", b"no"),
)

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("inhouse.api")


class UnsupportedEncoding(APIError):
    status = 415
    default_type = "invalid_request_error"


class ClientGone(Exception):
    """The client closed the connection; nobody reads an answer."""


class Exchange:
    """Serves one request; see the module."""

    __slots__ = (
        "_beat",
        "_beat_timer",
        "_dispatcher",
        "_gone",
        "_headers",
        "_id",
        "_operation",
        "_over",
        "_receive",
        "_received_at",
        "_request",
        "_scope",
        "_send_message",
        "_sending",
        "_sent_at",
        "_spools",
        "_started",
        "_status",
        "_task",
        "_watch",
        "_watch_timer",
        "_whole",
    )

    def __init__(self, dispatcher: Dispatcher, scope: Scope, receive: Receive, send: Send) -> None:
        self._received_at = perf_counter()
        self._dispatcher = dispatcher
        self._scope = scope
        self._receive = receive
        self._send_message = send
        self._id = request_id()
        self._headers = Headers(scope["headers"])
        self._operation: Operation | None = None
        self._request: Request | None = None
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._beat: asyncio.Task[None] | None = None
        self._beat_timer: asyncio.TimerHandle | None = None
        self._whole = False
        self._status = _CLIENT_LEFT
        self._started = False
        self._sending = False
        self._sent_at = 0.0
        self._over = False
        self._gone = False
        self._spools: list[Spool] = []

    async def run(self) -> None:
        try:
            try:
                await self._serve()
            except APIError as error:
                await self._refuse(error)
            except (ClientGone, asyncio.CancelledError):
                raise
            except Exception as error:
                _log.exception("request failed", **self._facts())
                await self._refuse(unforeseen(self._id, error))
        except ClientGone:
            self._gone = True
        except asyncio.CancelledError:
            if not self._gone:
                raise
            if self._task is not None:
                self._task.uncancel()
        finally:
            self._finish()

    async def _serve(self) -> None:
        scope, dispatcher = self._scope, self._dispatcher
        if scope["method"] == "OPTIONS" and "access-control-request-method" in self._headers:
            headers = cors_headers(self._headers, dispatcher.cors_origins, preflight=True)
            if headers:
                await self._answer(204, b"", headers)
                return
        route, values = dispatcher.router.find(scope)
        self._operation = operation = route.operation
        # The console has proved already who asks; no client can put anything into the scope.
        caller = scope.get(PROVEN)
        if caller is None:
            caller = await dispatcher.access.authenticate(self._headers, scope["method"], scope["path"])
        client = scope.get("client")
        self._request = request = Request(
            self._id, operation, caller, self._headers, client[0] if client else None, self._received_at
        )
        if not caller.may(operation.scope):
            raise missing_scope(operation.scope)
        if operation.beta is not None:
            check_beta(self._headers.get("openai-beta"), operation.beta)
        arguments = await self._arguments(operation, values)
        self._task = asyncio.current_task()
        self._watch_timer = asyncio.get_running_loop().call_later(_GRACE_S, self._begin_watch)
        result = await operation.handler(request, *arguments)
        if type(result) is EventStream:
            await self._stream(result)
        elif type(result) is Download:
            await self._download(result)
        elif result is None:
            await self._answer(204, b"", [])
        else:
            await self._answer(operation.status, _encode(result), [_JSON])

    # Reading

    async def _arguments(self, operation: Operation, values: Mapping[str, str]) -> list[Any]:
        arguments: list[Any] = []
        for name, type in operation.parameters:
            if name == "body":
                arguments.append(await self._body(operation))
            elif name == "query":
                arguments.append(convert(parse_query(self._scope["query_string"]), type))
            elif type is str:
                arguments.append(values[name])
            else:
                arguments.append(_path_value(name, values[name], type))
        return arguments

    async def _body(self, operation: Operation) -> Any:
        encoding = self._headers.get("content-encoding")
        if encoding and encoding.strip().lower() != "identity":
            raise UnsupportedEncoding(
                f"Unsupported content encoding: '{encoding[:100]}'. Send the request body uncompressed.",
                code="unsupported_content_encoding",
                headers={"accept-encoding": "identity"},
            )
        if operation.body_kind == "json":
            given = self._headers.get("content-type")
            if given and not _is_json(given):
                raise InvalidRequest(
                    f"Unsupported content type: '{given[:100]}'. This API method only accepts 'application/json' "
                    f"requests, but you specified the header 'Content-Type: {given[:100]}'. Please try again with a "
                    "supported content type.",
                    code="unsupported_content_type",
                )
        if operation.body_kind == "form":
            most = operation.max_bytes or self._dispatcher.max_body_bytes
            content_type = self._headers.get("content-type") or ""
            form = self._chunks(most + MOST_TEXT)
            return await read_form(form, content_type, operation.body_type, self._dispatcher.spool, self._spools, most)
        data = await self._read()
        if self._request is not None:
            self._request.body_bytes = len(data)
        if not data and not operation.body_required:
            return None
        return data if operation.body_kind == "bytes" else decode(data, operation.body_type, style=operation.style)

    async def _chunks(self, most: int) -> AsyncGenerator[bytes, None]:
        """The body as it arrives."""
        declared = int(self._headers.get("content-length") or -1)
        if declared > most:
            raise _too_large(most - MOST_TEXT, declared, type="server_error")
        count, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            count += len(chunk)
            more = message.get("more_body", False) and count != declared
            if count > most:
                raise _too_large(most - MOST_TEXT, count, type="server_error")
            self._whole = not more
            if self._request is not None:
                self._request.body_bytes = count
            if chunk:
                yield chunk

    async def _read(self, *, keep: bool = True) -> bytes:
        most = self._dispatcher.max_body_bytes
        if self._operation is not None and self._operation.max_bytes is not None:
            most = self._operation.max_bytes
        declared = int(self._headers.get("content-length") or -1)
        if declared > most and "expect" in self._headers:
            raise _too_large(most, declared)
        self._whole = True
        chunks: list[bytes] = []
        count, more = 0, True
        while more and count <= most * _MOST_DRAINED:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            count += len(chunk)
            # A body of declared length is complete before the server says so: one turn less to wait for.
            more = message.get("more_body", False) and count != declared
            if count > most:
                chunks.clear()
            elif keep:
                chunks.append(chunk)
        if count > most:
            raise _too_large(most, max(count, declared))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _drain(self) -> None:
        """Read and forget a body that nobody wanted. A client still sending it would see a reset, not its answer."""
        headers = self._headers
        if "expect" in headers or not ("transfer-encoding" in headers or headers.get("content-length", "0") != "0"):
            return
        with suppress(PayloadTooLarge):
            await self._read(keep=False)

    # Answering

    async def _answer(self, status: int, body: bytes, headers: RawHeaders) -> None:
        self._over = True
        if not self._whole and self._watch is None:
            await self._drain()
        if status != 204:
            headers.append((b"content-length", b"%d" % len(body)))
        await self._start(status, headers)
        await self._send(b"" if self._scope["method"] == "HEAD" else body, last=True)

    async def _refuse(self, error: APIError) -> None:
        if self._started:
            # The status is sent. An answer that stays incomplete makes the server cut the connection.
            return
        headers = [_JSON, *((name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items())]
        await self._answer(error.status, _encode(error.body), headers)

    async def _start(self, status: int, headers: RawHeaders) -> None:
        self._started = True
        self._status = status
        headers.append((b"x-request-id", self._id.encode("ascii")))
        request = self._request
        if request is not None:
            milliseconds = int((perf_counter() - self._received_at) * 1000)
            headers.append((b"openai-processing-ms", b"%d" % milliseconds))
            headers.append(_VERSION)
            headers.append((b"openai-organization", request.caller.organization_id.encode("latin-1")))
            headers.append((b"openai-project", request.caller.project_id.encode("latin-1")))
            for name, value in request.respond.items():
                headers.append((name.encode("latin-1"), value.encode("latin-1")))
        if self._dispatcher.cors_origins and self._scope["method"] != "OPTIONS":
            headers.extend(cors_headers(self._headers, self._dispatcher.cors_origins))
        try:
            await self._send_message({"type": "http.response.start", "status": status, "headers": headers})
        except OSError:
            raise ClientGone from None

    async def _send(self, body: bytes, *, last: bool = False) -> None:
        self._sending = True
        try:
            await self._send_message({"type": "http.response.body", "body": body, "more_body": not last})
        except OSError:
            raise ClientGone from None
        finally:
            self._sending = False

    async def _stream(self, stream: EventStream[Any]) -> None:
        """Send a stream. Until its first batch is there, a failure is an HTTP error; later it is an event."""
        loop = asyncio.get_running_loop()
        self._sent_at = loop.time()
        self._beat_after(self._dispatcher.keepalive_s)
        last, count = stream.end, 0
        try:
            try:
                if self._scope["method"] != "HEAD":
                    async for batch in stream.batches:
                        count += 1
                        if not count % _TURN:
                            await asyncio.sleep(0)
                        if self._beat is not None:
                            await self._beat
                        if not self._started:
                            await self._start(200, [*_EVENTS])
                        await self._send(stream.frame(batch))
                        self._sent_at = loop.time()
            except ClientGone:
                raise
            except Exception as error:
                if not self._started:
                    raise
                if isinstance(error, APIError):
                    last = stream.error(error)
                else:
                    _log.exception("stream failed", **self._facts())
                    last = stream.error(unforeseen(self._id, error))
            self._over = True
            if self._beat is not None:
                await self._beat
            if not self._started:
                await self._start(200, [*_EVENTS])
            await self._send(last, last=True)
        finally:
            await stream.batches.aclose()

    async def _download(self, download: Download) -> None:
        headers: RawHeaders = [(b"content-type", download.media_type.encode("latin-1"))]
        if download.disposition is not None:
            headers.append((b"content-disposition", download.disposition.encode("ascii")))
        if isinstance(download.content, bytes):
            await self._answer(download.status, download.content, headers)
            return
        if download.length is not None:
            headers.append((b"content-length", b"%d" % download.length))
        await self._send_pieces(download.content, headers, download.status)

    async def _send_pieces(self, pieces: AsyncGenerator[bytes, None], headers: RawHeaders, status: int) -> None:
        try:
            if self._scope["method"] != "HEAD":
                async for piece in pieces:
                    await asyncio.sleep(0)
                    if not self._started:
                        await self._start(status, headers)
                    await self._send(piece)
            self._over = True
            if not self._started:
                await self._start(status, headers)
            await self._send(b"", last=True)
        finally:
            await pieces.aclose()

    # The client's presence

    def _begin_watch(self) -> None:
        if not self._over:
            self._watch = asyncio.get_running_loop().create_task(self._wait_until_gone())

    async def _wait_until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if not self._over and self._task is not None:
            self._gone = self._over = True
            self._task.cancel()

    # Keep-alive comments

    def _beat_after(self, seconds: float) -> None:
        self._beat_timer = asyncio.get_running_loop().call_later(seconds, self._beat_if_silent)

    def _beat_if_silent(self) -> None:
        if self._over:
            return
        loop = asyncio.get_running_loop()
        silent = loop.time() - self._sent_at
        if self._sending or silent < self._dispatcher.keepalive_s:
            self._beat_after(max(self._dispatcher.keepalive_s - silent, 0.1))
        else:
            self._beat = loop.create_task(self._send_beat())

    async def _send_beat(self) -> None:
        try:
            if not self._started:
                await self._start(200, [*_EVENTS])
            await self._send(KEEPALIVE)
            self._sent_at = asyncio.get_running_loop().time()
            self._beat_after(self._dispatcher.keepalive_s)
        except ClientGone:
            self._leave()
        finally:
            self._beat = None

    # The end

    def _finish(self) -> None:
        self._over = True
        for spool in self._spools:
            spool.close()
        for timer in (self._watch_timer, self._beat_timer):
            if timer is not None:
                timer.cancel()
        if self._gone:
            self._status = _CLIENT_LEFT
        dispatcher = self._dispatcher
        if dispatcher.observe is not None:
            dispatcher.observe(self._operation, self._status, perf_counter() - self._received_at)
        if dispatcher.access_log:
            _log.info("request", status=self._status, **self._facts())

    def _facts(self) -> dict[str, Any]:
        """What a log line tells of the request."""
        facts: dict[str, Any] = {
            "request_id": self._id,
            "operation": self._operation.id if self._operation is not None else None,
            "method": self._scope["method"],
            "path": self._scope["path"],
            "milliseconds": round((perf_counter() - self._received_at) * 1000, 1),
        }
        if self._request is not None:
            facts["project"] = self._request.caller.project_id
        if given := self._headers.get("x-client-request-id"):
            facts["client_request_id"] = given[:512]
        return facts


def unforeseen(request_id: str, error: Exception) -> APIError:
    """What a client is told of a defect, or while the database is away."""
    if is_unreachable(error):
        return Overloaded(
            "The engine is currently overloaded, please try again later.",
            code="server_is_overloaded",
            headers={"retry-after": "1"},
        )
    return ServerError(
        "The server had an error while processing your request. Sorry about that! You can retry your request, or "
        "tell the people who run this server if the error persists. (Please include the request ID "
        f"{request_id} in your message.)"
    )


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _path_value(name: str, text: str, type: Any) -> Any:
    key = (name, type)
    struct = _path_structs.get(key)
    if struct is None:
        struct = _path_structs[key] = msgspec.defstruct("Path", [(name, type)])
    return getattr(convert({name: text}, struct), name)


_path_structs: dict[tuple[str, Any], type[msgspec.Struct]] = {}


def _too_large(most: int, count: int, type: str | None = None) -> PayloadTooLarge:
    return PayloadTooLarge(f"Maximum content size limit ({most}) exceeded ({count} bytes read)", type=type)
