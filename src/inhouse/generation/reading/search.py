"""What to read of a prompt for a question: the work of one child process."""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from inhouse.generation.reading.ranking import STOP, Corpus, Index, hash_of, index, words_of

if TYPE_CHECKING:
    from inhouse.generation.reading.meaning import WordVectors

HOPS = 2
"""Further searches, by the words of what was found."""
HOP_SHARE = 0.35
"""Of the characters, left to them."""
MEANING_SHARE, MEANING_LEAST = 0.35, 0.1
"""Of the characters, left to sentences that mean what is asked for: the first where no passage holds the question's
words, the second where one does."""
HELD = 0.75
"""The part of what the question's words weigh from which on a passage holds them."""
FLOOR = 0.15
"""Of the best score: passages below it have little to do with the question, and would only mislead a small model."""
CLOSE, CLOSE_FLOOR = 0.3, 0.7
"""The least cosine of a sentence with the question, and the least part of the best one's."""
SPREAD_SHARE = 0.7
"""Of the characters, spread evenly over the prompt where the question is about all of it."""
_SENTENCES = 48
"""That are looked at by meaning."""
_BEFORE, _AFTER = 80, 160
"""Characters around such a sentence that are read with it."""
_HOP_TERMS = 12
_HOP_FROM = 3
"""Passages whose words the next search takes."""
_HOP_FLOOR = 0.6
"""The least part of the best one's score that such a passage has."""
_MISSED = 8
"""Passages that are too long for what is left, after which none further is tried."""
_RARE = 0.01
"""A word in at most this share of the passages may lead further."""
_SENTENCE = re.compile(r"[^.!?\n]+")
_ALL = (
    r"(texts?|documents?|conversations?|books?|files?|transcripts?|reports?|inputs?|chapters|sections|records|messages)"
)
_WHOLE = re.compile(
    r"\b(summar\w+|tl;?dr|overview|outline|gist|key (points|takeaways|ideas)|main (points|ideas|themes|topics)|"
    rf"(entire|whole|full) {_ALL}|what (is|are) (this|these|the {_ALL}) about|"
    r"count (all|every|each|the|how)|how (many times|often)|number of (times|occurrences|mentions)|in total\b|"
    r"(list|name|enumerate) (all|every|each)|"
    rf"(compare|contrast|rank|sort|order|group|classify) (all|every|each|the {_ALL})|"
    r"most (common|frequent|often)|zusammenfass\w*|wie oft|résum\w+|combien de fois|resum\w+|cuántas veces)",
    re.IGNORECASE,
)
"""Questions about the whole: to summarise, to count, to list or compare everything."""

Span = tuple[int, int, int]
"""Number of a text, first character and character after the last one."""


class Job(msgspec.Struct, array_like=True):
    """``indexes`` holds None for each text that was not indexed yet. ``characters`` is how much may be read.
    ``vectors`` is the folder of word vectors, if they are at hand."""

    texts: list[str]
    indexes: list[Index | None]
    question: str
    characters: int
    vectors: str | None = None


class Found(msgspec.Struct, array_like=True):
    """``indexes``: those that were made, None for those that were given.

    ``passages``: number of the text, first character and character after the last one, the best first.
    ``whole``: whether they are spread over the whole because the question is about all of it.
    """

    indexes: list[Index | None]
    passages: list[Span]
    whole: bool


def asks_for_all(question: str) -> bool:
    """Whether a question is about the whole of a text, so that no passage can answer it."""
    return _WHOLE.search(question) is not None


def search(job: Job) -> Found:
    """What to read. Without word vectors, or with such as cannot be used, words alone decide."""
    vectors = None if job.vectors is None else _vectors(Path(job.vectors))
    known: dict[str, int] = {}
    made: list[Index | None] = []
    indexes: list[Index] = []
    for text, given in zip(job.texts, job.indexes, strict=True):
        kept = index(text, known) if given is None else given
        if vectors is not None and kept.meaning is None:
            kept = msgspec.structs.replace(kept, meaning=vectors.meaning(text))
        made.append(None if kept is given else kept)
        indexes.append(kept)
    finder = _Finder(job, indexes, vectors)
    return Found(made, finder.find(), finder.whole)


def _vectors(folder: Path) -> WordVectors | None:
    # Here, since the gateway imports this module for its shapes, and has no use for the vectors' libraries.
    from inhouse.generation.reading.meaning import WordVectors

    try:
        return WordVectors(folder)
    except (OSError, ValueError, LookupError, msgspec.MsgspecError) as error:
        print(f"word vectors cannot be used: {error!r}", file=sys.stderr)  # noqa: T201 - its parent's log
        return None


