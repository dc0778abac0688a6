"""What goes into a generation: items, tools, the wanted form of the answer, and how to sample it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Text(msgspec.Struct, tag="text", frozen=True):
    text: str


class Image(msgspec.Struct, tag="image", frozen=True):
    """An image by ``https:`` or ``data:`` URL, or by id of an uploaded file."""

    url: str
    detail: Literal["auto", "low", "high", "original"] = "auto"
    file_id: str | None = None


class File(msgspec.Struct, tag="file", frozen=True):
    """A document: by id of an uploaded file, with its bytes as a ``data:`` URL or in base64, or by URL."""

    file_id: str | None = None
    file_data: str | None = None
    filename: str | None = None
    url: str | None = None
    detail: Literal["auto", "low", "high"] = "auto"
    """Of the images of its pages, where the deployment sees."""


class Audio(msgspec.Struct, tag="audio", frozen=True):
    """Base64 audio."""

    data: str
    format: str


Part = Text | Image | File | Audio


class Message(msgspec.Struct, tag="message", frozen=True):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    parts: tuple[Part, ...]
    name: str | None = None
    path: str = "messages"
    """Where the client wrote it, for errors: ``messages[3]``."""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class ToolCall(msgspec.Struct, tag="tool_call", frozen=True):
    """A call that the model made earlier. ``arguments`` is JSON text, or a custom tool's input."""

    id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"


class ToolOutput(msgspec.Struct, tag="tool_output", frozen=True):
    """What a call gave."""

    call_id: str
    text: str
    plain: str | None = None
    """The same, without instructions, for a model that is shown it outside of the roles of tools."""


Item = Message | ToolCall | ToolOutput


class FunctionTool(msgspec.Struct, tag="function", frozen=True):
    """A function the caller will run. ``parameters`` is a JSON Schema of type object; None takes no arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool = False
    param: str = "tools"
    """Where its schema stands in the request, for errors."""


class CustomTool(msgspec.Struct, tag="custom", frozen=True):
    """A tool that takes free text, or text under a grammar."""

    name: str
    description: str | None = None
    syntax: Literal["text", "lark", "regex"] = "text"
    definition: str = ""
    param: str = "tools"
    """Where its grammar stands in the request, for errors."""


Tool = FunctionTool | CustomTool


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether the model may (auto), must (required) or must not (none) call, and which tools (None: any)."""

    mode: Literal["none", "auto", "required"] = "auto"
    names: frozenset[str] | None = None
    named: bool = False
    """The caller named one tool; the contract then tells the end as ``stop``."""


class JsonObject(msgspec.Struct, tag="json_object", frozen=True):
    """Any JSON object."""


class JsonSchema(msgspec.Struct, tag="json_schema", frozen=True):
    """JSON that fits a schema; with ``strict``, always."""

    name: str
    schema: dict[str, Any]
    strict: bool = False
    description: str | None = None
    param: str = "response_format"
    """Where the schema stands in the request, for errors."""


AnswerFormat = JsonObject | JsonSchema


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How to draw tokens. None: the deployment's default."""

    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: dict[int, float] = {}
    logprobs: int | None = None
    """Alternatives to report for each token; None reports no log probabilities."""
    max_tokens: int | None = None


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the core."""

    items: tuple[Item, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    format: AnswerFormat | None = None
    sampling: Sampling = Sampling()
    choices: int = 1
    stream: bool = False
    """The face will pass events on as they come; an upstream is then asked to stream too."""
    prediction: str | None = None
    worded: bool = False
    """The answer may not be empty; engines that take a grammar are held to that."""
    truncate: bool = False
    """Drop the oldest items where they do not fit the window, instead of refusing."""
    items_param: str = "messages"
    """What the face calls its items, for error messages."""

    @property
    def usable_tools(self) -> tuple[Tool, ...]:
        """The tools that the choice leaves."""
        if self.tool_choice.mode == "none":
            return ()
        names = self.tool_choice.names
        return self.tools if names is None else tuple(tool for tool in self.tools if tool.name in names)
