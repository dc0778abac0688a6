"""The child's server: how a Python host of this project serves its model to the gateway. The parent is ``hosted``.

    server = HostServer()                 # reads the handshake of engines.child
    model = Model(server.config)

    @server.call("/embed")
    def embed(request: EmbedRequest, stop: Stop) -> Embedded: ...

    @server.stream("/speak")
    def speak(request: SpeakRequest, stop: Stop) -> Iterator[bytes]: ...

    server.run()

Functions run in a pool of ``server.config.slots`` threads. Shapes are msgspec Structs; a second parameter named
``upload`` is a file with what was sent after the request.

On the wire, each a POST to the route's path with the key as bearer token:

    request      MessagePack of its Struct; with an upload: its length as 4 bytes, big-endian, itself, and the upload
    call         200 and MessagePack of the result
    stream       200 and, for each item, a 4-byte big-endian length and either the bytes or MessagePack of the Struct;
                 an item of length 0 ends it; one of length 2^32 - 1 is followed by a Fault with its own length
    failure      422 Fault for ``Refused``, which is the client's; 500 Fault for everything else

A connection that closes sets ``stop``; the generator of a stream is closed between two items.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import inspect
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, TypeVar, get_type_hints

import msgspec
import uvicorn

from inhouse.engines.child import Parent
from inhouse.engines.protocol import Refused

END = 0
FAULT = 0xFFFFFFFF
MEMORY_UPLOAD_BYTES = 8 << 20
"""Of an upload that is kept in memory; a larger one goes to an unnamed temporary file."""


class Weights(msgspec.Struct, frozen=True):
    """One set of weights: the id of its manifest, or the path that it was bound by, and where its files are."""

    id: str
    path: str
    """The folder that holds the manifest's files by name; or the file itself, where it was bound by path."""

    def file(self, name: str) -> Path:
        return Path(self.path) / name


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells a host."""

    weights: list[Weights]
    slots: int
    """Requests at once: threads of the pool."""
    threads: int
    """CPU threads that the model may use."""
    options: dict[str, Any] = {}


class Fault(msgspec.Struct):
    """Why a request failed. ``code`` and ``param`` are for refusals: they reach the client."""

    message: str
    refused: bool = False
    """The request is to blame, not the host."""
    code: str | None = None
    param: str | None = None


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Stop:
    """Tells work that nobody waits for its answer any more."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raises ``Stopped`` once nobody waits. To be called between pieces of work."""
        if self._event.is_set():
            raise Stopped


