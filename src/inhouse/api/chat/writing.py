"""From the core's events to chat completions: whole, or chunk by chunk."""

from __future__ import annotations

import time

from msgspec import UNSET

from inhouse.api.chat import wire
from inhouse.api.chat.moderating import told_moderation
from inhouse.api.completing import fingerprint, padding, usage
from inhouse.calls import Call
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
from inhouse.kit.ids import new_id
from inhouse.metering.usage import Usage


class _Head:
    """What a completion and each of its chunks say of themselves."""

    def __init__(self, call: Call, body: wire.CreateChatCompletionRequest) -> None:
        self.id = new_id("chatcmpl-")
        self.created = int(time.time())
        self.model = call.snapshot.id
        self.service_tier = call.service_tier
        self.fingerprint = fingerprint(call.deployment.id)
        self.legacy = body.functions is not None
        self.logprobs = bool(body.logprobs)

    def reason(self, reason: FinishReason) -> wire.FinishReason:
        return "function_call" if self.legacy and reason == "tool_calls" else reason


class Whole(_Head):
    """Collects events into one completion."""

    def __init__(self, call: Call, body: wire.CreateChatCompletionRequest) -> None:
        super().__init__(call, body)
        self._call = call
        self._usage = call.usage
        self._choices = [_Collected() for _ in range(body.n or 1)]

    def add(self, batch: list[Event]) -> None:
        for event in batch:
            if isinstance(event, Usage):
                continue
            choice = self._choices[event.choice]
            match event:
                case TextDelta(text=text, logprobs=logprobs):
                    choice.text.append(text)
                    choice.logprobs += logprobs
                case RefusalDelta(text=text):
                    choice.refusal.append(text)
                case ToolCallStarted():
                    choice.calls.append(event)
                    choice.arguments.append("")
                case ToolCallDone(index=index, arguments=arguments):
                    choice.arguments[index] = arguments
                case ChoiceFinished(reason=reason):
                    choice.reason = reason

    def completion(self) -> wire.ChatCompletion:
        moderated = self._call.moderated
        return wire.ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            choices=[self._choice(index, choice) for index, choice in enumerate(self._choices)],
            usage=usage(self._usage),
            service_tier=self.service_tier,  # type: ignore[arg-type]
            system_fingerprint=self.fingerprint,
            moderation=told_moderation(moderated) if moderated is not None else UNSET,
        )

    def _choice(self, index: int, choice: _Collected) -> wire.Choice:
        message = wire.AnswerMessage(
            content="".join(choice.text) if choice.text or not (choice.calls or choice.refusal) else None,
            refusal="".join(choice.refusal) or None,
            annotations=[],
        )
        if choice.calls and self.legacy:
            message.function_call = wire.FunctionCall(name=choice.calls[0].name, arguments=choice.arguments[0])
        elif choice.calls:
            message.tool_calls = [
                _tool_call(made, arguments) for made, arguments in zip(choice.calls, choice.arguments, strict=True)
            ]
        return wire.Choice(
            index=index,
            message=message,
            logprobs=wire.ChoiceLogprobs(content=token_logprobs(choice.logprobs)) if self.logprobs else None,
            finish_reason=self.reason(choice.reason),
        )


