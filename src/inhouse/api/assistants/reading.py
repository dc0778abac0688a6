"""From a thread to what the model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET

from inhouse.api.assistants import wire
from inhouse.api.assistants.store import Entry
from inhouse.api.assistants.telling import message_of, step_of
from inhouse.calls import Call
from inhouse.generation.core import count_tokens
from inhouse.generation.items import (
    AnswerFormat,
    GenerationRequest,
    Image,
    Item,
    JsonObject,
    JsonSchema,
    Message,
    Part,
    Text,
    ToolCall,
    ToolOutput,
)
from inhouse.generation.loop import Hosting, declared
from inhouse.generation.window import without_first
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.hosted import Answered


class DoesNotFit(Exception):
    """The prompt is longer than ``max_prompt_tokens`` leaves, whatever is dropped."""


def items_of(run: wire.Run, entries: Sequence[Entry], recalled: Mapping[str, Answered]) -> tuple[Item, ...]:
    """The instructions, and what is in the thread, as ``truncation_strategy`` leaves it.

    Calls of functions, and those of hosted tools that are ``recalled``, stand where they were made, with what they
    gave. What a run wrote that then failed is not read:
    it was written anew, or never became an answer.
    """
    first = first_place(run, entries)
    items: list[Item] = []
    if run.instructions:
        items.append(Message("system", (Text(run.instructions),), path="instructions"))
    for entry in entries:
        if entry.place < first:
            continue
        if entry.kind == "message":
            message = message_of(entry.body)
            failed = message.incomplete_details is not None and message.incomplete_details.reason == "run_failed"
            if message.status != "in_progress" and message.content and not failed:
                items.append(Message(message.role, tuple(map(_part, message.content))))
            continue
        details = step_of(entry.body).step_details
        if isinstance(details, wire.ToolCalls):
            pairs = [pair for each in details.tool_calls if (pair := _call(each, recalled)) is not None]
            items += [call for call, _ in pairs]
            items += [output for _, output in pairs]
    return tuple(items)


def _call(call: wire.StepCall, recalled: Mapping[str, Answered]) -> tuple[ToolCall, ToolOutput] | None:
    """A call that was answered, and its answer."""
    if isinstance(call, wire.FunctionCall):
        if call.function.output is None:
            return None
        made = ToolCall(call.id, call.function.name, call.function.arguments)
        return made, ToolOutput(call.id, call.function.output)
    answered = recalled.get(call.id)
    if answered is None:
        return None
    return ToolCall(call.id, answered.call.name, answered.call.arguments), ToolOutput(call.id, answered.output)


def first_place(run: wire.Run, entries: Sequence[Entry]) -> int:
    """The place of the oldest message that is read. What this run wrote itself is read in any case."""
    truncation = run.truncation_strategy
    if truncation is None or truncation.type != "last_messages":
        return 0
    most = truncation.last_messages or 1
    places = [entry.place for entry in entries if entry.kind == "message" and entry.run_id != run.id]
    return places[-most] if len(places) > most else 0


def _part(part: wire.MessagePart) -> Part:
    match part:
        case wire.TextPart(text=text):
            return Text(text.value)
        case wire.RefusalPart(refusal=refusal):
            return Text(refusal)
        case wire.ImageURLPart(image_url=image):
            return Image(image.url, "auto" if image.detail is UNSET else image.detail)
        case wire.ImageFilePart(image_file=image):
            return Image("", "auto" if image.detail is UNSET else image.detail, image.file_id)


def format_of(run: wire.Run, items: Sequence[Item]) -> AnswerFormat | None:
    """Raises InvalidRequest: JSON is wanted, and nobody has told the model."""
    match run.response_format:
        case wire.JSONObjectFormat():
            if not any("json" in item.text.lower() for item in items if isinstance(item, Message)):
                raise InvalidRequest(
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                    "'json_object'.",
                    param="messages",
                )
            return JsonObject()
        case wire.JSONSchemaFormat(json_schema=named):
            schema = {} if named.schema is UNSET else named.schema
            described = None if named.description is UNSET else named.description
            return JsonSchema(named.name, schema, named.strict is True, described)
        case _:
            return None


async def fitted(call: Call, request: GenerationRequest, hosting: Hosting, most: int) -> GenerationRequest:
    """The request within ``most`` tokens of prompt: without the oldest items that do not fit, if it may be truncated.

    Raises:
        DoesNotFit
    """

    async def fits(count: int) -> bool:
        shorter = msgspec.structs.replace(request, items=without_first(request.items, count))
        return await count_tokens(call, await declared(shorter, hosting)) <= most

    if await fits(0):
        return request
    fewest, last = 1, max(len(request.items) - 1, 0)
    if not request.truncate or not await fits(last):
        raise DoesNotFit
    while fewest < last:
        middle = (fewest + last) // 2
        if await fits(middle):
            last = middle
        else:
            fewest = middle + 1
    return msgspec.structs.replace(request, items=without_first(request.items, last))
