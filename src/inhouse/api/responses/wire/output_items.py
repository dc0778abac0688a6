"""Items as a client receives them, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.base import CallId, EncryptedContent, ItemId, Status
from inhouse.api.responses.wire.calls import (
    ContainerShellPlace,
    LocalShellPlace,
    PatchCreateFile,
    PatchDeleteFile,
    PatchUpdateFile,
    SafetyCheck,
    ScreenshotImage,
    ShellAction,
    ShellOutput,
    ToolCaller,
)
from inhouse.api.responses.wire.content import (
    ComputerScreenshot,
    InputFile,
    InputImage,
    InputText,
    OutputText,
    PlainText,
    ReasoningText,
    Refusal,
    SummaryText,
)
from inhouse.api.responses.wire.shared_items import (
    CodeInterpreterCall,
    ComputerCall,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    MCPApprovalRequest,
    MCPCall,
    MCPListTools,
    Program,
    ProgramOutput,
    Reasoning,
    WebSearchCall,
)
from inhouse.api.responses.wire.tools import Tool
from inhouse.api.wire import ResponseObject, doc


class OutputMessage(ResponseObject, kw_only=True, tag_field="type", tag="message"):
    """What the model said."""

    id: Annotated[str, doc("Id of the message.")]
    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    status: Status
    content: Annotated[list[OutputText | Refusal], doc("What was said.")]
    phase: Annotated[
        Literal["commentary", "final_answer"] | UnsetType | None, doc("Whether it is a comment, or the answer.")
    ] = UNSET


class StoredMessage(ResponseObject, kw_only=True, tag_field="type", tag="message"):
    """A turn of the conversation, of either side."""

    id: Annotated[str, doc("Id of the message.")]
    role: Annotated[
        Literal["unknown", "user", "assistant", "system", "critic", "discriminator", "developer", "tool"],
        doc("Who speaks."),
    ]
    status: Status = "completed"
    content: Annotated[
        list[
            InputText
            | InputImage
            | InputFile
            | OutputText
            | Refusal
            | PlainText
            | SummaryText
            | ReasoningText
            | ComputerScreenshot
        ],
        doc("What was said."),
    ]
    phase: Annotated[
        Literal["commentary", "final_answer"] | UnsetType | None, doc("Whether it is a comment, or the answer.")
    ] = UNSET


class FunctionCall(ResponseObject, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function."""

    id: ItemId
    call_id: CallId
    name: Annotated[str, doc("Its name.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]
    status: Status
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    namespace: Annotated[str | UnsetType, doc("The namespace of the tool.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class FunctionCallOutput(ResponseObject, kw_only=True, tag_field="type", tag="function_call_output"):
    """What a function gave."""

    id: ItemId
    output: Annotated[str | list[InputText | InputImage | InputFile], doc("What came out.")]
    status: Status
    call_id: CallId | UnsetType = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET
    namespace: Annotated[str | UnsetType, doc("The namespace of the tool.")] = UNSET
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class CustomToolCall(ResponseObject, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """A call of a custom tool."""

    id: ItemId
    call_id: CallId
    name: Annotated[str, doc("Its name.")]
    input: Annotated[str, doc("The text that the model passes to it.")]
    status: Status
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    namespace: Annotated[str | UnsetType, doc("The namespace of the tool.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class CustomToolCallOutput(ResponseObject, kw_only=True, tag_field="type", tag="custom_tool_call_output"):
    """What a custom tool gave."""

    id: ItemId
    call_id: CallId
    output: Annotated[str | list[InputText | InputImage | InputFile], doc("What came out.")]
    status: Status
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ComputerCallOutput(ResponseObject, kw_only=True, tag_field="type", tag="computer_call_output"):
    """What the screen shows after an action."""

    id: ItemId
    call_id: CallId
    output: Annotated[ScreenshotImage, doc("What came out.")]
    status: Annotated[Literal["in_progress", "completed", "incomplete", "failed"], doc("How far it got.")]
    acknowledged_safety_checks: Annotated[list[SafetyCheck] | UnsetType, doc("Doubts that were lifted.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ToolSearchCall(ResponseObject, kw_only=True, tag_field="type", tag="tool_search_call"):
    """A search for tools."""

    id: ItemId
    call_id: CallId | None
    execution: Annotated[Literal["server", "client"], doc("Who runs the search.")]
    arguments: Annotated[Any, doc("What was looked for.")]
    status: Status
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ToolSearchOutput(ResponseObject, kw_only=True, tag_field="type", tag="tool_search_output"):
    """Tools that were found."""

    id: ItemId
    call_id: CallId | None
    execution: Annotated[Literal["server", "client"], doc("Who runs the search.")]
    tools: Annotated[list[Tool], doc("The tools.")]
    status: Status
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class AdditionalTools(ResponseObject, kw_only=True, tag_field="type", tag="additional_tools"):
    """Tools added from here on."""

    id: ItemId
    role: Annotated[
        Literal["unknown", "user", "assistant", "system", "critic", "discriminator", "developer", "tool"],
        doc("Who speaks."),
    ]
    tools: Annotated[list[Tool], doc("The tools.")]


class Compaction(ResponseObject, kw_only=True, tag_field="type", tag="compaction"):
    """A conversation that was made shorter."""

    id: ItemId
    encrypted_content: EncryptedContent
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ShellCall(ResponseObject, kw_only=True, tag_field="type", tag="shell_call"):
    """Commands for a shell."""

    id: ItemId
    call_id: CallId
    action: Annotated[ShellAction, doc("The commands.")]
    status: Status
    environment: Annotated[LocalShellPlace | ContainerShellPlace | None, doc("Where it runs.")]
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ShellCallOutput(ResponseObject, kw_only=True, tag_field="type", tag="shell_call_output"):
    """What the commands gave."""

    id: ItemId
    call_id: CallId
    status: Status
    output: Annotated[list[ShellOutput], doc("What came out.")]
    max_output_length: Annotated[int | None, doc("Most characters of the output.")]
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ApplyPatchCall(ResponseObject, kw_only=True, tag_field="type", tag="apply_patch_call"):
    """A patch for files."""

    id: ItemId
    call_id: CallId
    status: Annotated[Literal["in_progress", "completed"], doc("How far it got.")]
    operation: Annotated[PatchCreateFile | PatchDeleteFile | PatchUpdateFile, doc("What to do.")]
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class ApplyPatchCallOutput(ResponseObject, kw_only=True, tag_field="type", tag="apply_patch_call_output"):
    """What became of the patch."""

    id: ItemId
    call_id: CallId
    status: Annotated[Literal["completed", "failed"], doc("How far it got.")]
    caller: Annotated[ToolCaller | UnsetType | None, doc("What made the call.")] = UNSET
    output: Annotated[str | UnsetType | None, doc("What came out.")] = UNSET
    created_by: Annotated[str | UnsetType, doc("Who made the item.")] = UNSET


class MCPApprovalResponse(ResponseObject, kw_only=True, tag_field="type", tag="mcp_approval_response"):
    """The user's answer to a request for approval."""

    id: ItemId
    approval_request_id: Annotated[str, doc("Id of the request for approval.")]
    approve: Annotated[bool, doc("Whether the call may be made.")]
    reason: Annotated[str | UnsetType | None, doc("Why.")] = UNSET


_Item = (
    FunctionCallOutput
    | FileSearchCall
    | WebSearchCall
    | CodeInterpreterCall
    | ImageGenerationCall
    | MCPCall
    | MCPListTools
    | MCPApprovalRequest
    | MCPApprovalResponse
    | ComputerCall
    | ComputerCallOutput
    | LocalShellCall
    | LocalShellCallOutput
    | ShellCall
    | ShellCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | ToolSearchCall
    | ToolSearchOutput
    | AdditionalTools
    | Reasoning
    | Compaction
    | Program
    | ProgramOutput
    | FunctionCall
    | CustomToolCall
    | CustomToolCallOutput
)
OutputItem = OutputMessage | _Item
"""What a response gives."""
StoredItem = StoredMessage | _Item
"""What is kept of either side."""
