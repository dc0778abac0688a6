"""The loop of hosted tools, the same for every face: the model speaks, what it calls is run, it reads and goes on.

A turn of the model may call hosted tools and functions of the client at once: the hosted calls are run, then the
response ends, for the client has to answer first. The loop is bounded by ``MOST_TURNS``, by ``max_tool_calls`` and by
the tokens of the whole response; where a bound is reached the model is asked once more, without hosted tools, so that a
response does not end without words. Nor does it where the model ends its turn without a word on what tools gave, as
small models do: it is asked again, once, with the results told as plain facts and held to words. Its tokens count as
those of any turn. Closing the generator ends the engine and every running tool.
"""

from __future__ import annotations

import asyncio
import re
import string
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import msgspec
import structlog

from inhouse.calls import Call
from inhouse.generation.core import generate
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
from inhouse.generation.items import (
    FunctionTool,
    GenerationRequest,
    Item,
    Message,
    Text,
    ToolCall,
    ToolChoice,
    ToolOutput,
)
from inhouse.generation.merge import in_order
from inhouse.generation.prompt import told_results
from inhouse.generation.schema import check_lenient, keeps_strict
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage
from inhouse.tools.hosted import Answered, Cited, Declaration, HostedCall, HostedTool, Paused, ToolEvent, ToolEvents

MOST_TURNS = 32
"""Turns of the model in one response that may call hosted tools."""
MOST_AT_ONCE = 8
"""Calls of one turn that run at the same time."""
NO_WORDS = string.whitespace + string.punctuation
"""An answer of nothing else says nothing; where a form is asked for, an empty object does."""
_NUMBERS = re.compile(r"(?<!\d)\d{1,2}(?!\d)[\W_]*")
CLOSE_S = 5.0
"""How long tools may take to let go of what they hold, seconds."""

log = structlog.get_logger(__name__)


class Hosting(msgspec.Struct, frozen=True):
    """The hosted tools of a response.

    ``chosen`` is what ``tool_choice`` names of them, each with the name of one of its functions, or None for all.
    ``forced``: the choice holds for the first call only, and is not a list of what may be called at all.
    ``most_calls`` is ``max_tool_calls``.
    """

    tools: tuple[HostedTool, ...] = ()
    chosen: tuple[tuple[HostedTool, str | None], ...] = ()
    forced: bool = False
    most_calls: int | None = None


async def respond(
    call: Call, request: GenerationRequest, hosting: Hosting
) -> AsyncGenerator[list[Event | ToolEvent], None]:
    """Run a request with its hosted tools.

    Gives what ``core.generate`` gives, with the events of the tools in between; ``ChoiceFinished`` and the usage of all
    turns come once, last. Calls of hosted tools are told by their tools' events only. Of several calls that run at the
    same time, the events of one are told after those of the other.

    Raises:
        APIError: what the client is to be told.
    """
    if not hosting.tools and not _reads_results(request):
        async with aclosing(generate(call, request)) as batches:
            async for batch in batches:
                yield [*batch]
        return
    try:
        async with aclosing(_Loop(call, request, hosting).events()) as told:
            async for out in told:
                yield out
    finally:
        await _close(hosting.tools)


async def declared(request: GenerationRequest, hosting: Hosting) -> GenerationRequest:
    """The request as the model first reads it, to count its tokens."""
    try:
        for tool in hosting.tools:
            async with aclosing(tool.prepare()) as batches:
                async for _ in batches:
                    pass
        return _with_hosted(request, hosting)
    finally:
        await _close(hosting.tools)


