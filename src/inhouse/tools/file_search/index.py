"""The index of one vector store in memory: every vector, and in which chunks each word stands.

A search looks at every chunk that may count, so it finds what is nearest, not what is probably near: see
``docs/performance.md`` for what that costs. The index is made of parts that never change; files that come later are a
part of their own until parts are merged, and files that went are passed over until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

K1, B = 1.2, 0.75
"""Of BM25, as Robertson and Zaragoza give them ("The Probabilistic Relevance Framework", 2009)."""
MOST_PARTS = 6
MOST_DEAD = 0.25
"""Share of chunks of files that went, from which on the parts are merged."""
GATHERED = 0.25
"""Share of chunks up to which it is faster to gather their vectors than to compare all."""


class Segment(msgspec.Struct, frozen=True):
    """Some chunks of a run, as they are stored. ``vectors`` is None where they are of another space."""

    run: str
    first: int
    chunks: int
    vectors: bytes | None
    words: bytes


class Hit(NamedTuple):
    """A chunk that was found; ``score`` from 0 to 1."""

    score: float
    run: str
    number: int


class Weights(msgspec.Struct, frozen=True):
    """How much meaning and words count."""

    embedding: float
    text: float


class Query(NamedTuple):
    """``vector`` of length 1; None where only words count."""

    vector: Floats | None
    words: Sequence[int]


class Part(NamedTuple):
    runs: list[str]
    of_run: npt.NDArray[np.int32]
    """For each chunk, its run by its place in ``runs``."""
    numbers: npt.NDArray[np.int32]
    vectors: Floats
    """Zeros where they are of another space."""
    lengths: Floats
    """Words in each chunk."""
    vocabulary: npt.NDArray[np.uint32]
    starts: Whole
    """Where the chunks of each word of the vocabulary begin in ``chunks``; one more at the end."""
    chunks: npt.NDArray[np.int32]
    counts: npt.NDArray[np.uint16]

    @property
    def bytes(self) -> int:
        return sum(each.nbytes for each in self[1:])

    def of(self, word: int) -> slice:
        at = int(np.searchsorted(self.vocabulary, np.uint32(word)))
        if at == len(self.vocabulary) or self.vocabulary[at] != word:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))


def packed(words: Sequence[Sequence[int]]) -> bytes:
    """The words of some chunks, to be stored: how many each has, how many different ones, these, and how often."""
    counted = [Counter(each) for each in words]
    lengths = np.array([len(each) for each in words], "<u4")
    sizes = np.array([len(each) for each in counted], "<u4")
    different = np.array([word for each in counted for word in each], "<u4")
    counts = np.array([min(count, 0xFFFF) for each in counted for count in each.values()], "<u2")
    return lengths.tobytes() + sizes.tobytes() + different.tobytes() + counts.tobytes()


def part_of(segments: Sequence[Segment], width: int) -> Part:
    """
    Args:
        width: components of each vector.
    """
    runs: dict[str, int] = {}
    of_run, numbers, vectors, lengths, words, counts, chunks = [], [], [], [], [], [], []
    base = 0
    for segment in segments:
        count = segment.chunks
        of_run.append(np.full(count, runs.setdefault(segment.run, len(runs)), np.int32))
        numbers.append(np.arange(segment.first, segment.first + count, dtype=np.int32))
        if segment.vectors is None:
            vectors.append(np.zeros((count, width), np.float32))
        else:
            vectors.append(np.frombuffer(segment.vectors, "<f2").astype(np.float32).reshape(count, width))
        lengths.append(np.frombuffer(segment.words, "<u4", count))
        sizes = np.frombuffer(segment.words, "<u4", count, 4 * count)
        total = int(sizes.sum())
        words.append(np.frombuffer(segment.words, "<u4", total, 8 * count))
        counts.append(np.frombuffer(segment.words, "<u2", total, 8 * count + 4 * total))
        chunks.append(np.repeat(np.arange(base, base + count, dtype=np.int32), sizes))
        base += count
    return _sorted(
        list(runs),
        np.concatenate(of_run),
        np.concatenate(numbers),
        np.concatenate(vectors),
        np.concatenate(lengths).astype(np.float32),
        np.concatenate(words),
        np.concatenate(chunks),
        np.concatenate(counts),
    )


def merged(parts: Sequence[Part], alive: Collection[str]) -> Part | None:
    """One part of those chunks whose runs are still there; None if there are none."""
    runs: list[str] = []
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    base = 0
    width = max(part.vectors.shape[1] for part in parts)
    for part in parts:
        places = np.full(len(part.runs), -1, np.int32)
        for at, run in enumerate(part.runs):
            if run in alive:
                places[at] = len(runs)
                runs.append(run)
        keep = places[part.of_run] >= 0
        renumbered = np.cumsum(keep, dtype=np.int32) + np.int32(base - 1)
        postings = keep[part.chunks]
        words = np.repeat(part.vocabulary, np.diff(part.starts))
        columns.append(
            (
                places[part.of_run][keep],
                part.numbers[keep],
                _widened(part.vectors[keep], width),
                part.lengths[keep],
                words[postings],
                renumbered[part.chunks][postings],
                part.counts[postings],
            )
        )
        base += int(keep.sum())
    if not base:
        return None
    return _sorted(runs, *(np.concatenate(column) for column in zip(*columns, strict=True)))


def _sorted(
    runs: list[str],
    of_run: npt.NDArray[np.int32],
    numbers: npt.NDArray[np.int32],
    vectors: Floats,
    lengths: Floats,
    words: npt.NDArray[np.uint32],
    chunks: npt.NDArray[np.int32],
    counts: npt.NDArray[np.uint16],
) -> Part:
    order = np.argsort(words, kind="stable")
    words = words[order]
    first = np.flatnonzero(np.concatenate(([True], words[1:] != words[:-1]))) if len(words) else np.zeros(0, np.int64)
    starts = np.append(first, len(words)).astype(np.int64)
    vocabulary = words[first].astype(np.uint32)
    return Part(runs, of_run, numbers, vectors, lengths, vocabulary, starts, chunks[order], counts[order])


def _widened(vectors: Floats, width: int) -> Floats:
    """Vectors of a part that has none are as long as those of others."""
    return vectors if vectors.shape[1] == width else np.zeros((len(vectors), width), np.float32)


class Index:
    """Parts that are searched as one. It does not change: ``updated`` gives another one."""

    def __init__(self, parts: Sequence[Part] = (), alive: Iterable[str] = ()) -> None:
        self.parts = tuple(parts)
        self.alive = {run: place for place, run in enumerate(alive)}
        """Runs that are there, and their places: their order is that of ``among`` in ``search``."""
        self._owners = [np.array([self.alive.get(run, -1) for run in part.runs], np.int32) for part in parts]
        """For each part the places of its runs; -1 if it went."""
        self._chunks = sum(len(part.numbers) for part in parts)
        self._words = float(sum(float(part.lengths.sum(dtype=np.float64)) for part in parts))

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def updated(self, new: Part | None, alive: Iterable[str]) -> Index:
        """The index with a part more, of the runs that are there now."""
        parts = [*self.parts, new] if new is not None else list(self.parts)
        living = dict.fromkeys(alive)
        dead = sum(
            int(np.isin(part.of_run, [at for at, run in enumerate(part.runs) if run not in living]).sum())
            for part in parts
        )
        total = sum(len(part.numbers) for part in parts)
        if len(parts) > MOST_PARTS or dead > MOST_DEAD * total:
            # A large part stays while the others are small beside it: a store that grows is not sorted again and again.
            parts.sort(key=lambda part: -len(part.numbers))
            kept = parts[:1] if dead <= MOST_DEAD * total and len(parts[0].numbers) > total // 2 else []
            rest = merged(parts[len(kept) :], living)
            parts = kept if rest is None else [*kept, rest]
        return Index(parts, living)

    def search(
        self,
        queries: Sequence[Query],
        weights: Weights,
        most: int,
        *,
        least: float = 0.0,
        among: npt.NDArray[np.bool_] | None = None,
    ) -> list[Hit]:
        """The chunks that fit one of the queries best, the best first.

        Args:
            least: score that a chunk must have.
            among: only chunks of these runs, in the order of ``alive``.
        """
        best: list[Hit] = []
        wanted = np.append(np.ones(len(self.alive), np.bool_) if among is None else among, False)
        for part, owners in zip(self.parts, self._owners, strict=True):
            runs = wanted[owners]
            if not runs.any():
                continue
            rows = None if runs.all() else np.flatnonzero(runs[part.of_run])
            scores = self._scores(part, rows, queries[0], weights)
            for query in queries[1:]:
                np.maximum(scores, self._scores(part, rows, query, weights), out=scores)
            count = min(most, len(scores))
            top = np.argpartition(scores, -count)[-count:] if count < len(scores) else np.arange(count)
            best += [
                Hit(float(scores[at]), part.runs[part.of_run[chunk]], int(part.numbers[chunk]))
                for at, chunk in zip(top, top if rows is None else rows[top], strict=True)
                if scores[at] >= least
            ]
        best.sort(key=lambda hit: (-hit.score, hit.run, hit.number))
        return best[:most]

    def _scores(self, part: Part, rows: Whole | None, query: Query, weights: Weights) -> Floats:
        """Of some chunks, or of all: from 0 to 1, cosine and BM25 in the shares of their weights.

        A cosine below 0 counts as 0. BM25 counts as a share of what it would be of an endless chunk of nothing but the
        words of the query, its supremum, so that it means the same in every store and for every query.
        """
        total = weights.embedding + weights.text
        scores = np.zeros(len(part.numbers), np.float32)
        if query.vector is not None and weights.embedding and part.vectors.shape[1] == len(query.vector):
            # Not ``@``: the threads of BLAS wait for each other, which is slow where other processes compute, too.
            few = rows is not None and len(rows) <= GATHERED * len(scores)
            chosen = rows if few else slice(None)
            cosines = np.einsum("ij,j->i", part.vectors[chosen], query.vector)
            scores[chosen] = np.clip(cosines, 0.0, 1.0) * np.float32(weights.embedding / total)
        words = dict.fromkeys(query.words)
        if words and weights.text:
            rarity = {word: self._rarity(word) for word in words}
            supremum = sum(rarity.values()) * (K1 + 1)
            share = weights.text / total / supremum
            mean = self._words / self._chunks if self._words else 1.0
            for word, rare in rarity.items():
                found = part.of(word)
                chunks = part.chunks[found]
                counts = part.counts[found].astype(np.float32)
                norm = K1 * (1 - B + B * part.lengths[chunks] / np.float32(mean))
                scores[chunks] += np.float32(share * rare * (K1 + 1)) * counts / (counts + norm)
        return scores if rows is None else scores[rows]

    def _rarity(self, word: int) -> float:
        count = sum((found := part.of(word)).stop - found.start for part in self.parts)
        return float(np.log1p((self._chunks - count + 0.5) / (count + 0.5)))
