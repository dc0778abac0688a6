"""Events of hosted tools, of reasoning and of audio, and the union of all events."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.calls import ShellOutput
from inhouse.api.responses.wire.content import SummaryText
from inhouse.api.responses.wire.events import (
    ContentIndex,
    ContentPartAdded,
    ContentPartDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    ItemId,
    Obfuscation,
    OutputIndex,
    OutputItemAdded,
    OutputItemDone,
    OutputTextAnnotationAdded,
    OutputTextDelta,
    OutputTextDone,
    RefusalDelta,
    RefusalDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
    StreamError,
    StreamEvent,
)
from inhouse.api.wire import ResponseObject, doc


class ShellOutputDelta(ResponseObject, kw_only=True):
    """More output of a command."""

    stdout: Annotated[str | UnsetType, doc("More of the output.")] = UNSET
    stderr: Annotated[str | UnsetType, doc("More of the error output.")] = UNSET


class AudioDelta(StreamEvent, kw_only=True, tag="response.audio.delta"):
    """More of the audio."""

    delta: Annotated[str, doc("The next piece.")]


class AudioDone(StreamEvent, kw_only=True, tag="response.audio.done"):
    """The audio is whole."""


class AudioTranscriptDelta(StreamEvent, kw_only=True, tag="response.audio.transcript.delta"):
    """More of the audio.transcript."""

    delta: Annotated[str, doc("The next piece.")]


class AudioTranscriptDone(StreamEvent, kw_only=True, tag="response.audio.transcript.done"):
    """The audio.transcript is whole."""


class CodeInterpreterCallCodeDelta(StreamEvent, kw_only=True, tag="response.code_interpreter_call_code.delta"):
    """More of the code interpreter call code."""

    output_index: OutputIndex
    item_id: ItemId
    delta: Annotated[str, doc("The next piece.")]


class CodeInterpreterCallCodeDone(StreamEvent, kw_only=True, tag="response.code_interpreter_call_code.done"):
    """The code interpreter call code is whole."""

    output_index: OutputIndex
    item_id: ItemId
    code: Annotated[str, doc("The code.")]


class CodeInterpreterCallCompleted(StreamEvent, kw_only=True, tag="response.code_interpreter_call.completed"):
    """The code interpreter call is done."""

    output_index: OutputIndex
    item_id: ItemId


class CodeInterpreterCallInProgress(StreamEvent, kw_only=True, tag="response.code_interpreter_call.in_progress"):
    """The code interpreter call begins."""

    output_index: OutputIndex
    item_id: ItemId


class CodeInterpreterCallInterpreting(StreamEvent, kw_only=True, tag="response.code_interpreter_call.interpreting"):
    """The code runs."""

    output_index: OutputIndex
    item_id: ItemId


class FileSearchCallCompleted(StreamEvent, kw_only=True, tag="response.file_search_call.completed"):
    """The file search call is done."""

    output_index: OutputIndex
    item_id: ItemId


class FileSearchCallInProgress(StreamEvent, kw_only=True, tag="response.file_search_call.in_progress"):
    """The file search call begins."""

    output_index: OutputIndex
    item_id: ItemId


class FileSearchCallSearching(StreamEvent, kw_only=True, tag="response.file_search_call.searching"):
    """The file search call is searching."""

    output_index: OutputIndex
    item_id: ItemId


class ShellCallCommandAdded(StreamEvent, kw_only=True, tag="response.shell_call_command.added"):
    """A shell call command begins."""

    output_index: OutputIndex
    command_index: Annotated[int, doc("Which command of the call.")]
    command: Annotated[str, doc("The command.")]


class ShellCallCommandDelta(StreamEvent, kw_only=True, tag="response.shell_call_command.delta"):
    """More of the shell call command."""

    output_index: OutputIndex
    command_index: Annotated[int, doc("Which command of the call.")]
    delta: Annotated[str, doc("The next piece.")]
    obfuscation: Annotated[str | UnsetType, doc("Random characters that hide the length of the delta.")] = UNSET


class ShellCallCommandDone(StreamEvent, kw_only=True, tag="response.shell_call_command.done"):
    """The shell call command is whole."""

    output_index: OutputIndex
    command_index: Annotated[int, doc("Which command of the call.")]
    command: Annotated[str, doc("The command.")]


class ShellCallOutputContentDelta(StreamEvent, kw_only=True, tag="response.shell_call_output_content.delta"):
    """More of the shell call output content."""

    item_id: ItemId
    output_index: OutputIndex
    command_index: Annotated[int, doc("Which command of the call.")]
    delta: Annotated[ShellOutputDelta, doc("The next piece.")]


class ShellCallOutputContentDone(StreamEvent, kw_only=True, tag="response.shell_call_output_content.done"):
    """The shell call output content is whole."""

    item_id: ItemId
    output_index: OutputIndex
    command_index: Annotated[int, doc("Which command of the call.")]
    output: Annotated[list[ShellOutput], doc("What the commands gave.")]


class ReasoningSummaryPartAdded(StreamEvent, kw_only=True, tag="response.reasoning_summary_part.added"):
    """A reasoning summary part begins."""

    item_id: ItemId
    output_index: OutputIndex
    summary_index: Annotated[int, doc("Which summary of the item.")]
    part: Annotated[SummaryText, doc("The part as it stands.")]


class ReasoningSummaryPartDone(StreamEvent, kw_only=True, tag="response.reasoning_summary_part.done"):
    """The reasoning summary part is whole."""

    item_id: ItemId
    output_index: OutputIndex
    summary_index: Annotated[int, doc("Which summary of the item.")]
    part: Annotated[SummaryText, doc("The part as it stands.")]
    status: Annotated[Literal["incomplete"] | UnsetType, doc("Set when the summary was cut.")] = UNSET


class ReasoningSummaryTextDelta(StreamEvent, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """More of the reasoning summary text."""

    item_id: ItemId
    output_index: OutputIndex
    summary_index: Annotated[int, doc("Which summary of the item.")]
    delta: Annotated[str, doc("The next piece.")]


class ReasoningSummaryTextDone(StreamEvent, kw_only=True, tag="response.reasoning_summary_text.done"):
    """The reasoning summary text is whole."""

    item_id: ItemId
    output_index: OutputIndex
    summary_index: Annotated[int, doc("Which summary of the item.")]
    text: Annotated[str, doc("All of the text.")]


class ReasoningTextDelta(StreamEvent, kw_only=True, tag="response.reasoning_text.delta"):
    """More of the reasoning text."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    delta: Annotated[str, doc("The next piece.")]


