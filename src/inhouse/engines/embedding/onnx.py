"""Sentence encoders of the BERT family on ONNX Runtime.

Each text is run by itself on one thread, as many at a time as there are threads: on a CPU that is faster than padded
batches, wastes nothing on padding, and makes a vector depend on nothing but its text.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from inhouse.engines.hosting import Stop

Vector = npt.NDArray[np.float32]

WINDOW = 256
"""Tokens, the two special ones included, that all-MiniLM-L6-v2 was trained to see (its sentence_bert_config.json)."""


class OnnxEncoder:
    """``model.onnx`` and ``tokenizer.json`` of a folder.

    A text longer than the window is cut into equal pieces, each encoded by itself; the vector is their mean weighted by
    tokens. Tokens within a piece are pooled by their mean, as the model was trained.

    Args:
        threads: texts run at once.
        window: tokens of one piece.
    """

    def __init__(self, folder: Path, threads: int, window: int = WINDOW) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {given.name for given in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._first = self._tokenizer.token_to_id("[CLS]")
        self._last = self._tokenizer.token_to_id("[SEP]")
        self._room = window - 2
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="onnx")

    def embed(self, texts: list[str], stop: Stop) -> Vector:
        """Vectors of length 1, a row each."""
        tokens = [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

        def one(ids: list[int]) -> Vector:
            stop.check()
            return self._encode(ids, stop)

        return np.stack(list(self._pool.map(one, tokens)))

    def _encode(self, ids: list[int], stop: Stop) -> Vector:
        count = max(1, -(-len(ids) // self._room))
        total = np.zeros(0, np.float32)
        for number in range(count):
            stop.check()
            piece = ids[len(ids) * number // count : len(ids) * (number + 1) // count]
            vector = self._run(piece) * max(len(piece), 1)
            total = vector if not total.size else total + vector
        return normalised(total)

    def _run(self, ids: list[int]) -> Vector:
        row = np.array([[self._first, *ids, self._last]], np.int64)
        feeds: dict[str, Any] = {"input_ids": row, "attention_mask": np.ones_like(row)}
        if "token_type_ids" in self._inputs:
            feeds["token_type_ids"] = np.zeros_like(row)
        states: Vector = self._session.run(["last_hidden_state"], feeds)[0]
        return normalised(states[0].mean(axis=0))


def normalised(vector: Vector) -> Vector:
    """The vector at length 1; one of zeros stays."""
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm else vector).astype(np.float32)
