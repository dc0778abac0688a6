"""From items to the tokens of an embedded model's prompt.

The model's own chat template does the writing. Three things are added where it falls short: tools for templates that
know none, the wanted form of the answer, and a guard that keeps control tokens written by a user ordinary text.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from inhouse.engines.protocol import TextEngine
from inhouse.generation import tokens
from inhouse.generation.errors import refusals
from inhouse.generation.items import (
    CustomTool,
    FunctionTool,
    GenerationRequest,
    Item,
    JsonObject,
    JsonSchema,
    Message,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolOutput,
)
from inhouse.generation.reading.segments import SEGMENT

LONG = SEGMENT
"""Characters from which on a message does not go through the template, but is put in place afterwards."""
_MANY = 262_144
"""Characters from which on texts are looked through in a thread."""
_PROBE = {"type": "function", "function": {"name": "inhouse_probe", "description": "", "parameters": {}}}
_SPELLED_LIKE_CONTROL = re.compile(r"<\|[^|<>]{1,64}\|>|<[^<>\s]{1,64}>|\[/?[A-Za-z_]{2,32}\]")
_MARK = re.compile("\uf8ff([0-9a-f]{16})-(\\d+)\uf8ff")

_speaks_tools: WeakKeyDictionary[TextEngine, bool] = WeakKeyDictionary()


class Piece(msgspec.Struct, frozen=True):
    """A part of a prompt. ``special``: control tokens in it are meant."""

    text: str
    special: bool


async def prompt_tokens(engine: TextEngine, request: GenerationRequest) -> list[int]:
    """The prompt of a request, as the engine's tokens."""
    found: list[int] = []
    for piece in await prompt_pieces(engine, request):
        found += await tokens.tokenize(engine, piece.text, special=piece.special)
    return found


async def prompt_pieces(engine: TextEngine, request: GenerationRequest) -> list[Piece]:
    """The prompt of a request, as texts whose tokens follow one another.

    Raises:
        InvalidRequest: the template refuses the messages.
    """
    tools = request.usable_tools
    uses_tools = bool(tools) or any(isinstance(item, ToolCall | ToolOutput) for item in request.items)
    native = uses_tools and await _template_speaks_tools(engine)
    messages = template_messages(request, native_tools=native)
    wire_tools = [tool_for_template(tool) for tool in tools] if native and tools else None
    long = any(len(message["content"]) > LONG for message in messages)
    guard = _Guard() if long or await _hold_control_tokens(engine, [messages, wire_tools]) else None
    if guard is not None:
        messages = [guard.message(message) for message in messages]
        wire_tools = guard.quoted(wire_tools)
    with refusals(request.items_param):
        try:
            prompt = await engine.render(messages, wire_tools)
        except ValueError:
            if (turns := alternating(messages)) == messages:
                raise
            prompt = await engine.render(turns, wire_tools)
    return [Piece(prompt, True)] if guard is None else guard.pieces(prompt)


def template_messages(request: GenerationRequest, *, native_tools: bool) -> list[dict[str, Any]]:
    """Items as the messages that chat templates take. Instructions that we add join the first system message."""
    messages = list(_native(request) if native_tools else _plain(request))
    added = []
    if request.usable_tools and not native_tools:
        added.append(_tools_text(request.usable_tools))
    if (form := _format_text(request)) is not None:
        added.append(form)
    if added:
        text = "\n\n".join(added)
        if messages and messages[0]["role"] == "system":
            messages[0] = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}
        else:
            messages.insert(0, {"role": "system", "content": text})
    return messages


