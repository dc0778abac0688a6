"""Delivers what is recorded: at least once, for three days.

Each endpoint that has something to be told has one job (``jobs.runner``), so that it is worked on by one process at a
time and one endpoint never takes more than one place: a dead one cannot delay another's events. Within its job up to
``AT_ONCE`` events are under way at a time.

An event that was answered with anything but 2xx is tried again after 5 seconds, then after twice as long each time, at
most three hours, for 72 hours, as the official service does. Where an endpoint gives no answer at all, it is left alone
for such a while, and then tried with a single event first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial

import structlog
from sqlalchemy import Connection

from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.storage.database import Database
from inhouse.webhooks import store
from inhouse.webhooks.events import KIND
from inhouse.webhooks.sending import GONE, Attempt, Sender
from inhouse.webhooks.store import Delivery, Endpoint

log = structlog.get_logger(__name__)

SECOND = 1_000_000
"""Microseconds."""
FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 3 * 3600.0
KEEP_TRYING_S = 72 * 3600.0
KEEP_RECORD_S = 30 * 86_400.0
AT_ONCE = 8
"""Events under way to one endpoint."""
TURN = 8
"""Rounds of ``AT_ONCE`` events after which an endpoint lets others go first."""
ENDPOINTS_AT_ONCE = 64
"""In one process."""
CRASH_DELAY_S = 60.0


class Deliveries:
    """The jobs of kind ``events.KIND``."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        sender: Sender,
        *,
        first_retry_s: float = FIRST_RETRY_S,
        keep_trying_s: float = KEEP_TRYING_S,
    ) -> None:
        self._database = database
        self._runner = runner
        self._sender = sender
        self._first_retry_s = first_retry_s
        self._keep_trying = int(keep_trying_s * SECOND)
        runner.handle(KIND, self._run, _give_up, slots=ENDPOINTS_AT_ONCE)

    async def _run(self, job: Job) -> None:
        for _ in range(TURN):
            endpoint, batch, signing = await self._database.read(partial(_look, id=job.id))
            if endpoint is None or not batch:
                break
            attempts = await asyncio.gather(*(self._attempt(endpoint, each, signing) for each in batch))
            await self._database.write(
                partial(self._write_down, endpoint=endpoint, done=list(zip(batch, attempts, strict=True)))
            )
            if not any(attempt.status for attempt in attempts):
                break
        await self._database.write(partial(self._end, id=job.id))

    async def _attempt(self, endpoint: Endpoint, delivery: Delivery, signing: Sequence[str]) -> Attempt:
        return await self._sender.send(
            endpoint.url, delivery.id, delivery.body.encode(), signing, operators=endpoint.operators
        )

    def _write_down(self, connection: Connection, endpoint: Endpoint, done: Sequence[tuple[Delivery, Attempt]]) -> None:
        now = store.now()
        for delivery, attempt in done:
            if attempt.delivered:
                state, next_at = "delivered", delivery.next_at
            else:
                state, next_at = "pending", now + self._delay(delivery.attempts)
                if next_at > delivery.created_at + self._keep_trying:
                    state = "failed"
                log.warning(
                    "a webhook was not delivered",
                    endpoint=endpoint.id,
                    delivery=delivery.id,
                    event_type=delivery.event_type,
                    attempt=delivery.attempts + 1,
                    reason=attempt.error,
                    given_up=state == "failed",
                )
            store.attempted(
                connection,
                delivery.id,
                state=state,
                next_at=next_at,
                last_status=attempt.status,
                last_error=attempt.error,
            )
        if any(attempt.status == GONE for _, attempt in done):
            store.disable(connection, endpoint.id, "it answered 410 Gone")
            log.warning("a webhook endpoint was disabled: it answered 410", endpoint=endpoint.id)
        elif any(attempt.status for _, attempt in done):
            store.change(connection, endpoint.id, failures=0, silent_until=0)
        else:
            failures, _ = store.silence(connection, endpoint.id)
            store.change(connection, endpoint.id, failures=failures + 1, silent_until=now + self._delay(failures))

    def _end(self, connection: Connection, id: str) -> None:
        """Come again when the next attempt is due; not at all if none is."""
        owner = self._runner.owner
        if not queue.hold(connection, id, owner):
            return
        now = store.now()
        store.expire(connection, id, now - self._keep_trying)
        store.forget(connection, id, now - int(KEEP_RECORD_S * SECOND))
        next_at = store.next_due(connection, id)
        if next_at is None:
            queue.finish(connection, id, owner)
        else:
            _, silent_until = store.silence(connection, id)
            queue.postpone(connection, id, owner, max(next_at, silent_until))

    def _delay(self, failed: int) -> int:
        """Microseconds until the next attempt, after ``failed`` failures before this one."""
        seconds = min(self._first_retry_s * 2.0 ** min(failed, 30), LONGEST_RETRY_S)
        return int(seconds * random.uniform(0.9, 1.1) * SECOND)  # noqa: S311 - so that not all come at once


def _look(connection: Connection, id: str) -> tuple[Endpoint | None, list[Delivery], list[str]]:
    endpoint = store.find(connection, id)
    if endpoint is None or endpoint.disabled_at is not None:
        return None, [], []
    failures, silent_until = store.silence(connection, id)
    if silent_until > store.now():
        return endpoint, [], []
    return endpoint, store.due(connection, id, 1 if failures else AT_ONCE), store.signing(connection, id)


def _give_up(connection: Connection, job: Job) -> None:
    """Its process was killed several times: that says nothing about the endpoint."""
    queue.ask(connection, job.id, KIND, job.payload, store.now() + int(CRASH_DELAY_S * SECOND))