class ReasoningTextDone(StreamEvent, kw_only=True, tag="response.reasoning_text.done"):
    """The reasoning text is whole."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    text: Annotated[str, doc("All of the text.")]


class WebSearchCallCompleted(StreamEvent, kw_only=True, tag="response.web_search_call.completed"):
    """The web search call is done."""

    output_index: OutputIndex
    item_id: ItemId


class WebSearchCallInProgress(StreamEvent, kw_only=True, tag="response.web_search_call.in_progress"):
    """The web search call begins."""

    output_index: OutputIndex
    item_id: ItemId


class WebSearchCallSearching(StreamEvent, kw_only=True, tag="response.web_search_call.searching"):
    """The web search call is searching."""

    output_index: OutputIndex
    item_id: ItemId


class ImageGenerationCallCompleted(StreamEvent, kw_only=True, tag="response.image_generation_call.completed"):
    """The image generation call is done."""

    output_index: OutputIndex
    item_id: ItemId


class ImageGenerationCallGenerating(StreamEvent, kw_only=True, tag="response.image_generation_call.generating"):
    """The image generation call is at work."""

    output_index: OutputIndex
    item_id: ItemId


class ImageGenerationCallInProgress(StreamEvent, kw_only=True, tag="response.image_generation_call.in_progress"):
    """The image generation call begins."""

    output_index: OutputIndex
    item_id: ItemId


class ImageGenerationCallPartialImage(StreamEvent, kw_only=True, tag="response.image_generation_call.partial_image"):
    """An unfinished image."""

    output_index: OutputIndex
    item_id: ItemId
    partial_image_index: Annotated[int, doc("Which unfinished image.")]
    partial_image_b64: Annotated[str, doc("The unfinished image, in base64.")]
    size: Annotated[str | UnsetType, doc("Size of the image.")] = UNSET
    quality: Annotated[str | UnsetType, doc("Quality of the image.")] = UNSET
    background: Annotated[str | UnsetType, doc("What is behind the image.")] = UNSET
    output_format: Annotated[str | UnsetType, doc("Format of the image.")] = UNSET


class MCPCallArgumentsDelta(StreamEvent, kw_only=True, tag="response.mcp_call_arguments.delta"):
    """More arguments of a call of a server's tool."""

    output_index: OutputIndex
    item_id: ItemId
    delta: Annotated[str, doc("The next piece.")]
    obfuscation: Obfuscation = UNSET


