"""From items to the tokens of an embedded model's prompt.

The model's own chat template does the writing. Three things are added where it falls short: tools for templates that
know none, the wanted form of the answer, and a guard that keeps control tokens written by a user ordinary text.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from inhouse.engines.protocol import TextEngine
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

_PROBE = {"type": "function", "function": {"name": "inhouse_probe", "description": "", "parameters": {}}}
_CONTROL = re.compile(
    r"<\|[^|<>]{1,64}\|>|</?s>|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>"
)
_MARK = re.compile("\uf8ff([0-9a-f]{16})-(\\d+)\uf8ff")

_speaks_tools: WeakKeyDictionary[TextEngine, bool] = WeakKeyDictionary()


async def prompt_tokens(engine: TextEngine, request: GenerationRequest) -> list[int]:
    """The prompt of a request, as the engine's tokens."""
    tools = request.usable_tools
    uses_tools = bool(tools) or any(isinstance(item, ToolCall | ToolOutput) for item in request.items)
    native = uses_tools and await _template_speaks_tools(engine)
    messages = template_messages(request, native_tools=native)
    wire_tools = [tool_for_template(tool) for tool in tools] if native and tools else None
    guarded = _Guarded(messages)
    return await guarded.tokens(engine, await engine.render(guarded.messages, wire_tools))


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
        f"Result of {names.get(item.call_id, 'the tool')}: {item.text}"
        for item in request.items[last:]
        if isinstance(item, ToolOutput)
    ]
    question = request.items[last]
    assert isinstance(question, Message)
    told = Text("\n\n" + "\n".join([*facts, "Answer with the help of these results."]))
    asked = msgspec.structs.replace(question, parts=(*question.parts, told))
    return msgspec.structs.replace(request, items=(*request.items[:last], asked), tools=(), tool_choice=ToolChoice())


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
    """Messages with calls and outputs as text, for templates that know no tools."""
    for item in request.items:
        if isinstance(item, ToolCall):
            yield {"role": "assistant", "content": f"<tool_call>\n{call_text(item)}\n</tool_call>"}
        elif isinstance(item, ToolOutput):
            yield {"role": "user", "content": f"<tool_response>\n{item.text}\n</tool_response>"}
        else:
            yield {"role": _role(item), "content": item.text}


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
        known = _PROBE["function"]["name"] in await engine.render(probe, [_PROBE])  # type: ignore[index]
        _speaks_tools[engine] = known
    return known


class _Guarded:
    """Messages whose suspicious contents are replaced by marks while the template runs.

    A user's text may contain what the model reads as control tokens (``<|im_end|>``), and so end its turn and speak as
    the system. Such contents are tokenized apart, as plain text, and put back where the template put the mark.
    """

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self._nonce = secrets.token_hex(8)
        self._held: list[str] = []
        self.messages = [self._guard(message) for message in messages]

    def _guard(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message["content"]
        if not _CONTROL.search(content):
            return message
        self._held.append(content)
        return {**message, "content": f"\uf8ff{self._nonce}-{len(self._held) - 1}\uf8ff"}

    async def tokens(self, engine: TextEngine, prompt: str) -> list[int]:
        if not self._held:
            return await engine.tokenize(prompt, special=True)
        tokens: list[int] = []
        end = 0
        for mark in _MARK.finditer(prompt):
            if mark[1] != self._nonce:
                continue
            tokens += await engine.tokenize(prompt[end : mark.start()], special=True)
            tokens += await engine.tokenize(self._held[int(mark[2])], special=False)
            end = mark.end()
        tokens += await engine.tokenize(prompt[end:], special=True)
        return tokens
