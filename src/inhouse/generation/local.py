"""Generation on an embedded engine: the template, the constraint, the tool-call parser and the guard of the loop.

The engine takes tokens and gives tokens; everything that makes a chat model of it is here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from inhouse.calls import Call
from inhouse.engines.deployments import Embedded
from inhouse.engines.protocol import Finished, Piece, TextEngine, TokenLogprob
from inhouse.generation.constraint import Constraint, constraint_for
from inhouse.generation.events import (
    ChoiceFinished,
    Event,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.generation.items import CustomTool, GenerationRequest, Message, ToolCall, ToolChoice, ToolOutput
from inhouse.generation.merge import merged
from inhouse.generation.prompt import call_opening, prompt_tokens
from inhouse.generation.sampling import completion
from inhouse.generation.tool_calls import ToolCallParser, is_repeat
from inhouse.generation.window import completion_budget
from inhouse.metering.usage import reported_cache

Batch = list[Event]


async def generate(
    call: Call, engine: TextEngine, deployment: Embedded, request: GenerationRequest
) -> AsyncGenerator[Batch, None]:
    """Events of all choices, then the usage."""
    prompt = await prompt_tokens(engine, request)
    call.usage.input_tokens = len(prompt)
    budget = completion_budget(call, request, len(prompt), engine.window)
    choices = [_Choice(call, engine, deployment, request, prompt, budget, index) for index in range(request.choices)]
    async with aclosing(merged([choice.events() for choice in choices])) as batches:
        async for batch in batches:
            yield batch
    yield [call.usage]


class _Choice:
    """One answer."""

    def __init__(
        self,
        call: Call,
        engine: TextEngine,
        deployment: Embedded,
        request: GenerationRequest,
        prompt: list[int],
        budget: int,
        index: int,
    ) -> None:
        self._call = call
        self._engine = engine
        self._deployment = deployment
        self._request = request
        self._prompt = prompt
        self._budget = budget
        self._index = index
        self._calls_made = 0
        self._cut = False

    async def events(self) -> AsyncGenerator[Batch, None]:
        constraint = constraint_for(self._request)
        stream = self._with_tools(constraint) if self._request.usable_tools else self._text(self._prompt, constraint)
        async with aclosing(stream):
            async for batch in stream:
                yield batch
        yield [ChoiceFinished(self._reason(), self._index)]

    def _reason(self) -> FinishReason:
        if self._cut:
            return "length"
        return "tool_calls" if self._calls_made and not self._request.tool_choice.named else "stop"

    async def _text(self, prompt: list[int], constraint: Constraint | None) -> AsyncGenerator[Batch, None]:
        """An answer without tools."""
        async with aclosing(self._complete(prompt, constraint)) as pieces:
            async for batch in pieces:
                yield [TextDelta(piece.text, self._index, piece.logprobs) for piece in batch if piece.text]

    async def _with_tools(self, constraint: Constraint | None) -> AsyncGenerator[Batch, None]:
        """An answer that may hold calls."""
        gate = _Gate(self._request, self._index)
        parser = ToolCallParser({tool.name for tool in self._request.usable_tools}, self._request.parallel_tool_calls)
        async with aclosing(self._complete(self._prompt, constraint)) as pieces:
            async for batch in pieces:
                out: Batch = []
                for piece in batch:
                    out += gate.pass_on(parser.feed(piece.text), piece.logprobs)
                if out:
                    yield out
                if gate.repeated or gate.under_grammar:
                    break
            else:
                if out := gate.pass_on(parser.finish(), []):
                    yield out
        if gate.under_grammar is not None:
            async for batch in self._custom_call(gate.under_grammar, gate.calls):
                yield batch
            gate.calls += 1
        elif gate.repeated and not gate.calls:
            # A small model that calls again what was just answered would do so for ever: it must speak now.
            silent = msgspec.structs.replace(self._request, tool_choice=ToolChoice("none"))
            async for batch in self._text(await prompt_tokens(self._engine, silent), constraint_for(silent)):
                yield batch
        self._calls_made = gate.calls

    async def _custom_call(self, tool: CustomTool, index: int) -> AsyncGenerator[Batch, None]:
        """The input of a tool with a grammar, written under that grammar after the opening of the call."""
        opening = await self._engine.tokenize(call_opening(tool.name), special=True)
        yield [ToolCallStarted(index, new_call_id(), tool.name, "custom", self._index)]
        written = ""
        async with aclosing(self._text(self._prompt + opening, custom_constraint(tool))) as batches:
            async for batch in batches:
                deltas = [ToolCallDelta(index, event.text, self._index) for event in batch if isinstance(event, TextDelta)]
                written += "".join(delta.text for delta in deltas)
                yield [*deltas]
        yield [ToolCallDone(index, written, self._index)]

    async def _complete(
        self, prompt: list[int], constraint: Constraint | None
    ) -> AsyncGenerator[list[Piece], None]:
        """Text from the engine, with the call's usage kept up to date as it comes."""
        usage = self._call.usage
        spent = 0
        asked = completion(
            self._call,
            self._deployment,
            self._request.sampling,
            prompt,
            max_tokens=self._budget,
            draw=self._index,
            constraint=constraint,
        )
        async with aclosing(self._engine.complete(asked)) as batches:
            async for batch in batches:
                pieces = [event for event in batch if isinstance(event, Piece)]
                tokens = sum(len(piece.tokens) for piece in pieces)
                usage.output_tokens += tokens
                spent += tokens
                self._budget -= tokens
                for event in batch:
                    if isinstance(event, Finished):
                        usage.output_tokens += event.completion_tokens - spent
                        self._finished(event)
                if pieces:
                    yield pieces

    def _finished(self, event: Finished) -> None:
        call = self._call
        self._cut = event.reason == "length"
        if self._index == 0:
            call.usage.cached_tokens = reported_cache(event.prompt_tokens, event.cached_tokens)
            if self._request.choices == 1 and call.decode_ms is None:
                call.decode_ms = event.decode_ms
                if not event.cached_tokens:  # a warm prompt says nothing of how fast a cold one is read
                    call.prefill_ms = event.prefill_ms


