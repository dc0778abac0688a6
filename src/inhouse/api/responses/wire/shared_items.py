"""Items that have one shape, whether they are sent or received."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.responses.wire.base import CallId, EncryptedContent, FileId, ItemId, SharedObject, Status
from inhouse.api.responses.wire.calls import (
    CodeImage,
    CodeLogs,
    ComputerAction,
    LocalShellExec,
    MCPError,
    MCPTool,
    SafetyCheck,
    WebFindInPage,
    WebOpenPage,
    WebSearch,
)
from inhouse.api.responses.wire.content import ReasoningText, SummaryText
from inhouse.api.wire import doc


class FileSearchResult(SharedObject, kw_only=True):
    """A passage that was found."""

    file_id: FileId | UnsetType | None = UNSET
    text: Annotated[str | UnsetType | None, doc("The text.")] = UNSET
    filename: Annotated[str | UnsetType | None, doc("Name of the file.")] = UNSET
    attributes: Annotated[
        dict[str, Annotated[str, Meta(max_length=512)] | float | bool] | UnsetType | None,
        doc("Pairs of yours, kept with the file."),
    ] = UNSET
    score: Annotated[float | UnsetType | None, doc("How well it fits, from 0 to 1.")] = UNSET


class FileSearchCall(SharedObject, kw_only=True, tag_field="type", tag="file_search_call"):
    """A search in files."""

    id: ItemId
    status: Annotated[Literal["in_progress", "searching", "completed", "incomplete", "failed"], doc("How far it got.")]
    queries: Annotated[list[str], doc("What was looked for.")]
    results: Annotated[list[FileSearchResult] | UnsetType | None, doc("What was found, where it was asked for.")] = (
        UNSET
    )


class ComputerCall(SharedObject, kw_only=True, tag_field="type", tag="computer_call"):
    """An action on a computer."""

    id: ItemId
    call_id: CallId
    pending_safety_checks: Annotated[list[SafetyCheck], doc("Doubts that have to be lifted first.")]
    status: Status
    action: Annotated[ComputerAction | UnsetType | None, doc("What to do.")] = UNSET
    actions: Annotated[list[ComputerAction] | UnsetType | None, doc("What to do, one after the other.")] = UNSET


class WebSearchCall(SharedObject, kw_only=True, tag_field="type", tag="web_search_call"):
    """A search in the web."""

    id: ItemId
    status: Annotated[Literal["in_progress", "searching", "completed", "failed"], doc("How far it got.")]
    action: Annotated[WebSearch | WebOpenPage | WebFindInPage, doc("What was done.")]


class Reasoning(SharedObject, kw_only=True, tag_field="type", tag="reasoning"):
    """Reasoning of a model that thinks first."""

    id: ItemId
    summary: Annotated[list[SummaryText], doc("Summaries of the reasoning.")]
    encrypted_content: EncryptedContent | UnsetType | None = UNSET
    content: Annotated[list[ReasoningText] | UnsetType | None, doc("The content.")] = UNSET
    status: Status | UnsetType | None = UNSET


class ImageGenerationCall(SharedObject, kw_only=True, tag_field="type", tag="image_generation_call"):
    """An image that was made."""

    id: ItemId
    status: Annotated[Literal["in_progress", "completed", "generating", "failed"], doc("How far it got.")]
    result: Annotated[str | None, doc("The image, in base64.")]


class CodeInterpreterCall(SharedObject, kw_only=True, tag_field="type", tag="code_interpreter_call"):
    """Code that was run."""

    id: ItemId
    status: Annotated[
        Literal["in_progress", "completed", "incomplete", "interpreting", "failed"], doc("How far it got.")
    ]
    container_id: Annotated[str, doc("Id of the container.")]
    code: Annotated[str | None, doc("The code.")] = None
    outputs: Annotated[list[CodeLogs | CodeImage] | None, doc("What the code gave, where it was asked for.")] = None


class LocalShellCall(SharedObject, kw_only=True, tag_field="type", tag="local_shell_call"):
    """A command for the shell of the caller."""

    id: ItemId
    call_id: CallId
    action: Annotated[LocalShellExec, doc("The command.")]
    status: Status


class LocalShellCallOutput(SharedObject, kw_only=True, tag_field="type", tag="local_shell_call_output"):
    """What the command gave."""

    id: ItemId
    output: Annotated[str, doc("What came out.")]
    status: Status | UnsetType | None = UNSET


class MCPListTools(SharedObject, kw_only=True, tag_field="type", tag="mcp_list_tools"):
    """The tools of a server."""

    id: ItemId
    server_label: Annotated[str, doc("Name of the server in this request.")]
    tools: Annotated[list[MCPTool], doc("The tools.")]
    error: Annotated[str | UnsetType | None, doc("What went wrong.")] = UNSET


class MCPApprovalRequest(SharedObject, kw_only=True, tag_field="type", tag="mcp_approval_request"):
    """A call that the user has to allow."""

    id: ItemId
    server_label: Annotated[str, doc("Name of the server in this request.")]
    name: Annotated[str, doc("Its name.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]


class MCPCall(SharedObject, kw_only=True, tag_field="type", tag="mcp_call"):
    """A call of a server's tool."""

    id: ItemId
    server_label: Annotated[str, doc("Name of the server in this request.")]
    name: Annotated[str, doc("Its name.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]
    output: Annotated[str | UnsetType | None, doc("What came out.")] = UNSET
    error: Annotated[MCPError | UnsetType | None, doc("What went wrong.")] = UNSET
    status: Annotated[
        Literal["in_progress", "completed", "incomplete", "calling", "failed"] | UnsetType | None,
        doc("How far it got."),
    ] = UNSET
    approval_request_id: Annotated[str | UnsetType | None, doc("Id of the request for approval.")] = UNSET


class Program(SharedObject, kw_only=True, tag_field="type", tag="program"):
    """A program that the model wrote, to call tools."""

    id: ItemId
    call_id: CallId
    code: Annotated[str, doc("The code.")]
    fingerprint: Annotated[str, doc("Mark of the code.")]


class ProgramOutput(SharedObject, kw_only=True, tag_field="type", tag="program_output"):
    """What the program gave."""

    id: ItemId
    call_id: CallId
    result: Annotated[str, doc("What came out.")]
    status: Annotated[Literal["completed", "incomplete"], doc("How far it got.")]
