"""What to read of a prompt for a question: the work of one child process."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence

import msgspec

from inhouse.generation.reading.passages import MOST
from inhouse.generation.reading.ranking import STOP, Corpus, Index, hash_of, index, words_of

HOPS = 2
"""Further searches, by the words of what was found."""
HOP_SHARE = 0.35
"""Of the characters, left to them."""
FLOOR = 0.15
"""Of the best score: passages below it have little to do with the question, and would only mislead a small model."""
SPREAD_SHARE = 0.7
"""Of the characters, spread evenly over the prompt where the question is about all of it."""
_HOP_TERMS = 12
_HOP_FROM = 3
"""Passages whose words the next search takes."""
_MISSED = 8
"""Passages that are too long for what is left, after which none further is tried."""
_RARE = 0.01
"""A word in at most this share of the passages may lead further."""
_SENTENCE = re.compile(r"[^.!?\n]+")
_WHOLE = re.compile(
    r"\b(summar\w+|tl;?dr|overview|outline|gist|key (points|takeaways|ideas)|main (points|ideas|themes|topics)|"
    r"(entire|whole|full) (text|document|conversation|book|file|transcript|report|input)|"
    r"what (is|are) (this|these|the (text|document|book|file|report)s?) about|zusammenfass\w*|résum\w+|resum\w+)",
    re.IGNORECASE,
)


class Job(msgspec.Struct, array_like=True):
    """``indexes`` holds None for each text that was not indexed yet. ``characters`` is how much may be read."""

    texts: list[str]
    indexes: list[Index | None]
    question: str
    characters: int


class Found(msgspec.Struct, array_like=True):
    """``indexes``: those that were made, None for those that were given.

    ``passages``: number of the text, first character and character after the last one, the best first.
    ``whole``: whether they are spread over the whole because the question is about all of it.
    """

    indexes: list[Index | None]
    passages: list[tuple[int, int, int]]
    whole: bool


def asks_for_all(question: str) -> bool:
    """Whether a question is about the whole of a text, so that no passage can answer it."""
    return _WHOLE.search(question) is not None


def search(job: Job) -> Found:
    known: dict[str, int] = {}
    made: list[Index | None] = [
        index(text, known) if given is None else None for text, given in zip(job.texts, job.indexes, strict=True)
    ]
    indexes = [new or old for new, old in zip(made, job.indexes, strict=True)]
    finder = _Finder(job, [each for each in indexes if each is not None])
    return Found(made, finder.find(), finder.whole)


class _Finder:
    def __init__(self, job: Job, indexes: Sequence[Index]) -> None:
        self._job = job
        self._corpus = Corpus(indexes)
        self._starts = [array("I", each.starts) for each in indexes]
        self._left = job.characters
        self._chosen: dict[int, tuple[int, int, int]] = {}
        self.whole = asks_for_all(job.question)

    def find(self) -> list[tuple[int, int, int]]:
        total = self._job.characters
        words = words_of(self._job.question)
        scores = self._corpus.scores(words)
        if self.whole:
            self._spread(int(total * SPREAD_SHARE))
        self._take(scores, self._left if self.whole else int(total * (1 - HOP_SHARE)))
        if not self.whole:
            asked = {hash_of(word) for word in words}
            for hop in range(HOPS):
                further = self._further(scores, asked)
                if not further:
                    break
                asked |= {hash_of(word) for word in further}
                found = self._corpus.scores(further)
                self._take(found, self._left // (HOPS - hop))
                scores = [max(pair) for pair in zip(scores, found, strict=True)]
            self._take(scores, self._left)
            if not self._chosen:  # none of its words occurs
                self.whole = True
                self._spread(total)
        return list(self._chosen.values())

    def _span(self, passage: int) -> tuple[int, int, int]:
        text, number = self._corpus.place[passage]
        starts = self._starts[text]
        end = starts[number + 1] if number + 1 < len(starts) else len(self._job.texts[text])
        return text, starts[number], end

    def _take(self, scores: Sequence[float], characters: int) -> None:
        """The best passages that are not chosen yet, up to so many characters."""
        missed = 0
        floor = FLOOR * max(scores, default=0.0)
        for passage in sorted(
            (each for each in range(len(scores)) if scores[each] > floor), key=lambda at: -scores[at]
        ):
            if passage in self._chosen:
                continue
            span = self._span(passage)
            size = span[2] - span[1]
            if size > characters:
                missed += 1
                if missed > _MISSED:
                    return
                continue
            self._chosen[passage] = span
            characters -= size
            self._left -= size

    def _spread(self, characters: int) -> None:
        """The first passage of each of as many equal parts of the prompt as fit."""
        count = len(self._corpus)
        parts = min(count, max(1, characters // MOST))
        scores = [0.0] * count
        for part in range(parts):
            scores[part * count // parts] = 1.0
        self._take(scores, characters)

    def _further(self, scores: Sequence[float], asked: set[int]) -> list[str]:
        """Rare words that stand, in the best passages, in the sentences which the question led to."""
        best = sorted(range(len(scores)), key=lambda at: -scores[at])[:_HOP_FROM]
        rare = max(2, int(_RARE * len(self._corpus)))
        found: dict[str, int] = {}
        for passage in best:
            if scores[passage] <= 0:
                break
            text, start, end = self._span(passage)
            for word in self._beside(self._job.texts[text][start:end], asked):
                if word in found or len(found) >= 4 * _HOP_TERMS:
                    continue
                with_it = len(self._corpus.count(array("I", [hash_of(word)]).tobytes()))
                if 1 < with_it <= rare:
                    found[word] = with_it
        kept = sorted(found, key=lambda word: found[word])[:_HOP_TERMS]
        return [word for word in found if word in kept]

    @staticmethod
    def _beside(passage: str, asked: set[int]) -> Iterator[str]:
        """Words of the sentences that have most of the question's words."""
        sentences = [words_of(each) for each in _SENTENCE.findall(passage)]
        counts = [sum(hash_of(word) in asked and word not in STOP for word in set(each)) for each in sentences]
        most = max(counts, default=0)
        for words, count in zip(sentences, counts, strict=True):
            if most and count == most:
                yield from (word for word in words if len(word) > 2 and word not in STOP and hash_of(word) not in asked)
