"""What to read of a prompt for a question: the work of one child process."""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from inhouse.generation.reading.asking import asks_for_all
from inhouse.generation.reading.order import (
    MOST_ALIKE,
    Counted,
    Ordinal,
    Sentence,
    counted,
    ordinals,
    sentences,
    without_places,
)
from inhouse.generation.reading.ranking import STOP, Corpus, Index, hash_of, index, names, phrases, words_of

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
OTHERS = 0.6
"""Of the best score that one of many that are alike has: what else is read where they were counted."""
SPREAD_SHARE = 0.7
"""Of the characters, spread evenly over the prompt where the question is about all of it."""
LEAST_EACH = 3_600
"""Characters that are searched for each of several questions, at least; of them only as many are read as fit."""
LEAST_INSIDE, MOST_INSIDE, MOST_WITH_INSIDE = 4, 4, 64
"""Characters of a word that is looked for inside of longer ones, at least; such words, and passages with one, at most:
parts of words that stand everywhere tell nothing."""
_DEFINED = (
    r"(?m)^[ \t]*(?:[a-z]+[ \t]+)*?(?:class|def|function|fn|func|struct|trait|enum|type|interface|const|let|var|val|"
    r"impl|module|#define)[ \t]+{0}\b|^[ \t]*(?:export[ \t]+)?{0}[ \t]*(?::[^=\n]*)?(?:=(?!=)|:)"
)
"""A definition or an assignment of a name, in the languages that people paste."""
_SENTENCES = 48
"""That are looked at by meaning."""
_BEFORE, _AFTER = 80, 160
"""Characters around such a sentence that are read with it."""
_SECTION, _MARKUP = 3, 8
"""Passages that are read of what follows a heading, and characters that mark one."""
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
Span = tuple[int, int, int]
"""Number of a text, first character and character after the last one."""


class Job(msgspec.Struct, array_like=True):
    """``indexes`` holds None for each text that was not indexed yet. ``characters`` is how much may be read.
    ``vectors`` is the folder of word vectors, if they are at hand. ``turns``: for each text the number of the user's
    message that it is a part of, or the negative one of that which it answers; 0 for what stands in no turn. Empty
    where nothing was said but the question. ``edges``: what is read anyway, and counts where places are asked for; with
    the number of the text before which it stands. ``questions``: where ``question`` is several, each of them."""

    texts: list[str]
    indexes: list[Index | None]
    question: str
    characters: int
    vectors: str | None = None
    turns: list[int] = []
    edges: list[tuple[int, str]] = []
    questions: list[str] = []


class Place(msgspec.Struct, array_like=True, frozen=True):
    """``passage`` (its number in ``Found.passages``) begins with number ``place`` of ``count`` that are alike.
    ``said``: how many of its characters are the sentence that is alike, if it says something that the others do not;
    0 where all say the same, as headings do, and messages that ask for the same."""

    passage: int
    place: int
    count: int
    said: int = 0


class Found(msgspec.Struct, array_like=True):
    """``indexes``: those that were made, None for those that were given.

    ``passages``: number of the text, first character and character after the last one, the best first.
    ``whole``: whether they are spread over the whole because the question is about all of it.
    ``places``: of passages that were asked for by their place among others that are alike.
    """

    indexes: list[Index | None]
    passages: list[Span]
    whole: bool
    places: list[Place] = []


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
    finder = _Finder(job, indexes, vectors, Corpus(indexes))
    passages = finder.find()
    return Found(made, passages, finder.whole, finder.places)


def _vectors(folder: Path) -> WordVectors | None:
    # Here, since the gateway imports this module for its shapes, and has no use for the vectors' libraries.
    from inhouse.generation.reading.meaning import WordVectors

    try:
        return WordVectors(folder)
    except (OSError, ValueError, LookupError, msgspec.MsgspecError) as error:
        print(f"word vectors cannot be used: {error!r}", file=sys.stderr)  # noqa: T201 - its parent's log
        return None


