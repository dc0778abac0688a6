"""Which passages of a prompt hold what a question asks for: BM25 over words and pairs of words.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009). There is no inverted index: the
words of a segment are kept as their 32-bit hashes in order, some 3 MB for a million tokens, and the few words of a
question are looked for in them with ``bytes.find``. So an index costs little to make, to keep and to send.
"""

from __future__ import annotations

import math
import re
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from zlib import crc32

import msgspec

from inhouse.generation.reading.passages import passages

K1, B = 1.2, 0.6
PAIR_WEIGHT = 0.6
"""Of two words of the question that stand side by side, relative to one word."""
PHRASE_WEIGHT = 2.0
"""Of a name or a quotation of several words, likewise."""
NEIGHBOUR = 0.1
"""How much of its better neighbour's score a passage gets: an answer often stands beside what was found."""
EDGE = 0.02
"""Of the best score, given to the first and the last passage of the prompt."""
MOST_TERMS = 64

_WORD = re.compile(r"[^\W_]+")
_PHRASE = re.compile(r"[\"“„«`「]([^\"”“»`」\n]{2,160})[\"”“»`」]|[^\W_]+(?:[_./:@\\#-]+[^\W_]+)+")
_NAME = re.compile(
    r"\b(?:[Cc]lass|[Ff]unction|[Mm]ethod|[Vv]ariable|[Cc]onstant|[Tt]ype|[Ss]truct|[Ee]num|def) `?([A-Za-z_]\w+)"
    r"|\b(?:\w+_\w+|_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*)"
)
_LONGEST_PHRASE = 16
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0eff]")
"""Scripts that put no spaces between words; they are indexed in pairs of characters."""
_STOP = (
    "a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it "
    "its me my not of on or our out please she should so tell than that the their them then there they this to us was "
    "we were what when where which who why will with would you your"
)
STOP = frozenset(_STOP.split())
"""Words that say nothing of what is asked for."""


class Meaning(msgspec.Struct, array_like=True, frozen=True):
    """Of one segment, see ``meaning``. ``pieces`` are unsigned 16-bit; ``begins`` (the piece with which a sentence
    begins), ``at`` and ``ends`` (its characters) are unsigned 32-bit; ``norms`` are 32-bit floats; all in native
    order."""

    pieces: bytes
    begins: bytes
    at: bytes
    ends: bytes
    norms: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.pieces) + len(self.begins) + len(self.at) + len(self.ends) + len(self.norms)


class Index(msgspec.Struct, array_like=True, frozen=True):
    """Of one segment. All numbers are unsigned 32-bit, native order.

    ``starts``: characters at which passages begin; ``words``: hashes of the words in order; ``ends``: for each passage,
    how many words stand up to its end. ``meaning`` is None where no word vectors were at hand.
    """

    starts: bytes
    words: bytes
    ends: bytes
    meaning: Meaning | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        of_words = len(self.starts) + len(self.words) + len(self.ends)
        return of_words + (self.meaning.size if self.meaning is not None else 0)


def index(text: str, known: dict[str, int] | None = None) -> Index:
    """
    Args:
        known: hashes of words, kept over several texts.
    """
    known = {} if known is None else known
    starts = passages(text)
    words, ends = array("I"), array("I")
    for start, end in zip(starts, [*starts, len(text)][1:], strict=True):
        words.extend(_hashes(text[start:end], known))
        ends.append(len(words))
    return Index(array("I", starts).tobytes(), words.tobytes(), ends.tobytes())