Upload = IO[bytes]
"""What a function's parameter ``upload`` is: a file at its beginning, seekable, closed when the function ends."""
Work = TypeVar("Work", bound=Callable[..., Any])
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class HostServer:
    """The HTTP server of one child; see the module. It is an ASGI application, too.

    Raises:
        EOFError: the parent left before it handed over its settings.
        msgspec.MsgspecError: what it handed over is not a ``HostConfig``.
    """

    def __init__(self, parent: Parent | None = None) -> None:
        self._parent = parent or Parent()
        self.config = msgspec.convert(self._parent.handshake.config, HostConfig)
        self._expected = f"Bearer {self._parent.handshake.key}".encode()
        self._routes: dict[str, _Route] = {}
        self._pool = ThreadPoolExecutor(self.config.slots, thread_name_prefix="work")

    def call(self, path: str) -> Callable[[Work], Work]:
        """Declare a function that answers with a Struct."""
        return self._declare(path, streams=False)

    def stream(self, path: str) -> Callable[[Work], Work]:
        """Declare a function that gives ``bytes`` or Structs one after the other. Empty bytes are left out."""
        return self._declare(path, streams=True)

    def _declare(self, path: str, *, streams: bool) -> Callable[[Work], Work]:
        def declare(work: Work) -> Work:
            self._routes[path] = _Route(work, streams=streams)
            return work

        return declare

    def run(self) -> None:
        """Serve until the parent goes or says to stop."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        config = uvicorn.Config(
            self,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
        )
        self._parent.announce(f"http://127.0.0.1:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        route = self._routes.get(scope["path"])
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            await _answer(send, 401)
        elif scope["path"] == "/health":
            await _answer(send, 200)
        elif route is None or scope["method"] != "POST":
            await _answer(send, 404, Fault(f"no such call: {scope['path']}"))
        else:
            await _Exchange(route, self._pool, receive, send).run()


class _Route:
    """One declared function, and what it takes."""

    def __init__(self, work: Callable[..., Any], *, streams: bool) -> None:
        names = list(inspect.signature(work).parameters)
        self.work = work
        self.streams = streams
        self.type = get_type_hints(work)[names[0]]
        self.takes_upload = "upload" in names


class _Gone(Exception):
    """The connection closed before the request was whole."""


class _End:
    pass


_END = _End()


class _Exchange:
    """One request."""

    def __init__(self, route: _Route, pool: ThreadPoolExecutor, receive: Receive, send: Send) -> None:
        self._route = route
        self._pool = pool
        self._receive = receive
        self._send = send
        self._stop = Stop()
        self._begun = False

    async def run(self) -> None:
        watch: asyncio.Task[None] | None = None
        try:
            with contextlib.ExitStack() as stack:
                arguments = await self._arguments(stack)
                watch = asyncio.create_task(self._watch())
                if self._route.streams:
                    await self._stream(arguments)
                else:
                    await _answer(self._send, 200, await self._in_pool(lambda: self._route.work(**arguments)))
        except (_Gone, Stopped):
            return
        except Exception as error:
            await self._fail(error)
        finally:
            self._stop.set()
            if watch is not None:
                watch.cancel()

    async def _stream(self, arguments: dict[str, Any]) -> None:
        items: Iterator[Any] = await self._in_pool(lambda: iter(self._route.work(**arguments)))
        try:
            # The first item is made before the status is sent, so that a refusal is an answer of its own.
            while (item := await self._in_pool(lambda: next(items, _END))) is not _END:
                data = bytes(item) if isinstance(item, bytes | bytearray | memoryview) else msgspec.msgpack.encode(item)
                if data:
                    await self._give(_framed(data))
            await self._give(END.to_bytes(4, "big"))
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            if isinstance(items, Generator):
                await asyncio.get_running_loop().run_in_executor(self._pool, items.close)

    async def _give(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            headers = [(b"content-type", b"application/octet-stream")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _fail(self, error: Exception) -> None:
        if not isinstance(error, Refused):
            print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)  # noqa: T201
        fault = _fault(error)
        if self._begun:
            data = FAULT.to_bytes(4, "big") + _framed(msgspec.msgpack.encode(fault))
            await self._send({"type": "http.response.body", "body": data})
        else:
            await _answer(self._send, 422 if isinstance(error, Refused) else 500, fault)

    async def _in_pool(self, work: Callable[[], Any]) -> Any:
        def unless_stopped() -> Any:
            self._stop.check()  # It may have waited for a thread.
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, unless_stopped)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._stop.set()

    async def _arguments(self, stack: contextlib.ExitStack) -> dict[str, Any]:
        """What the function is called with; an upload lies in a file that is gone when ``stack`` ends."""
        route = self._route
        name = next(iter(inspect.signature(route.work).parameters))
        if not route.takes_upload:
            body = bytearray()
            async for chunk in self._body():
                body += chunk
            return {name: msgspec.msgpack.decode(bytes(body), type=route.type), "stop": self._stop}
        file = stack.enter_context(tempfile.SpooledTemporaryFile(MEMORY_UPLOAD_BYTES))  # noqa: SIM115 - the stack closes it
        head, request = bytearray(), None
        async for chunk in self._body():
            if request is not None:
                file.write(chunk)
                continue
            head += chunk
            end = 4 + int.from_bytes(head[:4], "big")
            if len(head) >= max(4, end):
                request = msgspec.msgpack.decode(head[4:end], type=route.type)
                file.write(head[end:])
        if request is None:
            raise msgspec.DecodeError("the request breaks off before its upload")
        file.seek(0)
        return {name: request, "stop": self._stop, "upload": file}

    async def _body(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            more = message.get("more_body", False)
            yield message.get("body", b"")


async def _answer(send: Send, status: int, answer: msgspec.Struct | None = None) -> None:
    data = b"" if answer is None else msgspec.msgpack.encode(answer)
    headers = [(b"content-type", b"application/msgpack"), (b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _fault(error: Exception) -> Fault:
    if isinstance(error, Refused):
        return Fault(str(error), True, error.code, error.param)
    return Fault(f"{type(error).__name__}: {error}")
