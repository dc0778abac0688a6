"""Which sentences of a prompt mean what a question asks, also where they use other words: static embeddings.

A sentence is the sum of its pieces' vectors, each weighed by how rare the piece is in its segment (Arora, Liang and Ma,
"A Simple but Tough-to-Beat Baseline for Sentence Embeddings", 2017); it is compared with the question's by the cosine.
Of a segment only the pieces and the lengths of those sums are kept, some 2.5 MB for a million tokens: the sums
themselves need not be, since the product of a sum with the question is the sum of its pieces' products.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from inhouse.generation.reading.ranking import Meaning, words_of

Floats = npt.NDArray[np.float32]

VECTORS_FILE, VOCABULARY_FILE = "vectors.safetensors", "tokenizer.json"
DIMENSIONS = 128
"""Of the vectors' 256: they are trained so that a beginning serves (Kusupati et al., "Matryoshka Representation
Learning", 2022). 128 found as much as 256 here, in half the time."""
LEAST_WORDS = 5
"""Shorter sentences are joined with the next one."""
RARITY = 1e-3
"""The weight of a piece that is the share p of all is RARITY / (RARITY + p)."""
SHORT = 0.15
"""Of the median length of a sum, added to each: a sentence of one common piece is close to many questions."""
_MOST_PIECES = 6
_LONGEST_PIECE = 14
_LONGEST_WORD = 30
_AT_ONCE = 2_048
_SENTENCE = re.compile(r"[^.!?\n]{1,280}")
"""Longer ones, and lines without end, are cut."""


class Close(msgspec.Struct, frozen=True):
    """A sentence: its segment, its characters there, and the cosine with the question."""

    segment: int
    first: int
    last: int
    cosine: float


class _Model(msgspec.Struct):
    vocab: dict[str, int]


class _Tokenizer(msgspec.Struct):
    model: _Model


