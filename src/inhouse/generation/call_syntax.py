"""How local models write tool calls: the shapes, as data and as small readers without state."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["function", "custom"]

WRAPPERS: Final[Mapping[str, tuple[str, ...]]] = {
    "<tool_call>": ("</tool_call>",),  # Hermes, Qwen
    "<tools>": ("</tools>", "</tool_call>"),  # what small Qwens write instead
    "<function_call>": ("</function_call>",),
    "<functioncall>": ("</functioncall>", "<|endoftext|>"),
    "<|python_tag|>": ("<|eom_id|>", "<|eot_id|>"),  # Llama 3
    "[TOOL_CALLS]": ("</s>",),  # Mistral
}
"""What opens calls, and what may close them. Nothing needs to be closed."""
RAW_OPENING: Final = '<tool_input name="'
RAW_CLOSING: Final = "</tool_input>"
"""Around text up to the end of the output; see ``constraint.RAW_INPUT``. A small model that sees a tag opened ends its
text by closing it; left to the end token alone it goes on as long as the grammar lets it."""
FENCE: Final = "```"
FENCE_LANGUAGES: Final = frozenset({"", "json", "tool_call", "tool_calls", "tool", "xml"})

_NAME_KEYS: Final = frozenset({"name", "function"})
_VALUE_KEYS: Final = frozenset({"arguments", "parameters", "input"})
_SIDE_KEYS: Final = frozenset({"id", "type", "index", "call_id"})
_KEYS: Final = _NAME_KEYS | _VALUE_KEYS | _SIDE_KEYS
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_QUOTED_SPACE: Final = re.compile(r"(?:\\[nrt]|[ \t\r\n])*")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CUT_CALL: Final = re.compile(r'"(?:name|function)"\s*:\s*"[^"]|"(?:arguments|parameters)"\s*:')
_SCALAR: Final = re.compile(r"[-+0-9.eE]+|[a-z]+")
_STRUCTURE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|["{}\[\]]', re.DOTALL)


class Head(NamedTuple):
    """A call is certain: the name is known and allowed."""

    name: str
    at: int
    """Where its value begins (``{``, ``"`` or ``null``), or where reading stopped if it has none."""
    value: Literal["given", "none", "cut"]
    """``cut``: the text ended before the value."""


Undecided = Literal["more", "no"]
"""More text is needed; or this is no call."""


def skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def read_head(
    text: str, at: int, tools: Mapping[str, Kind], *, wrapped: bool = False, final: bool = False
) -> Head | Undecided:
    """Reads ``{"name": "x", "arguments": `` at ``at``, where a ``{`` stands, as far as it goes.

    Args:
        tools: the names that may be called.
        wrapped: inside a wrapper that only calls use, where a call without arguments and further keys are believed.
        final: no more text will come.
    """
    name: str | None = None
    value: int | None = None

    def more() -> Head | Undecided:
        return Head(name, len(text), "cut") if final and name is not None else "more"

    at = skip_space(text, at + 1)
    while True:
        if at >= len(text):
            return more()
        if text[at] == "}":
            return Head(name, at, "none") if name is not None and wrapped else "no"
        key = _read_string(text, at)
        if key is None:
            possible = text[at] == '"' and (wrapped or any(known.startswith(text[at + 1 :]) for known in _KEYS))
            return more() if possible else "no"
        word, at = key
        if word not in _KEYS and not wrapped:
            return "no"
        at = skip_space(text, at)
        if at >= len(text):
            return more()
        if text[at] != ":":
            return "no"
        at = skip_space(text, at + 1)
        if at >= len(text):
            return more()
        if word in _NAME_KEYS and name is None:
            found = _read_string(text, at)
            if found is None:
                return "more" if _may_name(text[at:], tools) else "no"
            name, at = found
            if name not in tools:
                return "no"
        else:
            if word in _VALUE_KEYS and value is None:
                if not _may_be_value(text, at):
                    return "no"
                value = at
            if name is None or value is None:
                end = _skip_value(text, at)
                if end is None:
                    return more()
                at = end
        if name is not None and value is not None:
            return Head(name, value, "given")
        at = skip_space(text, at)
        if at < len(text) and text[at] == ",":
            at = skip_space(text, at + 1)
        elif at < len(text) and text[at] != "}":
            return "no"


def is_cut_call(text: str) -> bool:
    """Whether a text that ended undecided is so far into a call that it cannot be meant as content."""
    for opener in WRAPPERS:
        if text.startswith(opener):
            return True
    return text.startswith(RAW_OPENING) or _CUT_CALL.search(text) is not None


def read_tail(text: str, at: int, *, final: bool) -> int | None:
    """Where the object of a call ends whose value ended at ``at``; None if more text is needed.

    A missing brace is forgiven: then the object ends where its value did.
    """
    start = at
    while True:
        at = skip_space(text, at)
        if at >= len(text):
            return len(text) if final else None
        if text[at] == "}":
            return at + 1
        if text[at] != ",":
            return start
        at = skip_space(text, at + 1)
        if at >= len(text):
            return len(text) if final else None
        key = _read_string(text, at)
        if key is None:
            if text[at] != '"':
                return start
            return len(text) if final else None
        at = skip_space(text, key[1])
        if at >= len(text):
            return len(text) if final else None
        if text[at] != ":":
            return start
        end = _skip_value(text, skip_space(text, at + 1))
        if end is None:
            return len(text) if final else None
        at = end


def same_arguments(left: str, right: str) -> bool:
    """Whether two texts are equal JSON (``{"a": 1}`` and ``{"a":1.0}`` are), or equal texts."""
    if left == right:
        return True
    try:
        return _canonical(json.loads(left)) == _canonical(json.loads(right))
    except (ValueError, RecursionError):
        return False


def _canonical(value: Any) -> str:
    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: plain(sub) for key, sub in item.items()}
        if isinstance(item, list):
            return [plain(sub) for sub in item]
        return int(item) if isinstance(item, float) and item.is_integer() else item

    return json.dumps(plain(value), sort_keys=True)


def may_quote_object(text: str, at: int) -> bool | None:
    """Whether the string that opened before ``at`` can hold a JSON object or nothing; None: more text is needed."""
    match = _QUOTED_SPACE.match(text, at)
    at = match.end() if match else at
    if at >= len(text) or (text[at] == "\\" and at + 1 == len(text)):
        return None
    return text[at] in '{"'


def _read_string(text: str, at: int) -> tuple[str, int] | None:
    match = _STRING.match(text, at)
    if match is None:
        return None
    try:
        return json.loads(match[0], strict=False), match.end()
    except ValueError:
        return "", match.end()


def _may_name(text: str, tools: Mapping[str, Kind]) -> bool:
    """Whether an open string can still become the name of a tool."""
    return text[0] == '"' and any(name.startswith(text[1:]) for name in tools)


def _may_be_value(text: str, at: int) -> bool:
    return text[at] in '{"' or "null".startswith(text[at : at + 4])


def _skip_value(text: str, at: int) -> int | None:
    """The end of the JSON value at ``at``; None while it is open."""
    if at >= len(text):
        return None
    if text[at] in "{[":
        depth = 0
        for match in _STRUCTURE.finditer(text, at):
            found = match[0]
            if found in "{[":
                depth += 1
            elif found in "}]":
                depth -= 1
                if depth == 0:
                    return match.end()
            elif found == '"':
                return None
        return None
    if text[at] == '"':
        quoted = _STRING.match(text, at)
        return quoted.end() if quoted else None
    scalar = _SCALAR.match(text, at)
    if scalar is None:
        return at
    return scalar.end() if scalar.end() < len(text) else None
