"""Generation on an upstream that speaks the Chat Completions contract itself: translate, and pass on."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from copy import copy
from functools import partial
from typing import Annotated, Any

import msgspec

from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed, TokenLogprob
from inhouse.engines.upstream import Upstream, UpstreamError
from inhouse.generation.events import (
    ChoiceFinished,
    Event,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
)
from inhouse.generation.items import (
    Audio,
    CustomTool,
    File,
    FunctionTool,
    GenerationRequest,
    Image,
    JsonObject,
    JsonSchema,
    Message,
    Part,
    Text,
    Tool,
    ToolCall,
    ToolOutput,
)
from inhouse.generation.upstream_window import fitted_for_upstream
from inhouse.generation.window import context_length_exceeded
from inhouse.kit.errors import InvalidRequest, RateLimited
from inhouse.kit.ids import new_id
from inhouse.metering.usage import Usage

CHAT = "/chat/completions"
_CODE = re.compile(r"(?!\d+$)[A-Za-z0-9_.-]{1,64}")
"""Codes worth passing on; others only repeat the status."""
_TOO_LONG = re.compile(r"maximum context length|(exceeds?|longer than|over) the (available )?(model's )?context")
"""How servers say, without its code, that a prompt is longer than their window."""
TokenCount = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
"""What an upstream may claim to have used; anything else would not fit the books."""


# Shapes of the answers, as far as they are read. Servers add fields of their own; those are skipped.


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Custom(msgspec.Struct):
    name: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Logprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[_TopLogprob] = []


class _Logprobs(msgspec.Struct):
    content: list[_Logprob] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: TokenCount | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: TokenCount | None = None
    accepted_prediction_tokens: TokenCount | None = None
    rejected_prediction_tokens: TokenCount | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: TokenCount = 0
    completion_tokens: TokenCount = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Answer(msgspec.Struct):
    """A whole answer, or one chunk of it."""

    choices: list[_Choice] = []
    usage: _Usage | None = None


class _Error(msgspec.Struct):
    message: str = ""
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    n_prompt_tokens: TokenCount | None = None  # llama.cpp, of a prompt that is too long
    n_ctx: TokenCount | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


_answers = msgspec.json.Decoder(_Answer)


async def generate(call: Call, upstream: Upstream, request: GenerationRequest) -> AsyncGenerator[list[Event], None]:
    """Events of all choices, then the usage."""
    try:
        request, unread = await fitted_for_upstream(call, upstream, request, partial(chat_body, call))
        call.usage.input_tokens += unread  # the upstream tells of what it reads
        reader = _Reader(call, request.choices)
        body = chat_body(call, request)
        if request.stream:
            async with aclosing(upstream.stream(CHAT, body)) as batches:
                async for batch in batches:
                    if events := reader.read(batch):
                        yield events
        else:
            answer = await upstream.post(CHAT, body)
            events = reader.read([answer.body])
            if (told := reader.prompt_tokens) >= call.card.context_window:
                reader.take_back()  # a server with a larger window than the card's that cannot count before
                raise context_length_exceeded(call.card.context_window, told, request)
            yield events
    except UpstreamError as error:
        raise client_error(error, request) from error
    except msgspec.MsgspecError as error:
        raise EngineFailed(f"the upstream sent what is not the contract: {error}") from error
    yield [*reader.end(), call.usage]


def chat_body(call: Call, request: GenerationRequest) -> dict[str, Any]:
    """The request in the wire format. ``model`` is left to the target that will take it."""
    sampling = request.sampling
    body: dict[str, Any] = {"model": call.snapshot.id, "messages": _messages(request)}
    for name in ("temperature", "top_p", "seed", "max_tokens"):
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    for name in ("presence_penalty", "frequency_penalty"):
        if value := getattr(sampling, name):
            body[name] = value
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): round(bias) for token, bias in sampling.logit_bias.items()}
    if request.choices != 1:
        body["n"] = request.choices
    if request.prediction:
        body["prediction"] = {"type": "content", "content": request.prediction}
    if sampling.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = sampling.logprobs
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _tool_choice(request)
        if not request.parallel_tool_calls:
            body["parallel_tool_calls"] = False
    match request.format:
        case JsonObject():
            body["response_format"] = {"type": "json_object"}
        case JsonSchema(name=name, schema=schema, strict=strict, description=description):
            named: dict[str, Any] = {"name": name, "schema": schema, "strict": strict}
            if description is not None:
                named["description"] = description
            body["response_format"] = {"type": "json_schema", "json_schema": named}
    if request.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _messages(request: GenerationRequest) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for item in request.items:
        if isinstance(item, ToolCall):
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": None})
            messages[-1].setdefault("tool_calls", []).append(_wire_call(item))
        elif isinstance(item, ToolOutput):
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": item.text})
        else:
            messages.append(_message(item))
    return messages


def _message(item: Message) -> dict[str, Any]:
    plain = all(isinstance(part, Text) for part in item.parts)
    message: dict[str, Any] = {
        # Servers other than the vendor's know no developer role; both mean the same.
        "role": "system" if item.role == "developer" else item.role,
        "content": item.text if plain else [_part(part) for part in item.parts],
    }
    if item.name:
        message["name"] = item.name
    return message


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image(url=url, detail=detail):
            return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        case Audio(data=data, format=form):
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
        case File():
            raise AssertionError("files have become text before")


def _wire_call(call: ToolCall) -> dict[str, Any]:
    if call.kind == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    match tool:
        case FunctionTool(name=name, description=description, parameters=parameters, strict=strict):
            function: dict[str, Any] = {"name": name}
            if description is not None:
                function["description"] = description
            if parameters is not None:
                function["parameters"] = parameters
            if strict:
                function["strict"] = True
            return {"type": "function", "function": function}
        case CustomTool(name=name, description=description, syntax=syntax, definition=definition):
            custom: dict[str, Any] = {"name": name}
            if description is not None:
                custom["description"] = description
            if syntax != "text":
                custom["format"] = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
            return {"type": "custom", "custom": custom}


def _tool_choice(request: GenerationRequest) -> str | dict[str, Any]:
    choice = request.tool_choice
    if choice.names is None:
        return choice.mode
    kinds = {tool.name: "custom" if isinstance(tool, CustomTool) else "function" for tool in request.tools}
    refs = [{"type": kinds[name], kinds[name]: {"name": name}} for name in sorted(choice.names) if name in kinds]
    if choice.named and refs:
        return refs[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": refs}}


_NOTHING = (None, _Message(), _Message(content=""))


class _OpenCall:
    """A tool call that is being told."""

    def __init__(self, index: int, told_index: int, id: str | None) -> None:
        self.index = index
        self.told_index = told_index
        self.id = id
        self.parts: list[str] = []

    def goes_on(self, told_index: int, call: _ToolCall) -> bool:
        """Whether a piece belongs to it. Some servers give every call the same index, and a new id."""
        return told_index == self.told_index and (not call.id or call.id == self.id)


class _Reader:
    """Turns answers and chunks into events, and keeps the call's usage up to date."""

    def __init__(self, call: Call, choices: int) -> None:
        self._call = call
        self._before = copy(call.usage)
        """A call may ask the model several times."""
        self._choices = choices
        self._open: dict[int, _OpenCall] = {}
        """For each choice, its unfinished tool call."""
        self._made: dict[int, int] = {}
        """For each choice, how many tool calls it began."""
        self._untold = set(range(choices))
        self._unfinished = set(range(choices))

    def read(self, payloads: list[bytes]) -> list[Event]:
        events: list[Event] = []
        usage = self._call.usage
        for payload in payloads:
            answer = _answers.decode(payload)
            for choice in answer.choices:
                message = choice.delta or choice.message
                if choice.index not in self._unfinished:
                    if 0 <= choice.index < self._choices and message in _NOTHING:
                        continue  # some servers end a choice twice, the second time with the usage
                    raise EngineFailed(f"the upstream sent more than was asked for, in choice {choice.index}")
                self._untold.discard(choice.index)
                if message is not None:
                    if message.content:
                        usage.output_tokens += 1  # until the upstream tells: about a token a chunk
                        events.append(TextDelta(message.content, choice.index, _logprobs(choice)))
                    if message.refusal:
                        events.append(RefusalDelta(message.refusal, choice.index))
                    if message.tool_calls:
                        usage.output_tokens += 1
                        for position, call in enumerate(message.tool_calls):
                            index = call.index if choice.delta is not None else position
                            self._tool_call(events, choice.index, index, call)
                if choice.finish_reason is not None:
                    self._close(events, choice.index)
                    events.append(ChoiceFinished(_reason(choice.finish_reason), choice.index))
                    self._unfinished.discard(choice.index)
            if answer.usage is not None:
                _add_usage(answer.usage, self._before, usage)
        return events

    @property
    def prompt_tokens(self) -> int:
        """As the upstream told them of this answer."""
        return self._call.usage.input_tokens - self._before.input_tokens

    def take_back(self) -> None:
        """Count this answer as never given."""
        for name in self._before.__struct_fields__:
            setattr(self._call.usage, name, getattr(self._before, name))

    def end(self) -> list[Event]:
        """What is missing when the answer is over.

        Raises:
            EngineFailed: the upstream gave fewer choices than it was asked for.
        """
        if self._untold:
            raise EngineFailed(f"the upstream gave nothing for choices {sorted(self._untold)}")
        events: list[Event] = []
        for choice in sorted(self._unfinished):
            self._close(events, choice)
            events.append(ChoiceFinished("stop", choice))
        return events

    def _tool_call(self, events: list[Event], choice: int, told_index: int, call: _ToolCall) -> None:
        opened = self._open.get(choice)
        if opened is None or not opened.goes_on(told_index, call):
            self._close(events, choice)
            opened = self._begin(events, choice, told_index, call)
        text = (call.custom.input if call.custom else None) or (call.function.arguments if call.function else None)
        if text:
            opened.parts.append(text)
            events.append(ToolCallDelta(opened.index, text, choice))

    def _begin(self, events: list[Event], choice: int, told_index: int, call: _ToolCall) -> _OpenCall:
        kind = call.custom or call.function
        if kind is None or not kind.name:
            raise EngineFailed("the upstream sent a tool call without a name")
        index = self._made.get(choice, 0)
        self._made[choice] = index + 1
        id = call.id or new_id("call_")
        events.append(
            ToolCallStarted(index, id, kind.name, "custom" if call.custom is not None else "function", choice)
        )
        opened = self._open[choice] = _OpenCall(index, told_index, call.id)
        return opened

    def _close(self, events: list[Event], choice: int) -> None:
        opened = self._open.pop(choice, None)
        if opened is not None:
            events.append(ToolCallDone(opened.index, "".join(opened.parts), choice))


