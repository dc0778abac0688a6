"""Events of a response's stream that any model can give, told apart by `type`."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.content import Annotation, Logprob, OutputContent
from inhouse.api.responses.wire.output_items import OutputItem
from inhouse.api.responses.wire.response import Response
from inhouse.api.wire import ResponseObject, doc


class StreamEvent(ResponseObject, kw_only=True, tag_field="type"):
    """One event of a response's stream."""

    sequence_number: Annotated[int, doc("Counts the events of the response, from 0.")] = 0


ItemId = Annotated[str, doc("Id of the item.")]
OutputIndex = Annotated[int, doc("Which item of the output.")]
ContentIndex = Annotated[int, doc("Which part of the item.")]
Obfuscation = Annotated[str | UnsetType, doc("Random characters that hide the length of the delta.")]


class ResponseCompleted(StreamEvent, kw_only=True, tag="response.completed"):
    """The response is whole."""

    response: Annotated[Response, doc("The response as it stands.")]


class ContentPartAdded(StreamEvent, kw_only=True, tag="response.content_part.added"):
    """A part of an item begins."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    part: Annotated[OutputContent, doc("The part as it stands.")]


class ContentPartDone(StreamEvent, kw_only=True, tag="response.content_part.done"):
    """A part of an item is whole."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    part: Annotated[OutputContent, doc("The part as it stands.")]


class ResponseCreated(StreamEvent, kw_only=True, tag="response.created"):
    """The response exists."""

    response: Annotated[Response, doc("The response as it stands.")]


class StreamError(StreamEvent, kw_only=True, tag="error"):
    """The stream failed."""

    code: Annotated[str | None, doc("The cause.")]
    message: Annotated[str, doc("What went wrong, in words.")]
    param: Annotated[str | None, doc("The parameter at fault.")]


class FunctionCallArgumentsDelta(StreamEvent, kw_only=True, tag="response.function_call_arguments.delta"):
    """More arguments of a function call."""

    item_id: ItemId
    output_index: OutputIndex
    delta: Annotated[str, doc("The next piece.")]
    obfuscation: Obfuscation = UNSET


class FunctionCallArgumentsDone(StreamEvent, kw_only=True, tag="response.function_call_arguments.done"):
    """The arguments of a function call are whole."""

    item_id: ItemId
    name: Annotated[str, doc("Name of the function.")]
    output_index: OutputIndex
    arguments: Annotated[str, doc("All of the arguments.")]


class ResponseInProgress(StreamEvent, kw_only=True, tag="response.in_progress"):
    """The model works on the response."""

    response: Annotated[Response, doc("The response as it stands.")]


class ResponseFailed(StreamEvent, kw_only=True, tag="response.failed"):
    """The response failed."""

    response: Annotated[Response, doc("The response as it stands.")]


class ResponseIncomplete(StreamEvent, kw_only=True, tag="response.incomplete"):
    """The response ended early."""

    response: Annotated[Response, doc("The response as it stands.")]


class OutputItemAdded(StreamEvent, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    output_index: OutputIndex
    item: Annotated[OutputItem, doc("The item as it stands.")]


class OutputItemDone(StreamEvent, kw_only=True, tag="response.output_item.done"):
    """An item is whole."""

    output_index: OutputIndex
    item: Annotated[OutputItem, doc("The item as it stands.")]


class RefusalDelta(StreamEvent, kw_only=True, tag="response.refusal.delta"):
    """More of a refusal."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    delta: Annotated[str, doc("The next piece.")]
    obfuscation: Obfuscation = UNSET


class RefusalDone(StreamEvent, kw_only=True, tag="response.refusal.done"):
    """The refusal is whole."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    refusal: Annotated[str, doc("All of the refusal.")]


class OutputTextDelta(StreamEvent, kw_only=True, tag="response.output_text.delta"):
    """More text."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    delta: Annotated[str, doc("The next piece.")]
    logprobs: Annotated[list[Logprob], doc("Log probabilities of these tokens, where they were asked for.")]
    obfuscation: Obfuscation = UNSET


class OutputTextDone(StreamEvent, kw_only=True, tag="response.output_text.done"):
    """The text is whole."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    text: Annotated[str, doc("All of the text.")]
    logprobs: Annotated[list[Logprob], doc("Log probabilities of these tokens, where they were asked for.")]


class OutputTextAnnotationAdded(StreamEvent, kw_only=True, tag="response.output_text.annotation.added"):
    """Something that the text rests on."""

    item_id: ItemId
    output_index: OutputIndex
    content_index: ContentIndex
    annotation_index: Annotated[int, doc("Which annotation of the part.")]
    annotation: Annotated[Annotation | None, doc("What the text rests on.")]


class ResponseQueued(StreamEvent, kw_only=True, tag="response.queued"):
    """The response waits for its turn."""

    response: Annotated[Response, doc("The response as it stands.")]


class CustomToolCallInputDelta(StreamEvent, kw_only=True, tag="response.custom_tool_call_input.delta"):
    """More of a custom tool's input."""

    output_index: OutputIndex
    item_id: ItemId
    delta: Annotated[str, doc("The next piece.")]
    obfuscation: Obfuscation = UNSET


class CustomToolCallInputDone(StreamEvent, kw_only=True, tag="response.custom_tool_call_input.done"):
    """A custom tool's input is whole."""

    output_index: OutputIndex
    item_id: ItemId
    input: Annotated[str, doc("All of the input.")]
