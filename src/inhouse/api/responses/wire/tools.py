"""Tools that the model may use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.responses.wire.base import (
    AllowedCallers,
    DeferLoading,
    Description,
    SharedObject,
    SomeAllowedCallers,
    Strict,
    ToolName,
)
from inhouse.api.responses.wire.hosted_tools import (
    ApplyPatchTool,
    CodeInterpreterTool,
    ComputerTool,
    ComputerUsePreviewTool,
    FileSearchTool,
    ImageGenerationTool,
    LocalShellTool,
    MCPServer,
    ProgrammaticToolCalling,
    ShellTool,
    ToolSearchTool,
    WebSearchPreviewTool,
    WebSearchPreviewToolDated,
    WebSearchTool,
    WebSearchToolDated,
)
from inhouse.api.wire import doc


class FunctionTool(SharedObject, kw_only=True, tag_field="type", tag="function"):
    """A function of yours that the model may call with JSON arguments."""

    name: ToolName
    parameters: Annotated[dict[str, Any] | None, doc("JSON Schema of the arguments; null takes none.")] = None
    strict: Strict | None = None
    description: Description | UnsetType | None = UNSET
    output_schema: Annotated[dict[str, Any] | UnsetType | None, doc("JSON Schema of the output.")] = UNSET
    defer_loading: DeferLoading | UnsetType | None = UNSET
    allowed_callers: AllowedCallers | UnsetType | None = UNSET


class TextFormat(SharedObject, kw_only=True, tag_field="type", tag="text"):
    """Any text."""


class GrammarFormat(SharedObject, kw_only=True, tag_field="type", tag="grammar"):
    """Text that follows a grammar."""

    syntax: Annotated[Literal["lark", "regex"], doc("The language it is written in.")]
    definition: Annotated[str, doc("The grammar itself.")]


class CustomTool(SharedObject, kw_only=True, tag_field="type", tag="custom"):
    """A tool of yours that takes text."""

    name: ToolName
    description: Description | UnsetType | None = UNSET
    format: Annotated[
        TextFormat | GrammarFormat | UnsetType | None, doc("What the input may be. Defaults to any text.")
    ] = UNSET
    defer_loading: DeferLoading | UnsetType | None = UNSET
    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET


class NamespaceFunction(SharedObject, kw_only=True, tag_field="type", tag="function"):
    """A function of a namespace."""

    name: ToolName
    description: Description | UnsetType | None = UNSET
    parameters: Annotated[dict[str, Any] | UnsetType | None, doc("JSON Schema of the arguments; null takes none.")] = (
        UNSET
    )
    strict: Strict | UnsetType | None = UNSET
    output_schema: Annotated[dict[str, Any] | UnsetType | None, doc("JSON Schema of the output.")] = UNSET
    defer_loading: DeferLoading | UnsetType | None = UNSET
    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET


class NamespaceTool(SharedObject, kw_only=True, tag_field="type", tag="namespace"):
    """Tools under a common name."""

    name: Annotated[Annotated[str, Meta(min_length=1)], doc("Its name.")]
    description: Description
    tools: Annotated[Annotated[list[NamespaceFunction | CustomTool], Meta(min_length=1)], doc("The tools.")]


Tool = (
    FunctionTool
    | CustomTool
    | NamespaceTool
    | FileSearchTool
    | WebSearchTool
    | WebSearchToolDated
    | WebSearchPreviewTool
    | WebSearchPreviewToolDated
    | CodeInterpreterTool
    | ImageGenerationTool
    | MCPServer
    | ComputerTool
    | ComputerUsePreviewTool
    | LocalShellTool
    | ShellTool
    | ApplyPatchTool
    | ToolSearchTool
    | ProgrammaticToolCalling
)
