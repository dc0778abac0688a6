"""What is remembered of prompts: token counts and indexes of their segments, and which beginnings were read before.

By content and by project, so that nobody learns from a fast answer what another project has sent. Bounded; what was not
used for longest goes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import blake2b
from weakref import WeakKeyDictionary

from inhouse.engines.protocol import TextEngine
from inhouse.engines.upstream import Upstream
from inhouse.generation.reading.ranking import Index

MOST_BYTES = 64 * 1024 * 1024
"""Of one engine; a prompt of a million tokens takes some 7 MB."""
SEARCHES = 2
"""Child processes at a time."""
_ENTRY_BYTES = 200

Key = tuple[str, bytes]
_Engine = TextEngine | Upstream


class Shelf:
    """Of one engine: token counts are its tokenizer's."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.searches = asyncio.Semaphore(SEARCHES)
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, Key], tuple[int | Index | None, int]] = OrderedDict()

    @property
    def bytes(self) -> int:
        return self._bytes

    def tokens(self, key: Key) -> int | None:
        found = self._get("tokens", key)
        return found if isinstance(found, int) else None

    def index(self, key: Key) -> Index | None:
        found = self._get("index", key)
        return found if isinstance(found, Index) else None

    def seen(self, key: Key) -> bool:
        """Whether a prompt that began so was read before."""
        return ("seen", key) in self._kept and self._get("seen", key) is None

    def keep_tokens(self, key: Key, tokens: int) -> None:
        self._put("tokens", key, tokens, _ENTRY_BYTES)

    def keep_index(self, key: Key, index: Index) -> None:
        self._put("index", key, index, index.size + 2 * _ENTRY_BYTES)

    def keep_seen(self, key: Key) -> None:
        self._put("seen", key, None, _ENTRY_BYTES)

    def _get(self, kind: str, key: Key) -> int | Index | None:
        found = self._kept.get((kind, key))
        if found is None:
            return None
        self._kept.move_to_end((kind, key))
        return found[0]

    def _put(self, kind: str, key: Key, value: int | Index | None, size: int) -> None:
        before = self._kept.pop((kind, key), None)
        self._bytes += size - (before[1] if before else 0)
        self._kept[kind, key] = value, size
        while self._bytes > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self._bytes -= gone


_shelves: WeakKeyDictionary[_Engine, Shelf] = WeakKeyDictionary()


def shelf_of(engine: _Engine) -> Shelf:
    found = _shelves.get(engine)
    if found is None:
        found = _shelves[engine] = Shelf()
    return found


def content_key(project_id: str, text: str) -> Key:
    return project_id, blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


class Beginning:
    """The keys of a prompt's beginnings, one after the other."""

    def __init__(self, project_id: str) -> None:
        self._project = project_id
        self._hash = blake2b(digest_size=20)

    def then(self, text: str) -> Key:
        """The key of all that was given so far, and ``text``."""
        self._hash.update(text.encode("utf-8", "surrogatepass"))
        self._hash.update(b"\xff")
        return self._project, self._hash.copy().digest()
