"""Long texts in segments: the unit in which they are tokenized, counted, indexed and remembered."""

from __future__ import annotations

SEGMENT = 65_536
"""Characters of a segment at most."""
_TRIES = 256


def segments(text: str) -> list[str]:
    """A text in pieces that tokenize as the whole does, and that stay the same where only its end changes.

    The pre-tokenizers of GPT-like vocabularies never join what stands on both sides of a single line break or a single
    space between words, so nearly every text has a place to cut. Where a segment has none, it is cut anyway; then the
    tokens may differ from the whole text's by a few.
    """
    found: list[str] = []
    at = 0
    while len(text) - at > SEGMENT:
        end = _cut(text, at + SEGMENT // 2, at + SEGMENT)
        found.append(text[at:end])
        at = end
    found.append(text[at:])
    return found


def _cut(text: str, low: int, high: int) -> int:
    """The last good place to cut between two; the second if there is none."""
    at = high
    for _ in range(_TRIES):
        at = text.rfind("\n", low, at)
        if at < 0:
            break
        if not text[at - 1].isspace() and not text[at + 1].isspace():
            return at + 1
    at = high
    for _ in range(_TRIES):
        at = text.rfind(" ", low, at)
        if at < 0:
            break
        if text[at - 1].isalpha() and text[at + 1].isalpha():
            return at
    return high
