"""Does jobs, in as many processes as share the database.

A job is leased to one process at a time. The lease is renewed while it is worked on, so that of a process that dies it
runs out and another one, or the next start, does the job anew: a handler must bear being run again. A job is tried
``MOST_ATTEMPTS`` times and then given up, so that one that kills its process does not do so for ever.

This is a table and a loop, not a workflow engine: a job here is one step, which begins anew, so there is no history of
steps to keep; and it is written in the same transaction as what it is about, by the one writer of the database.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from sqlalchemy import Connection

from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.storage.database import Database

Handler = Callable[[Job], Awaitable[None]]
GiveUp = Callable[[Connection, Job], None]

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 3
LEASE_S = 15.0
POLL_S = 1.0


class Runner:
    """Claims jobs and runs their handlers, each as a task.

    A handler ends its job itself (``queue.finish``, in its last transaction). It is cancelled when somebody asks for
    that (``cancelled(job.id)`` is then true), when the process stops, and when the lease is lost. One that lets the
    cancellation through gives its job back, to be begun again at once: if somebody asked for it, ``cancelled`` is then
    true from the beginning. One that raises leaves its job, to be tried again when the lease runs out, or to be given
    up.

    Args:
        slots: jobs at once in this process.
        lease_s: how long a job of a dead process waits, seconds.
        poll_s: how often to look for jobs of others and for their cancellation, seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        slots: int = 16,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._database = database
        self._handlers: dict[str, tuple[Handler, GiveUp]] = {}
        self._slots = slots
        self._own_slots: dict[str, int] = {}
        self._most_attempts: dict[str, int] = {}
        self._lease_us = int(lease_s * 1_000_000)
        self._poll_s = poll_s
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._running: dict[str, asyncio.Task[None]] = {}
        self._kinds: dict[str, str] = {}
        self._cancelled: set[str] = set()
        self._freeing: set[asyncio.Future[None]] = set()
        self._awake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._claims = True

    def handle(
        self, kind: str, handler: Handler, give_up: GiveUp, *, slots: int | None = None, attempts: int = MOST_ATTEMPTS
    ) -> None:
        """Say who does jobs of a kind. Before ``start``.

        Args:
            give_up: writes down that a job failed, in the transaction that removes it.
            slots: jobs of this kind at once, beside those of other kinds; else they share the runner's.
            attempts: after which a job is given up. Of one that gets on and says so (``queue.get_on``), since then.
        """
        self._handlers[kind] = (handler, give_up)
        self._most_attempts[kind] = attempts
        if slots is not None:
            self._own_slots[kind] = slots

    async def start(self, *, claims: bool = True) -> None:
        """Begin to work. On SQLite no other process does, so that what a killed one held is free at once.

        Args:
            claims: whether this process looks for jobs; else it does those that it is told to (``perform``).
        """
        if claims and self._database.dialect == "sqlite":
            await self._database.write(queue.release_all)
        self._claims = claims
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Leave everything that is not done to the next start."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._freeing, return_exceptions=True)

    async def perform(self, job_id: str) -> None:
        """Do one job, and return when it is there no more, whoever ended it. Another's lease on it is waited for."""
        lease = partial(queue.claim_one, owner=self.owner, id=job_id, lease_us=self._lease_us)
        while True:
            task = self._running.get(job_id)
            if task is None and (job := await self._database.write(lease)) is not None:
                task = self._begin(job)
            if task is not None:
                await asyncio.wait({task})
            if not await self._database.read(partial(queue.is_open, id=job_id)):
                return
            await asyncio.sleep(self._poll_s)

    def wake(self) -> None:
        """There is a new job: look for it now."""
        self._awake.set()

    def cancel(self, job_id: str) -> None:
        """Stop a job now, if it runs in this process. In others its ``queue.request_cancel`` is seen a little later."""
        task = self._running.get(job_id)
        if task is not None and job_id not in self._cancelled:
            self._cancelled.add(job_id)
            task.cancel()

    def cancelled(self, job_id: str) -> bool:
        """Whether somebody asked a running job to stop."""
        return job_id in self._cancelled

    async def _run(self) -> None:
        while True:
            self._awake.clear()  # before the turn: what is added while it claims wakes the next
            try:
                await self._turn()
            except Exception:
                log.exception("jobs cannot be looked for")
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._awake.wait()
            except TimeoutError:
                pass

    async def _turn(self) -> None:
        if running := dict(self._running):  # others begin meanwhile
            renewing = partial(queue.renew, owner=self.owner, ids=list(running), lease_us=self._lease_us)
            held = await self._database.write(renewing)
            for id, task in running.items():
                if id not in held:
                    task.cancel()
                elif held[id]:
                    self.cancel(id)
        if self._claims and (wanted := self._wanted()):
            claiming = partial(self._claim, wanted=wanted, working=list(self._running))
            for job in await self._database.write(claiming):
                self._begin(job)

    def _begin(self, job: Job) -> asyncio.Task[None]:
        self._kinds[job.id] = job.kind
        task = self._running[job.id] = asyncio.create_task(self._work(job))
        task.add_done_callback(partial(self._ended, job))  # also of one that is cancelled before it begins
        return task

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            # Before its handler could end the job, or it would not have been cancelled: nobody waits out the lease.
            freeing = self._database.submit(partial(queue.release, owner=self.owner, id=job.id))
            self._freeing.add(freeing)
            freeing.add_done_callback(partial(self._freed, job))
        else:
            self._left(job)

    def _freed(self, job: Job, freeing: asyncio.Future[None]) -> None:
        self._freeing.discard(freeing)
        if not freeing.cancelled() and (error := freeing.exception()) is not None:
            log.error("a job is not given back before its lease is over", job=job.id, exc_info=error)
        self._left(job)

    def _left(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._kinds.pop(job.id, None)
        self._cancelled.discard(job.id)
        self._awake.set()

    def _wanted(self) -> list[tuple[list[str], int]]:
        """Kinds of jobs, and how many of them can be done now."""
        running = Counter(self._kinds.values())
        own = self._own_slots
        free = [([kind], slots - running[kind]) for kind, slots in own.items()]
        shared = [kind for kind in self._handlers if kind not in own]
        free.append((shared, self._slots - sum(running[kind] for kind in shared)))
        return [(kinds, count) for kinds, count in free if kinds and count > 0]

    def _claim(self, connection: Connection, wanted: list[tuple[list[str], int]], working: list[str]) -> list[Job]:
        return [
            job
            for kinds, count in wanted
            for job in queue.claim(connection, self.owner, kinds, count, self._lease_us, working=working)
        ]

    async def _work(self, job: Job) -> None:
        if job.cancelled:
            self._cancelled.add(job.id)
        handler, give_up = self._handlers[job.kind]
        try:
            if job.attempt > self._most_attempts[job.kind]:
                await self._database.write(partial(self._given_up, job=job, give_up=give_up))
            else:
                await handler(job)
        except Exception:
            log.exception("job failed", job=job.id, kind=job.kind, attempt=job.attempt)
            if job.attempt == self._most_attempts[job.kind]:
                await self._database.write(partial(self._given_up, job=job, give_up=give_up))

    def _given_up(self, connection: Connection, job: Job, give_up: GiveUp) -> None:
        if queue.finish(connection, job.id, self.owner):
            give_up(connection, job)
