"""How the model must choose among its tools."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.base import SharedObject
from inhouse.api.wire import doc


class AllowedTools(SharedObject, kw_only=True, tag_field="type", tag="allowed_tools"):
    """A subset of the tools."""

    mode: Annotated[Literal["auto", "required"], doc("Whether one of them may or must be called.")]
    tools: Annotated[list[dict[str, Any]], doc("The tools that may be called, each by type and name.")]


class FunctionChoice(SharedObject, kw_only=True, tag_field="type", tag="function"):
    """One function: the model has to call it."""

    name: Annotated[str, doc("Its name.")]


class MCPChoice(SharedObject, kw_only=True, tag_field="type", tag="mcp"):
    """A server, or one tool of it: the model has to call it."""

    server_label: Annotated[str, doc("Name of the server in this request.")]
    name: Annotated[str | UnsetType | None, doc("Its name.")] = UNSET


class CustomChoice(SharedObject, kw_only=True, tag_field="type", tag="custom"):
    """One custom tool: the model has to call it."""

    name: Annotated[str, doc("Its name.")]


class ProgrammaticChoice(SharedObject, kw_only=True, tag_field="type", tag="programmatic_tool_calling"):
    """A program has to call the tools."""


class ApplyPatchChoice(SharedObject, kw_only=True, tag_field="type", tag="apply_patch"):
    """The model has to write a patch."""


class ShellChoice(SharedObject, kw_only=True, tag_field="type", tag="shell"):
    """The model has to use the shell."""


class HostedChoice(SharedObject, kw_only=True, tag_field="type", tag="file_search"):
    """A hosted tool: the model has to use it. One class for each kind."""


class WebSearchPreviewChoice(HostedChoice, kw_only=True, tag="web_search_preview"):
    """Search in the web."""


class WebSearchPreviewChoiceDated(HostedChoice, kw_only=True, tag="web_search_preview_2025_03_11"):
    """Search in the web, by the name of its version."""


class ComputerChoice(HostedChoice, kw_only=True, tag="computer"):
    """Use of a computer."""


class ComputerUsePreviewChoice(HostedChoice, kw_only=True, tag="computer_use_preview"):
    """Use of a computer, in its first form."""


class ComputerUseChoice(HostedChoice, kw_only=True, tag="computer_use"):
    """Use of a computer, by its family."""


class ImageGenerationChoice(HostedChoice, kw_only=True, tag="image_generation"):
    """Making of images."""


class CodeInterpreterChoice(HostedChoice, kw_only=True, tag="code_interpreter"):
    """Python in a container."""


ToolChoice = (
    Literal["none", "auto", "required"]
    | AllowedTools
    | FunctionChoice
    | CustomChoice
    | MCPChoice
    | ProgrammaticChoice
    | ApplyPatchChoice
    | ShellChoice
    | HostedChoice
    | WebSearchPreviewChoice
    | WebSearchPreviewChoiceDated
    | ComputerChoice
    | ComputerUsePreviewChoice
    | ComputerUseChoice
    | ImageGenerationChoice
    | CodeInterpreterChoice
)
