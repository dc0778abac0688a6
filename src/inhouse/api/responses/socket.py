"""Responses over a WebSocket: one connection, many turns, each with only what is new.

A client sends ``response.create``, the body of a request without ``stream`` and ``background``; it gets the events
that a stream has, one a message. Turns of one lane (``stream_id``, or none) are made one after the other, those of
different lanes side by side. Each turn is a request like any other: authenticated, limited and booked on its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Literal, Union, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from inhouse.api.operation import Operation
from inhouse.api.responses import wire
from inhouse.api.responses.memory import Memory
from inhouse.api.responses.routes import Responses
from inhouse.api.responses.service import ResponsesService
from inhouse.api.socket import Socket, SocketClosed, failure_of, socket
from inhouse.api.wire import RequestObject, ResponseObject, doc
from inhouse.kit.errors import APIError, InvalidRequest
from inhouse.kit.ids import request_id
from inhouse.kit.validation import decode

MOST_LANES = 16
"""Of one connection."""
MOST_WAITING = 64
"""Turns that wait on one connection, over all lanes."""
LONGEST_S = 3600.0
"""How long a connection may last, as the official service has it."""
MEMORY_BYTES = 64 * 1024 * 1024
"""Of one connection at most; what a turn goes on from is shared with the turn before."""

_encode = msgspec.json.Encoder().encode


class ResponseCreate(wire.CreateResponse, kw_only=True, tag_field="type", tag="response.create"):
    """Answer items. `stream` is implied; `background` is not supported."""

    stream_id: Annotated[
        Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9_.-]+$")] | None,
        doc("The lane: turns of one are answered in order, and their events carry its name."),
    ] = None
    generate: Annotated[bool | None, doc("False: take note of the request, and generate nothing.")] = None


class ResponseSteer(RequestObject, kw_only=True, tag_field="type", tag="response.steer"):
    """Tell a response something while it is made. No model here can be told."""

    previous_response_id: Annotated[str, doc("The response that is made.")]
    input: Annotated[
        str | Annotated[list[dict[str, Any]], Meta(min_length=1)], doc("What it is told: text, or the user's messages.")
    ]


class SteerError(ResponseObject, kw_only=True):
    """Why nothing came of it."""

    type: Annotated[Literal["invalid_request_error"], doc("Always `invalid_request_error`.")] = "invalid_request_error"
    code: Annotated[str, doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class Steered(ResponseObject, kw_only=True):
    """What was sent, so that it can be sent with the next `response.create`."""

    previous_response_id: Annotated[str, doc("The response that was to be told.")]
    input: Annotated[str | list[dict[str, Any]], doc("What it was to be told.")]


class SteerFailed(ResponseObject, kw_only=True, tag="response.steer.failed"):
    """A response was not told what a client sent while it was made."""

    sequence_number: Annotated[int, doc("Always 0: it is in no stream.")] = 0
    error: Annotated[SteerError, doc("Why.")]
    steer: Annotated[Steered, doc("What was sent.")]


StreamId = Annotated[str | UnsetType, doc("The lane of the turn, where it has one.")]


class SocketErrorObject(ResponseObject, kw_only=True):
    """What went wrong."""

    type: Annotated[str, doc("The family of the error.")]
    code: Annotated[str | None, doc("The cause.")]
    message: Annotated[str, doc("What went wrong, in words.")]
    param: Annotated[str | None, doc("The parameter at fault.")]
    headers: Annotated[dict[str, str] | UnsetType, doc("What an answer over HTTP has in its headers.")] = UNSET


class SocketError(ResponseObject, kw_only=True, tag="error"):
    """A request could not be answered, or was none."""

    status: Annotated[int, doc("HTTP status of such an error.")]
    sequence_number: Annotated[int | UnsetType, doc("Place in the stream of a response, where it is in one.")] = UNSET
    error: Annotated[SocketErrorObject, doc("What went wrong.")]
    stream_id: StreamId = UNSET


def _on_socket(event: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """An event as a connection carries it: with its lane."""
    tag = event.__struct_config__.tag
    return msgspec.defstruct(
        f"Socket{event.__name__}", [("stream_id", StreamId, UNSET)], bases=(event,), tag=tag, kw_only=True
    )


ClientEvent: Any = ResponseCreate | ResponseSteer
ServerEvent: Any = Union[
    (
        *(_on_socket(event) for event in get_args(wire.ResponseStreamEvent) if event is not wire.StreamError),
        SocketError,
        SteerFailed,
    )
]
"""What is sent. The lane is written behind the event's JSON, see ``_with_lane``."""


class ResponsesSocket:
    """Args:
    longest_s: how long a connection may last, seconds.
    most_bytes: of the messages that wait on one connection.
    """

    def __init__(
        self, service: ResponsesService, *, longest_s: float = LONGEST_S, most_bytes: int = MEMORY_BYTES
    ) -> None:
        self._service = service
        self._longest_s = longest_s
        self._most_bytes = most_bytes

    @socket("/responses", id="connectResponses", scope="api.responses.write", client=ClientEvent, server=ServerEvent)
    async def connect(self, socket: Socket) -> None:
        """Answer items over a connection that stays open."""
        await _Connection(self._service, socket, self._longest_s, self._most_bytes).run()


