"""Which files an answer rests on: the marks that the model sets, taken out of its text as it comes.

Results are shown to the model as 【1】, 【2】 and so on, and it is asked to write these after what it takes from them.
Where it used results and set no mark, as small models may, the files whose words the answer shares are cited at its
end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from inhouse.tools.file_search.service import Found
from inhouse.tools.file_search.words import words
from inhouse.tools.hosted import Cited

_MARK = re.compile(r" ?【(\d{1,3})(?:[†:,][^【】\n]{0,64})?】")
_BEGUN = re.compile(r" ?(?:【[^【】\n]{0,72})?$")
_WORD = re.compile(r"\w{4,}")
MOST_OF_ANSWER = 1 << 16
"""Characters of an answer that are compared with results."""
SHARED = 0.5
"""Share of the answer's words of four letters or more that a result must have to be cited without a mark."""


class Citations:
    """Of one response. Numbers go on from one search to the next."""

    def __init__(self) -> None:
        self._results: list[Found] = []
        self._held = ""
        self._said: list[str] = []
        self._cited = False

    def number(self, found: Found) -> int:
        """The number of a result, from 1."""
        for at, known in enumerate(self._results):
            if (known.file_id, known.text) == (found.file_id, found.text):
                return at + 1
        self._results.append(found)
        return len(self._results)

    def read(self, text: str) -> list[str | Cited]:
        """What clients are told of a piece of text; what may be the beginning of a mark is held back."""
        if not self._results:
            return [text]
        text = self._held + text
        begun = _BEGUN.search(text)
        at = begun.start() if begun is not None else len(text)
        self._held = text[at:]
        return self._told(text[:at])

    def end(self, *, last: bool) -> list[str | Cited]:
        """The text has come to an end.

        Args:
            last: the answer has, too.
        """
        held, self._held = self._held, ""
        told: list[str | Cited] = self._told(held) if held else []
        # Marks alone are no answer that rests on something.
        self._cited = self._cited and _WORD.search("".join(self._said)) is not None
        if last and not self._cited:
            told += [_citation(found) for found in self._alike()]
        return told

    def _told(self, text: str) -> list[str | Cited]:
        told: list[str | Cited] = []
        at = 0
        for mark in _MARK.finditer(text):
            number = int(mark[1])
            if not 1 <= number <= len(self._results):
                continue
            self._say(told, text[at : mark.start()])
            told.append(_citation(self._results[number - 1]))
            self._cited = True
            at = mark.end()
        self._say(told, text[at:])
        return told

    def _say(self, told: list[str | Cited], text: str) -> None:
        if text:
            told.append(text)
            self._said.append(text)

    def _alike(self) -> Sequence[Found]:
        answer = _long_words("".join(self._said)[:MOST_OF_ANSWER])
        if not answer:
            return ()
        by_file: dict[str, Found] = {}
        for found in self._results:
            if len(answer & _long_words(found.text)) >= SHARED * len(answer):
                by_file.setdefault(found.file_id, found)
        return list(by_file.values())


def _long_words(text: str) -> set[int]:
    return set(words(" ".join(_WORD.findall(text))))


def _citation(found: Found) -> Cited:
    return Cited({"type": "file_citation", "file_id": found.file_id, "filename": found.filename})