class _Finder:
    def __init__(self, job: Job, indexes: Sequence[Index], vectors: WordVectors | None) -> None:
        self._job = job
        self._indexes = indexes
        self._vectors = vectors
        self._corpus = Corpus(indexes)
        self._starts = [array("I", each.starts) for each in indexes]
        self._first = list(accumulate((len(each) for each in self._starts), initial=0))
        self._left = job.characters
        self._chosen: dict[int, Span] = {}
        self.whole = asks_for_all(job.question)

    def find(self) -> list[Span]:
        total = self._job.characters
        words = words_of(self._job.question)
        scores = self._corpus.scores(words)
        if self.whole:
            self._spread(int(total * SPREAD_SHARE))
            self._take(scores, self._left)
            return list(self._chosen.values())
        share = self._meaning_share(words, scores)
        by_words = self._take(scores, int(total * (1 - HOP_SHARE - share)))
        by_meaning = self._mean(int(total * share)) if share else []
        by_hops: list[list[int]] = []
        asked = {hash_of(word) for word in words}
        frontier = scores
        for hop in range(HOPS):
            further = self._further(frontier, asked)
            if not further:
                break
            asked |= {hash_of(word) for word in further}
            found = self._corpus.scores(further)
            by_hops.append(self._take(found, self._left // (HOPS - hop)))
            frontier = found
        by_words += self._take(scores, self._left)
        if not self._chosen:  # none of its words occurs
            self.whole = True
            self._spread(total)
            return list(self._chosen.values())
        hops = [(taken, HOP_SHARE / HOPS) for taken in by_hops]
        return self._woven([(by_words, 1 - HOP_SHARE - share), *hops, (by_meaning, share)])

    def _woven(self, lists: list[tuple[list[int], float]]) -> list[Span]:
        """Passages of several lists, so that each beginning of the result has of each list about its share."""
        out: list[Span] = []
        used = [0.0] * len(lists)
        while any(each for each, _ in lists):
            at = min((n for n, (each, _) in enumerate(lists) if each), key=lambda n: used[n])
            span = self._chosen[lists[at][0].pop(0)]
            used[at] += (span[2] - span[1]) / lists[at][1]
            out.append(span)
        return out

    def _meaning_share(self, words: Sequence[str], scores: Sequence[float]) -> float:
        if self._vectors is None or not scores:
            return 0.0
        best = max(range(len(scores)), key=lambda at: scores[at])
        return MEANING_LEAST if self._corpus.covered(words, best) >= HELD else MEANING_SHARE

    def _mean(self, characters: int) -> list[int]:
        """The sentences that are closest in meaning to the question, each with a little around it."""
        assert self._vectors is not None
        meanings = [each.meaning for each in self._indexes if each.meaning is not None]
        if len(meanings) < len(self._indexes):
            return []
        taken: list[int] = []
        close = self._vectors.closest(self._job.question, meanings, _SENTENCES)
        for each in close:
            if each.cosine < max(CLOSE, CLOSE_FLOOR * close[0].cosine):
                break
            text, starts = self._job.texts[each.segment], self._starts[each.segment]
            number = bisect_right(starts, each.first) - 1
            passage = self._first[each.segment] + number
            if passage in self._chosen:
                continue
            _, low, high = self._span(passage)
            first = max(low, text.rfind(" ", low, max(low, each.first - _BEFORE)) + 1)
            last = min(high, each.last + _AFTER)
            if (at := text.find(" ", last, high)) >= 0:
                last = at
            if last - first > characters:
                break
            self._chosen[passage] = (each.segment, first, last)
            taken.append(passage)
            characters -= last - first
            self._left -= last - first
        return taken

    def _span(self, passage: int) -> Span:
        text, number = self._corpus.place[passage]
        starts = self._starts[text]
        end = starts[number + 1] if number + 1 < len(starts) else len(self._job.texts[text])
        return text, starts[number], end

    def _take(self, scores: Sequence[float], characters: int) -> list[int]:
        """Choose the best passages that are not chosen yet, up to so many characters."""
        taken: list[int] = []
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
                    break
                continue
            self._chosen[passage] = span
            taken.append(passage)
            characters -= size
            self._left -= size
        return taken

    def _spread(self, characters: int) -> None:
        """The first passage of each of as many equal parts of the prompt as fit."""
        count = len(self._corpus)
        if not count:
            return
        average = sum(map(len, self._job.texts)) / count
        parts = min(count, max(1, int(characters / average)))
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
            if scores[passage] <= _HOP_FLOOR * scores[best[0]]:
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
