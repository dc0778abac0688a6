"""MCP servers of a request: what may be said of them, what the items of a conversation know of them, and what of them
is told and kept. Headers and authorization are neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from inhouse.api.responses import wire
from inhouse.api.responses.hosting import Circumstances, Maker
from inhouse.kit.addresses import Reach
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.mcp import MCP, Approval, ApprovedCall, Bounds, Server, ServerTool, ToolFilter

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
"""Headers that belong to the connection, not to the request."""


def mcp_maker(reach: Reach, bounds: Bounds) -> Maker:
    """Makes the tools of servers that may be reached from here."""

    def make(tool: wire.MCPServer, circumstances: Circumstances) -> MCP:
        server = _server(tool, circumstances)
        items = circumstances.items
        return MCP(
            server,
            reach,
            bounds,
            known=_known(server.label, items),
            approved=_approved(server.label, items),
        )

    return make


def told_server(server: wire.MCPServer) -> wire.MCPServer:
    """The server as responses repeat it."""
    url = server.server_url
    if url:
        parts = urlsplit(url)
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/<redacted>"
    return msgspec.structs.replace(
        server,
        server_url=url,
        headers=None,
        authorization=UNSET,
        allowed_tools=server.allowed_tools or None,
        require_approval=server.require_approval or "always",
    )


def without_secrets(tool: wire.Tool) -> wire.Tool:
    """A tool as it may be kept until its response is made: this needs the address."""
    if not isinstance(tool, wire.MCPServer) or not (tool.headers or tool.authorization):
        return tool
    return msgspec.structs.replace(tool, headers=UNSET, authorization=UNSET)


def _server(tool: wire.MCPServer, circumstances: Circumstances) -> Server:
    path = circumstances.path
    _check_kind(tool, path)
    label = tool.server_label
    if not _LABEL.fullmatch(label):
        raise InvalidRequest(
            f"Invalid '{path}.server_label': '{label[:80]}'. It must start with a letter, and have at most 64 letters, "
            "digits, '-' and '_'.",
            param=f"{path}.server_label",
            code="invalid_value",
        )
    tools = circumstances.body.tools or ()
    if sum(isinstance(each, wire.MCPServer) and each.server_label == label for each in tools) > 1:
        raise InvalidRequest(f"Duplicate server_label '{label}': labels must be unique.", param=f"{path}.server_label")
    headers = tool.headers or {}
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _OURS or not value.isascii() or not value.isprintable():
            raise InvalidRequest(
                f"Invalid '{path}.headers': '{name[:80]}' is not a header that can be sent.",
                param=f"{path}.headers",
                code="invalid_value",
            )
    authorization = tool.authorization or None
    if authorization is not None and not (authorization.isascii() and authorization.isprintable()):
        raise InvalidRequest(
            f"Invalid '{path}.authorization': it is not a token that can be sent.",
            param=f"{path}.authorization",
            code="invalid_value",
        )
    return Server(
        label=label,
        url=_url(tool.server_url or "", path),
        description=tool.server_description or None,
        headers=dict(headers),
        authorization=authorization,
        allowed=_filter(tool.allowed_tools) or ToolFilter(),
        approval=_approval(tool.require_approval),
    )


def _check_kind(tool: wire.MCPServer, path: str) -> None:
    for name, value in (("connector_id", tool.connector_id), ("tunnel_id", tool.tunnel_id)):
        if value:
            raise InvalidRequest(
                f"Unsupported value: '{path}.{name}' does not support '{value}': connectors and tunnels of the vendor "
                "are not available here. Give the 'server_url' of an MCP server instead.",
                param=f"{path}.{name}",
                code="unsupported_value",
            )
    if not tool.server_url:
        raise InvalidRequest(
            f"Missing required parameter: '{path}.server_url'.",
            param=f"{path}.server_url",
            code="missing_required_parameter",
        )


def _url(url: str, path: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not url.isprintable() or len(url) > 4096:
        raise InvalidRequest(
            f"Invalid '{path}.server_url': expected an http or https URL.",
            param=f"{path}.server_url",
            code="invalid_value",
        )
    return url


def _filter(given: object) -> ToolFilter | None:
    match given:
        case list():
            return ToolFilter(frozenset(given))
        case wire.MCPToolFilter(tool_names=names, read_only=read_only):
            return ToolFilter(
                None if names is UNSET or names is None else frozenset(names),
                None if read_only is UNSET else read_only,
            )
    return None


def _approval(given: object) -> Approval:
    match given:
        case "never":
            return Approval(everything=False)
        case wire.MCPApprovalFilter(always=always, never=never):
            return Approval(_filter(always), _filter(never), everything=None)
    return Approval()


def _known(label: str, items: Sequence[wire.InputItem]) -> list[ServerTool] | None:
    """The server's tools as they were listed last in this conversation."""
    for item in reversed(items):
        if isinstance(item, wire.MCPListTools) and item.server_label == label and not item.error:
            return [
                ServerTool(tool.name, tool.input_schema, tool.description or None, tool.annotations or None)
                for tool in item.tools
            ]
    return None


def _approved(label: str, items: Sequence[wire.InputItem]) -> list[ApprovedCall]:
    """Calls of the server that were allowed and not made."""
    made = {item.approval_request_id for item in items if isinstance(item, wire.MCPCall)}
    asked = {item.id: item for item in items if isinstance(item, wire.MCPApprovalRequest)}
    approved: dict[str, ApprovedCall] = {}
    for item in items:
        if isinstance(item, wire.InputMCPApprovalResponse) and item.approve:
            request = asked.get(item.approval_request_id)
            if request is not None and request.server_label == label and request.id not in made:
                approved[request.id] = ApprovedCall(request.id, request.name, request.arguments)
    return list(approved.values())
