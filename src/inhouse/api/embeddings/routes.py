"""Embeddings over HTTP."""

from __future__ import annotations

from inhouse.api.embeddings import wire
from inhouse.api.embeddings.service import EmbeddingsService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound, Overloaded


class Embeddings:
    def __init__(self, service: EmbeddingsService) -> None:
        self._service = service

    @operation("POST", "/embeddings", id="createEmbedding", tag="Embeddings", errors=(NotFound, Overloaded))
    async def create(self, request: Request, body: wire.CreateEmbeddingRequest) -> wire.CreateEmbeddingResponse:
        """Turn texts into vectors.

        The closer two vectors, the more related their texts.
        """
        return await self._service.embed(request, body)