class _Gate:
    """Decides which of the parser's events go out at once.

    Calls of custom tools become their input; a call that might repeat an answered one is held until it is whole.
    """

    def __init__(self, request: GenerationRequest, choice: int) -> None:
        self._choice = choice
        self._custom = {tool.name: tool for tool in request.usable_tools if isinstance(tool, CustomTool)}
        self._answered = _answered_calls(request) if request.tool_choice.mode == "auto" else []
        self._open: ToolCallStarted | None = None
        self._logprobs: list[TokenLogprob] = []
        self.calls = 0
        self.repeated = False
        self.under_grammar: CustomTool | None = None

    def pass_on(self, events: list[Event], logprobs: list[TokenLogprob]) -> Batch:
        """What of the parser's events the client may see now."""
        self._logprobs += logprobs
        out: Batch = []
        for event in events:
            match event:
                case TextDelta():
                    event.choice, event.logprobs, self._logprobs = self._choice, self._logprobs, []
                    out.append(event)
                case ToolCallStarted(name=name):
                    self._logprobs = []
                    event.choice, event.index = self._choice, self.calls
                    if (tool := self._custom.get(name)) is not None:
                        event.kind = "custom"
                        if tool.definition is not None:
                            self.under_grammar = tool
                            return out
                    self._open = event
                    if not self._holds(event):
                        out.append(event)
                case ToolCallDelta(text=text) if self._open is not None and not self._holds(self._open):
                    out.append(ToolCallDelta(self.calls, text, self._choice))
                case ToolCallDone(arguments=arguments) if self._open is not None:
                    opened, self._open = self._open, None
                    if self._answered and is_repeat(opened.name, arguments, self._answered):
                        self.repeated = True
                        return out
                    if self._holds(opened):
                        arguments = _custom_input(arguments) if opened.kind == "custom" else arguments
                        out += [opened, ToolCallDelta(self.calls, arguments, self._choice)]
                    out.append(ToolCallDone(self.calls, arguments, self._choice))
                    self.calls += 1
        return out

    def _holds(self, call: ToolCallStarted) -> bool:
        return call.kind == "custom" or bool(self._answered)


def _answered_calls(request: GenerationRequest) -> list[tuple[str, str]]:
    """Name and arguments of the calls since the user last spoke whose outputs are there."""
    outputs = {item.call_id for item in request.items if isinstance(item, ToolOutput)}
    answered: list[tuple[str, str]] = []
    for item in reversed(request.items):
        if isinstance(item, ToolCall) and item.id in outputs:
            answered.append((item.name, item.arguments))
        elif isinstance(item, Message) and item.role == "user":
            break
    return answered


def _custom_input(arguments: str) -> str:
    """The text of a custom tool's call, which the model writes as ``{"input": text}``."""
    try:
        return msgspec.json.decode(arguments, type=_CustomArguments).input
    except msgspec.ValidationError:
        return arguments


class _CustomArguments(msgspec.Struct):
    input: str
