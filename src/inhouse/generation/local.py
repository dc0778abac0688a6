"""Generation on an embedded engine: the template, the constraint, the tool-call parser and the guard of the loop.

The engine takes tokens and gives tokens; everything that makes a chat model of it is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed, Finished, Piece, TextEngine, TokenLogprob
from inhouse.generation.constraint import Constraint, arguments, constraint_for, spoken
from inhouse.generation.errors import refusals
from inhouse.generation.events import (
    ChoiceFinished,
    Event,
    FinishReason,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.generation.grammar import Follower
from inhouse.generation.items import (
    CustomTool,
    FunctionTool,
    GenerationRequest,
    Message,
    Tool,
    ToolCall,
    ToolOutput,
)
from inhouse.generation.merge import merged
from inhouse.generation.prompt import prompt_tokens, told_results
from inhouse.generation.sampling import completion
from inhouse.generation.schema import takes_nothing
from inhouse.generation.tool_calls import ToolCallParser, is_repeat, new_call_id
from inhouse.generation.window import Fitted, completion_budget, fitted
from inhouse.metering.usage import reported_cache

Batch = list[Event]
MOST_INVENTED = 1024
"""Characters of arguments that a model may write for a function that takes none, before it is stopped."""


async def generate(call: Call, engine: TextEngine, request: GenerationRequest) -> AsyncGenerator[Batch, None]:
    """Events of all choices, then the usage."""
    # Compiling a client's grammar can take a while; the loop goes on meanwhile.
    constraint = await asyncio.to_thread(constraint_for, request) if request.format or request.usable_tools else None
    if constraint is None and request.worded:
        constraint = spoken()
    fit = await fitted(call, engine, request)
    call.usage.input_tokens += fit.total  # a call may ask the model several times
    budget = completion_budget(call, fit, engine.window)
    call.usage.cached_tokens += reported_cache(fit.total, fit.reused)
    choices = [_Choice(call, engine, fit, constraint, budget, index) for index in range(request.choices)]
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
        fit: Fitted,
        constraint: Constraint | None,
        budget: int,
        index: int,
    ) -> None:
        self._call = call
        self._engine = engine
        self._request = fit.request
        self._prompt = fit.prompt
        self._partly = fit.partly
        self._constraint = constraint
        self._budget = budget
        self._index = index
        self._calls_made = 0
        self._cut = False

    async def events(self) -> AsyncGenerator[Batch, None]:
        stream = self._with_tools() if self._request.usable_tools else self._text(self._prompt, self._constraint)
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

    async def _with_tools(self) -> AsyncGenerator[Batch, None]:
        """An answer that may hold calls."""
        gate = _Gate(self._request, self._index)
        written = ""
        async with aclosing(self._complete(self._prompt, self._constraint)) as read:
            async for pieces in read:
                out: Batch = []
                for piece in pieces:
                    written += piece.text
                    out += gate.feed(piece.text, piece.logprobs)
                if out:
                    yield out
                if gate.done:
                    break
            else:
                if out := gate.finish():
                    yield out
        self._calls_made = gate.calls
        repeated = gate.repeated
        if gate.held_to is not None:
            held: Batch = []
            async with aclosing(self._held_call(gate.held_to, gate.calls, written[: gate.value_at])) as batches:
                async for batch in batches:
                    if not gate.answered:
                        yield batch
                    held += batch
            repeated = any(
                isinstance(event, ToolCallDone) and is_repeat(gate.held_to.name, event.arguments, gate.answered)
                for event in held
            )
            if gate.answered and not repeated:
                yield held
            self._calls_made += not repeated
        if repeated and not gate.calls:
            # A small model that calls again what was just answered would do so for ever: it must speak now.
            told = told_results(self._request)
            constraint = constraint_for(told) or spoken()
            async with aclosing(self._text(await prompt_tokens(self._engine, told), constraint)) as batches:
                async for batch in batches:
                    yield batch

    async def _held_call(self, tool: Tool, index: int, opening: str) -> AsyncGenerator[Batch, None]:
        """The arguments of a call that the model began by itself, written under the tool's schema or grammar."""
        yield [ToolCallStarted(index, new_call_id(), tool.name, _kind(tool), self._index)]
        constraint = await asyncio.to_thread(arguments, tool)
        prompt = self._prompt + await self._engine.tokenize(opening, special=True)
        written = ""
        async with aclosing(self._text(prompt, constraint)) as batches:
            async for batch in batches:
                deltas: Batch = []
                for event in batch:
                    if isinstance(event, TextDelta):
                        written += event.text
                        deltas.append(ToolCallDelta(index, event.text, self._index))
                if deltas:
                    yield deltas
        yield [ToolCallDone(index, written, self._index)]

    async def _complete(self, prompt: list[int], constraint: Constraint | None) -> AsyncGenerator[list[Piece], None]:
        """Text from the engine, with the call's usage kept up to date as it comes."""
        usage = self._call.usage
        spent = 0
        first = prompt is self._prompt
        # A second prompt finds in the cache what the first one just left there; that was not reused from before. And
        # what was reused of a prompt that is read partly is counted already.
        reuse_known = not first or self._index > 0 or self._partly
        # A second prompt may be longer than the first, and what was written before it counts.
        left = min(self._budget, self._engine.window - len(prompt))
        if left < 1:
            self._cut = True
            return
        asked = completion(
            self._call,
            self._request.sampling,
            prompt,
            max_tokens=left,
            draw=self._index,
            constraint=constraint,
        )
        follower = Follower(constraint.grammar) if constraint else None
        with refusals(self._request.items_param):
            async with aclosing(self._engine.complete(asked)) as batches:
                async for batch in batches:
                    if not reuse_known:  # with the first piece, for an answer may be broken off before its end
                        usage.cached_tokens += reported_cache(len(prompt), batch[0].cached_tokens)
                        reuse_known = True
                    pieces = [event for event in batch if isinstance(event, Piece)]
                    tokens = sum(piece.count for piece in pieces)
                    usage.output_tokens += tokens
                    spent += tokens
                    self._budget -= tokens
                    for event in batch:
                        if isinstance(event, Finished):
                            usage.output_tokens += event.completion_tokens - spent
                            self._finished(event, first=first)
                    if follower is not None and not follower.feed("".join(piece.text for piece in pieces)):
                        raise EngineFailed("the engine left its constraint")
                    if pieces:
                        yield pieces

    def _finished(self, event: Finished, *, first: bool) -> None:
        call = self._call
        self._cut = event.reason == "length"
        if first and self._index == 0 and self._request.choices == 1 and call.decode_ms is None:
            call.decode_ms = event.decode_ms
            # A warm prompt says nothing of how fast a cold one is read, nor does one that is not read whole.
            if not event.cached_tokens and not self._partly:
                call.prefill_ms = event.prefill_ms


