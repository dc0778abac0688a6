"""The last step of a batch: its files are made of what its requests came to. Also what makes a batch expire."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

import msgspec
from sqlalchemy import Connection

from inhouse.api.batches import steps, store
from inhouse.api.batches.checking import Line, lines
from inhouse.api.batches.store import StoredBatch
from inhouse.api.batches.wire import BatchError
from inhouse.files import Files, StoredFile
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.blobs import Spool
from inhouse.storage.database import Database

PAGE = 200
"""Results that are read at once."""

EXPIRED = ("batch_expired", "This request could not be executed before the completion window expired.")
LOST = ("server_error", "The server failed several times while it answered this request.")
STOPPED = ("batch_failed", "This request was not executed, because the batch failed.")


class OutputError(msgspec.Struct):
    code: str
    message: str


class OutputResponse(msgspec.Struct):
    status_code: int
    request_id: str
    body: msgspec.Raw


class OutputLine(msgspec.Struct):
    """A line of an output or error file."""

    id: str
    custom_id: str
    response: OutputResponse | None
    error: OutputError | None


class Finishing:
    """Does jobs of the kind ``steps.FINISH``, and ``steps.EXPIRE``."""

    def __init__(self, database: Database, files: Files, runner: Runner) -> None:
        self._database = database
        self._files = files
        self._runner = runner

    async def __call__(self, job: Job) -> None:
        batch_id = steps.batch_id_of(job.id)
        batch = await self._database.read(lambda connection: store.get(connection, batch_id))
        if batch is None:
            await self._database.write(lambda connection: queue.finish(connection, job.id))
            return
        if batch.status in ("finalizing", "cancelling"):
            await self._end(job, batch)
        for first in range(0, batch.total, PAGE):
            await self._database.write(partial(store.remove_results, batch_id=batch_id, first=first, count=PAGE))
        await self._database.write(lambda connection: queue.finish(connection, job.id, self._runner.owner))

    async def expire(self, job: Job) -> None:
        """The window of a batch is over."""

        def work(connection: Connection) -> None:
            batch = store.locked(connection, steps.batch_id_of(job.id))
            queue.finish(connection, job.id)
            if batch is not None and batch.status in ("validating", "in_progress") and batch.ending is None:
                steps.stop(connection, batch, "expired")

        await self._database.write(work)
        self._runner.wake()

    async def _end(self, job: Job, batch: StoredBatch) -> None:
        output, errors = self._files.spool(), self._files.spool()
        try:
            missing = await self._write(batch, output, errors)
            output_file = await self._keep(batch, output, "output")
            error_file = await self._keep(batch, errors, "error")
        finally:
            output.close()
            errors.close()

        def work(connection: Connection) -> None:
            now = store.locked(connection, batch.id)
            if now is None or not queue.get_on(connection, job.id, self._runner.owner):
                return
            for file in (output_file, error_file):
                if file is not None:
                    self._files.add_in(connection, file)
            steps.end(
                connection,
                now,
                now.ending or "completed",
                output_file_id=output_file.id if output_file else None,
                error_file_id=error_file.id if error_file else None,
                failed=now.failed + missing,
            )

        await self._database.write(work)
        self._runner.wake()

    async def _write(self, batch: StoredBatch, output: Spool, errors: Spool) -> int:
        """Write both files, in the order of the requests.

        Returns:
            How many requests were never answered and are told as errors.
        """
        if batch.ending == "cancelled" or batch.completed + batch.failed == batch.total:
            for first in range(0, batch.total, PAGE):
                await self._write_results(batch, first, PAGE, output, errors)
            return 0
        code, message = EXPIRED if batch.ending == "expired" else STOPPED if batch.ending == "failed" else LOST
        number = missing = 0
        async with aclosing(self._requests(batch)) as pages:
            async for page in pages:
                done = await self._write_results(batch, number, len(page), output, errors)
                for at, line in enumerate(page, number):
                    if at not in done:
                        told = OutputLine(new_id("batch_req_"), line.custom_id, None, OutputError(code, message))
                        await errors.write(msgspec.json.encode(told) + b"\n")
                        missing += 1
                number += len(page)
        for first in range(number, batch.total, PAGE):  # the input file is gone
            await self._write_results(batch, first, PAGE, output, errors)
        return missing

    async def _write_results(
        self, batch: StoredBatch, first: int, count: int, output: Spool, errors: Spool
    ) -> set[int]:
        results = await self._database.read(partial(store.results, batch_id=batch.id, first=first, count=count))
        for failed, spool in ((False, output), (True, errors)):
            if text := "".join(f"{result.line}\n" for result in results if result.failed is failed):
                await spool.write(text.encode())
        return {result.number for result in results}

    async def _requests(self, batch: StoredBatch) -> AsyncGenerator[list[Line], None]:
        """The requests of the input file, some at a time; none, if it was deleted."""
        page: list[Line] = []
        rest = b""
        try:
            file = await self._files.get(batch.project_id, batch.input_file_id)
            async with aclosing(self._files.content(file)) as pieces:
                async for piece in pieces:
                    whole, _, rest = (rest + piece).rpartition(b"\n")
                    for line in lines(whole):
                        page.append(line)
                        if len(page) == PAGE:
                            yield page
                            page = []
        except NotFound:
            return
        page += lines(rest)
        if page:
            yield page

    async def _keep(self, batch: StoredBatch, spool: Spool, kind: str) -> StoredFile | None:
        if not spool.size:
            return None
        return await self._files.keep(
            batch.project_id,
            spool,
            filename=f"{batch.id}_{kind}.jsonl",
            purpose="batch_output",
            media_type="application/jsonl",
            lifetime_s=batch.output_lifetime_s,
        )

    def give_up(self, connection: Connection, job: Job) -> None:
        """The files cannot be made, however often it is tried."""
        batch = store.locked(connection, steps.batch_id_of(job.id))
        if batch is not None and batch.status in ("finalizing", "cancelling"):
            message = "The server failed several times while it wrote the output."
            steps.fail(connection, batch, [BatchError(code="server_error", message=message)])

    def forget(self, connection: Connection, job: Job) -> None:
        """Nothing is left of a job of ``expire`` that was given up."""
