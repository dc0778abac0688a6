"""Text in the portions that are spoken one after the other: sentences, and clauses where those are long."""

from __future__ import annotations

import re
from collections.abc import Iterator

FIRST = 40
"""Characters of the first portion, about: the sooner it is spoken, the sooner a listener hears something."""
MOST = 220
"""Of the others: long enough for natural prosody, well within the 510 phonemes that the model takes."""

_SENTENCE = re.compile(r"(?<=[.!?…])[\"')\]]*\s+(?=\S)|\n+")
_CLAUSE = re.compile(r"(?<=[,;:—])\s+")


def portions(text: str) -> Iterator[str]:
    """Parts of ``text`` in order, none empty. A sentence is kept whole unless it is long, or the first."""
    most, held = FIRST, ""
    for sentence in _SENTENCE.split(text):
        for clause in _clauses(sentence.strip(), most):
            if held and len(held) + 1 + len(clause) > most:
                yield held
                held, most = "", MOST
            held = f"{held} {clause}".strip()
        if len(held) >= most // 2:
            yield held
            held, most = "", MOST
    if held:
        yield held


def _clauses(sentence: str, most: int) -> list[str]:
    """A sentence, cut where it is longer than ``most``: after commas, else between words, else anywhere."""
    if len(sentence) <= most:
        return [sentence] if sentence else []
    out: list[str] = []
    for clause in _CLAUSE.split(sentence):
        if len(clause) <= MOST:
            out.append(clause)
            continue
        line = ""
        for word in clause.split():
            for part in (word[at : at + MOST] for at in range(0, len(word), MOST)):
                if line and len(line) + 1 + len(part) > MOST:
                    out.append(line)
                    line = ""
                line = f"{line} {part}".strip()
        out.append(line)
    return [clause for clause in out if clause]
