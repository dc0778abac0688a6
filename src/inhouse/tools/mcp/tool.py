"""The tools of one server as a hosted tool of a response."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from inhouse.kit.addresses import Reach
from inhouse.kit.errors import FailedDependency
from inhouse.kit.ids import new_id
from inhouse.tools.hosted import (
    Answered,
    Declaration,
    HostedCall,
    HostedTool,
    ItemDone,
    ItemProgress,
    ItemStarted,
    Paused,
    ToolEvents,
)
from inhouse.tools.mcp.items import (
    ApprovalRequest,
    ApprovedCall,
    Call,
    CallError,
    HTTPError,
    ListTools,
    ProtocolError,
    ServerTool,
    phrase,
)
from inhouse.tools.mcp.names import seen_name
from inhouse.tools.mcp.server import Bounds, Server

if TYPE_CHECKING:
    from inhouse.tools.mcp.connection import Connection

log = structlog.get_logger(__name__)

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class MCP(HostedTool):
    """One server in one response. It is connected to when it is first needed, and once.

    Args:
        known: its tools as an earlier response listed them; they are not listed again.
        approved: calls that the client allowed since.
    """

    kind = "mcp"

    def __init__(
        self,
        server: Server,
        reach: Reach,
        bounds: Bounds,
        *,
        known: Sequence[ServerTool] | None = None,
        approved: Sequence[ApprovedCall] = (),
    ) -> None:
        self.label = server.label
        self._server = server
        self._reach = reach
        self._bounds = bounds
        self._known = known
        self._approved = approved
        self._tools: dict[str, ServerTool] = {}
        """By the names that the model sees."""
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    # The list

    async def prepare(self) -> ToolEvents:
        if self._known is not None:
            self._take(self._known)
            return
        item = ListTools(id=new_id("mcpl_"), server_label=self._server.label)
        yield [ItemStarted(item), ItemProgress("mcp_list_tools.in_progress")]
        try:
            connection = await self._connected()
            self._take(await connection.tools())
        except Exception as error:
            failed = _error_of(error)
            message = _list_failure(self._server.label, failed)
            log.info("an MCP server did not list its tools", server=self._server.label, code=failed.code)
            item = msgspec.structs.replace(item, error=message)
            yield [ItemProgress("mcp_list_tools.failed"), ItemDone(item)]
            raise FailedDependency(
                message, param="tools", code="http_error" if isinstance(failed, HTTPError) else "mcp_protocol_error"
            ) from None
        item = msgspec.structs.replace(item, tools=tuple(self._tools.values()))
        yield [ItemProgress("mcp_list_tools.completed"), ItemDone(item)]

    def _take(self, tools: Sequence[ServerTool]) -> None:
        allowed = [tool for tool in tools if self._server.allowed.takes(tool)]
        self._tools = {seen_name(self._server.label, tool.name): tool for tool in allowed}

    def declarations(self) -> Sequence[Declaration]:
        about = self._server.description
        return [
            Declaration(
                name,
                tool.name,
                "\n".join(each for each in (tool.description, about) if each) or None,
                tool.input_schema or None,
            )
            for name, tool in self._tools.items()
        ]

    # Calls

    async def resume(self) -> ToolEvents:
        by_own_name = {tool.name: name for name, tool in self._tools.items()}
        for approved in self._approved:
            seen = by_own_name.get(approved.name, seen_name(self._server.label, approved.name))
            call = HostedCall(approved.request_id, seen, approved.arguments)
            async for batch in self._made(call, approved.name, approved.request_id):
                yield batch

    async def run(self, call: HostedCall) -> ToolEvents:
        tool = self._tools[call.name]
        if not self._server.approval.needed(tool):
            async for batch in self._made(call, tool.name, None):
                yield batch
            return
        asked = ApprovalRequest(
            id=new_id("mcpr_"), server_label=self._server.label, name=tool.name, arguments=call.arguments
        )
        yield [ItemStarted(asked), ItemDone(asked), Paused()]

    async def _made(self, call: HostedCall, name: str, approval_request_id: str | None) -> ToolEvents:
        item = Call(
            id=new_id("mcp_"),
            server_label=self._server.label,
            name=name,
            arguments="",
            approval_request_id=approval_request_id,
        )
        yield [
            ItemStarted(item),
            ItemProgress("mcp_call.in_progress"),
            ItemProgress("mcp_call_arguments.delta", {"delta": call.arguments}),
            ItemProgress("mcp_call_arguments.done", {"arguments": call.arguments}),
        ]
        output, error = await self._asked(call, name)
        item = msgspec.structs.replace(
            item,
            arguments=call.arguments,
            output=output,
            error=error,
            status="completed" if error is None else "failed",
        )
        yield [
            ItemProgress("mcp_call.completed" if error is None else "mcp_call.failed"),
            ItemDone(item),
            Answered(call, output or "" if error is None else msgspec.json.encode(error).decode()),
        ]

    async def _asked(self, call: HostedCall, name: str) -> tuple[str | None, CallError | None]:
        """Output, or error."""
        if call.name not in self._tools:
            return None, ProtocolError(INVALID_PARAMS, f"The tool '{name}' is not among those that may be used.")
        try:
            arguments = msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
        except msgspec.MsgspecError:
            return None, ProtocolError(INVALID_PARAMS, "The arguments are not a JSON object.")
        try:
            result = await (await self._connected()).call(name, arguments)
        except Exception as error:
            return None, _error_of(error)
        return result.output, result.error

    # The connection

    async def _connected(self) -> Connection:
        """The connection; a new one if it broke."""
        async with self._connecting:
            if self._connection is None or not self._connection.alive:
                await self._leave()
                # The SDK takes a second to import: not while others wait, and only where it is used.
                module = await asyncio.to_thread(importlib.import_module, "inhouse.tools.mcp.connection")
                connection: Connection = module.Connection(self._server, self._reach, self._bounds)
                self._connection = connection
                await connection.open()
            return self._connection

    async def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def close(self) -> None:
        await self._leave()


def _error_of(error: Exception) -> HTTPError | ProtocolError:
    told = getattr(error, "error", None)
    if isinstance(told, HTTPError | ProtocolError):
        return told
    # Its words may hold an address with a secret in it.
    log.error("an MCP server could not be asked", error=type(error).__name__)
    return ProtocolError(INTERNAL_ERROR, "The MCP server could not be asked.")


def _list_failure(label: str, error: HTTPError | ProtocolError) -> str:
    """As the vendor words it; what is known beside the status follows."""
    start = f"Error retrieving tool list from MCP server: '{label}'."
    if isinstance(error, ProtocolError):
        return f"{start} {error.message}"
    status = f"{start} Http status code: {error.code} ({phrase(error.code)})"
    return status if error.message == phrase(error.code) else f"{status}. {error.message}"
