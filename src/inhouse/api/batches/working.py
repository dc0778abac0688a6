"""The middle step of a batch: its requests are answered, a part at a time, by as many processes as there are.

A part is a job: one process holds it. What requests came to is written every ``WRITE_S``, in one transaction with what
they are billed and what they give back of the batch queue. If the process dies, the part is done again by the next one,
except for the requests that are written; and what is not written was not billed.
"""

from __future__ import annotations

import asyncio
from functools import partial
from weakref import WeakKeyDictionary

import msgspec
import structlog
from sqlalchemy import Connection

from inhouse.access import Access, Caller
from inhouse.api.batches import steps, store
from inhouse.api.batches.checking import Line, body_tokens, lines
from inhouse.api.batches.finishing import OutputLine, OutputResponse
from inhouse.api.batches.pace import FIRST, Pace
from inhouse.api.batches.steps import Part
from inhouse.api.batches.store import Result, StoredBatch
from inhouse.api.batches.validating import ENDPOINTS
from inhouse.api.batches.wire import BatchError
from inhouse.api.inside import Answer, Inside
from inhouse.calls import Calls
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.pool import Engine
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream
from inhouse.files import Files, StoredFile
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import APIError, NotFound, Overloaded, RateLimited, ServerError
from inhouse.kit.ids import new_id, request_id
from inhouse.limits.batch_queue import BatchQueue
from inhouse.metering.accounts import Alarm
from inhouse.metering.held import Held, HeldLedger
from inhouse.storage.database import Database

SLOTS = 8
"""Parts at once in a process: enough to keep several engines busy, few enough to be held in memory."""
MOST_ATTEMPTS = 20
"""To begin a part without any of its requests being written: the process died each time."""
WRITE_S = 0.2
MOST_WRITTEN = 64
"""Results in one transaction."""
TRIES = 4
"""Of a request that the engine fails."""
RETRY_DELAYS_S = (0.5, 2.0, 8.0)
DRAIN_S = 600.0
"""How long the requests of a cancelled batch that are being answered may still take."""

log = structlog.get_logger(__name__)


class Worker:
    """Does jobs of the kind ``steps.REQUESTS``.

    Args:
        calls: of batches, on ``ledger``.
        inside: asks the operations whose calls these are.
    """

    def __init__(
        self,
        database: Database,
        files: Files,
        runner: Runner,
        access: Access,
        calls: Calls,
        ledger: HeldLedger,
        inside: Inside,
    ) -> None:
        self.database = database
        self.runner = runner
        self.ledger = ledger
        self.inside = inside
        self._files = files
        self._access = access
        self._calls = calls
        self._paces: WeakKeyDictionary[Engine, Pace] = WeakKeyDictionary()

    async def __call__(self, job: Job) -> None:
        part = msgspec.json.decode(job.payload, type=Part)
        batch = await self.database.read(lambda connection: store.get(connection, part.batch_id))
        if batch is None:
            await self.database.write(lambda connection: queue.finish(connection, job.id))
            return
        if batch.ending is not None or self.runner.cancelled(job.id):
            await self.database.write(lambda connection: self._end(connection, job, part.batch_id))
            self.runner.wake()
            return
        try:
            file = await self._files.get(batch.project_id, batch.input_file_id)
            todo = await self._todo(file, part)
        except NotFound as error:
            await self._lose(job, batch, error)
            return
        policy = await self._access.policy(batch.organization_id, batch.project_id)
        caller = Caller(batch.organization_id, batch.project_id, batch.key_id, user_id=batch.user_id, policy=policy)
        doing = _Doing(self, job, batch, caller, self._pace(batch), todo)
        await _follow(doing, self.runner, job)

    async def _todo(self, file: StoredFile, part: Part) -> list[tuple[int, Line]]:
        data = await self._files.blobs.read(file.blob, part.start, part.end)
        done = await self.database.read(
            lambda connection: store.done(connection, part.batch_id, part.first, part.count)
        )
        return [(number, line) for number, line in enumerate(lines(data), part.first) if number not in done]

    async def _lose(self, job: Job, batch: StoredBatch, error: NotFound) -> None:
        """The input file was deleted while it was worked on."""
        told = [BatchError(code="input_file_not_found", message=error.message, param="input_file_id")]

        def work(connection: Connection) -> None:
            now = store.locked(connection, batch.id)
            if now is not None and now.ending is None and now.status == "in_progress":
                steps.stop(connection, now, "failed", told)
            self._end(connection, job, batch.id)

        await self.database.write(work)
        self.runner.wake()

    def _end(self, connection: Connection, job: Job, batch_id: str) -> None:
        batch = store.locked(connection, batch_id)
        if queue.finish(connection, job.id, self.runner.owner) and batch is not None:
            steps.part_done(connection, batch)

    def give_up(self, connection: Connection, job: Job) -> None:
        """What is not written of a part stays so, and is told as failed when the batch is finished."""
        batch = store.locked(connection, steps.batch_id_of(job.id))
        if batch is not None:
            steps.part_done(connection, batch)

    def _pace(self, batch: StoredBatch) -> Pace:
        try:
            engine = self._calls.engine_of(batch.model or "", ENDPOINTS[batch.endpoint])
        except (APIError, EngineFailed):
            return Pace(1, 1)  # each request tells what is wrong
        pace = self._paces.get(engine)
        if pace is None:
            if isinstance(engine, Upstream):
                pace = Pace(FIRST, engine.spec.max_connections * len(engine.spec.targets))
            else:
                slots = engine.spec.slots if isinstance(engine, LlamaEngine) else engine.config.slots
                pace = Pace(slots + 1, slots + 1)
            self._paces[engine] = pace
        return pace