class _Connection:
    def __init__(self, service: ResponsesService, socket: Socket, longest_s: float, most_bytes: int) -> None:
        self._service = service
        self._socket = socket
        self._longest_s = longest_s
        self._most_bytes = most_bytes
        self._operation: Operation = Responses.create.__operation__  # type: ignore[attr-defined]
        self._memory = Memory(MOST_LANES, MEMORY_BYTES)
        self._lanes: dict[str | None, asyncio.Queue[tuple[ResponseCreate, int]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._waiting_bytes = 0

    async def run(self) -> None:
        """Until the client leaves, the time is over, or the server ends."""
        try:
            async with asyncio.timeout(self._longest_s):
                while True:
                    await self._take(await self._socket.receive())
        except TimeoutError:
            while self._tasks:  # what is under way is answered; nothing more is taken
                await asyncio.wait(self._tasks)
            await self._fail(
                InvalidRequest(
                    f"Responses websocket connection limit reached ({self._longest_s / 60:g} minutes). Create a new "
                    "websocket connection to continue.",
                    code="websocket_connection_limit_reached",
                ),
                None,
            )
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, data: bytes) -> None:
        lane: str | None = None
        try:
            if (steer := _steer_of(data)) is not None:
                await self._socket.send(_encode(_not_steered(steer)))
                return
            lane = _lane_of(data)
            self._queue(_event_of(data), len(data))
        except APIError as error:
            await self._fail(error, lane)

    def _queue(self, event: ResponseCreate, size: int) -> None:
        """Have a turn made after those of its lane that came before."""
        lane = event.stream_id
        if self._waiting >= MOST_WAITING or (self._waiting and self._waiting_bytes + size > self._most_bytes):
            raise InvalidRequest(
                "Too many responses wait on this WebSocket connection. Wait for some to end.",
                code="websocket_queue_limit_reached",
            )
        queue = self._lanes.get(lane)
        if queue is None:
            if len(self._lanes) >= MOST_LANES:
                raise InvalidRequest(
                    "This WebSocket connection has reached its stream limit.",
                    param="stream_id",
                    code="websocket_stream_limit_reached",
                )
            queue = self._lanes[lane] = asyncio.Queue()
            task = asyncio.create_task(self._serve(lane, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        queue.put_nowait((event, size))
        self._waiting += 1
        self._waiting_bytes += size

    async def _serve(self, lane: str | None, queue: asyncio.Queue[tuple[ResponseCreate, int]]) -> None:
        """Make the turns of a lane, until none waits."""
        try:
            while not queue.empty():
                event, size = queue.get_nowait()
                self._waiting -= 1
                self._waiting_bytes -= size
                await self._turn(event)
        except SocketClosed:
            pass  # the reader hears of it as well
        finally:
            del self._lanes[lane]

    async def _turn(self, event: ResponseCreate) -> None:
        id = request_id()
        try:
            request = await self._socket.request(self._operation)
            id = request.request_id
            event.stream = True
            if request.caller.policy.zero_retention:
                event.store = False
            batches: AsyncGenerator[Sequence[wire.ResponseStreamEvent], None]
            if event.generate is False:
                batches = self._service.warm_up(request, event, self._memory)
            else:
                batches = self._service.stream(request, event, self._memory)
            async with aclosing(batches):
                async for batch in batches:
                    for told in batch:
                        await self._socket.send(_with_lane(_encode(told), event.stream_id))
        except SocketClosed:
            raise
        except Exception as error:
            self._memory.forget(event.previous_response_id)
            await self._fail(failure_of(error, id), event.stream_id)

    async def _fail(self, error: APIError, lane: str | None) -> None:
        told = SocketErrorObject(
            type=error.type,
            code=error.code,
            message=error.message,
            param=error.param,
            headers=error.headers or UNSET,
        )
        await self._socket.send(_with_lane(_encode(SocketError(status=error.status, error=told)), lane))


def _event_of(data: bytes) -> ResponseCreate:
    """Raises InvalidRequest."""
    event = decode(data, ResponseCreate)
    if event.background:
        raise InvalidRequest(
            "'background' is not supported over WebSocket.", param="background", code="unsupported_parameter"
        )
    return event


def _steer_of(data: bytes) -> ResponseSteer | None:
    """Raises InvalidRequest."""
    if b"response.steer" not in data or decode(data, dict[str, Any]).get("type") != "response.steer":
        return None
    return decode(data, ResponseSteer)


def _not_steered(steer: ResponseSteer) -> SteerFailed:
    return SteerFailed(
        error=SteerError(
            code="steering_not_supported",
            message="Steering is not supported with this model. Send the input with the next 'response.create'.",
        ),
        steer=Steered(previous_response_id=steer.previous_response_id, input=steer.input),
    )


def _lane_of(data: bytes) -> str | None:
    """The lane that an error about a message is told on.

    Raises:
        InvalidRequest: it is no ``response.create``.
    """
    told: dict[str, Any] = decode(data, dict[str, Any])
    kind, lane = told.get("type"), told.get("stream_id")
    if kind != "response.create":
        shown = kind[:100] if isinstance(kind, str) else kind
        raise InvalidRequest(
            f"Invalid value: {shown!r}. Supported values are: 'response.create'.", param="type", code="invalid_value"
        )
    return lane if isinstance(lane, str) and len(lane) <= 256 else None


def _with_lane(data: bytes, lane: str | None) -> bytes:
    return data if lane is None else b'%b,"stream_id":%b}' % (data[:-1], _encode(lane))
