"""A bidirectional LSTM over words that tells six kinds of toxicity, in NumPy, from the files of its package.

Both files are pinned by hash, so their layout is known: the tensors of the HDF5 file lie whole at fixed offsets, and
the vocabulary is read from the pickle's opcodes. Nothing is ever unpickled.
"""

from __future__ import annotations

import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
LENGTH = 100
"""Words that the network reads; of a longer text the last ones."""
VOCABULARY = 20_000

_TENSORS: dict[str, tuple[int, tuple[int, ...]]] = {
    "embedding": (10_280, (VOCABULARY, 50)),
    "forward.kernel": (4_014_040, (50, 200)),
    "forward.recurrent": (4_056_088, (50, 200)),
    "forward.bias": (4_096_088, (200,)),
    "backward.kernel": (4_096_888, (50, 200)),
    "backward.recurrent": (4_138_936, (50, 200)),
    "backward.bias": (4_178_936, (200,)),
    "hidden.kernel": (4_183_032, (100, 50)),
    "hidden.bias": (4_179_736, (50,)),
    "out.kernel": (4_206_304, (50, 6)),
    "out.bias": (4_179_936, (6,)),
}
"""Offset in bytes and shape of each float32 tensor."""

_SEPARATORS = re.compile(r'[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n ]+')
"""What the tokenizer it was trained with takes for space between words."""

Array = NDArray[np.float32]


class Toxicity:
    """The network. Thread-safe: it holds no state between calls.

    Args:
        network: the HDF5 file.
        vocabulary: the pickled tokenizer.

    Raises:
        ValueError: a file is not what it is pinned to be.
    """

    def __init__(self, network: Path, vocabulary: Path) -> None:
        data = network.read_bytes()
        self._tensors = {
            name: np.frombuffer(data, np.float32, int(np.prod(shape)), offset).reshape(shape)
            for name, (offset, shape) in _TENSORS.items()
        }
        self._words = read_vocabulary(vocabulary.read_bytes())

    def log_odds(self, texts: list[str]) -> Array:
        """Shape (len(texts), 6), in the order of ``LABELS``; 0 is a probability of one half."""
        tokens = np.zeros((len(texts), LENGTH), dtype=np.int64)
        for row, text in enumerate(texts):
            known = [self._words[word] for word in _SEPARATORS.split(text.lower()) if word in self._words][-LENGTH:]
            if known:
                tokens[row, LENGTH - len(known) :] = known
        inputs = self._tensors["embedding"][tokens]
        ahead = self._sweep("forward", inputs)
        back = self._sweep("backward", inputs[:, ::-1])
        pooled = np.concatenate([ahead, back], axis=1)
        hidden = np.maximum(pooled @ self._tensors["hidden.kernel"] + self._tensors["hidden.bias"], 0)
        return np.asarray(hidden @ self._tensors["out.kernel"] + self._tensors["out.bias"], dtype=np.float32)

    def _sweep(self, direction: str, inputs: Array) -> Array:
        """The largest value that each unit takes along the text, shape (texts, 50)."""
        recurrent = self._tensors[f"{direction}.recurrent"]
        prepared = inputs @ self._tensors[f"{direction}.kernel"] + self._tensors[f"{direction}.bias"]
        units = recurrent.shape[0]
        out: Array = np.zeros((len(inputs), units), dtype=np.float32)
        cell: Array = np.zeros_like(out)
        largest: Array = np.full_like(out, -np.inf)
        for step in range(LENGTH):
            gates = prepared[:, step] + out @ recurrent
            opened: Array = np.clip(gates * 0.2 + 0.5, 0, 1)  # the hard sigmoid it was trained with
            entering, kept, leaving = opened[:, :units], opened[:, units : 2 * units], opened[:, 3 * units :]
            cell = kept * cell + entering * np.tanh(gates[:, 2 * units : 3 * units])
            out = leaving * np.tanh(cell)
            np.maximum(largest, out, out=largest)
        return largest


def read_vocabulary(pickled: bytes) -> dict[str, int]:
    """The dictionary ``word_index`` of a pickled tokenizer, as far as the network knows the words.

    The opcodes are read, not run: only strings, whole numbers and references to earlier strings are understood.

    Raises:
        ValueError: there is no such dictionary in it.
    """
    strings: dict[int, str] = {}
    words: dict[str, int] = {}
    last: str | None = None
    inside = False
    for opcode, given, _ in pickletools.genops(pickled):
        argument: Any = given
        name = opcode.name
        if name == "BINUNICODE":
            if inside and argument == "index_word":
                return words
            inside = inside or argument == "word_index"
            last = argument
        elif name in ("BINPUT", "LONG_BINPUT"):
            if last is not None:
                strings[argument] = last
        elif name in ("BINGET", "LONG_BINGET"):
            last = strings.get(argument)
        elif name in ("BININT", "BININT1", "BININT2"):
            if inside and last is not None and 0 < argument < VOCABULARY:
                words[last] = argument
            last = None
        else:
            last = None
    raise ValueError("no word_index in the pickled tokenizer")