class _Finder:
    def __init__(self, job: Job, indexes: Sequence[Index], vectors: WordVectors | None, corpus: Corpus) -> None:
        self._job = job
        self._indexes = indexes
        self._vectors = vectors
        self._corpus = corpus
        self._starts = [array("I", each.starts) for each in indexes]
        self._first = list(accumulate((len(each) for each in self._starts), initial=0))
        self._left = job.characters
        self._chosen: dict[int, Span] = {}
        self.whole = asks_for_all(job.question)
        self.places: list[Place] = []

    def find(self) -> list[Span]:
        total = self._job.characters
        words = words_of(self._job.question)
        scores = self._scores(words)
        if self.whole:
            spread = self._spread(int(total * SPREAD_SHARE))
            return self._woven([(spread, SPREAD_SHARE), (self._take(scores, self._left), 1 - SPREAD_SHARE)])
        if counted := self._counted():
            return self._by_order(counted, words, scores)
        if len(self._job.questions) > 1:
            return self._by_each()
        return self._searched(words, scores)

    def _by_each(self) -> list[Span]:
        """Passages for each of several questions, in turns, so that none of them takes what the others need."""
        questions = self._job.questions
        most = max(LEAST_EACH, self._job.characters // len(questions))
        lists: list[list[Span]] = []
        for question in questions:
            job = msgspec.structs.replace(self._job, question=question, questions=[], characters=most)
            alone = _Finder(job, self._indexes, self._vectors, self._corpus)
            words = words_of(question)
            lists.append(alone._searched(words, alone._scores(words)))
            self.whole = self.whole or alone.whole
        return list(dict.fromkeys(span for turn in zip_longest(*lists) for span in turn if span is not None))

    def _scores(self, words: Sequence[str]) -> list[float]:
        """Of all passages for the question's words, its names and quotations, and for words that stand only inside of
        longer ones."""
        corpus = self._corpus
        scores = corpus.scores(words, phrases(self._job.question))
        for name in names(self._job.question):
            held = corpus.count(array("I", map(hash_of, words_of(name))).tobytes())
            if len(held) <= MOST_ALIKE:
                defined = [each for each in held if self._defines(name, each)]
                for passage in defined:
                    scores[passage] += corpus.weight(len(defined))
        missing = [word for word in dict.fromkeys(words) if word not in STOP and len(word) >= LEAST_INSIDE]
        missing = [word for word in missing if not self._passages_with(0, word)][:MOST_INSIDE]
        for word in missing:
            found = self._inside(word)
            for passage in found:
                scores[passage] += corpus.weight(len(found))
        return scores

    def _defines(self, name: str, passage: int) -> bool:
        """Whether a line of a passage says what a name of code is, and does not only use it."""
        text, first, last = self._span(passage)
        return re.search(_DEFINED.format(re.escape(name)), self._job.texts[text][first:last]) is not None

    def _inside(self, word: str) -> set[int]:
        """Passages in which a word stands as a part of a longer one, if they are few."""
        found: set[int] = set()
        pattern = re.compile(re.escape(word), re.IGNORECASE)
        for number, text in enumerate(self._job.texts):
            for match in pattern.finditer(text):
                found.add(self._passage_at(number, match.start()))
                if len(found) > MOST_WITH_INSIDE:
                    return set()
        return found

    def _searched(self, words: Sequence[str], scores: Sequence[float]) -> list[Span]:
        total = self._job.characters
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
            return [self._chosen[each] for each in self._spread(total)]
        hops = [(taken, HOP_SHARE / HOPS) for taken in by_hops]
        return self._woven([(by_words, 1 - HOP_SHARE - share), *hops, (by_meaning, share)])

    def _counted(self) -> list[Counted]:
        """What the question asks for by its place among others that are alike; nothing if one of them is not there."""
        found = [self._count_out(wanted) for wanted in ordinals(self._job.question)]
        return [] if None in found else [each for each in found if each is not None]

    def _count_out(self, wanted: Ordinal) -> Counted | None:
        least = 1 if self._job.turns and len(wanted.terms) == 1 else 2
        held = Counter[int]()
        for mark in {hash_of(term) for term in wanted.terms}:
            held.update(self._corpus.count(array("I", [mark]).tobytes()).keys())
        by_count = sorted((each for each in held if held[each] >= least), key=lambda each: -held[each])
        if len(by_count) > MOST_ALIKE:  # those with more of the words only
            least = held[by_count[MOST_ALIKE]] + 1
        candidates: list[Sentence] = []
        for passage in (each for each in by_count if held[each] >= least):
            text, first, last = self._span(passage)
            candidates += [Sentence(text, *each) for each in sentences(self._job.texts[text], first, last)]
        texts, turns = self._job.texts, self._job.turns
        before = list(range(len(texts)))
        if edges := self._job.edges:
            before += [at for at, _ in edges]
            candidates += [
                Sentence(number, *each)
                for number, (_, edge) in enumerate(edges, len(texts))
                for each in sentences(edge, 0, len(edge))
                if not ordinals(edge[each[0] : each[1]])  # the question itself
            ]
            texts = [*texts, *(edge for _, edge in edges)]
            turns = [*turns, *(0 for _ in edges)] if turns else []
        candidates.sort(key=lambda each: (before[each.text], -each.text, each.first))
        return counted(wanted, _of_turns(candidates, turns, texts) if turns else candidates, texts, least)

    def _by_order(self, found: Sequence[Counted], words: Sequence[str], scores: Sequence[float]) -> list[Span]:
        """Those that were asked for, each with what follows it or was answered; then what else the question needs,
        without the others that are alike."""
        out: list[Span] = []
        alike = {sentence for each in found for sentence in each.alike if sentence.text < len(self._starts)}
        for each in found:
            if each.sentence not in alike:
                continue  # it is read anyway
            spans = self._around(each.sentence, sorted(alike), self._left // len(found))
            self.places.append(Place(len(out), each.place, len(each.alike), self._own(each)))
            out += [span for span in spans if span not in out]
        self._left -= sum(last - first for _, first, last in out)
        without = {self._passage_at(each.text, each.first) for each in alike}
        best = max(without, key=lambda at: scores[at], default=None)
        if best is None or self._corpus.covered(without_places(words), best) >= HELD:
            return out
        least = OTHERS * scores[best]
        without |= (read := {self._passage_at(text, at) for text, at, _ in out})
        others = [0.0 if at in without or score < least else score for at, score in enumerate(scores)]
        taken = self._take(others, self._left)
        asked = {hash_of(word) for word in words}
        frontier = [float(at in read or at in taken) for at in range(len(scores))]
        if further := self._further(frontier, asked):
            led_to = self._corpus.scores(further)
            most = min(self._left, int(HOP_SHARE * self._job.characters))
            taken += self._take([0.0 if at in without else score for at, score in enumerate(led_to)], most)
        return [*out, *(self._chosen[each] for each in taken)]

    def _own(self, one: Counted) -> int:
        """Characters of the sentence that was asked for, 0 if others say the same."""
        texts = [*self._job.texts, *(edge for _, edge in self._job.edges)]
        said = [words_of(texts[text][first:last]) for text, first, last in one.alike]
        return one.sentence.last - one.sentence.first if said.count(said[one.place - 1]) == 1 else 0

    def _passage_at(self, text: int, character: int) -> int:
        return self._first[text] + bisect_right(self._starts[text], character) - 1

    def _around(self, sentence: Sentence, alike: Sequence[Sentence], most: int) -> list[Span]:
        """A sentence with what belongs to it: its answer if it was said in a turn, what follows it up to the next one
        that is alike otherwise. In pieces of a passage's length."""
        turns = self._job.turns
        text, first, last = sentence
        if turns and turns[text]:
            spans = [
                span
                for number, turn in enumerate(turns)
                if abs(turn) == abs(turns[text])
                for span in map(self._span, range(self._first[number], self._first[number + 1]))
            ]
        else:
            passage = self._passage_at(text, first)
            _, begin, end = self._span(passage)
            whole = self._job.texts[text]
            headed = whole[last - 1] == ":" or (first - begin < _MARKUP and whole[last : last + 1] == "\n")
            pieces = _SECTION if headed else 2 if end - last < _AFTER else 1
            paragraph = -1 if headed else whole.find("\n\n", last)
            following = [each.first for each in alike if each.text == text and each.first > first]
            stop = min([len(whole), *following, *([paragraph] if paragraph >= 0 else [])])
            numbers = range(passage, min(passage + pieces, self._first[text + 1]))
            spans = [(text, max(first, low), min(stop, high)) for _, low, high in map(self._span, numbers)]
        out: list[Span] = []
        for span in spans:
            if span[2] <= span[1]:
                continue
            most -= span[2] - span[1]
            if out and most < 0:
                break
            out.append(span)
        return out

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
            if size > characters and self._chosen:  # the best one is read even if it is longer
                missed += 1
                if missed > _MISSED:
                    break
                continue
            self._chosen[passage] = span
            taken.append(passage)
            characters -= size
            self._left -= size
        return taken

    def _spread(self, characters: int) -> list[int]:
        """The first passage of each of as many equal parts of the prompt as fit."""
        count = len(self._corpus)
        if not count:
            return []
        average = sum(map(len, self._job.texts)) / count
        parts = min(count, max(1, int(characters / average)))
        scores = [0.0] * count
        for part in range(parts):
            scores[part * count // parts] = 1.0
        return self._take(scores, characters)

    def _further(self, scores: Sequence[float], asked: set[int]) -> list[str]:
        """Rare words that stand, in the best passages, in the sentences which the question led to; without any, words
        that are rare only side by side."""
        best = sorted(range(len(scores)), key=lambda at: -scores[at])[:_HOP_FROM]
        rare = max(2, int(_RARE * len(self._corpus)))
        found: dict[str, int] = {}
        pairs: list[str] = []
        for passage in best:
            if scores[passage] <= _HOP_FLOOR * scores[best[0]]:
                break
            text, start, end = self._span(passage)
            for words in self._beside(self._job.texts[text][start:end], asked):
                for word in words:
                    if len(word) <= 2 or word in STOP or hash_of(word) in asked:
                        continue
                    if word not in found and len(found) < 4 * _HOP_TERMS:
                        with_it = self._passages_with(rare, word)
                        if 1 < with_it <= rare:
                            found[word] = with_it
                for one, two in pairwise(words):
                    new = not ({one, two} & STOP or {hash_of(one), hash_of(two)} & asked)
                    if new and len(pairs) < 2 * _HOP_TERMS and 1 < self._passages_with(rare, one, two) <= rare:
                        pairs += [one, two]
        kept = sorted(found, key=lambda word: found[word])[:_HOP_TERMS]
        return [word for word in found if word in kept] or pairs

    def _passages_with(self, most: int, *words: str) -> int:
        """Passages in which these stand in a row, counted up to one more than ``most``."""
        return self._corpus.passages_with(array("I", map(hash_of, words)).tobytes(), most)

    @staticmethod
    def _beside(passage: str, asked: set[int]) -> list[list[str]]:
        """The words of the sentences that have most of the question's words."""
        sentences = [words_of(each) for each in _SENTENCE.findall(passage)]
        counts = [sum(hash_of(word) in asked and word not in STOP for word in set(each)) for each in sentences]
        most = max(counts, default=0)
        return [words for words, count in zip(sentences, counts, strict=True) if most and count == most]


def _of_turns(candidates: Sequence[Sentence], turns: Sequence[int], texts: Sequence[str]) -> list[Sentence]:
    """What is counted in a conversation: the user's messages; if those do not have the words, what stands outside of
    the turns; else what was answered. A message that itself names a place speaks of them and is none of them."""
    own = {
        each for each in candidates if not turns[each.text] or not ordinals(texts[each.text][each.first : each.last])
    }
    said: dict[int, Sentence] = {}
    for each in candidates:
        if each in own and turns[each.text] > 0:
            said.setdefault(turns[each.text], each)
    if len(said) > 1:
        return list(said.values())
    outside = [each for each in candidates if not turns[each.text]]
    return outside if len(outside) > 1 else [each for each in own if turns[each.text] < 0]
