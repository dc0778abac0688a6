"""A connection to a server, by whichever transport it speaks: streamable HTTP, or the older server-sent events.

It lives in a task of its own, for the SDK's contexts have to be left by the task that entered them, while calls come
from any. Nothing that the SDK or its HTTP client would log is logged: it may hold addresses with secrets in them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, TypeVar

import httpx2
import msgspec
import structlog
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    REQUEST_TIMEOUT,
    AudioContent,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    Implementation,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from inhouse import __version__
from inhouse.kit.addresses import Reach
from inhouse.tools.mcp.items import CallError, ExecutionError, HTTPError, ProtocolError, ServerTool, phrase
from inhouse.tools.mcp.server import Bounds, Server
from inhouse.tools.mcp.transport import AddressRefused, GuardedTransport, TooLarge

for _name in ("mcp", "client", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

log = structlog.get_logger(__name__)
T = TypeVar("T")

CLOSE_S = 3.0
"""How long a server may take to say goodbye, seconds."""
UNREACHABLE = HTTPStatus.FAILED_DEPENDENCY.value
"""The status told of a server that gave none."""
_OLD_TRANSPORT = (400, 404, 405)
"""Statuses by which a server says that it does not speak streamable HTTP, as the protocol has it."""


class Failed(Exception):
    """The server could not be asked. ``error`` is what clients may know."""

    def __init__(self, error: HTTPError | ProtocolError) -> None:
        super().__init__(error.message)
        self.error = error


class Result(msgspec.Struct, frozen=True):
    """What a call gave: text, or an error."""

    output: str | None = None
    error: CallError | None = None


class Connection:
    """Open it with ``open``, and always ``close`` it.

    Raises ``Failed`` from everything that asks the server.
    """

    def __init__(self, server: Server, reach: Reach, bounds: Bounds) -> None:
        self._server = server
        self._reach = reach
        self._bounds = bounds
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._status: int | None = None
        """The last HTTP status of a message to the server that was an error."""

    async def open(self) -> None:
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(ready))
        try:
            async with asyncio.timeout(self._bounds.list_s):
                await asyncio.shield(ready)
        except TimeoutError:
            raise Failed(_timed_out(self._bounds.list_s)) from None
        finally:
            if not ready.done():
                ready.cancel()

    async def _live(self, ready: asyncio.Future[None]) -> None:
        try:
            async with AsyncExitStack() as stack:
                self._client = await self._connect(stack)
                if not ready.done():
                    ready.set_result(None)
                    await self._leaving.wait()
        except Exception as error:
            if not ready.done():
                ready.set_exception(self._failure(error))
            elif not self._leaving.is_set():
                log.info("the connection to an MCP server broke", server=self._server.label)
        finally:
            self._client = None
            if not ready.done():
                ready.cancel()

    async def _connect(self, stack: AsyncExitStack) -> Client:
        try:
            return await self._enter(stack, old=False)
        except Exception as error:
            if self._status not in _OLD_TRANSPORT:
                raise
            try:
                return await self._enter(stack, old=True)
            except Exception:
                raise error from None

    async def _enter(self, stack: AsyncExitStack, *, old: bool) -> Client:
        url, bounds = self._server.url, self._bounds
        async with AsyncExitStack() as mine:
            if old:
                transport = sse_client(
                    url, sse_read_timeout=bounds.call_s + bounds.list_s, httpx_client_factory=self._http
                )
            else:
                http = await mine.enter_async_context(self._http())
                transport = streamable_http_client(url, http_client=http, max_sse_event_size=bounds.result_bytes)
            info = Implementation(name="inhouse", version=__version__)
            mode = "legacy" if old else "auto"
            client = await mine.enter_async_context(Client(transport, mode=mode, client_info=info, cache=None))
            stack.push_async_exit(mine.pop_all())
            return client

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        server, bounds = self._server, self._bounds
        given = httpx2.Headers(server.headers)
        if server.authorization is not None:
            given["Authorization"] = f"Bearer {server.authorization}"
        return httpx2.AsyncClient(
            transport=GuardedTransport(self._reach, bounds.result_bytes),
            headers=given,
            timeout=httpx2.Timeout(bounds.list_s, read=bounds.call_s + bounds.list_s),
            event_hooks={"response": [self._note]},
            trust_env=False,
        )

    async def _note(self, response: httpx2.Response) -> None:
        if response.request.method == "POST":
            self._status = response.status_code if response.status_code >= 300 else None

    async def tools(self) -> list[ServerTool]:
        """All tools of the server."""
        try:
            async with asyncio.timeout(self._bounds.list_s):
                return [tool async for tool in self._pages()]
        except TimeoutError:
            raise Failed(_timed_out(self._bounds.list_s)) from None

    async def _pages(self) -> AsyncIterator[ServerTool]:
        cursor: str | None = None
        count = 0
        while True:
            page = await self._during(self._session().list_tools(cursor=cursor))
            count += len(page.tools)
            if count > self._bounds.tools:
                raise Failed(ProtocolError(INTERNAL_ERROR, f"The server has more than {self._bounds.tools} tools."))
            for tool in page.tools:
                hints = tool.annotations
                annotations = hints.model_dump(by_alias=True, mode="json", exclude_none=True) if hints else None
                yield ServerTool(tool.name, tool.input_schema, tool.description or tool.title, annotations)
            cursor = page.next_cursor
            if not cursor or not page.tools:
                return

    async def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Call a tool, once: what may have been done already is not tried again."""
        asked = CallToolRequest(params=CallToolRequestParams(name=name, arguments=arguments))
        sending = self._session().session.send_request(
            asked, CallToolResult, request_read_timeout_seconds=self._bounds.call_s
        )
        result = await self._during(sending)
        if result.is_error:
            blocks = [block.model_dump(by_alias=True, mode="json", exclude_none=True) for block in result.content]
            return Result(error=ExecutionError(blocks))
        text = "\n".join(map(_text, result.content))
        if not result.content and result.structured_content is not None:
            text = msgspec.json.encode(result.structured_content).decode()
        most = self._bounds.output_chars
        if len(text) > most:
            text = f"{text[:most]}\n[Cut here: the result has {len(text)} characters, {most} are allowed.]"
        return Result(output=text)

    def _session(self) -> Client:
        if self._client is None:
            raise Failed(HTTPError(UNREACHABLE, "The connection to the MCP server is closed."))
        return self._client

    async def _during(self, asking: Awaitable[T]) -> T:
        """Ask, as long as the connection lives."""
        assert self._task is not None
        asked = asyncio.ensure_future(asking)
        try:
            await asyncio.wait({asked, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise Failed(HTTPError(UNREACHABLE, "The connection to the MCP server broke."))
            return asked.result()
        except Failed:
            raise
        except Exception as error:
            raise self._failure(error) from error
        finally:
            if not asked.done():
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)

    @property
    def alive(self) -> bool:
        return self._client is not None

    async def close(self) -> None:
        """Say goodbye, if the server listens, and leave nothing open."""
        self._leaving.set()
        if self._task is None:
            return
        if self._client is None:
            self._task.cancel()
        await asyncio.wait({self._task}, timeout=CLOSE_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_S)

    def _failure(self, error: BaseException) -> Failed:
        """What clients may know of it: no address, no header, nothing that the server did not say by the protocol."""
        for cause in _leaves(error):
            match cause:
                case Failed():
                    return cause
                case AddressRefused():
                    return Failed(HTTPError(HTTPStatus.FORBIDDEN.value, str(cause)))
                case httpx2.HTTPStatusError():
                    return Failed(_http_error(cause.response.status_code))
                case TooLarge() | httpx2.SSEError():
                    return Failed(
                        ProtocolError(INTERNAL_ERROR, "The answer of the MCP server is too large, or no answer.")
                    )
                case httpx2.TimeoutException() | TimeoutError():
                    return Failed(_timed_out(self._bounds.call_s))
                case MCPError() if cause.code == REQUEST_TIMEOUT:
                    return Failed(_timed_out(self._bounds.call_s))
                case MCPError() if self._status is not None:
                    return Failed(_http_error(self._status))
                case MCPError():
                    return Failed(ProtocolError(cause.code, cause.message[:2000]))
                case httpx2.TransportError() | OSError():
                    return Failed(HTTPError(UNREACHABLE, "The MCP server could not be reached."))
        log.warning(
            "an MCP server does not keep to the protocol", server=self._server.label, error=type(error).__name__
        )
        return Failed(ProtocolError(INTERNAL_ERROR, "The MCP server did not keep to the protocol."))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, and those that an error came from."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _http_error(status: int) -> HTTPError:
    return HTTPError(status, phrase(status))


def _timed_out(seconds: float) -> ProtocolError:
    return ProtocolError(REQUEST_TIMEOUT, f"The MCP server did not answer within {seconds:g} seconds.")


def _text(block: ContentBlock) -> str:
    """A content block as the model reads it."""
    match block:
        case TextContent(text=text):
            return text
        case EmbeddedResource(resource=TextResourceContents(text=text)):
            return text
        case ResourceLink(name=name, uri=uri):
            return f"[{name}]({uri})"
        case ImageContent(mime_type=kind) | AudioContent(mime_type=kind):
            return f"[{kind}]"
        case EmbeddedResource(resource=resource):
            return f"[{resource.mime_type or 'file'}]"