class _Loop:
    def __init__(self, call: Call, request: GenerationRequest, hosting: Hosting) -> None:
        self._call = call
        self._request = request
        self._hosting = hosting
        self._hosted: dict[str, HostedTool] = {}
        """Tools by the names that the model calls."""
        self._calls_left = hosting.most_calls
        self._text: list[str] = []
        """What the model said in this turn."""
        self._held: dict[int, ToolCallStarted] = {}
        """Hosted calls that the model began in this turn, by index."""
        self._due: list[HostedCall] = []
        """Hosted calls of this turn."""
        self._client_calls = False
        self._silent = True
        """Whether nothing came of this turn yet: no words, no calls."""
        self._begun = ""
        """What was told of its text while that said nothing."""
        self._asked_again = False
        self._reason: FinishReason = "stop"
        self._answers: list[Answered] = []
        self._paused = False

    async def events(self) -> AsyncGenerator[list[Event | ToolEvent], None]:
        tools = self._hosting.tools
        async with aclosing(self._of_tools([tool.prepare() for tool in tools])) as told:
            async for out in told:
                yield out
        self._request = _with_hosted(self._request, self._hosting)
        self._hosted = {each.name: tool for tool in tools for each in tool.declarations()}
        # What is left to be done is done one after the other, as it was asked for.
        for tool in tools:
            async with aclosing(self._of_tools([tool.resume()])) as told:
                async for out in told:
                    yield out
        self._read_answers()
        async with aclosing(self._turns()) as told:
            async for out in told:
                yield out
        yield [ChoiceFinished(self._reason), self._call.usage]

    async def _turns(self) -> AsyncGenerator[list[Event | ToolEvent], None]:
        most_tokens, before = self._request.sampling.max_tokens, self._call.usage.output_tokens
        turn = 0
        while not self._paused:
            turn += 1
            if turn > MOST_TURNS:
                self._calls_left = 0
            if self._calls_left == 0:
                self._withhold()
            if most_tokens is not None:
                left = most_tokens - (self._call.usage.output_tokens - before)
                if left < 1:
                    self._reason = "length"
                    return
                sampling = msgspec.structs.replace(self._request.sampling, max_tokens=left)
                self._request = msgspec.structs.replace(self._request, sampling=sampling)
            self._silent, self._begun, reads, held = True, "", _reads_results(self._request), []
            async with aclosing(generate(self._call, self._request)) as batches:
                async for batch in batches:
                    held += self._of_model(batch)
                    # Marks and spaces before the first word are told with it, or not at all.
                    if held and not (reads and self._silent):
                        yield held
                        held = []
            if self._asks_again():
                self._asked_again = True
                self._request = self._told_plainly()
                continue
            if held:
                yield held
            due, self._due = self._due, []
            # Cut at a limit, a call is told as if it were whole.
            if not due or self._reason in ("length", "content_filter"):
                return
            for at_once in _chunks(due, MOST_AT_ONCE if self._request.parallel_tool_calls else 1):
                streams = [self._hosted[each.name].run(each) for each in at_once]
                async with aclosing(self._of_tools(streams)) as told:
                    async for out in told:
                        yield out
            if self._client_calls or self._paused:
                self._reason = "tool_calls"
                return
            self._read_answers()

    def _of_model(self, batch: Sequence[Event]) -> list[Event | ToolEvent]:
        """What goes on to the client; calls of hosted tools are kept back."""
        out: list[Event | ToolEvent] = []
        for event in batch:
            match event:
                case TextDelta(text=text):
                    self._text.append(text)
                    told = self._read(event)
                    if self._silent:
                        self._begun += "".join(each.text for each in told if isinstance(each, TextDelta))
                        self._silent = not self._says(self._begun)
                    out += told
                case RefusalDelta():
                    self._silent = False
                    out.append(event)
                case ToolCallStarted(index=index, name=name):
                    out += self._end_text(last=False)
                    if name in self._hosted:
                        self._held[index] = event
                    else:
                        self._client_calls, self._silent = True, False
                        out.append(event)
                case ToolCallDelta(index=index) if index in self._held:
                    pass
                case ToolCallDone(index=index, arguments=arguments) if index in self._held:
                    begun = self._held.pop(index)
                    if self._calls_left != 0:
                        self._silent = False
                        self._due.append(HostedCall(begun.id, begun.name, arguments))
                        if self._calls_left is not None:
                            self._calls_left -= 1
                case ChoiceFinished(reason=reason):
                    self._reason = reason
                    goes_on = self._due or self._client_calls or self._asks_again()
                    out += self._end_text(last=not goes_on)
                case Usage():
                    pass
                case _:
                    out.append(event)
        return out

    def _says(self, text: str) -> bool:
        """Whether there is a word in it. Beside results that are shown with numbers, small ones are marks, too."""
        if self._request.format is not None:
            return bool(text.strip(string.whitespace))
        words = text.strip(NO_WORDS)
        last = self._request.items[-1] if self._request.items else None
        marked = isinstance(last, ToolOutput) and last.plain is not None
        return bool(_NUMBERS.sub("", words) if marked else words)

    def _asks_again(self) -> bool:
        """Whether the model read results, and ended its turn without a word."""
        ended = self._reason not in ("length", "content_filter")
        return self._silent and ended and not self._asked_again and _reads_results(self._request)

    def _read(self, event: TextDelta) -> list[Event | ToolEvent]:
        """A piece of text without the marks of tools; its log probabilities stay with its first piece."""
        pieces: list[str | Cited] = [event.text]
        for tool in self._hosting.tools:
            pieces = [new for each in pieces for new in (tool.read(each) if isinstance(each, str) else [each])]
        if pieces == [event.text]:
            return [event]
        logprobs = event.logprobs
        out: list[Event | ToolEvent] = []
        for each in pieces:
            if isinstance(each, str):
                out.append(TextDelta(each, event.choice, logprobs))
                logprobs = []
            else:
                out.append(each)
        if logprobs:
            out.insert(0, TextDelta("", event.choice, logprobs))
        return out

    def _end_text(self, *, last: bool) -> list[Event | ToolEvent]:
        told: list[Event | ToolEvent] = []
        for tool in self._hosting.tools:
            told += [TextDelta(each) if isinstance(each, str) else each for each in tool.end_text(last=last)]
        return told

    async def _of_tools(self, streams: list[ToolEvents]) -> AsyncGenerator[list[Event | ToolEvent], None]:
        async with aclosing(in_order(streams)) as batches:
            async for batch in batches:
                out: list[Event | ToolEvent] = []
                for event in batch:
                    if isinstance(event, Answered):
                        self._answers.append(event)
                    elif isinstance(event, Paused):
                        self._paused = True
                    else:
                        out.append(event)
                if out:
                    await self._call.answering()
                    yield out

    def _read_answers(self) -> None:
        """Put what the model said, and what came of its calls, before it."""
        said, answers = "".join(self._text), self._answers
        self._text, self._answers = [], []
        if not answers:
            return
        items: list[Item] = [*self._request.items]
        if said:
            items.append(Message("assistant", (Text(said),)))
        items += [ToolCall(each.call.id, each.call.name, each.call.arguments) for each in answers]
        items += [ToolOutput(each.call.id, each.output, each.plain) for each in answers]
        # A choice that forces a call would force one for ever.
        choice = self._request.tool_choice
        if choice.mode == "required":
            choice = ToolChoice("auto", None if self._hosting.forced or choice.named else choice.names)
        self._request = msgspec.structs.replace(self._request, items=tuple(items), tool_choice=choice)

    def _told_plainly(self) -> GenerationRequest:
        """The request for a model that read results and had nothing to say of them."""
        return msgspec.structs.replace(told_results(self._request), worded=True)

    def _withhold(self) -> None:
        """From now on the model sees the client's functions only."""
        request, hosted = self._request, self._hosted
        tools = tuple(tool for tool in request.tools if tool.name not in hosted)
        choice = request.tool_choice
        if choice.names is not None:
            choice = msgspec.structs.replace(choice, names=choice.names - hosted.keys())
        if not tools or choice.names == frozenset():
            choice = ToolChoice("none" if tools else "auto")
        self._request = msgspec.structs.replace(request, tools=tools, tool_choice=choice)


