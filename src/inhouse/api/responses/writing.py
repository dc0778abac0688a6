"""From the core's events to a response and the events of its stream."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import msgspec

from inhouse.api.completing import padding, read_tokens
from inhouse.api.responses import wire
from inhouse.api.responses.hosted_items import cut_short, told_item, told_progress
from inhouse.api.responses.reading_tools import Toolbox
from inhouse.engines.protocol import TokenLogprob
from inhouse.generation.events import (
    ChoiceFinished,
    Event,
    FinishReason,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.kit.errors import APIError, InvalidRequest, RateLimited
from inhouse.kit.ids import new_id
from inhouse.metering.usage import Usage
from inhouse.tools.hosted import Cited, ItemDone, ItemProgress, ItemStarted, ToolEvent

Status = Literal["completed", "incomplete"]
_NO_LOGPROBS: list[wire.Logprob] = []
"""Of every piece of text that has none; never changed."""


class Writer:
    """Keeps one response as it stands, and tells its stream: whatever is started is also ended, whatever happens.

    Args:
        response: without output; it is changed in place.
        tools: what the names that the model calls stand for.
        logprobs: whether log probabilities were asked for.
        obfuscate: whether deltas are padded.
        sequence: number of the first event.
        leading: items that are whole before the model begins.
    """

    def __init__(
        self,
        response: wire.Response,
        tools: Toolbox,
        *,
        logprobs: bool = False,
        obfuscate: bool = True,
        sequence: int = 0,
        leading: Sequence[wire.OutputItem] = (),
    ) -> None:
        self.response = response
        self._leading = leading
        self.sequence = sequence
        self._tools = tools
        self._logprobs = logprobs
        self._obfuscate = obfuscate
        self._open: _Message | _Call | _Hosted | None = None
        self._reason: FinishReason = "stop"
        self._out: list[wire.ResponseStreamEvent] = []
        self.whole: dict[str, wire.OutputItem] = {}
        """Items of the output, by their ids, with what clients are told only if they ask for it."""

    def queued(self) -> list[wire.ResponseStreamEvent]:
        """The response exists, and waits."""
        self._tell(wire.ResponseCreated(response=self._snapshot()))
        self._tell(wire.ResponseQueued(response=self._snapshot()))
        return self._told()

    def begin(self, *, created: bool = True) -> list[wire.ResponseStreamEvent]:
        """The model begins.

        Args:
            created: whether the response is new to the stream.
        """
        self.response.status = "in_progress"
        if created:
            self._tell(wire.ResponseCreated(response=self._snapshot()))
        self._tell(wire.ResponseInProgress(response=self._snapshot()))
        for item in self._leading:
            place = len(self.response.output)
            self._tell(wire.OutputItemAdded(output_index=place, item=item))
            self.response.output.append(item)
            self._tell(wire.OutputItemDone(output_index=place, item=item))
        return self._told()

    def of(self, batch: Sequence[Event | ToolEvent]) -> list[wire.ResponseStreamEvent]:
        """What a batch of the core's events is in the stream."""
        for event in batch[self._texts(batch) :]:
            match event:
                case TextDelta():
                    self._texts([event])
                case RefusalDelta(text=text):
                    self._refusal(text)
                case ToolCallStarted():
                    self._start_call(event)
                case ToolCallDelta(text=text):
                    self._call_delta(text)
                case ToolCallDone(arguments=arguments) if isinstance(self._open, _Call):
                    self._open.arguments = [arguments]
                    self._open.whole = True
                case Cited(annotation=annotation):
                    self._cite(annotation)
                case ItemStarted() | ItemProgress() | ItemDone():
                    self._hosted(event)
                case ChoiceFinished(reason=reason):
                    self._reason = reason
        return self._told()

    def finish(self, usage: Usage) -> list[wire.ResponseStreamEvent]:
        """The model has ended by itself, or was cut at a limit."""
        cut = self._reason in ("length", "content_filter")
        if self._open is None and not self.response.output:
            self._message()
            self._begin_text()
        self._close("incomplete" if cut else "completed")
        response = self.response
        response.usage = response_usage(usage)
        if cut:
            response.status = "incomplete"
            reason: Literal["max_output_tokens", "content_filter"] = (
                "max_output_tokens" if self._reason == "length" else "content_filter"
            )
            response.incomplete_details = wire.IncompleteDetails(reason=reason)
            self._tell(wire.ResponseIncomplete(response=self._snapshot()))
        else:
            response.status = "completed"
            response.completed_at = int(time.time())
            self._tell(wire.ResponseCompleted(response=self._snapshot()))
        return self._told()

    def noted(self, usage: Usage) -> list[wire.ResponseStreamEvent]:
        """All of a response that generates nothing."""
        told = self.begin()
        self.response.status = "completed"
        self.response.completed_at = int(time.time())
        self.response.usage = response_usage(usage)
        self._tell(wire.ResponseCompleted(response=self._snapshot()))
        return told + self._told()

    def fail(self, error: APIError, usage: Usage | None = None) -> list[wire.ResponseStreamEvent]:
        """Something went wrong on the way."""
        self._close("incomplete")
        self.response.status = "failed"
        self.response.error = response_error(error)
        self.response.usage = response_usage(usage) if usage is not None else None
        self._tell(wire.ResponseFailed(response=self._snapshot()))
        return self._told()

    def cancel(self, usage: Usage | None = None) -> list[wire.ResponseStreamEvent]:
        """The client wants no more. The contract has no event of its own for it: the last one is
        ``response.incomplete``, with a response whose status is ``cancelled``."""
        self._close("incomplete")
        self.response.status = "cancelled"
        self.response.usage = response_usage(usage) if usage is not None else None
        self._tell(wire.ResponseIncomplete(response=self._snapshot()))
        return self._told()

    def numbered(self, events: Sequence[wire.ResponseStreamEvent]) -> list[wire.ResponseStreamEvent]:
        """Events of others, told as the next ones of this stream."""
        for event in events:
            self._tell(event)
        return self._told()

    # Items

    def _texts(self, batch: Sequence[Event | ToolEvent]) -> int:
        """The pieces of text that a batch begins with: nearly all of a stream, so they are told in one go.

        Returns:
            How many there are.
        """
        if not batch or not isinstance(batch[0], TextDelta):
            return 0
        message = self._message()
        if message.text is None:
            self._end_part(message)
            self._begin_text()
        assert message.text is not None
        id, index, place, text = message.id, message.index, len(message.parts), message.text
        first = number = self.sequence
        for event in batch:
            if not isinstance(event, TextDelta):
                break
            delta = event.text
            text.append(delta)
            told = _NO_LOGPROBS
            if self._logprobs and event.logprobs:
                told = [_logprob(entry) for entry in event.logprobs]
                message.logprobs += told
            self._out.append(
                wire.OutputTextDelta(
                    sequence_number=number,
                    item_id=id,
                    output_index=index,
                    content_index=place,
                    delta=delta,
                    logprobs=told,
                    obfuscation=padding(len(delta)) if self._obfuscate else msgspec.UNSET,
                )
            )
            number += 1
        self.sequence = number
        return number - first

    def _cite(self, told: Mapping[str, Any]) -> None:
        """The text that is open rests on something, up to here."""
        message = self._message()
        if message.text is None:
            self._end_part(message)
            self._begin_text()
        assert message.text is not None
        index = sum(map(len, message.text))
        annotation: wire.Annotation = msgspec.convert({**told, "index": index}, wire.Annotation)
        self._tell(
            wire.OutputTextAnnotationAdded(
                **message.place(), annotation_index=len(message.annotations), annotation=annotation
            )
        )
        message.annotations.append(annotation)

    def _begin_text(self) -> None:
        message = self._message()
        message.text = []
        self._tell(wire.ContentPartAdded(**message.place(), part=wire.OutputText(text="")))

    def _refusal(self, text: str) -> None:
        message = self._message()
        if message.refusal is None:
            self._end_part(message)
            message.refusal = []
            self._tell(wire.ContentPartAdded(**message.place(), part=wire.Refusal(refusal="")))
        message.refusal.append(text)
        self._tell(
            wire.RefusalDelta(
                **message.place(),
                delta=text,
                obfuscation=self._padding(text),
            )
        )

    def _end_part(self, message: _Message) -> None:
        """Close the part that is open, if one is."""
        place = message.place()
        part: wire.OutputText | wire.Refusal
        if message.text is not None:
            text = "".join(message.text)
            part = wire.OutputText(text=text, annotations=message.annotations, logprobs=message.logprobs)
            self._tell(wire.OutputTextDone(**place, text=text, logprobs=message.logprobs))
        elif message.refusal is not None:
            refusal = "".join(message.refusal)
            part = wire.Refusal(refusal=refusal)
            self._tell(wire.RefusalDone(**place, refusal=refusal))
        else:
            return
        self._tell(wire.ContentPartDone(**place, part=part))
        message.parts.append(part)
        message.text = message.refusal = None
        message.logprobs = []
        message.annotations = []

    def _message(self) -> _Message:
        """The message that is open; a new one if none is."""
        message = self._open
        if type(message) is not _Message:
            self._close("completed")
            self._open = message = _Message(new_id("msg_"), len(self.response.output))
            item = wire.OutputMessage(id=message.id, status="in_progress", content=[])
            self._tell(wire.OutputItemAdded(output_index=message.index, item=item))
        return message

    def _start_call(self, started: ToolCallStarted) -> None:
        self._close("completed")
        id = new_id("ctc_" if started.kind == "custom" else "fc_")
        self._open = call = _Call(id, len(self.response.output), started, *self._tools.named(started.name))
        self._tell(wire.OutputItemAdded(output_index=call.index, item=call.item("", "in_progress")))

    def _call_delta(self, text: str) -> None:
        call = self._open
        if not isinstance(call, _Call):
            return
        call.arguments.append(text)
        cls = wire.CustomToolCallInputDelta if call.custom else wire.FunctionCallArgumentsDelta
        self._tell(
            cls(item_id=call.id, output_index=call.index, delta=text, obfuscation=self._padding(text)),
        )

    def _hosted(self, event: ToolEvent) -> None:
        match event:
            case ItemStarted(item=item):
                self._close("completed")
                self._open = hosted = _Hosted(told_item(item), item.id, len(self.response.output))
                self._tell(wire.OutputItemAdded(output_index=hosted.index, item=hosted.item))
            case ItemProgress() if isinstance(self._open, _Hosted):
                told = told_progress(event, self._open.id, self._open.index)
                if isinstance(told, wire.MCPCallArgumentsDelta):
                    told.obfuscation = self._padding(told.delta)
                self._tell(told)
            case ItemDone(item=item, whole=whole) if isinstance(self._open, _Hosted):
                done = wire.OutputItemDone(output_index=self._open.index, item=told_item(item))
                if whole is not None:
                    self.whole[item.id] = told_item(whole)
                self._open = None
                self.response.output.append(done.item)
                self._tell(done)

    def _close(self, status: Status) -> None:
        """End the item that is open, with everything that is open in it."""
        opened, self._open = self._open, None
        if opened is None:
            return
        if isinstance(opened, _Hosted):
            ends = cut_short(msgspec.to_builtins(opened.item), opened.index)
            assert isinstance(ends[-1], wire.OutputItemDone)
            self.response.output.append(ends[-1].item)
            for end in ends:
                self._tell(end)
            return
        item: wire.OutputItem
        if isinstance(opened, _Message):
            self._end_part(opened)
            item = wire.OutputMessage(id=opened.id, status=status, content=opened.parts)
        else:
            arguments = "".join(opened.arguments)
            self._tell(opened.arguments_done(arguments))
            item = opened.item(arguments, "completed" if opened.ended(arguments, status) else "incomplete")
        self.response.output.append(item)
        self._tell(wire.OutputItemDone(output_index=opened.index, item=item))

    # Telling

    def _tell(self, event: wire.ResponseStreamEvent) -> None:
        event.sequence_number = self.sequence
        self.sequence += 1
        self._out.append(event)

    def _told(self) -> list[wire.ResponseStreamEvent]:
        out, self._out = self._out, []
        return out

    def _snapshot(self) -> wire.Response:
        """The response as it is now: an event must not change after it was told."""
        return msgspec.structs.replace(self.response, output=list(self.response.output))

    def _padding(self, text: str) -> str | msgspec.UnsetType:
        return padding(len(text)) if self._obfuscate else msgspec.UNSET


