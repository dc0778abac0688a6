"""What of a prompt is read whole, what is searched, and for which question."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from inhouse.generation.items import Item, Message, Text, ToolCall, ToolOutput
from inhouse.generation.reading.asking import HEAD, MOST, TAIL, asked_in, questions
from inhouse.generation.reading.ranking import STOP, words_of

QUESTION = 1_500
"""Characters up to which the last message of the user, and each first or last part of it, is read whole."""
LAST_TURNS = 2
"""Turns before the question that are read whole, if they are short."""
TURN = 1_500
"""Characters up to which an item of those is short."""


class Source(msgspec.Struct, frozen=True):
    """A text that is searched. ``item`` and ``part`` say where it stands; ``first`` and ``last`` are the characters
    between which it is searched: what is before and after is read."""

    item: int
    part: int
    text: str
    first: int
    last: int

    @property
    def searched(self) -> str:
        return self.text[self.first : self.last]


class Plan(msgspec.Struct, frozen=True):
    whole: frozenset[int]
    """Places of the items that are read whole."""
    sources: list[Source]
    questions: list[str]
    """What is searched for, each by itself."""

    @property
    def question(self) -> str:
        return " ".join(self.questions)


def plan(items: tuple[Item, ...], most_whole: int, last_turns: int = LAST_TURNS) -> Plan:
    """
    Args:
        most_whole: characters that may be read whole. Of instructions and turns that do not fit in it, passages are
            read.
        last_turns: before the question that are read whole, if they are short.
    """
    asked = max((at for at, item in enumerate(items) if _is(item, "user")), default=len(items) - 1)
    left = most_whole
    whole: set[int] = set()
    for at in _by_importance(items, asked, last_turns):
        size = _length(items[at])
        limit = QUESTION if at == asked else TURN
        if _is(items[at], "system", "developer"):
            limit = most_whole
        if size <= min(limit, left) or (isinstance(items[at], ToolCall) and at > asked):
            whole.add(at)
            left -= size
    sources: list[Source] = []
    question: list[str] = []
    if asked in whole:
        question.append(_text(items[asked]))
    for at, item in enumerate(items):
        if at in whole or isinstance(item, ToolCall):
            continue
        edges = at >= asked or _is(item, "system", "developer")
        texts = [(0, item.text)] if isinstance(item, ToolOutput) else list(_texts(item))
        for part, text in texts:
            source = _source(at, part, text, edges=edges, short=part in (texts[0][0], texts[-1][0]))
            sources.append(source)
            if at == asked and edges:
                question += [text[: source.first], text[source.last :]]
    said = " ".join(question)
    wanted = _by_itself(said) if asked in whole else questions(question)
    if sum(word not in STOP for word in words_of(" ".join(wanted))) < 2:  # "and the second one?", "continue"
        before = [text for item in items[:asked] if _is(item, "user") and len(text := _text(item)) <= QUESTION]
        answered = [_text(item) for item in items[:asked] if _is(item, "assistant")]
        wanted += before[-1:] or [text[-HEAD:] for text in answered[-1:]]
    return Plan(frozenset(whole), sources, wanted)


def _by_itself(message: str) -> list[str]:
    """The questions of a short message, where there are several; else all of it is one."""
    found = asked_in(message)
    return found[-MOST:] if len(found) > 1 else [message]


def turns(items: tuple[Item, ...]) -> list[int]:
    """For each item the number of the user's short message that it is, the negative one where it came of that message,
    0 for all else. What is long is a document, of which passages are counted, not a message."""
    found: list[int] = []
    turn = 0
    for item in items:
        if _is(item, "user"):
            short = _length(item) <= TURN
            turn = len(found) + 1 if short else 0
            found.append(turn)
        else:
            found.append(0 if _is(item, "system", "developer") else -turn)
    return found


def _by_importance(items: tuple[Item, ...], asked: int, last_turns: int) -> Iterator[int]:
    """Places of what is read whole if it fits: the question, instructions, what came after the question, the turns
    before it."""
    if not items:
        return
    yield asked
    yield from (at for at, item in enumerate(items) if at != asked and _is(item, "system", "developer"))
    yield from range(len(items) - 1, asked, -1)
    turns = 0
    for at in range(asked - 1, -1, -1):
        if turns >= last_turns:
            return
        if isinstance(items[at], Message) and not _is(items[at], "system", "developer"):
            yield at
        turns += _is(items[at], "user")


def _source(item: int, part: int, text: str, *, edges: bool, short: bool) -> Source:
    if not edges:
        return Source(item, part, text, 0, len(text))
    if short and len(text) <= QUESTION:
        return Source(item, part, text, len(text), len(text))
    first, last = HEAD, max(HEAD, len(text) - TAIL)
    for boundary in ("\n\n", "\n", ". ", " "):
        if (at := text.rfind(boundary, 0, HEAD)) > 0:
            first = at + len(boundary)
            break
    for boundary in ("\n\n", "\n", ". ", " "):
        if (at := text.find(boundary, last)) >= 0 and at + len(boundary) < len(text):
            last = at + len(boundary)
            break
    return Source(item, part, text, first, last)


def _is(item: Item, *roles: str) -> bool:
    return isinstance(item, Message) and item.role in roles


def _texts(message: Message) -> Iterator[tuple[int, str]]:
    for part, each in enumerate(message.parts):
        if isinstance(each, Text):
            yield part, each.text


def _text(item: Item) -> str:
    return item.arguments if isinstance(item, ToolCall) else item.text


def _length(item: Item) -> int:
    return len(_text(item))
