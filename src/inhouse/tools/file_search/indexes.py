"""The indexes of the stores that were searched last, in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy import Connection

from inhouse.storage.database import Database
from inhouse.tools.file_search import store
from inhouse.tools.file_search.filters import Columns
from inhouse.tools.file_search.index import Index, part_of
from inhouse.tools.file_search.store import Searchable

FILE_BYTES = 600
"""About what a file takes here beside its chunks: its names, and its attributes twice."""


class Loaded:
    """A store as it can be searched: its index, and its files in the index's order of runs."""

    def __init__(self, revision: int, embedder: str, index: Index, files: Sequence[Searchable]) -> None:
        self.revision = revision
        self.embedder = embedder
        self.index = index
        self.files = files
        self.bytes = index.bytes + sum(FILE_BYTES + 2 * len(file.attributes) for file in files)

    @cached_property
    def columns(self) -> Columns:
        decoder = msgspec.json.Decoder(dict[str, Any])
        return Columns([decoder.decode(file.attributes) for file in self.files])

    def file(self, run: str) -> Searchable:
        return self.files[self.index.alive[run]]


class Indexes:
    """
    Args:
        memory: bytes that they may take together; the one that was just used is kept in any case.
    """

    def __init__(self, database: Database, memory: int) -> None:
        self._database = database
        self._memory = memory
        self._loaded: OrderedDict[tuple[str, str], Loaded] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Lock] = {}

    async def get(self, store_id: str, revision: int, embedder: str) -> Loaded:
        """The index of a store, at least as new as ``revision``."""
        key = (store_id, embedder)
        found = self._loaded.get(key)
        if found is None or found.revision < revision:
            lock = self._loading.setdefault(key, asyncio.Lock())
            async with lock:
                found = self._loaded.get(key)
                if found is None or found.revision < revision:
                    found = await self._load(store_id, embedder, found)
                    self._loaded[key] = found
            if not lock.locked():
                self._loading.pop(key, None)
        self._loaded.move_to_end(key)
        while len(self._loaded) > 1 and sum(each.bytes for each in self._loaded.values()) > self._memory:
            self._loaded.popitem(last=False)
        return found

    def forget(self, store_id: str) -> None:
        """A store is gone."""
        for key in [key for key in self._loaded if key[0] == store_id]:
            del self._loaded[key]

    async def _load(self, store_id: str, embedder: str, old: Loaded | None) -> Loaded:
        known = old.index if old is not None else Index()

        def read(connection: Connection) -> Loaded:
            revision = store.revision_of(connection, store_id)
            files = store.searchable(connection, store_id)
            runs = [file.run for file in files]
            segments = store.segments_of(connection, set(runs).difference(known.alive), embedder)
            width = next((len(each.vectors) // 2 // each.chunks for each in segments if each.vectors), 0)
            new = part_of(segments, width) if segments else None
            return Loaded(revision, embedder, known.updated(new, runs), files)

        return await self._database.read(read)
