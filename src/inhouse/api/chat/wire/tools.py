"""Tools as Chat Completions shapes them: what a model may call, must call, and has called."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.wire import RequestObject, ResponseObject, doc

FunctionName = Annotated[
    str,
    Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$", description="Letters, digits, _ and - only."),
]
# The id of a call travels back and forth: ids made elsewhere are taken up to the official length.
CallId = Annotated[str, Meta(max_length=40, description="Id of the call; its result refers to it.")]
JSONSchema = Annotated[dict[str, Any], doc("A JSON Schema.")]
ToolDescription = Annotated[str, Meta(max_length=1_048_576)]


class FunctionDefinition(RequestObject, kw_only=True):
    """A function of yours."""

    name: FunctionName
    description: Annotated[ToolDescription | None, doc("When and how to call it: the model reads this.")] = None
    parameters: Annotated[JSONSchema | None, doc("JSON Schema of the arguments; left out, it takes none.")] = None
    strict: Annotated[bool | None, doc("Whether the arguments must always match the schema. Defaults to false.")] = None


class FunctionTool(RequestObject, kw_only=True, tag_field="type", tag="function"):
    """A function that the model may call with JSON arguments."""

    function: Annotated[FunctionDefinition, doc("The function.")]


class TextFormat(RequestObject, kw_only=True, tag_field="type", tag="text"):
    """Any text."""


class Grammar(RequestObject, kw_only=True):
    """A grammar that the input must follow."""

    definition: Annotated[str, doc("The grammar itself.")]
    syntax: Annotated[Literal["lark", "regex"], doc("The language it is written in.")]


class GrammarFormat(RequestObject, kw_only=True, tag_field="type", tag="grammar"):
    """Text that follows a grammar."""

    grammar: Annotated[Grammar, doc("The grammar.")]


class CustomDefinition(RequestObject, kw_only=True):
    """A tool of yours that takes text."""

    name: FunctionName
    description: Annotated[ToolDescription | None, doc("When and how to call it: the model reads this.")] = None
    format: Annotated[TextFormat | GrammarFormat | None, doc("What the input may be. Defaults to any text.")] = None


class CustomTool(RequestObject, kw_only=True, tag_field="type", tag="custom"):
    """A tool that the model may call with plain text, free or bound to a grammar."""

    custom: Annotated[CustomDefinition, doc("The tool.")]


Tool = FunctionTool | CustomTool


class ToolName(RequestObject, kw_only=True):
    """The name of a tool."""

    name: FunctionName


class FunctionChoice(RequestObject, kw_only=True, tag_field="type", tag="function"):
    """One function: the model has to call it."""

    function: Annotated[ToolName, doc("The function.")]


class CustomChoice(RequestObject, kw_only=True, tag_field="type", tag="custom"):
    """One custom tool: the model has to call it."""

    custom: Annotated[ToolName, doc("The tool.")]


class AllowedName(Struct, kw_only=True):
    """The name of a tool."""

    name: FunctionName


class AllowedFunction(Struct, kw_only=True, tag_field="type", tag="function"):
    """A function of `tools`. Its whole definition may be repeated; only the name counts."""

    function: Annotated[AllowedName, doc("The function.")]


class AllowedCustom(Struct, kw_only=True, tag_field="type", tag="custom"):
    """A custom tool of `tools`. Its whole definition may be repeated; only the name counts."""

    custom: Annotated[AllowedName, doc("The tool.")]


class AllowedTools(RequestObject, kw_only=True):
    """A subset of `tools`."""

    mode: Annotated[Literal["auto", "required"], doc("Whether one of them may or must be called.")]
    tools: Annotated[list[AllowedFunction | AllowedCustom], doc("The tools that may be called.")]


class AllowedToolsChoice(RequestObject, kw_only=True, tag_field="type", tag="allowed_tools"):
    """A subset of the request's tools."""

    allowed_tools: Annotated[AllowedTools, doc("The subset.")]


ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice


class FunctionCall(ResponseObject, kw_only=True, forbid_unknown_fields=True):
    """A call of a function."""

    name: Annotated[str, doc("The function's name.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]


class CustomCall(ResponseObject, kw_only=True, forbid_unknown_fields=True):
    """A call of a custom tool."""

    name: Annotated[str, doc("The tool's name.")]
    input: Annotated[str, doc("The text that the model passes to it.")]


class FunctionToolCall(ResponseObject, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="function"):
    """The model's wish to call a function."""

    id: CallId
    function: Annotated[FunctionCall, doc("What to call.")]


class CustomToolCall(ResponseObject, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="custom"):
    """The model's wish to call a custom tool."""

    id: CallId
    custom: Annotated[CustomCall, doc("What to call.")]


ToolCall = FunctionToolCall | CustomToolCall


class FunctionCallDelta(ResponseObject, kw_only=True):
    """More of a function call: the name comes whole in the first delta, the arguments in pieces."""

    name: Annotated[str | UnsetType, doc("The function's name.")] = UNSET
    arguments: Annotated[str | UnsetType, doc("The next piece of the arguments' JSON text.")] = UNSET


class CustomCallDelta(ResponseObject, kw_only=True):
    """More of a custom tool call: the name comes whole in the first delta, the input in pieces."""

    name: Annotated[str | UnsetType, doc("The tool's name.")] = UNSET
    input: Annotated[str | UnsetType, doc("The next piece of the input.")] = UNSET


class ToolCallDelta(ResponseObject, kw_only=True):
    """More of one tool call. `id` and `type` come with its first delta only."""

    index: Annotated[int, doc("Which call of the message this continues.")]
    id: Annotated[str | UnsetType, doc("Id of the call.")] = UNSET
    type: Annotated[Literal["function", "custom"] | UnsetType, doc("The kind of tool.")] = UNSET
    function: Annotated[FunctionCallDelta | UnsetType, doc("More of a function call.")] = UNSET
    custom: Annotated[CustomCallDelta | UnsetType, doc("More of a custom tool call.")] = UNSET
