"""Words of texts, as they are looked for: independent of case, of the form of letters and of an English plural.

A name such as ``parseURLQuery`` or ``max_num_results`` counts whole and in its parts. Scripts that put no space between
words count in pairs of neighbouring characters.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator
from functools import lru_cache

_WORD = re.compile(r"\w+")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
_LONGEST = 256
"""Characters of a word that count."""


def words(text: str) -> list[int]:
    """The words of a text in order, each as a 32-bit hash. Two words in 10^5 share one by chance."""
    found: list[int] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        found += _hashes(match.group()[:_LONGEST])
    return found


@lru_cache(maxsize=100_000)
def _hashes(word: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(zlib.crc32(form.encode()) for form in _forms(word)))


def _forms(word: str) -> Iterator[str]:
    if _UNSPACED.search(word):
        for run in _UNSPACED.findall(word):
            yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
        for rest in _UNSPACED.split(word):
            if rest:
                yield _singular(rest.casefold())
        return
    yield _singular(word.casefold())
    parts = _PARTS.findall(word)
    if len(parts) > 1:
        yield from (_singular(part.casefold()) for part in parts)


def _singular(word: str) -> str:
    """Harman's S-stemmer ("How effective is suffixing?", 1991)."""
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word if word.endswith(("eies", "aies")) else f"{word[:-3]}y"
    if word.endswith("es"):
        return word if word.endswith(("aes", "ees", "oes")) else word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]
