"""What projects can be told of, and the outbox that remembers it.

``record`` is called in the transaction that makes the change, with its connection. So an event is told if, and only
if, the change was committed, whenever the process dies.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import Connection, insert, select

from inhouse.jobs import queue
from inhouse.kit.ids import new_id
from inhouse.storage.schema import webhook_deliveries, webhook_endpoints

EventType = Literal[
    "response.completed",
    "response.failed",
    "response.cancelled",
    "response.incomplete",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelled",
    "fine_tuning.job.succeeded",
    "fine_tuning.job.failed",
    "fine_tuning.job.cancelled",
    "eval.run.succeeded",
    "eval.run.failed",
    "eval.run.canceled",
    "video.completed",
    "video.failed",
    "realtime.call.incoming",
    "project.spend_alert.reached",
]
"""Events of a project. All but the last one are the official ones."""
OrganizationEventType = Literal["organization.spend_alert.reached"]
"""Events of a whole organization. Only an operator may ask for them: a project's key knows its project alone."""

EVENT_TYPES: tuple[str, ...] = get_args(EventType)
ORGANIZATION_EVENT_TYPES: tuple[str, ...] = get_args(OrganizationEventType)

KIND = "webhooks"
"""Of the jobs that deliver: one for each endpoint that has something to be told, under the endpoint's id."""

_encode = msgspec.json.Encoder().encode


def record(
    connection: Connection,
    project_id: str,
    type: EventType,
    object_id: str,
    *,
    at: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Remember to tell a project's endpoints of an event. Nothing is stored where nobody asked for it.

    ``Runner.wake`` after the commit makes it go out at once, otherwise it goes within a second.

    Args:
        object_id: of what the event is about, e.g. ``resp_...``; it becomes ``data.id``.
        at: when it happened, Unix microseconds; now by default.
        data: further fields of ``data``.

    Returns:
        How many endpoints will be told.
    """
    where = webhook_endpoints.c.project_id == project_id
    return _record(connection, where, type, object_id, at, data)


def record_for_organization(
    connection: Connection,
    organization_id: str,
    type: OrganizationEventType,
    object_id: str,
    *,
    at: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> int:
    """As ``record``, for every endpoint of an organization that an operator made for such events."""
    where = (webhook_endpoints.c.organization_id == organization_id) & webhook_endpoints.c.operators
    return _record(connection, where, type, object_id, at, data)


def body_of(type: str, object_id: str, at: int, data: Mapping[str, Any] | None = None) -> bytes:
    """The JSON of an event."""
    return _encode(
        {
            "id": new_id("evt_"),
            "object": "event",
            "created_at": at // 1_000_000,
            "type": type,
            "data": {"id": object_id, **(data or {})},
        }
    )


def _record(
    connection: Connection, where: Any, type: str, object_id: str, at: int | None, data: Mapping[str, Any] | None
) -> int:
    # In the order of their ids, so that two transactions never wait for each other's jobs crosswise.
    query = (
        select(webhook_endpoints.c.id, webhook_endpoints.c.event_types)
        .where(where, webhook_endpoints.c.disabled_at.is_(None))
        .order_by(webhook_endpoints.c.id)
    )
    told = [row.id for row in connection.execute(query) if type in msgspec.json.decode(row.event_types)]
    if not told:
        return 0
    now = time.time_ns() // 1000
    body = body_of(type, object_id, now if at is None else at, data).decode()
    rows = [
        {
            "id": new_id("wh_"),
            "endpoint_id": id,
            "created_at": now,
            "event_type": type,
            "body": body,
            "state": "pending",
            "next_at": now,
        }
        for id in told
    ]
    connection.execute(insert(webhook_deliveries), rows)
    for id in told:
        queue.ask(connection, id, KIND, "{}", now)
    return len(told)