def _reason(reason: str) -> Any:
    return reason if reason in ("stop", "length", "tool_calls", "content_filter") else "stop"


def _logprobs(choice: _Choice) -> list[TokenLogprob]:
    if choice.logprobs is None or not choice.logprobs.content:
        return []
    return [
        TokenLogprob(
            entry.token,
            entry.logprob,
            _bytes(entry),
            top=[TokenLogprob(top.token, top.logprob, _bytes(top)) for top in entry.top_logprobs],
        )
        for entry in choice.logprobs.content
    ]


def _bytes(entry: _Logprob | _TopLogprob) -> list[int]:
    return entry.bytes if entry.bytes is not None else list(entry.token.encode())


def _add_usage(told: _Usage, before: Usage, usage: Usage) -> None:
    """What the call has used: what it had before this answer, and what the upstream tells of it."""
    usage.input_tokens = before.input_tokens + told.prompt_tokens
    usage.output_tokens = before.output_tokens + told.completion_tokens
    if (prompt := told.prompt_tokens_details) is not None:
        usage.cached_tokens = before.cached_tokens + min(prompt.cached_tokens or 0, told.prompt_tokens)
    if (completion := told.completion_tokens_details) is not None:
        usage.reasoning_tokens = before.reasoning_tokens + (completion.reasoning_tokens or 0)
        usage.accepted_prediction_tokens = before.accepted_prediction_tokens + (
            completion.accepted_prediction_tokens or 0
        )
        usage.rejected_prediction_tokens = before.rejected_prediction_tokens + (
            completion.rejected_prediction_tokens or 0
        )


