"""Undo what people do to a text so that filters do not see it, and leave everything else as it is."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһкмтвнгαειοκνρτυχ’‘“”–—",
    "aeopcyxijsdhkmtbhraeiokvptux''\"\"--",
)
"""Cyrillic and Greek letters that are drawn like Latin ones, and typographic quotes and dashes."""
_LEET = str.maketrans("013457@$!", "oieastasi")
_LEET_WORD = re.compile(r"(?<![\w@$!])(?=[\w@$!]*[a-z])(?=[\w@$!]*[013457@$!][\w@$]*[a-z])[\w@$!]{3,24}(?![\w@$])")
_SPELLED = re.compile(r"(?<!\w)(?:[a-z][\s._*\-]{1,2}){2,}[a-z](?!\w)")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_MASKED = re.compile(r"(?<=[a-z])[*#_.](?=[a-z])")
_SPACE = re.compile(r"\s+")


def normalised(text: str) -> str:
    """``text`` in lower case with look-alike letters, leetspeak, spelled-out and stretched words made plain.

    A text in a script of its own is not touched beyond compatibility forms: look-alikes are replaced only in texts that
    hold Latin letters too.
    """
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).lower()
    if re.search("[a-z]", plain):
        plain = plain.translate(_LOOKALIKES)
        plain = "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
    plain = _LEET_WORD.sub(lambda word: word[0].translate(_LEET), plain)
    plain = _SPELLED.sub(lambda word: re.sub(r"[\s._*\-]", "", word[0]), plain)
    plain = _REPEATED.sub(r"\1\1", plain)
    plain = _MASKED.sub("", plain) if "*" in plain or "#" in plain else plain
    return _SPACE.sub(" ", plain).strip()
