"""Embedding models in GGUF files, on llama.cpp inside this process."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np

from inhouse.engines.embedding.onnx import Vector, normalised
from inhouse.engines.hosting import Stop
from inhouse.engines.weights.gguf import inspect_gguf

LONGEST_WINDOW = 2048
"""Tokens of one piece, and so of the batch that llama.cpp keeps in memory."""
POOLINGS = ("mean", "cls", "last")


class LlamaEncoder:
    """One GGUF file.

    A text that does not fit the model's window is halved until its pieces do; the vector is their mean weighted by
    length.

    Args:
        window: tokens of one piece, at most; the model's own window is kept, too.
        pooling: how tokens become one vector, ``mean``, ``cls`` or ``last``; None takes what the file says.

    Raises:
        ValueError: another pooling.
        OSError: the file is not there.
    """

    def __init__(self, path: Path, threads: int, pooling: str | None = None, window: int = LONGEST_WINDOW) -> None:
        import xllamacpp

        if pooling not in (None, *POOLINGS):
            raise ValueError(f"pooling is one of {', '.join(POOLINGS)}, not {pooling!r}")
        window = min(inspect_gguf(path).window or window, window)
        p = xllamacpp.CommonParams()
        p.model.path = str(path)
        # It always listens; nobody knows the key.
        p.hostnames, p.port, p.api_keys = ["127.0.0.1"], 0, [secrets.token_urlsafe(32)]
        p.ui = False
        p.embedding = True
        p.n_ctx = p.n_batch = p.n_ubatch = window
        p.n_parallel = 1
        p.verbosity = 2
        p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
        if pooling is not None:
            p.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{pooling.upper()}")
        self._server = xllamacpp.Server(p)

    def embed(self, texts: list[str], stop: Stop) -> Vector:
        """Vectors of length 1, a row each."""
        return np.stack([self._encode(text, stop) for text in texts])

    def _encode(self, text: str, stop: Stop) -> Vector:
        stop.check()
        answer: dict[str, Any] = self._server.handle_embeddings({"input": text, "encoding_format": "float"})
        error = answer.get("error")
        if error is None:
            return normalised(np.array(answer["data"][0]["embedding"], np.float32))
        if ("too large" not in error["message"] and "exceed" not in error["message"]) or len(text) < 2:
            raise RuntimeError(error["message"])
        middle = len(text) // 2
        middle = text.rfind(" ", 1, middle) + 1 or middle
        parts = (text[:middle], text[middle:])
        return normalised(sum((self._encode(part, stop) * len(part) for part in parts), np.zeros(1, np.float32)))
