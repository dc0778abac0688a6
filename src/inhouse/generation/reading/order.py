"""The i-th of many passages that are alike: "the third note about the treaty", "the last poem about tapirs".

Only their order tells such passages apart, and no score knows it; nor does a small model count them out. So they are
counted here: sentences that hold the words after the ordinal and are worded alike, in the order of the prompt. In a
conversation the user's messages are counted, and what was answered belongs to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inhouse.generation.reading.ranking import STOP, hash_of, words_of

MOST_ALIKE = 512
"""Sentences with the words after an ordinal; of more than these none is counted out."""
ALIKE = 0.5
"""The least part of the words of two alike sentences that both have; numbers left aside."""
_MOST_TERMS = 8
_NUMBERED = {
    1: "first erste premier première primer primero primera",
    2: "second zweite deuxième seconde segundo segunda",
    3: "third dritte troisième tercer tercero tercera",
    4: "fourth vierte quatrième cuarto cuarta",
    5: "fifth fünfte cinquième quinto quinta",
    6: "sixth sechste sixième sexto sexta",
    7: "seventh siebte siebente septième séptimo séptima",
    8: "eighth achte huitième octavo octava",
    9: "ninth neunte neuvième noveno novena",
    10: "tenth zehnte dixième décimo décima",
    11: "eleventh elfte onzième",
    12: "twelfth zwölfte douzième",
    13: "thirteenth",
    14: "fourteenth",
    15: "fifteenth",
    16: "sixteenth",
    17: "seventeenth",
    18: "eighteenth",
    19: "nineteenth",
    20: "twentieth",
    -1: "last final latest letzte dernier dernière último última",
    -2: "penultimate vorletzte avant-dernier penúltimo penúltima",
}
_PLACES = {word: place for place, words in _NUMBERED.items() for word in words.split()}
_PLACES |= {word + ending: place for word, place in _PLACES.items() if word.endswith("te") for ending in "rnsm"}
_DIGITS = re.compile(r"(\d{1,3})(?:st|nd|rd|th|ème|er|º|ª)", re.IGNORECASE)
_FROM_END = re.compile(r"\b(\w+)[ -](?:to|from)[ -](?:the[ -])?(?:last|end)\b|\b(\w+)[ -]last\b", re.IGNORECASE)
_ASIDE = re.compile(r"\([^()]*\)")
_SENTENCE = re.compile(r"[^.!?\n]+")
_END = re.compile(r"(?:[.!?]+[\"')\]]*|[}\]],?)(?=\s)|\n|[。！？]")
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_OTHER_SENSES = (
    "time times name names year years month months week weeks day days night hour minute person hand half quarter "
    "century decade aid class world lady step steps thing things all"
)
_OTHER_SENSE = frozenset(_OTHER_SENSES.split())
"""After these words an ordinal seldom counts passages: the last year, a first name."""


class Ordinal(NamedTuple):
    """``place`` counts from 1, from the end where it is negative. ``terms`` are the words of what is counted."""

    place: int
    terms: tuple[str, ...]


class Sentence(NamedTuple):
    """Number of a text, first character and character after the last one there."""

    text: int
    first: int
    last: int


class Counted(NamedTuple):
    """One that was asked for, ``place`` of all ``alike``, counted from 1 in the order of the prompt."""

    place: int
    alike: list[Sentence]

    @property
    def sentence(self) -> Sentence:
        return self.alike[self.place - 1]


def ordinals(question: str) -> list[Ordinal]:
    """What a question wants by its place. Of "the first and the third note" both have the words of the second."""
    found: list[Ordinal] = []
    for sentence in _SENTENCE.findall(_ASIDE.sub(" ", question)):
        places = _places(sentence)
        after: tuple[str, ...] = ()
        end = len(sentence)
        for at, stop, place in reversed(places):
            terms = [word for word in words_of(sentence[stop:end]) if word not in STOP][:_MOST_TERMS]
            if terms and terms[0] in _OTHER_SENSE:
                terms, after = [], ()
            elif set(terms) - {"oder", "und", "et", "y"}:
                after = tuple(terms)
            if after:
                found.append(Ordinal(place, after))
            end = at
    return found[::-1]


def without_places(words: Iterable[str]) -> list[str]:
    """The words that say what is asked for, not which one of it."""
    return [word for word in words if _place(word) is None]


def spelled(place: int) -> str:
    """A place from the first on as a word."""
    return _NUMBERED[place].split()[0] if place in _NUMBERED else f"{place}th"


def _places(sentence: str) -> list[tuple[int, int, int]]:
    """First character, character after the last one, and place of all ordinals in a sentence."""
    found: list[tuple[int, int, int]] = []
    for match in _FROM_END.finditer(sentence):
        place = _place(match[1] or match[2])
        if place is not None and place > 0:
            found.append((match.start(), match.end(), -place))
        elif (match[1] or "").casefold() == "next":
            found.append((match.start(), match.end(), -2))
    for match in _WORD.finditer(sentence):
        place = _place(match[0])
        if place is not None and not any(first <= match.start() < last for first, last, _ in found):
            found.append((match.start(), match.end(), place))
    return sorted(found)


def _place(word: str) -> int | None:
    if (digits := _DIGITS.fullmatch(word)) is not None:
        return int(digits[1]) or None
    return _PLACES.get(word.casefold())


def counted(wanted: Ordinal, candidates: Sequence[Sentence], texts: Sequence[str], least: int) -> Counted | None:
    """The one that is wanted, if there are so many that are alike.

    Args:
        candidates: sentences in the order of the prompt.
        least: words of what is counted that a sentence holds at least.
    """
    bags = [_bag(texts[each.text][each.first : each.last]) for each in candidates]
    terms = {hash_of(term) for term in wanted.terms}
    said = {hash_of(word) for word, place in _PLACES.items() if place == wanted.place}
    for count in range(len(terms), least - 1, -1):
        having = [at for at, bag in enumerate(bags) if len(bag & terms) >= count]
        if len(having) > MOST_ALIKE:
            return None
        if any(bags[at] & said for at in having):
            return None  # the text numbers them itself, and its words find the right one
        if alike := _alike(having, bags):
            if abs(wanted.place) > len(alike):
                return None
            place = wanted.place if wanted.place > 0 else len(alike) + 1 + wanted.place
            return Counted(place, [candidates[at] for at in alike])
    return None


def _bag(sentence: str) -> frozenset[int]:
    return frozenset(hash_of(word) for word in words_of(sentence) if not any(map(str.isdigit, word)))


def _alike(having: Sequence[int], bags: Sequence[frozenset[int]]) -> list[int]:
    """The most that are alike to one of them; none if it is alone."""
    best: list[int] = []
    tried: set[frozenset[int]] = set()
    for one in having:
        if bags[one] in tried:
            continue
        tried.add(bags[one])
        found = [at for at in having if _similarity(bags[one], bags[at]) >= ALIKE]
        if len(found) > len(best):
            best = found
    return best if len(best) > 1 else []


def _similarity(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(1, len(one | other))


def sentences(text: str, first: int, last: int) -> Iterable[tuple[int, int]]:
    """Sentences, lines and records between two characters of a text, without the spaces around them."""
    begin = first
    for end in [match.end() for match in _END.finditer(text, first, last)] + [last]:
        said = text[begin:end].strip()
        if said:
            at = text.index(said, begin)
            yield at, at + len(said)
        begin = end
