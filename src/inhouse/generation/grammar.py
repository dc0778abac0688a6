"""Grammars for custom tools: what a client wrote, compiled or refused.

The engines constrain output with llguidance, so a Lark definition goes to them as it is and a regular expression as a
grammar of one terminal. Its dialect: Lark with an Earley parser and a greedy lexer, Rust regular expressions, no
lookaround, no backreferences, no templates, ``%import`` from ``common`` only. ``%ignore`` works; priorities are
dropped, since generating needs no tie-breaks. The package is pinned to the release that xllamacpp is built with, so
that what passes here passes there.
"""

from __future__ import annotations

import functools
import re
from typing import Final, Literal

from llguidance import LLMatcher, LLTokenizer

from inhouse.kit.errors import InvalidRequest

HEADER: Final = "%llguidance {}\n"
"""How an engine tells this dialect from GBNF."""
MAX_DEFINITION: Final = 100_000
"""Characters of a definition; far above any grammar in use, below what would stall a gateway."""

_BYTES: Final = LLTokenizer("byte")
_LARK: Final = re.compile(
    r""""(?:[^"\\\n]|\\.)*"|/(?!/)(?:[^/\\\n]|\\.)+/|//[^\n]*|\#[^\n]*  # literals and comments, left as they are
    |(?P<priority>(?<=\w)\.-?\d+(?=[ \t]*:))
    |~[ \t]*(?P<least>\d+)[ \t]*\.\.[ \t]*(?P<most>\d+)""",
    re.VERBOSE,
)
_EMBEDDED: Final = re.compile(r"%\s*(?:json|lark|llguidance)")
_UNKNOWN_TOKENS: Final = "no tokenizer"


def compile_definition(syntax: Literal["lark", "regex"], definition: str, *, param: str) -> str:
    """Lark text, without header, that engines take for what the client wrote.

    Args:
        param: dotted path, e.g. ``tools[0].custom.format.grammar.definition``.

    Raises:
        InvalidRequest: the definition cannot be compiled; the message says where and why.
    """
    if len(definition) > MAX_DEFINITION:
        raise InvalidRequest(
            f"Invalid '{param}': string too long. Expected a string with maximum length {MAX_DEFINITION}, "
            f"but got a string with length {len(definition)} instead.",
            param=param,
            code="string_above_max_length",
        )
    body = _LARK.sub(_dialect, definition) if syntax == "lark" else f"start: {regex_terminal(definition)}\n"
    # A schema inside would go past the bounds of ``engine_schema``; in a text, it can be written in two parts.
    embedded = _EMBEDDED.search(body) if syntax == "lark" else None
    problem = f"{embedded[0]} is not allowed here" if embedded is not None else why_not(body)
    if problem is not None:
        raise InvalidRequest(f"Invalid {syntax} grammar: {problem}", param=param, code="invalid_value")
    return body


def _dialect(match: re.Match[str]) -> str:
    """Lark's ``~1..3`` in the engines' spelling, and nothing for a priority."""
    if match["priority"]:
        return ""
    return f"{{{match['least']},{match['most']}}}" if match["least"] else match[0]


def regex_terminal(pattern: str) -> str:
    """``pattern`` as a Lark terminal that matches the whole text."""
    if not pattern:
        return '""'
    out = []
    escaped = False
    for char in pattern:
        if char == "\n":
            out.append(r"n" if escaped else r"\n")
        elif char == "/" and not escaped:
            out.append(r"\/")
        else:
            out.append(char)
        escaped = char == "\\" and not escaped
    return f"/{''.join(out)}/"


@functools.lru_cache(maxsize=256)
def why_not(body: str) -> str | None:
    """Why engines could not follow this Lark text, or None. Takes milliseconds, up to a second for a hostile grammar.

    The interpreter lock is released meanwhile, so a thread keeps an event loop alive.
    """
    failed, messages = LLMatcher.validate_grammar_with_warnings(LLMatcher.grammar_from_lark(body))
    if failed:
        return messages[0].strip()
    if any(_UNKNOWN_TOKENS in message for message in messages):
        return "special tokens are not supported"
    # Some limits show only when the automaton is built, so the first steps are taken here.
    matcher = LLMatcher(_BYTES, HEADER + body, log_level=0)
    for _ in range(2):
        mask = b"" if matcher.is_error() else matcher.compute_bitmask()
        byte = next((i * 8 + bit for i, bits in enumerate(mask[:32]) for bit in range(8) if bits >> bit & 1), None)
        if matcher.is_error() or byte is None:
            break
        matcher.consume_token(byte)
    return matcher.get_error().split("<state>")[0].strip() if matcher.is_error() else None


class Follower:
    """Walks along text that an engine writes under a grammar.

    An engine that meets an internal limit in the middle goes on without its constraint; this notices.
    """

    def __init__(self, grammar: str) -> None:
        self._matcher = LLMatcher(_BYTES, grammar, log_level=0)

    def feed(self, text: str) -> bool:
        """Whether everything so far can still become a sentence of the grammar."""
        return not self._matcher.is_error() and self._matcher.consume_tokens(list(text.encode()))

    @property
    def complete(self) -> bool:
        """Whether what was fed is a whole sentence."""
        return not self._matcher.is_error() and self._matcher.is_accepting()
