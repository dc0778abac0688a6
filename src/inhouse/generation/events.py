"""What a generation gives: typed events, the same for every face."""

from __future__ import annotations

from typing import Literal

import msgspec

from inhouse.engines.protocol import TokenLogprob
from inhouse.metering.usage import Usage

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(msgspec.Struct, tag="text"):
    """Text of the answer, in order."""

    text: str
    choice: int = 0
    logprobs: list[TokenLogprob] = []


class EchoedPrompt(msgspec.Struct, tag="echo"):
    """The prompt itself, given back before the text that continues it (legacy Completions)."""

    text: str
    choice: int
    first_token: str | None = None
    """The first token, which has no log probability; None if none were asked for."""
    logprobs: list[TokenLogprob] = []
    """Of the tokens after the first."""


class RefusalDelta(msgspec.Struct, tag="refusal"):
    """Text of a refusal, in order."""

    text: str
    choice: int = 0


class ToolCallStarted(msgspec.Struct, tag="tool_call_started"):
    """The model calls a tool; its arguments follow as deltas. ``index`` counts the calls of one choice."""

    index: int
    id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    choice: int = 0


class ToolCallDelta(msgspec.Struct, tag="tool_call_delta"):
    """A piece of a call's arguments (JSON text), or of a custom tool's input."""

    index: int
    text: str
    choice: int = 0


class ToolCallDone(msgspec.Struct, tag="tool_call_done"):
    """The call is whole. ``arguments`` is the text that its deltas gave together."""

    index: int
    arguments: str
    choice: int = 0


class ChoiceFinished(msgspec.Struct, tag="finished"):
    """Nothing more comes for this choice."""

    reason: FinishReason
    choice: int = 0


Event = TextDelta | RefusalDelta | ToolCallStarted | ToolCallDelta | ToolCallDone | ChoiceFinished | Usage
TextEvent = TextDelta | EchoedPrompt | ChoiceFinished | Usage
"""Events of plain continuation."""