class _Place(TypedDict):
    item_id: str
    output_index: int
    content_index: int


class _Message:
    """A message while it is written."""

    __slots__ = ("annotations", "id", "index", "logprobs", "parts", "refusal", "text")

    def __init__(self, id: str, index: int) -> None:
        self.id = id
        self.index = index
        self.parts: list[wire.OutputText | wire.Refusal] = []
        self.text: list[str] | None = None
        self.refusal: list[str] | None = None
        self.logprobs: list[wire.Logprob] = []
        self.annotations: list[wire.Annotation] = []

    def place(self) -> _Place:
        """Where the part stands that is open."""
        return {"item_id": self.id, "output_index": self.index, "content_index": len(self.parts)}


class _Hosted:
    """An item of a hosted tool, as it began."""

    __slots__ = ("id", "index", "item")

    def __init__(self, item: wire.OutputItem, id: str, index: int) -> None:
        self.item = item
        self.id = id
        self.index = index


class _Call:
    """A call while it is written."""

    __slots__ = ("arguments", "call_id", "custom", "id", "index", "name", "namespace", "whole")

    def __init__(self, id: str, index: int, started: ToolCallStarted, namespace: str | None, name: str) -> None:
        self.id = id
        self.index = index
        self.call_id = started.id
        self.custom = started.kind == "custom"
        self.namespace = namespace
        self.name = name
        self.arguments: list[str] = []
        self.whole = False

    def item(
        self, arguments: str, status: Literal["in_progress", "completed", "incomplete"]
    ) -> wire.FunctionCall | wire.CustomToolCall:
        namespace = self.namespace if self.namespace is not None else msgspec.UNSET
        if self.custom:
            return wire.CustomToolCall(
                id=self.id,
                call_id=self.call_id,
                name=self.name,
                namespace=namespace,
                input=arguments,
                status=status,
            )
        return wire.FunctionCall(
            id=self.id,
            call_id=self.call_id,
            name=self.name,
            namespace=namespace,
            arguments=arguments,
            status=status,
        )

    def arguments_done(self, arguments: str) -> wire.CustomToolCallInputDone | wire.FunctionCallArgumentsDone:
        if self.custom:
            return wire.CustomToolCallInputDone(item_id=self.id, output_index=self.index, input=arguments)
        return wire.FunctionCallArgumentsDone(
            item_id=self.id, output_index=self.index, name=self.name, arguments=arguments
        )

    def ended(self, arguments: str, status: Status) -> bool:
        """Whether the model wrote it to its end. At a limit the core tells of what there is as if it were whole."""
        if status == "completed":
            return True
        if not self.whole or self.custom:
            return False
        try:
            msgspec.json.decode(arguments)
        except msgspec.DecodeError:
            return False
        return True


def response_usage(used: Usage) -> wire.ResponseUsage:
    return wire.ResponseUsage(
        input_tokens=used.input_tokens,
        input_tokens_details=wire.InputTokensDetails(cached_tokens=used.cached_tokens, read_tokens=read_tokens(used)),
        output_tokens=used.output_tokens,
        output_tokens_details=wire.OutputTokensDetails(reasoning_tokens=used.reasoning_tokens),
        total_tokens=used.input_tokens + used.output_tokens,
    )


def response_error(error: APIError) -> wire.ResponseError:
    code: wire.ErrorCode = "server_error"
    if isinstance(error, RateLimited):
        code = "rate_limit_exceeded"
    elif isinstance(error, InvalidRequest):
        code = "invalid_prompt"
    return wire.ResponseError(code=code, message=error.message)


def _logprob(entry: TokenLogprob) -> wire.Logprob:
    return wire.Logprob(
        token=entry.token,
        logprob=entry.logprob,
        bytes=entry.bytes,
        top_logprobs=[wire.TopLogprob(token=top.token, logprob=top.logprob, bytes=top.bytes) for top in entry.top],
    )
