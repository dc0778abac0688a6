"""Items as a client sends them, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from inhouse.api.responses.wire.base import CallId, EncryptedContent, ItemId, ShortCallId, Status
from inhouse.api.responses.wire.calls import (
    PatchCreateFile,
    PatchDeleteFile,
    PatchUpdateFile,
    SafetyCheck,
    ScreenshotImage,
    ShellExit,
    ShellTimeout,
    ToolCaller,
)
from inhouse.api.responses.wire.content import (
    InputFile,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    Refusal,
    SummaryText,
)
from inhouse.api.responses.wire.hosted_tools import ShellContainer, ShellLocal
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
    WebSearchCall,
)
from inhouse.api.responses.wire.tools import Tool
from inhouse.api.wire import RequestObject, doc


class InputMessage(RequestObject, kw_only=True, tag_field="type", tag="message"):
    """A turn of the conversation. Its `type` may be left out."""

    optional_tag: ClassVar[bool] = True

    role: Annotated[Literal["user", "assistant", "system", "developer"], doc("Who speaks.")]
    content: Annotated[
        str | list[InputText | InputImage | InputFile | OutputText | Refusal], doc("What was said; text for short.")
    ]
    id: Annotated[str | None, doc("Id of the message.")] = None
    status: Status | None = None
    phase: Annotated[
        Literal["commentary", "final_answer"] | None, doc("Whether the assistant commented, or answered.")
    ] = None


class InputReasoning(RequestObject, kw_only=True, tag_field="type", tag="reasoning"):
    """Reasoning of a model that thinks first; a model that does not passes over it."""

    id: ItemId | None = None
    summary: Annotated[list[SummaryText], doc("Summaries of the reasoning.")]
    encrypted_content: EncryptedContent | None = None
    content: Annotated[list[ReasoningText] | None, doc("The reasoning in full.")] = None
    status: Status | None = None


class InputFunctionCall(RequestObject, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function that the model made earlier."""

    call_id: CallId
    name: Annotated[str, doc("Its name.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    namespace: Annotated[str | None, doc("The namespace of the tool.")] = None
    status: Status | None = None


class InputFunctionCallOutput(RequestObject, kw_only=True, tag_field="type", tag="function_call_output"):
    """What a function gave."""

    output: Annotated[
        Annotated[str, Meta(max_length=10485760)] | list[InputText | InputImage | InputFile], doc("What came out.")
    ]
    id: ItemId | None = None
    call_id: ShortCallId | None = None
    name: Annotated[Annotated[str, Meta(min_length=1, max_length=128)] | None, doc("Its name.")] = None
    namespace: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")] | None,
        doc("The namespace of the tool."),
    ] = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    status: Status | None = None


class InputCustomToolCall(RequestObject, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """A call of a custom tool that the model made earlier."""

    call_id: CallId
    name: Annotated[str, doc("Its name.")]
    input: Annotated[str, doc("The text that the model passes to it.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    namespace: Annotated[str | None, doc("The namespace of the tool.")] = None
    status: Status | None = None


class InputCustomToolCallOutput(RequestObject, kw_only=True, tag_field="type", tag="custom_tool_call_output"):
    """What a custom tool gave."""

    call_id: CallId
    output: Annotated[str | list[InputText | InputImage | InputFile], doc("What came out.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    status: Status | None = None


class InputComputerCallOutput(RequestObject, kw_only=True, tag_field="type", tag="computer_call_output"):
    """What the screen shows after an action."""

    call_id: ShortCallId
    output: Annotated[ScreenshotImage, doc("What came out.")]
    id: ItemId | None = None
    acknowledged_safety_checks: Annotated[list[SafetyCheck] | None, doc("Doubts that were lifted.")] = None
    status: Status | None = None


class InputToolSearchCall(RequestObject, kw_only=True, tag_field="type", tag="tool_search_call"):
    """A search for tools."""

    arguments: Annotated[dict[str, Any], doc("What was looked for.")]
    id: ItemId | None = None
    call_id: ShortCallId | None = None
    execution: Annotated[Literal["server", "client"] | None, doc("Who runs the search.")] = None
    status: Status | None = None


class InputToolSearchOutput(RequestObject, kw_only=True, tag_field="type", tag="tool_search_output"):
    """Tools that were found."""

    tools: Annotated[list[Tool], doc("The tools.")]
    id: ItemId | None = None
    call_id: ShortCallId | None = None
    execution: Annotated[Literal["server", "client"] | None, doc("Who runs the search.")] = None
    status: Status | None = None


class InputAdditionalTools(RequestObject, kw_only=True, tag_field="type", tag="additional_tools"):
    """Tools to add from here on."""

    role: Annotated[Literal["developer"], doc("Who speaks.")]
    tools: Annotated[list[Tool], doc("The tools.")]
    id: ItemId | None = None


class InputCompaction(RequestObject, kw_only=True, tag_field="type", tag="compaction"):
    """A conversation that was made shorter."""

    encrypted_content: Annotated[
        Annotated[str, Meta(max_length=20971520)], doc("The content, readable only for the service that made it.")
    ]
    id: ItemId | None = None


class CompactionTrigger(RequestObject, kw_only=True, tag_field="type", tag="compaction_trigger"):
    """Make the conversation shorter here."""


class ItemReference(RequestObject, kw_only=True, tag_field="type", tag="item_reference"):
    """An item that is stored here, by its id. Its `type` may be left out."""

    optional_tag: ClassVar[bool] = True

    id: ItemId


class InputShellAction(RequestObject, kw_only=True):
    """Commands for a shell."""

    commands: Annotated[list[str], doc("The commands.")]
    timeout_ms: Annotated[int | None, doc("Longest time, milliseconds.")] = None
    max_output_length: Annotated[int | None, doc("Most characters of the output.")] = None


class InputShellCall(RequestObject, kw_only=True, tag_field="type", tag="shell_call"):
    """Commands that the model wanted to run."""

    call_id: ShortCallId
    action: Annotated[InputShellAction, doc("The commands.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    status: Status | None = None
    environment: Annotated[ShellLocal | ShellContainer | None, doc("Where it runs.")] = None


class InputShellOutput(RequestObject, kw_only=True):
    """What one command gave."""

    stdout: Annotated[Annotated[str, Meta(max_length=10485760)], doc("Text of the output.")]
    stderr: Annotated[Annotated[str, Meta(max_length=10485760)], doc("Text of the error output.")]
    outcome: Annotated[ShellTimeout | ShellExit, doc("How it ended.")]


class InputShellCallOutput(RequestObject, kw_only=True, tag_field="type", tag="shell_call_output"):
    """What the commands gave."""

    call_id: ShortCallId
    output: Annotated[list[InputShellOutput], doc("What came out.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    status: Status | None = None
    max_output_length: Annotated[int | None, doc("Most characters of the output.")] = None


class InputApplyPatchCall(RequestObject, kw_only=True, tag_field="type", tag="apply_patch_call"):
    """A patch that the model wanted to apply."""

    call_id: ShortCallId
    status: Annotated[Literal["in_progress", "completed"], doc("How far it got.")]
    operation: Annotated[PatchCreateFile | PatchDeleteFile | PatchUpdateFile, doc("What to do.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None


class InputApplyPatchCallOutput(RequestObject, kw_only=True, tag_field="type", tag="apply_patch_call_output"):
    """What became of the patch."""

    call_id: ShortCallId
    status: Annotated[Literal["completed", "failed"], doc("How far it got.")]
    id: ItemId | None = None
    caller: Annotated[ToolCaller | None, doc("What made the call.")] = None
    output: Annotated[Annotated[str, Meta(max_length=10485760)] | None, doc("What came out.")] = None


class InputMCPApprovalResponse(RequestObject, kw_only=True, tag_field="type", tag="mcp_approval_response"):
    """The user's answer to a request for approval."""

    approval_request_id: Annotated[str, doc("Id of the request for approval.")]
    approve: Annotated[bool, doc("Whether the call may be made.")]
    id: ItemId | None = None
    reason: Annotated[str | None, doc("Why.")] = None


InputItem = (
    InputMessage
    | InputFunctionCall
    | InputFunctionCallOutput
    | InputCustomToolCall
    | InputCustomToolCallOutput
    | InputReasoning
    | ItemReference
    | InputCompaction
    | CompactionTrigger
    | FileSearchCall
    | WebSearchCall
    | CodeInterpreterCall
    | ImageGenerationCall
    | MCPCall
    | MCPListTools
    | MCPApprovalRequest
    | InputMCPApprovalResponse
    | ComputerCall
    | InputComputerCallOutput
    | LocalShellCall
    | LocalShellCallOutput
    | InputShellCall
    | InputShellCallOutput
    | InputApplyPatchCall
    | InputApplyPatchCallOutput
    | InputToolSearchCall
    | InputToolSearchOutput
    | InputAdditionalTools
    | Program
    | ProgramOutput
)


def add_types(items: object) -> bool:
    """Put in the `type` where the contract lets a client leave it out: of messages and references.

    Args:
        items: decoded JSON, changed in place.

    Returns:
        Whether anything was missing.
    """
    if not isinstance(items, list):
        return False
    changed = False
    for item in items:
        if isinstance(item, dict) and item.get("type") is None:
            if "role" in item:
                item["type"] = "message"
                changed = True
            elif "id" in item and item.keys() <= {"id", "type"}:
                item["type"] = "item_reference"
                changed = True
    return changed
