"""The value of a tool call, read while it is being written: arguments of a function, input of a custom tool."""

from __future__ import annotations

import json
import re
from typing import Final

from inhouse.generation.call_syntax import RAW_CLOSING

_IN_VALUE: Final = re.compile(r'[^"{}\[\]]+|.', re.DOTALL)
_IN_STRING: Final = re.compile(r'[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u]|.', re.DOTALL)
_HIGH_SURROGATE: Final = re.compile(r"\\u[dD][89abAB]")


class Value:
    """Reads one value of a call as it comes."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    @property
    def whole(self) -> str:
        return "".join(self._parts)

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        """What to pass on, how many characters of ``text`` were used, and whether the value has ended."""
        raise NotImplementedError


class RestOfText(Value):
    """Everything up to the end of the output, less the tag that closes it there.

    Only the very end counts: the tag may as well be a part of the value.
    """

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        used = len(text)
        value = text.removesuffix(RAW_CLOSING) if final else text[: used - _may_close(text)]
        self._parts.append(value)
        return value, used if final else len(value), False


def _may_close(text: str) -> int:
    """Characters at the end of ``text`` that are, or may become, the closing tag."""
    for length in range(min(len(RAW_CLOSING), len(text)), 0, -1):
        if text.endswith(RAW_CLOSING[:length]):
            return length
    return 0


class Known(Value):
    """A value that is known before it is read."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self._parts.append(value)

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        return self.whole, 0, True


class RawObject(Value):
    """A JSON object, passed on as it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._in_string = False

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        at = 0
        while at < len(text):
            if self._in_string:
                match = _IN_STRING.match(text, at)
                assert match is not None
                if match[0] == "\\" and not final and len(text) - at < 6:
                    break
                at = match.end()
                self._in_string = match[0] != '"'
                continue
            match = _IN_VALUE.match(text, at)
            assert match is not None
            at = match.end()
            if match[0] == '"':
                self._in_string = True
            elif match[0] in "{[":
                self._depth += 1
            elif match[0] in "}]":
                self._depth -= 1
                if self._depth == 0:
                    self._parts.append(text[:at])
                    return text[:at], at, True
        self._parts.append(text[:at])
        return text[:at], at, False


class QuotedText(Value):
    """A JSON string, passed on unescaped."""

    def __init__(self, *, empty: str) -> None:
        super().__init__()
        self._empty = empty

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        out: list[str] = []
        at = 0
        ended = False
        while at < len(text) and not ended:
            match = _IN_STRING.match(text, at)
            assert match is not None
            piece = match[0]
            if piece == '"':
                ended = True
            elif piece[0] != "\\":
                out.append(piece)
            elif piece == "\\":
                if len(text) - at < 6:
                    break
                out.append(piece)
            elif _HIGH_SURROGATE.match(piece):
                pair = text[at : at + 12]
                if len(pair) < 12 and not final:
                    break
                whole = _unescape(pair) if len(pair) == 12 else ""
                if len(whole) == 1:
                    out.append(whole)
                    at += 12
                    continue
                out.append("\ufffd")
            else:
                out.append(_unescape(piece))
            at = match.end()
        delta = "".join(out)
        if ended and not delta and not self.whole:
            delta = self._empty
        self._parts.append(delta)
        return delta, at, ended


class UnwrappedInput(Value):
    """A custom tool's input that came as an object: the text of its only member, else the object."""

    def __init__(self) -> None:
        super().__init__()
        self._object = RawObject()

    def feed(self, text: str, final: bool) -> tuple[str, int, bool]:
        _, used, ended = self._object.feed(text, final)
        if not ended and not final:
            return "", used, False
        whole = self._object.whole
        try:
            members = list(json.loads(whole, strict=False).values())
        except ValueError:
            members = []
        self._parts.append(members[0] if len(members) == 1 and isinstance(members[0], str) else whole)
        return self.whole, used, ended


def _unescape(piece: str) -> str:
    """What a JSON escape stands for; an unknown one stands for its character, half of a pair for U+FFFD."""
    try:
        text = str(json.loads(f'"{piece}"'))
    except ValueError:
        return piece[1:]
    return "\ufffd" if len(text) == 1 and 0xD800 <= ord(text) <= 0xDFFF else text
