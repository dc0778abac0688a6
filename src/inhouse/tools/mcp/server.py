"""A server as a request describes it, and what the settings allow."""

from __future__ import annotations

import msgspec

from inhouse.tools.mcp.items import ServerTool


class ToolFilter(msgspec.Struct, frozen=True):
    """Some tools of a server: those that keep every condition that is given."""

    names: frozenset[str] | None = None
    read_only: bool | None = None

    def takes(self, tool: ServerTool) -> bool:
        return (self.names is None or tool.name in self.names) and (
            self.read_only is None or tool.read_only == self.read_only
        )


class Approval(msgspec.Struct, frozen=True):
    """Which calls the client has to allow first. A call that both filters take, or none, needs it."""

    always: ToolFilter | None = None
    never: ToolFilter | None = None
    everything: bool | None = True
    """Whether all calls need approval; None leaves it to the filters."""

    def needed(self, tool: ServerTool) -> bool:
        if self.everything is not None:
            return self.everything
        if self.always is not None and self.always.takes(tool):
            return True
        return self.never is None or not self.never.takes(tool)


class Server(msgspec.Struct, frozen=True):
    """A server of one request. It holds secrets: it is never stored, logged or put into an error."""

    label: str
    url: str
    description: str | None = None
    headers: dict[str, str] = {}
    authorization: str | None = None
    allowed: ToolFilter = ToolFilter()
    approval: Approval = Approval()

    def __repr__(self) -> str:
        return f"Server({self.label!r})"


class Bounds(msgspec.Struct, frozen=True):
    """How much a server may take of us."""

    list_s: float = 30.0
    """To connect and tell its tools, seconds."""
    call_s: float = 120.0
    """For one call, seconds."""
    result_bytes: int = 1_048_576
    """Of one message of the server."""
    output_chars: int = 262_144
    """Of one result that the model reads."""
    tools: int = 512
    """Of one server."""
