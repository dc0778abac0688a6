"""Sentence embeddings for the classifier: a MiniLM in ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

DIMENSIONS = 384
WINDOW = 128
"""Tokens that are embedded at once, as many as the model was trained on."""


class Sentences:
    """Embeds texts. Thread-safe."""

    def __init__(self, model: Path, tokenizer: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._counter = Tokenizer.from_file(str(tokenizer))
        self._counter.no_padding()
        self._counter.no_truncation()
        self._tokenizer.enable_truncation(WINDOW)

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), 384): the mean over the tokens of each text."""
        encoded = self._tokenizer.encode_batch(texts)
        longest = max(len(each.ids) for each in encoded)
        ids = np.zeros((len(texts), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encoded):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), dtype=np.float32)

    def count(self, texts: list[str]) -> int:
        """Tokens of all texts, uncut and without the marks around each."""
        return sum(len(each.ids) for each in self._counter.encode_batch(texts, add_special_tokens=False))
