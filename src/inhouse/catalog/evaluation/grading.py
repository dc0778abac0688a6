"""Grades: what an answer must be for a task to count as passed. Code decides, never a model."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_AROUND = " \t\n.,;:!?\"'`*()"


class FunctionCall(msgspec.Struct, frozen=True):
    name: str
    arguments: str
    """JSON."""


class ToolCall(msgspec.Struct, frozen=True):
    function: FunctionCall | None = None
    """None for a custom tool."""


class Reply(msgspec.Struct, frozen=True):
    """The message of an answer, as chat completions have it."""

    content: str | None = None
    tool_calls: list[ToolCall] = []


class _Words(msgspec.Struct, frozen=True, tag_field="by", forbid_unknown_fields=True):
    any: Annotated[list[str], msgspec.Meta(min_length=1)]
    """One of these is enough."""

    def __post_init__(self) -> None:
        if not all(map(_normal, self.any)):
            raise ValueError("an answer that is wanted needs a letter or a digit")


class Equals(_Words, tag="equals", frozen=True):
    """The answer is one of these, whatever the case, the space and the marks around it."""

    def passes(self, reply: Reply) -> bool:
        return _normal(reply.content or "") in map(_normal, self.any)


class Contains(_Words, tag="contains", frozen=True):
    """The answer has one of these in it, as whole words: 15 is neither in 150 nor in -15 or 1.15."""

    def passes(self, reply: Reply) -> bool:
        said = _normal(reply.content or "")
        return any(
            re.search(rf"(?<![\w-])(?<!\d[.,]){re.escape(_normal(each))}(?!\w)(?![.,]\d)", said) for each in self.any
        )


class Matches(msgspec.Struct, tag_field="by", tag="matches", frozen=True, forbid_unknown_fields=True):
    """The answer, without the space around it, is what a regular expression says, case and all."""

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error

    def passes(self, reply: Reply) -> bool:
        return re.fullmatch(self.pattern, (reply.content or "").strip()) is not None


class Json(msgspec.Struct, tag_field="by", tag="json", frozen=True, forbid_unknown_fields=True):
    """The answer is JSON and nothing else, with this value: no field more, none less. So it keeps to a schema that
    the value keeps to."""

    value: Any

    def passes(self, reply: Reply) -> bool:
        return _is(reply.content, self.value)


class Call(msgspec.Struct, tag_field="by", tag="call", frozen=True, forbid_unknown_fields=True):
    """The answer calls this function and no other, once, with these arguments and no others."""

    name: str
    arguments: dict[str, Any]

    def passes(self, reply: Reply) -> bool:
        if len(reply.tool_calls) != 1:
            return False
        called = reply.tool_calls[0].function
        return called is not None and called.name == self.name and _is(called.arguments, self.arguments)


Grade = Equals | Contains | Matches | Json | Call


def _normal(text: str) -> str:
    text = " ".join(text.casefold().split())
    return _THOUSANDS.sub("", text).strip(_AROUND)


def _is(text: str | None, wanted: Any) -> bool:
    try:
        return _same(msgspec.json.decode(text or ""), wanted)
    except msgspec.DecodeError:
        return False


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON; texts whatever their case and the space and marks around them."""
    match wanted:
        case str():
            return isinstance(found, str) and (found == wanted or _normal(found) == _normal(wanted) != "")
        case bool() | None:
            return found is wanted
        case int() | float():
            return isinstance(found, int | float) and not isinstance(found, bool) and found == wanted
        case list():
            return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
        case _:
            return (
                isinstance(found, dict)
                and found.keys() == wanted.keys()
                and all(_same(found[name], wanted[name]) for name in wanted)
            )