class MCPCallArgumentsDone(StreamEvent, kw_only=True, tag="response.mcp_call_arguments.done"):
    """The arguments of a call of a server's tool are whole."""

    output_index: OutputIndex
    item_id: ItemId
    arguments: Annotated[str, doc("All of the arguments.")]


class MCPCallCompleted(StreamEvent, kw_only=True, tag="response.mcp_call.completed"):
    """A server's tool was called."""

    item_id: ItemId
    output_index: OutputIndex


class MCPCallFailed(StreamEvent, kw_only=True, tag="response.mcp_call.failed"):
    """A call of a server's tool failed."""

    item_id: ItemId
    output_index: OutputIndex


class MCPCallInProgress(StreamEvent, kw_only=True, tag="response.mcp_call.in_progress"):
    """A server's tool is being called."""

    output_index: OutputIndex
    item_id: ItemId


class MCPListToolsCompleted(StreamEvent, kw_only=True, tag="response.mcp_list_tools.completed"):
    """A server told its tools."""

    item_id: ItemId
    output_index: OutputIndex


class MCPListToolsFailed(StreamEvent, kw_only=True, tag="response.mcp_list_tools.failed"):
    """A server did not tell its tools."""

    item_id: ItemId
    output_index: OutputIndex


class MCPListToolsInProgress(StreamEvent, kw_only=True, tag="response.mcp_list_tools.in_progress"):
    """A server is asked for its tools."""

    item_id: ItemId
    output_index: OutputIndex


ResponseStreamEvent = (
    ResponseCompleted
    | ContentPartAdded
    | ContentPartDone
    | ResponseCreated
    | StreamError
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | ResponseInProgress
    | ResponseFailed
    | ResponseIncomplete
    | OutputItemAdded
    | OutputItemDone
    | RefusalDelta
    | RefusalDone
    | OutputTextDelta
    | OutputTextDone
    | OutputTextAnnotationAdded
    | ResponseQueued
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | AudioTranscriptDone
    | CodeInterpreterCallCodeDelta
    | CodeInterpreterCallCodeDone
    | CodeInterpreterCallCompleted
    | CodeInterpreterCallInProgress
    | CodeInterpreterCallInterpreting
    | FileSearchCallCompleted
    | FileSearchCallInProgress
    | FileSearchCallSearching
    | ShellCallCommandAdded
    | ShellCallCommandDelta
    | ShellCallCommandDone
    | ShellCallOutputContentDelta
    | ShellCallOutputContentDone
    | ReasoningSummaryPartAdded
    | ReasoningSummaryPartDone
    | ReasoningSummaryTextDelta
    | ReasoningSummaryTextDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | WebSearchCallCompleted
    | WebSearchCallInProgress
    | WebSearchCallSearching
    | ImageGenerationCallCompleted
    | ImageGenerationCallGenerating
    | ImageGenerationCallInProgress
    | ImageGenerationCallPartialImage
    | MCPCallArgumentsDelta
    | MCPCallArgumentsDone
    | MCPCallCompleted
    | MCPCallFailed
    | MCPCallInProgress
    | MCPListToolsCompleted
    | MCPListToolsFailed
    | MCPListToolsInProgress
)
