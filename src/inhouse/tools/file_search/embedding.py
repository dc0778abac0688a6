"""Vectors of chunks and of queries, from whatever serves the embedding model."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from inhouse.catalog import Catalog
from inhouse.engines.deployments import Deployment
from inhouse.engines.embedding.shapes import EMBED, Inputs, Vectors
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.pool import EnginePool
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream, UpstreamError

Matrix = npt.NDArray[np.float32]
"""A row each, of length 1."""

INTERACTIVE = 0
INGESTION = -1
"""Priorities in the engine's queue: whoever waits for an answer goes first."""


class Embedder:
    """
    Args:
        model: the card whose deployment makes the vectors.
    """

    def __init__(self, catalog: Catalog, engines: EnginePool, model: str) -> None:
        self._catalog = catalog
        self._engines = engines
        self._model = model

    @property
    def name(self) -> str:
        """What makes the vectors now. Vectors of others are of another space.

        Raises:
            EngineFailed: nothing does.
        """
        return self._deployment().id

    async def embed(self, texts: Sequence[str], *, tenant: str, priority: int) -> Matrix:
        """
        Raises:
            EngineBusy, EngineFailed
        """
        deployment = self._deployment()
        engine = self._engines.get(deployment)
        if isinstance(engine, HostedEngine) and engine.kind == "embedding":
            found = await engine.call(EMBED, Inputs(list(texts)), Vectors, tenant=tenant, priority=priority)
            return np.frombuffer(found.data, "<f4").reshape(-1, found.width).astype(np.float32)
        if isinstance(engine, Upstream):
            return await self._ask(engine, texts)
        raise EngineFailed(f"{deployment.id} is not a model for embedding")

    def _deployment(self) -> Deployment:
        found = self._catalog.find(self._model)
        if found is None:
            raise EngineFailed(f"nothing serves {self._model}, which vector stores need")
        return found.deployment

    async def _ask(self, upstream: Upstream, texts: Sequence[str]) -> Matrix:
        body = {"model": self._model, "input": list(texts), "encoding_format": "base64"}
        try:
            answer = msgspec.json.decode((await upstream.post("/embeddings", body)).body, type=_Answer)
            found = sorted(answer.data, key=lambda each: each.index)
            rows = [_vector(each.embedding) for each in found]
            if [each.index for each in found] != list(range(len(texts))):
                raise EngineFailed("the upstream did not send one vector for each text")
            vectors = np.stack(rows)
        except UpstreamError as error:
            raise EngineFailed(f"the upstream refused to embed: {error}") from error
        except (msgspec.MsgspecError, ValueError, binascii.Error) as error:
            raise EngineFailed(f"the upstream sent what is not the contract: {error}") from error
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        norms[norms == 0] = 1.0
        return np.asarray(vectors / norms, np.float32)


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int


class _Answer(msgspec.Struct):
    data: list[_Embedding]


def _vector(told: list[float] | str) -> Matrix:
    """Some servers send floats whatever was asked for."""
    if isinstance(told, str):
        return np.frombuffer(base64.b64decode(told, validate=True), "<f4").astype(np.float32)
    return np.array(told, np.float32)
