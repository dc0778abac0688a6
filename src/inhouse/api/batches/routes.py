"""Batches over HTTP."""

from __future__ import annotations

from inhouse.api.batches import wire
from inhouse.api.batches.service import BatchesService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound

BATCH = "/batches/{batch_id}"


class Batches:
    def __init__(self, service: BatchesService) -> None:
        self._service = service

    @operation("POST", "/batches", id="createBatch", tag="Batch")
    async def create(self, request: Request, body: wire.CreateBatch) -> wire.Batch:
        """Have the requests of an uploaded file answered."""
        return await self._service.create(request.caller, body)

    @operation("GET", "/batches", id="listBatches", tag="Batch", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListBatchesQuery) -> wire.ListBatchesResponse:
        """List batches."""
        return await self._service.list(request.caller, query)

    @operation("GET", BATCH, id="retrieveBatch", tag="Batch", errors=(NotFound,))
    async def retrieve(self, request: Request, batch_id: str) -> wire.Batch:
        """Get a batch."""
        return await self._service.retrieve(request.caller, batch_id)

    @operation("POST", f"{BATCH}/cancel", id="cancelBatch", tag="Batch", errors=(NotFound,))
    async def cancel(self, request: Request, batch_id: str) -> wire.Batch:
        """Stop a batch.

        It is `cancelling` until the requests that are being answered have ended, up to ten minutes, and then
        `cancelled`. What was done is kept.
        """
        return await self._service.cancel(request.caller, batch_id)
