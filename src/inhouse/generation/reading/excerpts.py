"""A request with passages in the place of what is too long to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from inhouse.generation.items import GenerationRequest, Item, Message, Part, Text, ToolCall, ToolOutput
from inhouse.generation.reading.asking import asks_for_all
from inhouse.generation.reading.order import ordinals, spelled
from inhouse.generation.reading.plan import TURN, Plan, plan, turns
from inhouse.generation.reading.ranking import Index
from inhouse.generation.reading.search import Found, Job
from inhouse.generation.reading.segments import segments
from inhouse.generation.reading.shelf import Key, Shelf, content_key
from inhouse.generation.reading.worker import searched

REMEMBERED = 4_096
"""Characters from which on the index of a segment is kept."""
BESIDE = 200
"""Characters that are read of a message that only belongs to another which is read."""
ACROSS = 160
"""Characters that a passage gets of the other side of a segment's end."""
_SPARE = 2
"""Times the characters that are wanted, since some passages may turn out to have more tokens."""


class Passage(msgspec.Struct, frozen=True):
    source: int
    first: int
    last: int
    """Characters of the source's text."""
    place: int = 0
    count: int = 0
    """It begins with number ``place`` of so many that are alike; 0 where nothing was counted."""
    said: int = 0
    """Characters of it that the question is told again, as the one that it asks for."""


