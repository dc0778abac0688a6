"""From one status of a batch to the next: functions for the transactions of those who work on it.

    validating ──► in_progress ──► finalizing ──► completed
        │              │               └────────► expired
        │              └──► cancelling ─────────► cancelled
        └──────────────────────────────────────► failed

Every one of them has the batch's row locked first, and its jobs after that, so that no two wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from inhouse.api.batches import store
from inhouse.api.batches.checking import Checked
from inhouse.api.batches.store import StoredBatch
from inhouse.api.batches.wire import BatchError, Ending
from inhouse.jobs import queue
from inhouse.limits.batch_queue import BatchQueue
from inhouse.webhooks import record

VALIDATE = "batches.validate"
REQUESTS = "batches.requests"
FINISH = "batches.finish"
EXPIRE = "batches.expire"
CLUSTER = "batches.cluster"
"""Has all parts of a batch done by a cluster, see ``clustering``."""


class Part(msgspec.Struct, frozen=True):
    """Payload of a job: a chunk of requests, see ``checking.Chunk``."""

    batch_id: str
    first: int
    count: int
    start: int
    end: int


def part_ids(batch: StoredBatch) -> list[str]:
    """Jobs that the requests of a batch were divided into."""
    return [job_id(batch.id, at) for at in range(batch.parts)]


def job_id(batch_id: str, what: str | int) -> str:
    return f"{batch_id}:{what}"


def batch_id_of(job_id: str) -> str:
    return job_id.partition(":")[0]


def create(connection: Connection, batch: StoredBatch) -> None:
    store.add(connection, batch)
    queue.enqueue(connection, job_id(batch.id, "validate"), VALIDATE, "{}")
    queue.ask(connection, job_id(batch.id, "expire"), EXPIRE, "{}", batch.expires_at)


def begin(connection: Connection, batch: StoredBatch, checked: Checked, *, cluster: bool = False) -> None:
    """A validated batch is worked on. First parts are due before second ones, so that batches take turns.

    Args:
        cluster: whether a cluster is to do so.
    """
    store.change(
        connection,
        batch.id,
        status="in_progress",
        in_progress_at=store.now(),
        model=checked.model,
        total=checked.total,
        parts=len(checked.chunks),
        chunks=len(checked.chunks),
    )
    parts = [
        (job_id(batch.id, at), _json(Part(batch.id, chunk.first, chunk.count, chunk.start, chunk.end)), at)
        for at, chunk in enumerate(checked.chunks)
    ]
    queue.enqueue_all(connection, REQUESTS, parts)
    if cluster:
        queue.ask(connection, job_id(batch.id, "cluster"), CLUSTER, "{}")


def stop(connection: Connection, batch: StoredBatch, ending: Ending, errors: Sequence[BatchError] = ()) -> None:
    """Let a batch end before all of it is done. What is being done may take a while to end."""
    values: dict[str, Any] = {"ending": ending}
    if ending == "cancelled":
        values |= {"status": "cancelling", "cancelling_at": store.now()}
    if errors:
        values["errors"] = _json(errors)
    store.change(connection, batch.id, **values)
    if batch.status == "validating":
        if queue.stop_all(connection, [job_id(batch.id, "validate")]):
            finish(connection, batch.id, ending)
        return
    removed = queue.stop_all(connection, part_ids(batch))
    _less(connection, batch, removed, ending)


def part_done(connection: Connection, batch: StoredBatch) -> None:
    """One part has ended; with the last, the batch is finished."""
    _less(connection, batch, 1, batch.ending)


def _less(connection: Connection, batch: StoredBatch, parts: int, ending: Ending | None) -> None:
    left = batch.chunks - parts
    store.change(connection, batch.id, chunks=left)
    if left == 0:
        finish(connection, batch.id, ending)


def finish(connection: Connection, batch_id: str, ending: Ending | None) -> None:
    """Have the files made of what was done."""
    if ending != "cancelled":
        store.change(connection, batch_id, status="finalizing", finalizing_at=store.now())
    queue.enqueue(connection, job_id(batch_id, "finish"), FINISH, "{}")


def end(connection: Connection, batch: StoredBatch, ending: Ending, **values: Any) -> None:
    """The last status, with whatever else changes."""
    store.change(connection, batch.id, status=ending, **{f"{ending}_at": store.now()}, **values)
    BatchQueue.release_in(connection, batch.id)
    queue.finish(connection, job_id(batch.id, "expire"))
    record(connection, batch.project_id, f"batch.{ending}", batch.id)  # type: ignore[arg-type]


def fail(connection: Connection, batch: StoredBatch, errors: Sequence[BatchError]) -> None:
    """A batch of which nothing was done."""
    end(connection, batch, "failed", errors=_json(errors))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