def client_error(
    error: UpstreamError, request: GenerationRequest | None = None
) -> InvalidRequest | RateLimited | EngineFailed:
    """What an upstream's refusal means to our client.

    A fault of the request is told as the upstream tells it. Its credentials, its limits and its failures are ours to
    mend: the client learns that the engine failed, the log learns why. A prompt that is longer than the upstream's
    window has the contract's code, and where the server gives the numbers, its words.

    Args:
        request: what was asked, where it was a chat.
    """
    try:
        told = msgspec.json.decode(error.body, type=_ErrorBody).error
    except msgspec.MsgspecError:
        told = _Error(message=error.body[:500].decode("utf-8", "replace"))
    if error.status in (400, 413, 422):
        code = told.code if isinstance(told.code, str) and _CODE.fullmatch(told.code) else None
        if request is not None and (code == "context_length_exceeded" or _TOO_LONG.search(told.message)):
            if told.n_ctx and told.n_prompt_tokens:
                return context_length_exceeded(told.n_ctx, told.n_prompt_tokens, request)
            return InvalidRequest(told.message, param=request.items_param, code="context_length_exceeded")
        return InvalidRequest(told.message or "The upstream refused the request.", param=told.param, code=code)
    if error.status == 429:
        return RateLimited("The engine is over its own rate limit, please try again later.", code="rate_limit_exceeded")
    return EngineFailed(f"upstream answered {error.status}: {told.message[:300]}")
