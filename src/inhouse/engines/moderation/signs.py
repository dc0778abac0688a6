"""Signs: what a text says in so many words. Each is a number of the classifier's input, none decides alone.

Patterns (``signs.toml``) are matched in normalised text (``normalising``).
"""

from __future__ import annotations

import csv
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def _patterns() -> dict[str, str]:
    listed = tomllib.loads(files(__package__).joinpath("signs.toml").read_text("utf-8"))
    return {
        name: "|".join(expression.removeprefix("    ").replace("\n    ", "") for expression in expressions)
        for name, expressions in listed.items()
    }


PATTERNS = _patterns()
"""By sign, one regular expression for normalised texts."""

LEXICON_GROUPS = (
    ("racial / ethnic slurs", "slur of origin"),
    ("sexual orientation / gender", "slur of gender"),
    ("religious offense", "slur of religion"),
    ("mental disability", "slur of ability"),
    ("physical disability", "slur of ability"),
    ("sexual anatomy / sexual acts", "sexual word"),
    ("other / general insult", "insulting word"),
    ("physical attributes", "insulting word"),
    ("animal references", "insulting word"),
    ("bodily fluids / excrement", "vulgar word"),
    ("political", "insulting word"),
)
LEXICON_SIGNS = tuple(dict.fromkeys(sign for _, sign in LEXICON_GROUPS))
SIGNS = (*PATTERNS, *(f"{name} times" for name in ("threat", "gore", "violence", "sexual")), *LEXICON_SIGNS)
"""Names of the numbers, in order."""

_WORD = re.compile(r"[a-z0-9']+")
_DOUBLED = re.compile(r"([a-z])\1")
_MOST_WORDS = 4
_STRONG = 1.6
"""Lexicon entries below this severity (of 3) are everyday words; they do not count."""


class Signs:
    """Reads signs from texts.

    Args:
        lexicon: CSV of words with the columns ``text``, ``category_1`` to ``category_3`` and ``severity_rating``.
    """

    def __init__(self, lexicon: Path) -> None:
        self._patterns = [(name, re.compile(pattern)) for name, pattern in PATTERNS.items()]
        groups = dict(LEXICON_GROUPS)
        self._lexicon: dict[str, frozenset[str]] = {}
        with lexicon.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found = {groups[row[f"category_{place}"]] for place in (1, 2, 3) if row[f"category_{place}"] in groups}
                phrase = " ".join(_WORD.findall(row["text"].lower()))
                if phrase and found and float(row["severity_rating"] or 0) >= _STRONG:
                    self._lexicon[phrase] = frozenset(found)

    def read(self, text: str) -> NDArray[np.float32]:
        """The numbers of one normalised text, shape (len(SIGNS),), each from 0 to 1."""
        found = {name: len(pattern.findall(text)) for name, pattern in self._patterns}
        words = _WORD.findall(text)
        lexical = dict.fromkeys(LEXICON_SIGNS, 0)
        for start in range(len(words)):
            for length in range(1, min(_MOST_WORDS, len(words) - start) + 1):
                phrase = " ".join(words[start : start + length])
                for sign in self._lexicon.get(phrase) or self._lexicon.get(_DOUBLED.sub(r"\1", phrase)) or ():
                    lexical[sign] += 1
        values = [float(found[name] > 0) for name in PATTERNS]
        values += [min(found[name], 4) / 4 for name in ("threat", "gore", "violence", "sexual")]
        values += [min(lexical[name], 2) / 2 for name in LEXICON_SIGNS]
        return np.array(values, dtype=np.float32)
