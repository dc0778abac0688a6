"""A text in passages, cut along its structure."""

from __future__ import annotations

import re

MOST = 900
"""Characters of a passage at most."""
LEAST = 240
"""Shorter parts stay with what follows them."""

_SECTION = re.compile(r"\n(?=#{1,6} |={3,}|-{3,}\s*\n|<\w+|(?:class|def|function|fn|func|impl|struct|public|export) )")
"""What begins a section: headings, rules, elements, definitions of code."""
_JSON_RECORD = re.compile(r"[}\]],?\s*\n(?=\s*[{\[])|\n(?=\{)")
_SENTENCE = re.compile(r"[.!?。！？]['\")\]]?(?:\s+|(?=[^\x00-\x7f]))")


def passages(text: str) -> list[int]:
    """Where the passages of a text begin. Each reaches to the next one, the last one to the end.

    A passage ends before a section, after a blank line, a record, a line, a sentence, a word: at the first of these
    that leaves it at least ``LEAST`` and at most ``MOST`` characters.
    """
    starts: list[int] = []
    at = 0
    while at < len(text):
        starts.append(at)
        at = _end(text, at)
    return starts


def _end(text: str, start: int) -> int:
    low, high = start + LEAST, start + MOST
    if (section := _SECTION.search(text, low, min(high, len(text)))) is not None:
        return section.end()
    if len(text) <= high:
        return len(text)
    if (at := text.rfind("\n\n", low, high)) >= 0:
        return at + 2
    for boundary in (_JSON_RECORD, None, _SENTENCE):
        if boundary is None:
            if (at := text.rfind("\n", low, high)) >= 0:
                return at + 1
            continue
        last = None
        for last in boundary.finditer(text, low, high):  # noqa: B007 - the last one counts
            pass
        if last is not None:
            return last.end()
    for mark in ("},", ",", " "):
        if (at := text.rfind(mark, low, high)) >= 0:
            return at + len(mark)
    return high
