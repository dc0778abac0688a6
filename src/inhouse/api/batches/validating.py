"""The first step of a batch: its input file is checked, and its tokens are held of the batch queue."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection

from inhouse.api.batches import steps, store
from inhouse.api.batches.checking import Checked, check
from inhouse.api.batches.store import StoredBatch
from inhouse.api.batches.wire import BatchError
from inhouse.calls import Calls
from inhouse.files import Files
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import APIError, NotFound
from inhouse.limits.batch_queue import BatchQueue
from inhouse.storage.database import Database

ENDPOINTS = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat_completions",
    "/v1/embeddings": "embeddings",
    "/v1/completions": "completions",
    "/v1/moderations": "moderation",
    "/v1/images/generations": "image_generation",
    "/v1/images/edits": "image_edit",
    "/v1/videos": "videos",
}
"""What cards call them."""
DEFAULT_MODELS = {"/v1/moderations": "omni-moderation-latest"}


class Validation:
    """Does jobs of the kind ``steps.VALIDATE``."""

    def __init__(
        self, database: Database, files: Files, runner: Runner, calls: Calls, limit: BatchQueue, *, cluster: bool
    ) -> None:
        self._database = database
        self._files = files
        self._runner = runner
        self._calls = calls
        self._limit = limit
        self._cluster = cluster

    async def __call__(self, job: Job) -> None:
        batch_id = steps.batch_id_of(job.id)
        batch = await self._database.read(lambda connection: store.get(connection, batch_id))
        checked: Checked | None = None
        if batch is not None and batch.ending is None and not self._runner.cancelled(job.id):
            try:
                checked = await self._check(batch)
            except asyncio.CancelledError:
                if not self._runner.cancelled(job.id):
                    raise

        def work(connection: Connection) -> None:
            batch = store.locked(connection, batch_id)
            if not queue.finish(connection, job.id, self._runner.owner) or batch is None:
                return
            if batch.ending is not None or checked is None:
                steps.finish(connection, batch_id, batch.ending)
            elif checked.errors:
                steps.fail(connection, batch, checked.errors)
            else:
                steps.begin(connection, batch, checked, cluster=self._cluster)

        await asyncio.shield(self._database.submit(work))
        self._runner.wake()

    async def _check(self, batch: StoredBatch) -> Checked:
        try:
            file = await self._files.get(batch.project_id, batch.input_file_id)
            async with self._files.path(file) as path:
                checked = await asyncio.to_thread(check, path, batch.endpoint, DEFAULT_MODELS.get(batch.endpoint))
        except NotFound as error:
            return _refused("input_file_not_found", error.message)
        if checked.errors or checked.model is None:
            return checked
        try:
            card, _ = self._calls.card_of(checked.model, ENDPOINTS[batch.endpoint])
            await self._limit.enqueue(batch.organization_id, batch.project_id, card, batch.id, checked.tokens)
        except APIError as error:
            param = "body.model" if error.param == "model" else None
            return _refused(error.code or "invalid_request", error.message, param)
        return checked

    def give_up(self, connection: Connection, job: Job) -> None:
        """Validation that fails again and again is a defect here, and ends the batch."""
        batch = store.locked(connection, steps.batch_id_of(job.id))
        if batch is not None:
            message = "The server failed several times while it validated the input file."
            steps.fail(connection, batch, [BatchError(code="server_error", message=message)])


def _refused(code: str, message: str, param: str | None = None) -> Checked:
    return Checked([BatchError(code=code, message=message, param=param)], [], 0, None, 0)