def alternating(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages for templates that know no system and want users and assistants to take turns.

    The contract takes any order. So what is said to the model by whomever is the user's, one side's messages in a row
    are one, and the user begins.
    """
    turns: list[dict[str, Any]] = []
    for message in messages:
        turn = {**message, "role": "user"} if message["role"] == "system" else message
        if turns and turns[-1].keys() == turn.keys() == {"role", "content"} and turns[-1]["role"] == turn["role"]:
            turns[-1] = {**turn, "content": f"{turns[-1]['content']}\n\n{turn['content']}"}
        else:
            turns.append(turn)
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": ""})
    return turns


def tool_for_template(tool: Tool) -> dict[str, Any]:
    """A tool as templates know it. A custom tool is shown as a function of one text, ``input``."""
    match tool:
        case FunctionTool(name=name, description=description, parameters=parameters):
            parameters = parameters or {"type": "object", "properties": {}}
        case CustomTool(name=name, description=description):
            parameters = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
    return {
        "type": "function",
        "function": {"name": name, "description": description or "", "parameters": parameters},
    }


def call_text(call: ToolCall) -> str:
    """A call as JSON in the form that small models write themselves."""
    arguments: Any
    if call.kind == "custom":
        arguments = {"input": call.arguments}
    else:
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except msgspec.DecodeError:
            arguments = call.arguments
    return msgspec.json.encode({"name": call.name, "arguments": arguments}).decode()


def told_results(request: GenerationRequest) -> GenerationRequest:
    """The same request without tools, with what the tools gave since the user last spoke told in the user's turn.

    Small models that cannot leave off calling answer well when they are shown the results as plain facts.
    """
    last = max((at for at, item in enumerate(request.items) if _is_user(item)), default=-1)
    if last < 0:
        return msgspec.structs.replace(request, tool_choice=ToolChoice("none"))
    names = {item.id: item.name for item in request.items if isinstance(item, ToolCall)}
    facts = [
        f"Result of {names.get(item.call_id, 'the tool')}: {item.text if item.plain is None else item.plain}"
        for item in request.items[last:]
        if isinstance(item, ToolOutput)
    ]
    question = request.items[last]
    assert isinstance(question, Message)
    told = Text("\n\n" + "\n".join([*facts, "Answer with the help of these results."]))
    asked = msgspec.structs.replace(question, parts=(*question.parts, told))
    return msgspec.structs.replace(request, items=(*request.items[:last], asked), tools=(), tool_choice=ToolChoice())


def speakable(request: GenerationRequest) -> GenerationRequest:
    """The same request, where it shows the model calls that it cannot make itself, as after a handoff, with their
    results told instead: a small model would write another call as text."""
    if request.tools or not request.items or not isinstance(request.items[-1], ToolOutput):
        return request
    return told_results(request)


def _is_user(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _native(request: GenerationRequest) -> Iterator[dict[str, Any]]:
    """Messages with calls and outputs in the roles that tool-aware templates know."""
    pending: dict[str, Any] | None = None
    names: dict[str, str] = {}
    for item in request.items:
        if isinstance(item, ToolCall):
            names[item.id] = item.name
            if pending is None:
                pending = {"role": "assistant", "content": "", "tool_calls": []}
            arguments = call_text(item)
            pending.setdefault("tool_calls", []).append(
                {
                    "id": item.id,
                    "type": "function",
                    "function": {
                        "name": item.name,
                        "arguments": msgspec.json.encode(msgspec.json.decode(arguments)["arguments"]).decode(),
                    },
                }
            )
            continue
        if pending is not None:
            yield pending
            pending = None
        if isinstance(item, ToolOutput):
            yield {
                "role": "tool",
                "tool_call_id": item.call_id,
                "name": names.get(item.call_id, ""),
                "content": item.text,
            }
        elif item.role == "assistant":
            pending = {"role": "assistant", "content": item.text}
        else:
            yield {"role": _role(item), "content": item.text}
    if pending is not None:
        yield pending


def _plain(request: GenerationRequest) -> Iterator[dict[str, Any]]:
    """Messages with calls and outputs as text, for templates that know no tools.

    Many of those refuse two messages of one role in a row, so calls join what was said, and outputs each other.
    """
    pending: dict[str, Any] | None = None
    for item in request.items:
        if isinstance(item, ToolCall):
            role, text = "assistant", f"<tool_call>\n{call_text(item)}\n</tool_call>"
        elif isinstance(item, ToolOutput):
            role, text = "user", f"<tool_response>\n{item.text}\n</tool_response>"
        else:
            role, text = _role(item), item.text
        if pending is not None and pending["role"] == role and not isinstance(item, Message):
            pending = {"role": role, "content": f"{pending['content']}\n{text}".lstrip("\n")}
            continue
        if pending is not None:
            yield pending
        pending = {"role": role, "content": text}
    if pending is not None:
        yield pending


def _role(message: Message) -> str:
    return "system" if message.role == "developer" else message.role


def _tools_text(tools: tuple[Tool, ...]) -> str:
    shown = "\n".join(msgspec.json.encode(tool_for_template(tool)["function"]).decode() for tool in tools)
    return (
        "You may call one or more functions. Their signatures:\n"
        f"{shown}\n"
        "To call one, answer with a JSON object in these tags and nothing else:\n"
        '<tool_call>\n{"name": "function name", "arguments": {}}\n</tool_call>'
    )


def _format_text(request: GenerationRequest) -> str | None:
    match request.format:
        case JsonSchema(name=name, description=description, schema=schema):
            about = f"{name}: {description}" if description else name
            return f"Answer with JSON ({about}) that fits this JSON Schema:\n{msgspec.json.encode(schema).decode()}"
        case JsonObject():
            return "Answer with one JSON object and nothing else."
    return None


async def _template_speaks_tools(engine: TextEngine) -> bool:
    known = _speaks_tools.get(engine)
    if known is None:
        probe: list[dict[str, Any]] = [{"role": "user", "content": "probe"}]
        try:
            known = _PROBE["function"]["name"] in await engine.render(probe, [_PROBE])  # type: ignore[index]
        except ValueError:  # a template may refuse tools rather than pass over them
            known = False
        _speaks_tools[engine] = known
    return known


async def _hold_control_tokens(engine: TextEngine, written: Any) -> bool:
    """Whether texts of a request spell control tokens of this very model."""

    def spell() -> str:
        return "\n".join(sorted({found for text in texts for found in _SPELLED_LIKE_CONTROL.findall(text)}))

    texts = list(_texts(written))
    joined = await asyncio.to_thread(spell) if sum(map(len, texts)) > _MANY else spell()
    if not joined:
        return False
    return await tokens.tokenize(engine, joined, special=True) != await tokens.tokenize(engine, joined)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)


class _Guard:
    """Puts marks in the place of suspicious texts while the template runs.

    A text may contain what the model reads as control tokens (``<|im_end|>``), and so end its turn and speak as the
    system: a user's message, an output of a tool, or arguments of a call in which the model quoted either. Such texts
    are tokenized apart, as plain text, and put back where the template put their marks. So are long ones, which then
    need not go to the engine and back to be put between two control tokens.
    """

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(8)
        self._held: list[str] = []

    def message(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message with marks. Its content is put back as it was, the rest as the inside of JSON texts."""
        guarded = {name: value for name, value in message.items() if name in ("content", "tool_calls")}
        guarded |= {name: self.quoted(value) for name, value in message.items() if name not in guarded}
        content = message["content"]
        if len(content) > LONG or _SPELLED_LIKE_CONTROL.search(content):
            guarded["content"] = self._hold(content)
        if "tool_calls" in message:
            guarded["tool_calls"] = [self._call(made) for made in message["tool_calls"]]
        return guarded

    def _call(self, made: dict[str, Any]) -> dict[str, Any]:
        function = made["function"]
        # Arguments are JSON in a text, which templates read and write anew.
        arguments = msgspec.json.encode(self.quoted(msgspec.json.decode(function["arguments"]))).decode()
        guarded: dict[str, Any] = self.quoted({**made, "function": {"name": function["name"]}})
        guarded["function"]["arguments"] = arguments
        return guarded

    def quoted(self, value: Any) -> Any:
        """A JSON value with marks in its texts."""
        if isinstance(value, str):
            quoted = msgspec.json.encode(value)[1:-1].decode()
            return self._hold(quoted) if _SPELLED_LIKE_CONTROL.search(value) else value
        if isinstance(value, dict):
            return {self.quoted(name): self.quoted(member) for name, member in value.items()}
        return [self.quoted(member) for member in value] if isinstance(value, list) else value

    def _hold(self, text: str) -> str:
        self._held.append(text)
        return f"\uf8ff{self._nonce}-{len(self._held) - 1}\uf8ff"

    def pieces(self, prompt: str) -> list[Piece]:
        """What the template made, with the texts in the place of their marks."""
        found: list[Piece] = []
        end = 0
        for mark in _MARK.finditer(prompt):
            if mark[1] != self._nonce:
                continue
            found += [Piece(prompt[end : mark.start()], True), Piece(self._held[int(mark[2])], False)]
            end = mark.end()
        return [*found, Piece(prompt[end:], True)]