class _Doing:
    """A part while it is worked on."""

    def __init__(
        self,
        worker: Worker,
        job: Job,
        batch: StoredBatch,
        caller: Caller,
        pace: Pace,
        todo: list[tuple[int, Line]],
    ) -> None:
        operation = worker.inside.operation(batch.endpoint)
        assert operation is not None
        self._operation = operation
        self._worker = worker
        self._job = job
        self._batch = batch
        self._caller = caller
        self._pace = pace
        self._todo = todo
        self._results: list[Result] = []
        self._held: list[Held] = []
        self._tokens = 0
        self._enough = asyncio.Event()
        self._writing = asyncio.Lock()
        self._lost = False
        self._waiting: set[asyncio.Task[None]] = set()
        """Requests that nobody answers yet."""

    async def run(self) -> None:
        """Answer all requests, and end the part. Cancelled, it writes what is done and leaves the part to others."""
        requests = [asyncio.create_task(self._answer(number, line)) for number, line in self._todo]
        self._waiting.update(requests)
        self._todo = []
        writing = asyncio.create_task(self._write_often())
        whole = False
        try:
            await asyncio.gather(*requests, return_exceptions=True)
            whole = all(task.cancelled() or task.exception() is None for task in requests)
        finally:
            for task in (*requests, writing):
                task.cancel()
            await asyncio.gather(*requests, writing, return_exceptions=True)
            if not self._lost:
                await self._write(end=whole)
        for task in requests:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def stop(self) -> None:
        """Begin no further request."""
        for task in self._waiting:
            task.cancel()

    async def _answer(self, number: int, line: Line) -> None:
        me = asyncio.current_task()
        assert me is not None
        tries = 0
        while True:
            began = await self._pace.enter()
            self._waiting.discard(me)
            busy: bool | None = None
            id = request_id()
            try:
                answer = await self._worker.inside.ask(self._operation, self._caller, id, bytes(line.body))
                busy = _is_busy(answer)
            finally:
                self._pace.leave(began, busy=busy)
                held = self._worker.ledger.take(id)
                if held is not None and busy is not False:
                    await self._worker.ledger.drop(held)
            if busy:
                self._waiting.add(me)
                continue
            if isinstance(answer.error, ServerError) and tries < TRIES - 1:
                if held is not None:
                    await self._worker.ledger.drop(held)
                self._waiting.add(me)
                await asyncio.sleep(RETRY_DELAYS_S[tries])
                tries += 1
                continue
            self._keep(number, line, id, answer, held)
            return

    def _keep(self, number: int, line: Line, id: str, answer: Answer, held: Held | None) -> None:
        response = OutputResponse(answer.status, id, msgspec.Raw(answer.body))
        told = OutputLine(new_id("batch_req_"), line.custom_id, response, None)
        text = msgspec.json.encode(told).decode()
        self._results.append(Result(number, answer.error is not None, text))
        if held is not None:
            self._held.append(held)
        self._tokens += body_tokens(line.body)
        if len(self._results) >= MOST_WRITTEN:
            self._enough.set()

    async def _write_often(self) -> None:
        while True:
            try:
                async with asyncio.timeout(WRITE_S):
                    await self._enough.wait()
            except TimeoutError:
                pass
            self._enough.clear()
            if self._results and not self._lost:
                try:
                    await asyncio.shield(asyncio.ensure_future(self._write(end=False)))
                except Exception:
                    log.exception("what requests of a batch came to could not be written", batch=self._batch.id)

    async def _write(self, *, end: bool) -> None:
        """Keep what was answered, bill it, and with ``end`` end the part."""
        async with self._writing:
            results, self._results = self._results, []
            held, self._held = self._held, []
            tokens, self._tokens = self._tokens, 0
            if not results and not end:
                return
            try:
                alarms = await self._worker.database.submit(partial(self._work, results, held, tokens, end))
            except Exception:
                self._results[:0], self._held[:0] = results, held
                self._tokens += tokens
                raise
        ledger = self._worker.ledger
        if alarms is None:  # somebody else has the part by now, and answers these requests again
            self._lost = True
            for each in held:
                await ledger.drop(each)
            log.warning("a part of a batch was lost to another process", job=self._job.id)
            return
        ledger.booked(held, alarms)
        if end:
            self._worker.runner.wake()

    def _work(
        self, results: list[Result], held: list[Held], tokens: int, end: bool, connection: Connection
    ) -> list[Alarm] | None:
        """One transaction; None if the part is not ours any more."""
        job, batch_id, owner = self._job, self._batch.id, self._worker.runner.owner
        batch = store.locked(connection, batch_id)
        if batch is None or not queue.get_on(connection, job.id, owner):
            return None
        alarms: list[Alarm] = []
        if results:
            used = [each.usage for each in held]
            store.count(
                connection,
                batch_id,
                results,
                input_tokens=sum(usage.input_tokens for usage in used),
                cached_tokens=sum(usage.cached_tokens for usage in used),
                output_tokens=sum(usage.output_tokens for usage in used),
                reasoning_tokens=sum(usage.reasoning_tokens for usage in used),
            )
            BatchQueue.give_back_in(connection, batch_id, tokens)
            alarms = self._worker.ledger.book_in(connection, held)
        if end:
            queue.finish(connection, job.id, owner)
            steps.part_done(connection, batch)
        return alarms


async def _follow(doing: _Doing, runner: Runner, job: Job) -> None:
    """Run a part to its end. Cancelled by its client it answers what it has begun; by its process, nothing more."""
    running = asyncio.create_task(doing.run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        if runner.cancelled(job.id):
            doing.stop()
            try:
                await asyncio.wait({running}, timeout=DRAIN_S)
            finally:
                await _ended(running)
            return
        await _ended(running)
        raise


async def _ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.shield(_settled(running))


async def _settled(running: asyncio.Task[None]) -> None:
    await asyncio.gather(running, return_exceptions=True)


def _is_busy(answer: Answer) -> bool:
    """Whether it is worth asking again without end: whoever is to answer has too much to do."""
    error = answer.error
    return isinstance(error, Overloaded) or (isinstance(error, RateLimited) and error.code != "insufficient_quota")
