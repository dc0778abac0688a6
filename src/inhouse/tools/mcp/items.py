"""What a server's tools give: items in the terms of the Responses contract."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal

import msgspec

from inhouse.tools.hosted import HostedItem


class ServerTool(msgspec.Struct, frozen=True):
    """A tool as its server tells of it. ``annotations`` may hold ``readOnlyHint``."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None
    annotations: dict[str, Any] | None = None

    @property
    def read_only(self) -> bool:
        return bool((self.annotations or {}).get("readOnlyHint"))


def phrase(status: int) -> str:
    """The words for an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class ProtocolError(msgspec.Struct, frozen=True, tag_field="type", tag="mcp_protocol_error"):
    """The server refused the call by the protocol, broke the protocol, or did not answer in time."""

    code: int
    message: str


class ExecutionError(msgspec.Struct, frozen=True, tag_field="type", tag="mcp_tool_execution_error"):
    """The tool says that it failed; ``content`` are the server's content blocks."""

    content: list[dict[str, Any]]


class HTTPError(msgspec.Struct, frozen=True, tag_field="type", tag="http_error"):
    """The server could not be reached, or answered with an HTTP status that is an error."""

    code: int
    message: str


CallError = ProtocolError | ExecutionError | HTTPError


class ListTools(HostedItem, kw_only=True, tag="mcp_list_tools"):
    """The tools of a server that this response may use."""

    server_label: str
    tools: tuple[ServerTool, ...] = ()
    error: str | None = None


class ApprovalRequest(HostedItem, kw_only=True, tag="mcp_approval_request"):
    """A call that the client has to allow first."""

    server_label: str
    name: str
    arguments: str


class Call(HostedItem, kw_only=True, tag="mcp_call"):
    """A call that was made."""

    server_label: str
    name: str
    arguments: str
    output: str | None = None
    error: CallError | None = None
    status: Literal["in_progress", "calling", "completed", "incomplete", "failed"] = "in_progress"
    approval_request_id: str | None = None


class ApprovedCall(msgspec.Struct, frozen=True):
    """A call that the client allowed since, and that was not made yet."""

    request_id: str
    name: str
    arguments: str
