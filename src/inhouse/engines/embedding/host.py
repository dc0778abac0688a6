"""Runs in the child: ``python -m inhouse.engines.embedding.host`` serves one embedding model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inhouse.engines.embedding.shapes import COUNT, EMBED, Counted, Inputs, Vectors
from inhouse.engines.embedding.vocabulary import Vocabulary
from inhouse.engines.hosting import HostConfig, HostServer, Stop


class Encoder(Protocol):
    def embed(self, texts: list[str], stop: Stop) -> npt.NDArray[np.float32]:
        """Vectors of length 1, a row each."""


def encoder_of(config: HostConfig) -> Encoder:
    """The encoder of the first weights: a GGUF file, or a folder with an ONNX model and its tokenizer.

    Raises:
        TypeError: an option that the encoder does not have.
    """
    path = Path(config.weights[0].path)
    if path.suffix == ".gguf":
        from inhouse.engines.embedding.llama import LlamaEncoder

        return LlamaEncoder(path, config.threads, **config.options)
    from inhouse.engines.embedding.onnx import OnnxEncoder

    return OnnxEncoder(path, config.threads, **config.options)


def main() -> None:
    server = HostServer()
    ranks = next(weights for weights in server.config.weights if weights.id == "cl100k-base")
    vocabulary = Vocabulary(ranks.file("cl100k_base.tiktoken"))
    encoder = encoder_of(server.config)

    @server.call(COUNT)
    def count(request: Inputs, stop: Stop) -> Counted:
        return Counted([vocabulary.count(given, stop) for given in request.inputs])

    @server.call(EMBED)
    def embed(request: Inputs, stop: Stop) -> Vectors:
        tokens = [vocabulary.count(given, stop) for given in request.inputs]
        vectors = encoder.embed([vocabulary.text(given) for given in request.inputs], stop)
        return Vectors(vectors.shape[1], vectors.astype("<f4").tobytes(), tokens)

    server.run()


if __name__ == "__main__":
    main()
