"""English words to the phonemes that Kokoro was trained on, from lexicons, without any GPL part.

The lexicons are those of misaki (hexgrad, Apache-2.0), made for this model: about 180,000 words for each accent.
Inflected forms are derived by the rules of English, unknown words are guessed by ``spelling``, and what is written in
capitals is spelled out.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from inhouse.engines.speech.spelling import Speller
from inhouse.engines.speech.voices import Accent

Entry = str | dict[str, str | None]

_UNVOICED = frozenset("ptkfθ")
_SIBILANTS = frozenset("szʃʒʧʤ")
_TOKEN = re.compile(r"[A-Za-z]+(?:['.][A-Za-z]+)*'?|[.!?,;:—…()\"]+|\n+|-|\s+|.")
_PAUSES = '.!?,;:—…()"'
_TO_VERB = frozenset(
    (
        "to",
        "will",
        "would",
        "can",
        "could",
        "shall",
        "should",
        "may",
        "might",
        "must",
        "not",
        "don't",
        "doesn't",
        "didn't",
        "won't",
        "can't",
        "couldn't",
        "i",
        "you",
        "we",
        "they",
        "who",
        "let's",
        "please",
    )
)
_HAVE = frozenset(
    (
        "have",
        "has",
        "had",
        "having",
        "been",
        "was",
        "were",
        "is",
        "are",
        "be",
        "get",
        "got",
        "'ve",
    )
)


class Lexicons:
    """Pronunciations of one accent.

    Args:
        gold, silver: JSON files, word to phonemes, checked and unchecked; a word that is said differently by its part
            of speech has an object of them.
        speller: for the rest.
    """

    def __init__(self, accent: Accent, gold: Path, silver: Path, speller: Speller) -> None:
        read = msgspec.json.Decoder(dict[str, Entry]).decode
        self._entries = {**read(silver.read_bytes()), **read(gold.read_bytes())}
        self._speller = speller
        self._accent = accent

    def phonemes(self, text: str) -> str:
        """Phonemes and pauses of normalized text."""
        tokens = _TOKEN.findall(text)
        out: list[str] = []
        before = ""
        for index, piece in enumerate(tokens):
            if piece[0].isalpha() and piece.isascii():
                following = next((each for each in tokens[index + 1 :] if each[0].isalnum()), "")
                out.append(self._word(piece.rstrip("'"), before, following))
                before = piece.lower()
            elif piece.isspace() or piece == "-":
                out.append(" ")
            elif all(mark in _PAUSES for mark in piece):
                out.append(piece[0])
        return re.sub(r" +", " ", "".join(out)).strip()

    def _word(self, word: str, before: str, following: str) -> str:
        lower = word.lower()
        # Vowels begin with one or with a stress mark; letters tell well enough which words do.
        vowel_next = following[:1].lower() in "aeiou" if following else False
        if lower == "the":
            return "ði" if vowel_next else "ðə"
        if lower == "a" and (word == "a" or following[:1].islower()):
            return "ɐ"
        if lower == "an":
            return "ɐn"
        if lower == "to" and following:
            return "tʊ" if vowel_next else "tə"
        if "." in word:
            return self._spelled(word.replace(".", ""))
        found = self._known(word, before)
        if found is not None:
            return found
        if lower.endswith("'s"):
            base = self._word(word[:-2], before, following)
            return base + (("ᵻz" if self._accent == "us" else "ɪz") if base[-1:] in _SIBILANTS else _s(base))
        if word.isupper() and len(word) <= 5:
            return self._spelled(word)
        if (split := re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z']+", word)) and len(split) > 1:
            return " ".join(self._word(part, "", "") for part in split)  # "OpenAI", "iPhone"
        return self._speller.guess(lower.replace("'", "")) or self._spelled(word)

    def _known(self, word: str, before: str) -> str | None:
        for form in dict.fromkeys((word, word.lower(), word.capitalize())):
            entry = self._entries.get(form)
            if isinstance(entry, str):
                return entry
            if entry is not None and (chosen := _by_part_of_speech(entry, before)) is not None:
                return chosen
        return self._inflected(word.lower(), before)

    def _inflected(self, word: str, before: str) -> str | None:
        if word.endswith("'s") or (word.endswith("s") and not word.endswith("ss") and len(word) > 3):
            stem = word[:-2] if word.endswith("'s") else word[:-1]
            stems = [stem]
            if stem.endswith("ie"):
                stems.append(stem[:-2] + "y")
            elif stem.endswith("e"):
                stems.append(stem[:-1])
            if (base := self._stem(stems, before)) is not None:
                return base + (("ᵻz" if self._accent == "us" else "ɪz") if base[-1] in _SIBILANTS else _s(base))
        if word.endswith("ed") and len(word) > 4:
            stems = [word[:-1], word[:-2], word[:-3] + "y" if word.endswith("ied") else "", _undoubled(word[:-2])]
            if (base := self._stem(stems, "to")) is not None:
                last = base[-1]
                return base + ("ɪd" if last in "tdɾ" else "t" if last in _UNVOICED | frozenset("sʃʧ") else "d")
        if word.endswith("ing") and len(word) > 5:
            base = self._stem([word[:-3], word[:-3] + "e", _undoubled(word[:-3])], "to")
            return None if base is None else base + "ɪŋ"
        return None

    def _stem(self, stems: list[str], before: str) -> str | None:
        for stem in stems:
            entry = self._entries.get(stem) if len(stem) > 1 else None
            if isinstance(entry, str):
                return entry
            if entry is not None and (chosen := _by_part_of_speech(entry, before)) is not None:
                return chosen
        return None

    def _spelled(self, word: str) -> str:
        said = [entry for letter in word.upper() if isinstance(entry := self._entries.get(letter), str)]
        # The last letter carries the stress, the others are said lightly.
        return "".join([*(each.replace("ˈ", "ˌ") for each in said[:-1]), *said[-1:]])


def _by_part_of_speech(entry: dict[str, str | None], before: str) -> str | None:
    """The form that the word before it suggests; there is no tagger behind this, so it can be wrong."""
    if before in _HAVE:
        order: tuple[str, ...] = ("VBN", "VBD", "ADJ", "DEFAULT")
    elif before in _TO_VERB:
        order = ("VERB", "DEFAULT")
    else:
        order = ("DEFAULT",)
    return next((said for kind in order if (said := entry.get(kind))), None)


def _s(base: str) -> str:
    return "s" if base[-1:] in _UNVOICED else "z"


def _undoubled(stem: str) -> str:
    return stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else ""