def _reads_results(request: GenerationRequest) -> bool:
    """Whether what the model has to answer are results of tools."""
    return bool(request.items) and isinstance(request.items[-1], ToolOutput)


def _with_hosted(request: GenerationRequest, hosting: Hosting) -> GenerationRequest:
    """The request with the functions of its hosted tools.

    Raises:
        InvalidRequest: ``tool_choice`` names a function that none of them has, or forces one where there is none.
    """
    declarations = [each for tool in hosting.tools for each in tool.declarations()]
    functions = tuple(map(_function, declarations))
    tools = (*request.tools, *functions)
    if len({tool.name for tool in tools}) < len(tools):
        twice = next(name for name, count in Counter(tool.name for tool in tools).items() if count > 1)
        raise InvalidRequest(f"Tool names must be unique: '{twice}' is given twice.", param="tools")
    choice = request.tool_choice
    if choice.names is not None:
        names = set(choice.names)
        for tool, own in hosting.chosen:
            found = {each.name for each in tool.declarations() if own in (None, each.own_name)}
            if own is not None and not found:
                raise InvalidRequest(f"Tool choice '{own}' not found in 'tools' parameter.", param="tool_choice")
            names |= found
        named = choice.named or (hosting.forced and len(names) == 1)
        choice = ToolChoice(choice.mode, frozenset(names), named=named)
        if not names:
            choice = ToolChoice("none")
    if choice.mode == "required" and not tools:
        choice = ToolChoice("auto")
    return msgspec.structs.replace(request, tools=tools, tool_choice=choice)


def _function(told: Declaration) -> FunctionTool:
    """A function as the model is told of it. If its schema cannot be read, any arguments do: it is not the client's."""
    where = {"context_param": "tools", "name": told.name}
    parameters, strict = told.parameters, told.strict
    if parameters is not None and not strict:
        strict = keeps_strict(parameters, **where)
        if not strict:
            try:
                check_lenient(parameters, **where)
            except InvalidRequest:
                parameters = {"type": "object", "additionalProperties": True}
    return FunctionTool(told.name, told.description, parameters, strict)


def _chunks(calls: Sequence[HostedCall], size: int) -> Iterator[Sequence[HostedCall]]:
    for start in range(0, len(calls), size):
        yield calls[start : start + size]


async def _close(tools: Sequence[HostedTool]) -> None:
    """Also while this task is being cancelled: nothing may stay behind."""

    async def close(tool: HostedTool) -> None:
        try:
            async with asyncio.timeout(CLOSE_S):
                await tool.close()
        except Exception:
            log.exception("a hosted tool could not be closed", tool=tool.kind)

    await asyncio.shield(asyncio.gather(*[close(tool) for tool in tools]))
