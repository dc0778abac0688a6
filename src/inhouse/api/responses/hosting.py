"""From the hosted tools of a request to what runs them: which kinds are served is decided where the rooms are wired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.calls import Call
from inhouse.tools.hosted import HostedTool


class Circumstances(msgspec.Struct, frozen=True):
    """What a hosted tool is made of, beside the request's own words about it."""

    call: Call
    body: wire.CreateResponse | wire.CountInputTokens
    items: Sequence[wire.InputItem]
    """Of the conversation so far and of this request."""
    path: str
    """Where the tool stands in the request, for errors: ``tools[0]``."""


Maker = Callable[[Any, Circumstances], HostedTool]


class HostedTools:
    """The hosted tools that are served here.

    Args:
        makers: by the tool's type in a request.
    """

    def __init__(self, makers: Mapping[str, Maker]) -> None:
        self._makers = dict(makers)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self._makers)

    def make(self, kind: str, tool: Any, circumstances: Circumstances) -> HostedTool | None:
        """The tool for one response; None if this kind is not served.

        Raises:
            InvalidRequest: the request says something of it that cannot be.
        """
        maker = self._makers.get(kind)
        return None if maker is None else maker(tool, circumstances)


NO_HOSTED_TOOLS = HostedTools({})