def _hashes(text: str, known: dict[str, int]) -> Iterable[int]:
    for word in words_of(text):
        found = known.get(word)
        if found is None:
            found = known[word] = hash_of(word)
        yield found


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; of scripts without spaces, pairs of characters."""
    found = _WORD.findall(text.casefold())
    if _UNSPACED.search(text) is None:
        return found
    out: list[str] = []
    for word in found:
        if _UNSPACED.search(word):
            out += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        else:
            out.append(word)
    return out


def hash_of(word: str) -> int:
    """Of a word without its plural."""
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    return crc32(word.encode("utf-8", "surrogatepass"))


class Corpus:
    """All passages of a prompt, numbered through."""

    def __init__(self, indexes: Sequence[Index]) -> None:
        self._words = b"".join(each.words for each in indexes)
        self._ends = array("I")
        self.place: list[tuple[int, int]] = []
        """For each passage its segment, and its number there."""
        before = 0
        for number, each in enumerate(indexes):
            ends = array("I", each.ends)
            self._ends.extend(end + before for end in ends)
            self.place += [(number, passage) for passage in range(len(ends))]
            before += len(each.words) // 4
        self._average = max(1.0, before / max(1, len(self._ends)))

    def __len__(self) -> int:
        return len(self._ends)

    def count(self, pattern: bytes) -> Counter[int]:
        """How often hashes stand in a row, by passage."""
        counts: Counter[int] = Counter()
        words, ends = self._words, self._ends
        at = words.find(pattern)
        while at >= 0:
            if at % 4 == 0:
                counts[bisect_right(ends, at // 4)] += 1
            at = words.find(pattern, at + 1)
        return counts

    def passages_with(self, pattern: bytes, most: int) -> int:
        """Passages in which hashes stand in a row; ``most + 1`` where there are more of them."""
        words, ends = self._words, self._ends
        found = 0
        at = words.find(pattern)
        while at >= 0 and found <= most:
            if at % 4:
                at = words.find(pattern, at + 1)
                continue
            found += 1
            at = words.find(pattern, 4 * ends[bisect_right(ends, at // 4)])
        return found

    def weight(self, passages_with: int) -> float:
        """Inverse document frequency."""
        return math.log(1 + (len(self) - passages_with + 0.5) / (passages_with + 0.5))

    def scores(self, words: Sequence[str], phrases: Sequence[Sequence[str]] = ()) -> list[float]:
        """Of all passages, for words in the order of the question, and for such as belong together."""
        scores = [0.0] * len(self)
        ends = self._ends
        together = {array("I", map(hash_of, each)).tobytes(): PHRASE_WEIGHT for each in phrases}
        for pattern, weight in (_patterns(words) | together).items():
            counts = self.count(pattern)
            weight *= self.weight(len(counts))
            for passage, times in counts.items():
                length = ends[passage] - (ends[passage - 1] if passage else 0)
                scores[passage] += weight * times * (K1 + 1) / (times + K1 * (1 - B + B * length / self._average))
        return self._with_neighbours(scores)

    def covered(self, words: Sequence[str], passage: int) -> float:
        """How much of what a question's words weigh stands in a passage or beside it, from 0 to 1."""
        together = there = 0.0
        for pattern in _patterns(words):
            if len(pattern) > 4:
                continue
            counts = self.count(pattern)
            weight = self.weight(len(counts))
            together += weight
            there += weight * any(at in counts for at in (passage - 1, passage, passage + 1))
        return there / together if together else 0.0

    def _with_neighbours(self, scores: list[float]) -> list[float]:
        place = self.place
        out = scores[:]
        for at in range(len(scores) - 1):
            if place[at][0] == place[at + 1][0]:
                out[at] = max(out[at], scores[at] + NEIGHBOUR * scores[at + 1])
                out[at + 1] = max(out[at + 1], scores[at + 1] + NEIGHBOUR * scores[at])
        if out and (best := max(out)) > 0:
            out[0] += EDGE * best
            out[-1] += EDGE * best
        return out


def phrases(question: str) -> list[list[str]]:
    """What stands in a question as one: a quotation, and a name such as ``max_tokens``, ``app.py`` or ``a@b.org``."""
    found = [match[1] or match[0] for match in _PHRASE.finditer(question)]
    told = [words_of(each) for each in found[-MOST_TERMS:]]
    return [words for words in told if 1 < len(words) <= _LONGEST_PHRASE]


def names(question: str) -> list[str]:
    """Names of code in a question: with an underscore, with capitals inside, or after a word such as ``class``."""
    return list(dict.fromkeys(match[1] or match[0] for match in _NAME.finditer(question)))[:MOST_TERMS]


def _patterns(words: Sequence[str]) -> dict[bytes, float]:
    """Hashes to look for, with what they weigh. Of a long question the end counts."""
    words = words[-4 * MOST_TERMS :]
    hashes = [hash_of(word).to_bytes(4, sys.byteorder) for word in words]
    kept = {mark: 1.0 for word, mark in zip(words, hashes, strict=False) if word not in STOP}
    if not kept:
        kept = dict.fromkeys(hashes, 1.0)
    patterns = dict(list(kept.items())[-MOST_TERMS:])
    marked = list(zip(words, hashes, strict=False))
    pairs = [
        (one + two, PAIR_WEIGHT)
        for (first, one), (second, two) in pairwise(marked)
        if not (first in STOP and second in STOP)
    ]
    return patterns | dict(pairs[-MOST_TERMS:])
