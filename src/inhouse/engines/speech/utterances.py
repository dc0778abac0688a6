"""A text as what one run of a model says at a time: phonemes, and the silence after them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from inhouse.engines.speech.normalization import normalize
from inhouse.engines.speech.sentences import portions

MAX_PHONEMES = 510
"""Of one utterance: positions of Kokoro's window, less one at each end."""

_PAUSES = {".": 0.35, "!": 0.35, "?": 0.35, "…": 0.45, ",": 0.12, ";": 0.2, ":": 0.2, "—": 0.2}
"""Seconds of silence after a portion, by the mark that ends it."""


class Unspeakable(Exception):
    """Nothing in the text can be said in English."""


def utterances(text: str, phonemes: Callable[[str], str]) -> Iterator[tuple[str, float]]:
    """Phonemes of each utterance, and the seconds of silence after it.

    Args:
        phonemes: of a portion of text.

    Raises:
        Unspeakable: before the first one.
    """
    said = False
    for portion in portions(normalize(text)):
        for part in _within(phonemes(portion)):
            if any(each.isalpha() for each in part):
                said = True
                yield part, _PAUSES.get(part[-1], 0.05)
    if not said:
        raise Unspeakable


def _within(phonemes: str) -> Iterator[str]:
    """Parts that fit the model's window, cut between words."""
    while len(phonemes) > MAX_PHONEMES:
        cut = phonemes.rfind(" ", 0, MAX_PHONEMES)
        cut = cut if cut > 0 else MAX_PHONEMES
        yield phonemes[:cut].strip()
        phonemes = phonemes[cut:]
    if rest := re.sub(r"\s+", " ", phonemes).strip():
        yield rest
