"""What a generation tells while it runs, whichever face asked for it."""

from __future__ import annotations

from typing import Literal

import msgspec

from inhouse.engines.protocol import TokenLogprob


class TextDelta(msgspec.Struct, tag="text"):
    """Text of the answer."""

    text: str
    choice: int = 0
    logprobs: list[TokenLogprob] = []


class ToolCallStarted(msgspec.Struct, tag="tool_call_started"):
    """The model calls a tool. ``index`` counts the calls of one choice from 0."""

    index: int
    id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    choice: int = 0


class ToolCallDelta(msgspec.Struct, tag="tool_call_delta"):
    """Raw text of the call's arguments (JSON) or input (free text)."""

    index: int
    text: str
    choice: int = 0


class ToolCallDone(msgspec.Struct, tag="tool_call_done"):
    """``arguments`` is what all deltas of this call add up to."""

    index: int
    arguments: str
    choice: int = 0