class _Collected:
    """One choice while its events come in."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.calls: list[ToolCallStarted] = []
        self.arguments: list[str] = []
        self.reason: FinishReason = "stop"


class Chunks(_Head):
    """Turns events into chunks."""

    def __init__(self, call: Call, body: wire.CreateChatCompletionRequest) -> None:
        super().__init__(call, body)
        self._call = call
        options = body.stream_options
        self._include_usage = options is not None and bool(options.include_usage)
        self._obfuscate = options is None or options.include_obfuscation is not False
        self._begun: set[int] = set()
        self._kinds: dict[tuple[int, int], str] = {}

    def of(self, batch: list[Event]) -> list[wire.ChatCompletionChunk]:
        chunks: list[wire.ChatCompletionChunk] = []
        for event in batch:
            match event:
                case TextDelta(text=text, choice=choice, logprobs=logprobs):
                    self._begin(chunks, choice)
                    told = wire.ChoiceLogprobs(content=token_logprobs(logprobs)) if self.logprobs else None
                    chunks.append(self._chunk(choice, wire.Delta(content=text), told))
                case RefusalDelta(text=text, choice=choice):
                    self._begin(chunks, choice)
                    chunks.append(self._chunk(choice, wire.Delta(refusal=text)))
                case ToolCallStarted(choice=choice):
                    chunks.append(self._chunk(choice, self._call_started(event)))
                case ToolCallDelta(choice=choice):
                    chunks.append(self._chunk(choice, self._call_delta(event)))
                case ChoiceFinished(choice=choice, reason=reason):
                    self._begin(chunks, choice)
                    chunk = self._chunk(choice, wire.Delta())
                    chunk.choices[0].finish_reason = self.reason(reason)
                    chunks.append(chunk)
                case Usage():
                    if (moderated := self._call.moderated) is not None:
                        chunk = self._chunk(0, wire.Delta())
                        chunk.choices = []
                        chunk.moderation = told_moderation(moderated)
                        chunks.append(chunk)
                    if self._include_usage:
                        chunk = self._chunk(0, wire.Delta())
                        chunk.choices = []
                        chunk.usage = usage(event)
                        chunks.append(chunk)
        return chunks

    def _begin(self, chunks: list[wire.ChatCompletionChunk], choice: int) -> None:
        if choice not in self._begun:
            self._begun.add(choice)
            chunks.append(self._chunk(choice, wire.Delta(role="assistant", content="", refusal=None)))

    def _call_started(self, event: ToolCallStarted) -> wire.Delta:
        delta = wire.Delta()
        if event.choice not in self._begun:
            self._begun.add(event.choice)
            delta = wire.Delta(role="assistant", content=None, refusal=None)
        self._kinds[event.choice, event.index] = event.kind
        if self.legacy:
            delta.function_call = wire.FunctionCallDelta(name=event.name, arguments="")
            return delta
        call = wire.ToolCallDelta(index=event.index, id=event.id, type=event.kind)
        if event.kind == "custom":
            call.custom = wire.CustomCallDelta(name=event.name, input="")
        else:
            call.function = wire.FunctionCallDelta(name=event.name, arguments="")
        delta.tool_calls = [call]
        return delta

    def _call_delta(self, event: ToolCallDelta) -> wire.Delta:
        if self.legacy:
            return wire.Delta(function_call=wire.FunctionCallDelta(arguments=event.text))
        call = wire.ToolCallDelta(index=event.index)
        if self._kinds.get((event.choice, event.index)) == "custom":
            call.custom = wire.CustomCallDelta(input=event.text)
        else:
            call.function = wire.FunctionCallDelta(arguments=event.text)
        return wire.Delta(tool_calls=[call])

    def _chunk(
        self, choice: int, delta: wire.Delta, logprobs: wire.ChoiceLogprobs | None = None
    ) -> wire.ChatCompletionChunk:
        return wire.ChatCompletionChunk(
            id=self.id,
            created=self.created,
            model=self.model,
            service_tier=self.service_tier,  # type: ignore[arg-type]
            system_fingerprint=self.fingerprint,
            choices=[wire.ChunkChoice(index=choice, delta=delta, logprobs=logprobs)],
            usage=None if self._include_usage else UNSET,
            obfuscation=padding(len(delta.content or "")) if self._obfuscate else UNSET,
        )


def token_logprobs(entries: list[TokenLogprob]) -> list[wire.TokenLogprob]:
    return [
        wire.TokenLogprob(
            token=entry.token,
            logprob=entry.logprob,
            bytes=entry.bytes,
            top_logprobs=[wire.TopLogprob(token=top.token, logprob=top.logprob, bytes=top.bytes) for top in entry.top],
        )
        for entry in entries
    ]


def _tool_call(made: ToolCallStarted, arguments: str) -> wire.ToolCall:
    if made.kind == "custom":
        return wire.CustomToolCall(id=made.id, custom=wire.CustomCall(name=made.name, input=arguments))
    return wire.FunctionToolCall(id=made.id, function=wire.FunctionCall(name=made.name, arguments=arguments))
