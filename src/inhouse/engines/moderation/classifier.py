"""The text classifier: reads a text in three ways, and scores what was read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inhouse.engines.moderation.categories import CATEGORIES
from inhouse.engines.moderation.head import Head, load_head, scores, stack
from inhouse.engines.moderation.normalising import normalised
from inhouse.engines.moderation.sentences import Sentences
from inhouse.engines.moderation.signs import Signs
from inhouse.engines.moderation.toxicity import Toxicity

PIECE = 480
"""Characters that are read at once, about as many as the models were trained to see."""
OVERLAP = 80
"""Characters that a piece shares with the one before it, so that no sentence is only seen cut in two."""
BATCH = 16
_WORD = re.compile(r"\w")
"""A piece without a single letter or digit says nothing."""

Array = NDArray[np.float32]


class Reader:
    """What is read of a text before it is scored.

    Args:
        weights: the folder with the files of the moderation manifest.
        threads: CPU threads.
    """

    def __init__(self, weights: Path, threads: int) -> None:
        self.sentences = Sentences(weights / "minilm.onnx", weights / "tokenizer.json", threads)
        self._toxicity = Toxicity(weights / "toxicity.h5", weights / "toxicity-words.pkl")
        self._signs = Signs(weights / "lexicon.csv")

    def read(self, texts: list[str]) -> Array:
        """The head's input for normalised texts, shape (len(texts), INPUTS)."""
        signs = np.stack([self._signs.read(text) for text in texts])
        return stack(self.sentences.embed(texts), self._toxicity.log_odds(texts), signs)

    def read_piece(self, text: str) -> Array:
        """The same for the first piece of one text as it came."""
        return self.read([next(pieces(normalised(text)))])


class TextClassifier:
    """Scores texts. Thread-safe."""

    def __init__(self, weights: Path, threads: int) -> None:
        self._head: Head = load_head()
        self._reader = Reader(weights, threads)

    def classify(self, texts: list[str], check: Callable[[], None] = lambda: None) -> list[dict[str, float]]:
        """For each text the probability of each category: the largest over its pieces.

        Args:
            check: called before each batch of pieces; what it raises ends the work.
        """
        # Pieces of several texts share a batch; those of like length, so that little is padded.
        cut = sorted(
            (
                (number, piece)
                for number, text in enumerate(texts)
                for piece in pieces(normalised(text))
                if _WORD.search(piece)
            ),
            key=lambda each: len(each[1]),
        )
        best = [dict.fromkeys(CATEGORIES, 0.0) for _ in texts]
        for start in range(0, len(cut), BATCH):
            check()
            batch = cut[start : start + BATCH]
            read = self._reader.read([piece for _, piece in batch])
            for (number, _), row in zip(batch, scores(self._head, read), strict=True):
                best[number] = {name: max(best[number][name], row[name]) for name in CATEGORIES}
        return best

    def count(self, texts: list[str]) -> int:
        """Tokens of all texts."""
        return self._reader.sentences.count(texts)


def pieces(text: str) -> Iterator[str]:
    """A normalised text in overlapping pieces of at most ``PIECE`` characters, cut at spaces where there are any."""
    start = 0
    while len(text) - start > PIECE:
        space = text.rfind(" ", start + PIECE // 2, start + PIECE)
        end = space if space > 0 else start + PIECE
        yield text[start:end]
        start = end - OVERLAP
    yield text[start:]
