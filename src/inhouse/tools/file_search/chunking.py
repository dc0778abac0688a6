"""Cuts texts into chunks of so many tokens of cl100k_base, where the text allows it between paragraphs or sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from inhouse.engines.embedding.vocabulary import Vocabulary
from inhouse.engines.weights import WeightsCache, find_manifest

MOST_TOKENS, OVERLAP_TOKENS = 800, 400
"""Of strategy ``auto``, as the contract says."""
_VOCABULARY = "cl100k-base"
_WINDOW = 1 << 18
"""Characters that are made tokens at once; a chunk has 4,096 tokens of 128 bytes at most."""
_LEAST_SHARE = 0.75
"""A chunk is not cut shorter than this share of its size, for the sake of a better place."""
_PLACES = ("\n\n", "\n", ". ", "? ", "! ", "。", " ")
"""Where to cut, the best first: after these."""


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a text. ``repeated`` characters at its start end the piece before."""

    text: str
    repeated: int


class Chunker:
    """Loads the vocabulary when it is first needed."""

    def __init__(self, cache: WeightsCache) -> None:
        self._cache = cache
        self._encoding: Any = None
        self._bytes_of: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """
        Raises:
            WeightsError: the vocabulary is not here and cannot be fetched.
        """
        async with self._loading:
            if self._encoding is None:
                await asyncio.to_thread(self._load)

    def _load(self) -> None:
        manifest = find_manifest(_VOCABULARY)
        if self._cache.missing(manifest):
            self._cache.pull(manifest)
        path = self._cache.path(manifest.files[0])
        assert path is not None
        encoding = Vocabulary(path).encoding
        self._bytes_of = np.zeros(encoding.max_token_value + 1, np.int64)
        for data in encoding.token_byte_values():
            self._bytes_of[encoding.encode_single_token(data)] = len(data)
        self._encoding = encoding

    def chunks(self, text: str, most: int, overlap: int) -> Iterator[Chunk]:
        """The chunks of a text, without those that are blank. After ``load``; takes long, so not on the event loop.

        Args:
            most: tokens of a chunk.
            overlap: tokens that a chunk repeats of the one before; half of ``most`` at the most.
        """
        start = told = 0
        while start < len(text):
            window = text[start : start + _WINDOW]
            last = start + len(window) == len(text)
            ends = self._ends(window)
            at = 0
            while True:
                cut = at + most >= len(ends)
                if cut and not last and at:
                    break
                begin = int(ends[at - 1]) if at else 0
                end = len(window) if cut else _place(window, ends, at, most)
                piece = window[begin:end]
                if piece.strip():
                    repeated = max(0, told - (start + begin))
                    yield Chunk(piece, min(repeated, len(piece)))
                    told = start + end
                if cut:
                    if last:
                        return
                    at = len(ends)
                    break
                after = int(np.searchsorted(ends, end, "right"))
                at = max(at + 1, after - overlap)
            start += int(ends[at - 1]) if at else len(window)

    def _ends(self, text: str) -> npt.NDArray[np.int64]:
        """Where each token ends, in characters."""
        tokens = np.fromiter(self._encoding.encode_ordinary(text), np.int64)
        ends = np.cumsum(self._bytes_of[tokens])
        data = np.frombuffer(text.encode(), np.uint8)
        begun = np.concatenate(([0], np.cumsum((data & 0xC0) != 0x80)))
        # A character that two tokens share ends with the second one.
        whole = np.append((data & 0xC0) != 0x80, True)
        return np.asarray(np.where(whole[ends], begun[ends], begun[ends] - 1), np.int64)


def _place(text: str, ends: npt.NDArray[np.int64], at: int, most: int) -> int:
    """Where the chunk that begins with token ``at`` ends, in characters."""
    latest = int(ends[at + most - 1])
    earliest = int(ends[at + int(most * _LEAST_SHARE) - 1])
    for place in _PLACES:
        found = text.rfind(place, earliest, latest)
        if found >= 0:
            return found + len(place)
    return latest
