"""Batches: create, look at, cancel. Who works on them is in ``validating``, ``working`` and ``finishing``."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.access.scopes import missing_scope
from inhouse.api.batches import steps, store, wire
from inhouse.api.batches.store import StoredBatch
from inhouse.api.inside import Inside
from inhouse.files import Files
from inhouse.files.service import BATCH_LIFETIME_S
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.limits.batch_queue import BatchQueue
from inhouse.storage.database import Database

WINDOW_US = 24 * 3600 * 1_000_000
OUTPUT_LIFETIME_S = BATCH_LIFETIME_S


class BatchesService:
    def __init__(self, database: Database, files: Files, runner: Runner, inside: Inside, limit: BatchQueue) -> None:
        self._database = database
        self._files = files
        self._runner = runner
        self._inside = inside
        self._limit = limit

    async def create(self, caller: Caller, body: wire.CreateBatch) -> wire.Batch:
        """
        Raises:
            InvalidRequest: nothing serves the endpoint here, or the file is not there or not for batches.
            Forbidden: the key may not ask the endpoint itself.
            RateLimited: the organization created too many in the last hour.
        """
        operation = self._inside.operation(body.endpoint)
        if operation is None:
            raise InvalidRequest(f"Batches of '{body.endpoint}' are not supported here.", param="endpoint")
        if not caller.may(operation.scope):
            raise missing_scope(operation.scope)
        try:
            file = await self._files.get(caller.project_id, body.input_file_id, "input_file_id")
        except NotFound as error:
            raise InvalidRequest(error.message, param="input_file_id") from error
        if file.purpose != "batch":
            raise InvalidRequest(
                f"Invalid file purpose: '{file.purpose}'. The input file of a batch must be uploaded with the purpose "
                "'batch'.",
                param="input_file_id",
            )
        await self._limit.admit(caller.organization_id, caller.project_id)
        now = store.now()
        batch = StoredBatch(
            id=new_id("batch_"),
            organization_id=caller.organization_id,
            project_id=caller.project_id,
            key_id=caller.key_id,
            user_id=caller.user_id,
            created_at=now,
            endpoint=body.endpoint,
            input_file_id=file.id,
            output_lifetime_s=body.output_expires_after.seconds if body.output_expires_after else OUTPUT_LIFETIME_S,
            metadata=msgspec.json.encode(body.metadata).decode(),
            status="validating",
            expires_at=now + WINDOW_US,
        )
        await self._database.write(lambda connection: steps.create(connection, batch))
        self._runner.wake()
        return told(batch)

    async def retrieve(self, caller: Caller, batch_id: str) -> wire.Batch:
        found = await self._database.read(lambda connection: store.get(connection, batch_id, caller.project_id))
        if found is None:
            raise not_found(batch_id)
        return told(found)

    async def list(self, caller: Caller, query: wire.ListBatchesQuery) -> wire.ListBatchesResponse:
        found = await self._database.read(
            lambda connection: store.page(connection, caller.project_id, query.after, query.limit)
        )
        if found is None:
            raise not_found(query.after or "", "after")
        page, more = found
        return wire.ListBatchesResponse(
            data=[told(batch) for batch in page],
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=more,
        )

    async def cancel(self, caller: Caller, batch_id: str) -> wire.Batch:
        """Stop a batch. Requests that are being answered are still answered; what is done is kept.

        Raises:
            NotFound
            InvalidRequest: it has ended, or everything is done.
        """

        def work(connection: Connection) -> StoredBatch:
            batch = store.locked(connection, batch_id, caller.project_id)
            if batch is None:
                raise not_found(batch_id)
            if batch.status in ("validating", "in_progress") and batch.ending is None:
                steps.stop(connection, batch, "cancelled")
            elif batch.status != "cancelling":
                raise InvalidRequest(f"Cannot cancel a batch with status '{batch.status}'.")
            changed = store.get(connection, batch_id)
            assert changed is not None
            return changed

        batch = await self._database.write(work)
        for what in ("validate", *range(batch.parts)):
            self._runner.cancel(steps.job_id(batch_id, what))
        self._runner.wake()
        return told(batch)


def not_found(batch_id: str, param: str | None = None) -> NotFound:
    return NotFound(f"No batch found with id '{batch_id}'.", param=param)


def told(batch: StoredBatch) -> wire.Batch:
    """A batch as clients see it."""
    errors = None
    if batch.errors is not None:
        errors = wire.BatchErrors(data=msgspec.json.decode(batch.errors, type=list[wire.BatchError]))
    return wire.Batch(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model or UNSET,
        errors=errors,
        input_file_id=batch.input_file_id,
        status=batch.status,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=batch.created_at // 1_000_000,
        in_progress_at=_seconds(batch.in_progress_at),
        expires_at=batch.expires_at // 1_000_000,
        finalizing_at=_seconds(batch.finalizing_at),
        completed_at=_seconds(batch.completed_at),
        failed_at=_seconds(batch.failed_at),
        expired_at=_seconds(batch.expired_at),
        cancelling_at=_seconds(batch.cancelling_at),
        cancelled_at=_seconds(batch.cancelled_at),
        request_counts=wire.BatchRequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
        usage=wire.BatchUsage(
            input_tokens=batch.input_tokens,
            input_tokens_details=wire.InputTokensDetails(cached_tokens=batch.cached_tokens),
            output_tokens=batch.output_tokens,
            output_tokens_details=wire.OutputTokensDetails(reasoning_tokens=batch.reasoning_tokens),
            total_tokens=batch.input_tokens + batch.output_tokens,
        ),
        metadata=msgspec.json.decode(batch.metadata, type=dict[str, str] | None),
    )


def _seconds(at: int | None) -> int | None:
    return None if at is None else at // 1_000_000