class Excerpts:
    """What was found for a request; ``with_passages`` writes the request with as many of them as fit."""

    def __init__(self, request: GenerationRequest, made: Plan, found: Sequence[Passage], per_token: float) -> None:
        self._request = request
        self._plan = made
        self._found = found
        self._per_token = per_token
        self._notes: str | None = None
        self._sources: dict[int, list[int]] = {}
        for number, source in enumerate(made.sources):
            self._sources.setdefault(source.item, []).append(number)

    @property
    def question(self) -> str:
        return self._plan.question

    @property
    def about_all(self) -> bool:
        """Whether the question is about the whole, so that no passage can answer it."""
        return asks_for_all(self._plan.question)

    def texts(self, count: int) -> list[str]:
        """The best ``count`` passages, in the order of the prompt."""
        found = sorted(self._found[:count], key=lambda each: (each.source, each.first))
        return [self._plan.sources[each.source].text[each.first : each.last] for each in found]

    def noted(self, notes: str) -> Excerpts:
        """These with notes in the place of passages."""
        made = Excerpts(self._request, self._plan, [], self._per_token)
        made._notes = notes
        return made

    def joined(self, further: Excerpts, count: int) -> Excerpts:
        """The best ``count`` of these and, in turns, what a further search for the same request found beside them."""
        read = self._found[:count]
        new = [each for each in further._found if each not in read]
        turns = [each for pair in zip_longest(read, new) for each in pair if each is not None]
        return Excerpts(self._request, self._plan, turns, self._per_token)

    def passages_within(self, characters: int) -> int:
        """How many of the best passages have so many characters together; the best one even if it has more."""
        count = 0
        for passage in self._found:
            characters -= passage.last - passage.first
            if characters < 0 and count:
                break
            count += 1
        return count

    def with_passages(self, count: int) -> GenerationRequest:
        """The request with the best ``count`` passages, in the order of the prompt."""
        chosen: dict[int, list[Passage]] = {}
        for passage in self._found[:count]:
            chosen.setdefault(passage.source, []).append(passage)
        items = self._request.items
        kept = self._kept(items, chosen)
        out: list[Item] = []
        left_out = 0
        for at, item in enumerate(items):
            if at not in kept:
                left_out += len(item.arguments if isinstance(item, ToolCall) else item.text)
                continue
            shown = item if at in self._plan.whole else self._shown(at, item, chosen)
            if left_out and isinstance(shown, Message) and shown.role in ("user", "assistant"):
                shown = msgspec.structs.replace(shown, parts=(Text(self._mark(left_out) + "\n"), *shown.parts))
                left_out = 0
            out.append(shown)
        return msgspec.structs.replace(self._request, items=tuple(self._told(out, self._found[:count])))

    def _told(self, items: list[Item], found: Sequence[Passage]) -> list[Item]:
        """The items with the sentences that were counted out told again before the question: a small model that is
        asked for the third note looks for a three, and takes the next best number for it."""
        lines = [
            f'[Of {each.count} that are alike, the {spelled(each.place)} is: "{self._text_of(each)}"]'
            for each in found
            if each.said
        ]
        asked = max((at for at, item in enumerate(items) if _said(item, "user")), default=None)
        if not lines or asked is None:
            return items
        message = items[asked]
        assert isinstance(message, Message)
        last = max((at for at, part in enumerate(message.parts) if isinstance(part, Text)), default=None)
        if last is None:
            return items
        part = message.parts[last]
        assert isinstance(part, Text)
        before, gap, question = part.text.rpartition("\n\n")
        told = Text(f"{before}{gap}" + "\n".join([*lines, question]))
        parts = (*message.parts[:last], told, *message.parts[last + 1 :])
        return [*items[:asked], msgspec.structs.replace(message, parts=parts), *items[asked + 1 :]]

    def _text_of(self, passage: Passage) -> str:
        return self._plan.sources[passage.source].text[passage.first : passage.first + passage.said]

    def _kept(self, items: Sequence[Item], chosen: Mapping[int, list[Passage]]) -> set[int]:
        """Places of the items of which something is read."""
        sources = self._plan.sources
        kept = set(self._plan.whole) | {sources[number].item for number in chosen}
        kept |= {each.item for each in sources if each.first or each.last < len(each.text)}
        if (noted := self._noted_source()) is not None:
            kept.add(sources[noted].item)
        # What was answered is hardly understood without what was asked, and some templates want turns to alternate.
        for at in sorted(kept):
            if at and _said(items[at], "assistant") and _said(items[at - 1], "user"):
                kept.add(at - 1)
            elif at + 1 < len(items) and _said(items[at], "user") and _said(items[at + 1], "assistant"):
                kept.add(at + 1)
        calls = {item.id: at for at, item in enumerate(items) if isinstance(item, ToolCall)}
        outputs = {item.call_id: at for at, item in enumerate(items) if isinstance(item, ToolOutput)}
        for at in sorted(kept):
            item = items[at]
            if isinstance(item, ToolOutput) and item.call_id in calls:
                call = calls[item.call_id]
                made = items[call]
                if call in kept or (isinstance(made, ToolCall) and len(made.arguments) <= TURN):
                    kept.add(call)
                else:
                    kept.discard(at)
            elif isinstance(item, ToolCall) and item.id in outputs:
                kept.add(outputs[item.id])
        return kept

    def _noted_source(self) -> int | None:
        """Number of the text in which the notes stand: the one of which most is left out."""
        if self._notes is None:
            return None
        sources = self._plan.sources
        return max(range(len(sources)), key=lambda number: sources[number].last - sources[number].first, default=None)

    def _shown(self, at: int, item: Item, chosen: Mapping[int, list[Passage]]) -> Item:
        numbers = self._sources.get(at, [])
        if isinstance(item, ToolCall) or not numbers:
            return item
        texts = {self._plan.sources[number].part: self._written(number, chosen) for number in numbers}
        if isinstance(item, ToolOutput):
            return msgspec.structs.replace(item, text=texts[0], plain=None)
        parts: list[Part] = [
            Text(texts[part]) if part in texts else each
            for part, each in enumerate(item.parts)
            if texts.get(part, True)
        ]
        return msgspec.structs.replace(item, parts=tuple(parts))

    def _written(self, number: int, chosen: Mapping[int, list[Passage]]) -> str:
        """A text with marks in the place of what is left out."""
        source = self._plan.sources[number]
        found = sorted(chosen.get(number, ()), key=lambda each: each.first)
        if not found and source.first == 0 and source.last == len(source.text):
            found = [Passage(number, 0, min(source.last, BESIDE))]  # it is there only because of its neighbour
        if number == self._noted_source():
            before, after = source.text[: source.first], source.text[source.last :]
            return "\n\n".join(part for part in (before.strip("\n"), self._notes, after.strip("\n")) if part)
        edges = Passage(number, 0, source.first), Passage(number, source.last, len(source.text))
        out: list[str] = []
        end = 0
        for each in (edges[0], *found, edges[1]):
            if each.first > end:
                out.append(f"\n{self._mark(each.first - end)}\n")
            if each.place:
                out.append(f"[the {spelled(each.place)} of {each.count} that are alike]\n")
            out.append(source.text[max(each.first, end) : each.last])
            end = max(end, each.last)
        return "".join(out).strip("\n")

    def _mark(self, characters: int) -> str:
        return f"[… about {max(1, round(characters / self._per_token)):,} tokens left out …]"