class WordVectors:
    """Static embeddings of word pieces.

    Args:
        folder: of the weights.

    Raises:
        OSError, ValueError, msgspec.MsgspecError: no such weights there.
    """

    def __init__(self, folder: Path) -> None:
        self._pieces = msgspec.json.decode((folder / VOCABULARY_FILE).read_bytes(), type=_Tokenizer).model.vocab
        self._ids: dict[str, tuple[int, ...]] = {}
        raw = (folder / VECTORS_FILE).read_bytes()
        start = 8 + int.from_bytes(raw[:8], "little")
        header: dict[str, Any] = msgspec.json.decode(raw[8:start])
        told = header["embedding.weight"]
        rows, width = told["shape"]
        if told["dtype"] != "F16" or width < DIMENSIONS or rows < len(self._pieces) or rows > 1 << 16:
            raise ValueError(f"{folder / VECTORS_FILE} holds no embeddings of that vocabulary in 16 bits")
        table = np.frombuffer(raw, "<f2", rows * width, start + told["data_offsets"][0])
        self._table: Floats = np.ascontiguousarray(table.reshape(rows, width)[:, :DIMENSIONS], dtype=np.float32)

    def meaning(self, text: str) -> Meaning:
        """Of a segment."""
        pieces, begins = array("H"), array("I")
        at, ends = array("I"), array("I")
        first = begin = words = 0
        for found in _SENTENCE.finditer(text):
            if not words:
                first = found.start()
            for word in words_of(found[0]):
                pieces.extend(self._ids_of(word))
                words += 1
            if words >= LEAST_WORDS:
                if len(pieces) > begin:
                    begins.append(begin)
                    at.append(first)
                    ends.append(found.end())
                begin, words = len(pieces), 0
        if len(pieces) > begin:
            begins.append(begin)
            at.append(first)
            ends.append(len(text))
        ids, starts = np.frombuffer(pieces, np.uint16), np.frombuffer(begins, np.uint32)
        norms = self._norms(ids, starts) if len(starts) else np.zeros(0, np.float32)
        return Meaning(pieces.tobytes(), begins.tobytes(), at.tobytes(), ends.tobytes(), norms.tobytes())

    def closest(self, question: str, meanings: Sequence[Meaning], most: int) -> list[Close]:
        """The ``most`` sentences that are closest to a question, the closest first."""
        ids = [piece for word in words_of(question) for piece in self._ids_of(word)]
        if not ids:
            return []
        asked = self._table[ids]
        together = np.frombuffer(b"".join(each.pieces for each in meanings), np.uint16)
        counts = np.bincount(together, minlength=len(self._table))
        direction = (asked * _weights(counts)[ids][:, None]).sum(axis=0)
        products = self._table @ (direction / max(1e-9, float(np.linalg.norm(direction))))
        medians = [np.median(np.frombuffer(each.norms, np.float32)) for each in meanings if each.norms]
        slack = np.float32(SHORT * float(np.median(medians))) if medians else np.float32(1)
        found: list[Close] = []
        for segment, each in enumerate(meanings):
            starts = np.frombuffer(each.begins, np.uint32)
            if not len(starts):
                continue
            pieces = np.frombuffer(each.pieces, np.uint16)
            known, places, times = _counted(pieces, len(products))
            weighed = products[known] * _weights(times)
            cosines = np.add.reduceat(weighed[places], starts) / (np.frombuffer(each.norms, np.float32) + slack)
            at, ends = np.frombuffer(each.at, np.uint32), np.frombuffer(each.ends, np.uint32)
            best = np.argsort(-cosines)[:most]
            found += [Close(segment, int(at[n]), int(ends[n]), float(cosines[n])) for n in best]
        return sorted(found, key=lambda each: -each.cosine)[:most]

    def _norms(self, ids: npt.NDArray[np.uint16], starts: npt.NDArray[np.uint32]) -> Floats:
        known, places, times = _counted(ids, len(self._table))
        weighed = self._table[known] * _weights(times)[:, None]
        norms = np.empty(len(starts), np.float32)
        for low in range(0, len(starts), _AT_ONCE):
            high = min(low + _AT_ONCE, len(starts))
            first, last = starts[low], starts[high] if high < len(starts) else len(ids)
            sums = np.add.reduceat(weighed[places[first:last]], starts[low:high] - first, axis=0)
            norms[low:high] = np.sqrt(np.einsum("ij,ij->i", sums, sums))
        return norms

    def _ids_of(self, word: str) -> tuple[int, ...]:
        """Of a word the longest pieces from its beginning on; numbers mean nothing."""
        known = self._ids.get(word)
        if known is None:
            known = self._ids[word] = self._split(word)
        return known

    def _split(self, word: str) -> tuple[int, ...]:
        if word.isdigit() or len(word) > _LONGEST_WORD:
            return ()
        marked = "\u2581" + word
        found: list[int] = []
        at = 0
        while at < len(marked) and len(found) < _MOST_PIECES:
            for end in range(min(len(marked), at + _LONGEST_PIECE), at, -1):
                piece = self._pieces.get(marked[at:end])
                if piece is not None:
                    if end > 1:  # the mark of a word's beginning alone means nothing
                        found.append(piece)
                    at = end
                    break
            else:
                at += 1
        return tuple(found)


def _counted(pieces: npt.NDArray[np.uint16], vocabulary: int) -> tuple[Any, npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Rows of the table, for each piece the number of its row among them, and how often each stands there.

    All rows for a long text. Only those that occur for a short one: a conversation may have many thousands, and the
    whole table for each of them would take minutes.
    """
    if len(pieces) >= vocabulary // 8:
        return slice(None), pieces, np.bincount(pieces, minlength=vocabulary)
    known, places, times = np.unique(pieces, return_inverse=True, return_counts=True)
    return known, places, times


def _weights(counts: npt.NDArray[np.int64]) -> Floats:
    shares = counts / max(1, int(counts.sum()))
    return (RARITY / (RARITY + shares)).astype(np.float32)