class _Gate:
    """Reads the model's text, and decides which of the parser's events go out at once.

    A call that might repeat an answered one is held until it is whole. A call that the model began by itself, but that
    has to keep to a schema or a grammar, is stopped at its opening, to be written again under the constraint.
    """

    def __init__(self, request: GenerationRequest, choice: int) -> None:
        free = request.tool_choice.mode == "auto"
        tools = request.usable_tools
        self._choice = choice
        self._parser = ToolCallParser(
            {tool.name: _kind(tool) for tool in tools},
            parallel=request.parallel_tool_calls,
            choice=choice,
        )
        self._bound = {tool.name: tool for tool in tools if free and _is_bound(tool)}
        self._bare = {tool.name for tool in tools if isinstance(tool, FunctionTool) and takes_nothing(tool.parameters)}
        """Functions without arguments. A small model invents some, and they are left out."""
        self._invented = 0
        """Characters of those of the call that is open."""
        self.answered = _answered_calls(request) if free else []
        """Calls that must not be made again."""
        self._open: ToolCallStarted | None = None
        self._logprobs: list[TokenLogprob] = []
        self.calls = 0
        """Calls that went out."""
        self.repeated = False
        self.overlong = False
        """The model goes on inventing arguments; no further text is worth waiting for."""
        self.held_to: Tool | None = None
        """The tool whose call is to be written under its constraint."""

    @property
    def done(self) -> bool:
        """Nothing further of this text matters."""
        return self.repeated or self.overlong or self.held_to is not None or self._parser.done

    @property
    def value_at(self) -> int:
        """Where in the text the value of the held call begins."""
        return self._parser.value_at or 0

    def feed(self, text: str, logprobs: list[TokenLogprob]) -> Batch:
        """What the client may see now."""
        self._logprobs += logprobs
        return self._pass_on(self._parser.feed(text))

    def finish(self) -> Batch:
        return self._pass_on(self._parser.finish())

    def _pass_on(self, events: Sequence[Event]) -> Batch:
        out: Batch = []
        for event in events:
            match event:
                case TextDelta():
                    event.logprobs = self._logprobs_of(event.text)
                    out.append(event)
                case ToolCallStarted(name=name):
                    self._logprobs = []
                    if name in self._bound:
                        self.held_to = self._bound[name]
                        return out
                    event.index, self._open = self.calls, event
                    if not self.answered:
                        out.append(event)
                case ToolCallDelta(text=text) if self._open is not None and self._open.name in self._bare:
                    self._invented += len(text)
                    if self._invented > MOST_INVENTED:
                        self.overlong = True
                        return [*out, *self._done(self._open)]
                case ToolCallDelta() if not self.answered:
                    event.index = self.calls
                    out.append(event)
                case ToolCallDone(arguments=arguments) if self._open is not None:
                    out += self._done(self._open, arguments)
                    if self.repeated:
                        return out
        return out

    def _done(self, opened: ToolCallStarted, arguments: str = "{}") -> Batch:
        """The end of a call, and all of it that was held."""
        self._open, self._invented = None, 0
        bare = opened.name in self._bare
        if bare:
            arguments = "{}"
        if is_repeat(opened.name, arguments, self.answered):
            self.repeated = True
            return []
        out: Batch = [opened] if self.answered else []
        if bare or self.answered:
            out.append(ToolCallDelta(self.calls, arguments, self._choice))
        out.append(ToolCallDone(self.calls, arguments, self._choice))
        self.calls += 1
        return out

    def _logprobs_of(self, text: str) -> list[TokenLogprob]:
        """Those of the tokens that wrote ``text``; text that the parser still holds keeps its own."""
        missing, count = len(text.encode()), 0
        while missing > 0 and count < len(self._logprobs):
            missing -= len(self._logprobs[count].bytes)
            count += 1
        taken, self._logprobs = self._logprobs[:count], self._logprobs[count:]
        return taken


def _kind(tool: Tool) -> Literal["function", "custom"]:
    return "custom" if isinstance(tool, CustomTool) else "function"


def _is_bound(tool: Tool) -> bool:
    if isinstance(tool, FunctionTool):
        return tool.strict and not takes_nothing(tool.parameters)
    return tool.syntax != "text"


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