def _said(item: Item, role: str) -> bool:
    return isinstance(item, Message) and item.role == role


async def excerpts(
    shelf: Shelf,
    project_id: str,
    request: GenerationRequest,
    *,
    characters: int,
    most_whole: int,
    per_token: float,
    vectors: Path | None = None,
    characters_of_all: int = 0,
    further: str = "",
) -> Excerpts:
    """Find what to read of a request.

    Args:
        characters: of passages that will be read.
        most_whole: characters of what is read whole, at most.
        per_token: characters.
        vectors: folder of the word vectors, if they are here.
        characters_of_all: of passages that may be read where the question is about all of it.
        further: what else to search for, beside the question.

    Raises:
        SearchFailed
    """
    folder = None if vectors is None else str(vectors)
    made = plan(request.items, most_whole)
    wanted = _SPARE * characters
    if asks_for_all(made.question):
        wanted = max(wanted, characters_of_all)
    elif ordinals(made.question) and any(_said(item, "assistant") for item in request.items):
        # What is to be counted may stand in the last turns, too; so these are searched with all others.
        every = plan(request.items, most_whole, last_turns=0)
        passages = await _passages(shelf, project_id, request.items, every, wanted, folder, further)
        if any(each.place for each in passages):
            return Excerpts(request, every, passages, per_token)
    passages = await _passages(shelf, project_id, request.items, made, wanted, folder, further)
    return Excerpts(request, made, passages, per_token)


async def _passages(
    shelf: Shelf, project_id: str, items: tuple[Item, ...], made: Plan, wanted: int, vectors: str | None, further: str
) -> list[Passage]:
    texts: list[str] = []
    origin: list[tuple[int, int]] = []
    """Of each text the number of its source, and where it begins there."""
    keys: list[Key | None] = []
    indexes: list[Index | None] = []
    edges: list[tuple[int, str]] = []
    for number, source in enumerate(made.sources):
        at = source.first
        if source.first:
            edges.append((len(texts), source.text[: source.first]))
        for segment in segments(source.searched):
            if segment:
                key = content_key(project_id, segment) if len(segment) >= REMEMBERED else None
                keys.append(key)
                indexes.append(None if key is None else shelf.index(key))
                texts.append(segment)
                origin.append((number, at))
            at += len(segment)
        if source.last < len(source.text):
            edges.append((len(texts), source.text[source.last :]))
    if not texts:
        return []
    of_items = turns(items)
    said = [of_items[made.sources[number].item] for number, _ in origin]
    wanted_for = [*made.questions, further] if further else made.questions
    async with shelf.searches:
        found = await searched(
            Job(
                texts,
                indexes,
                " ".join(wanted_for),
                wanted,
                vectors,
                said if any(said) else [],
                edges,
                wanted_for if len(made.questions) > 1 else [],
            )
        )
    _keep(shelf, keys, found)
    places = {each.passage: each for each in found.places}
    spans = [(origin[text][0], *_whole_line(made, origin[text], len(texts[text]), *at)) for text, *at in found.passages]
    return [
        Passage(
            source=source,
            first=first,
            last=last,
            place=places[at].place if at in places else 0,
            count=places[at].count if at in places else 0,
            said=places[at].said if at in places else 0,
        )
        for at, (source, first, last) in enumerate(spans)
    ]


def _whole_line(made: Plan, origin: tuple[int, int], size: int, first: int, last: int) -> tuple[int, int]:
    """The characters of a passage in its source. One at the beginning or the end of a segment may have been cut within
    a sentence, where a line is longer than a segment; it gets a little of the other side."""
    source, begin = made.sources[origin[0]], origin[1]
    text = source.text
    low, high = begin + first, begin + last
    if first == 0 and low > source.first and text[low - 1] != "\n":
        least = max(source.first, low - ACROSS)
        low = max(least, text.rfind("\n", least, low) + 1)
    if last == size and high < source.last and text[high - 1] != "\n":
        most = min(source.last, high + ACROSS)
        end = text.find("\n", high, most)
        high = most if end < 0 else end
    return low, high


def _keep(shelf: Shelf, keys: Sequence[Key | None], found: Found) -> None:
    for key, index in zip(keys, found.indexes, strict=True):
        if key is not None and index is not None:
            shelf.keep_index(key, index)
