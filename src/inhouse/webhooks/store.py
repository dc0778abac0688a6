"""Endpoints and deliveries in the database: functions of a connection. Times are Unix microseconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, tuple_, update

from inhouse.jobs import queue
from inhouse.storage.schema import webhook_deliveries as deliveries
from inhouse.storage.schema import webhook_endpoints as endpoints
from inhouse.webhooks.events import KIND
from inhouse.webhooks.signing import hint_of


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of a project's events. It carries no secret; ``signing`` reads them."""

    id: str
    organization_id: str
    project_id: str
    created_at: int
    updated_at: int
    name: str
    url: str
    event_types: list[str]
    secret_hint: str
    operators: bool
    """Whether an operator named it, so that it may be in a private network."""
    disabled_at: int | None
    disabled_because: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event for one endpoint, and how far it got."""

    id: str
    endpoint_id: str
    created_at: int
    event_type: str
    body: str
    state: str
    """``pending``, ``delivered`` or ``failed``."""
    attempts: int
    next_at: int
    last_at: int | None
    last_status: int | None
    last_error: str | None


def add(connection: Connection, endpoint: Endpoint, secret: str) -> None:
    values = msgspec.structs.asdict(endpoint)
    del values["secret_hint"]
    values["event_types"] = _text(endpoint.event_types)
    connection.execute(insert(endpoints).values(**values, secret=secret))


def get(connection: Connection, project_id: str, id: str) -> Endpoint | None:
    row = connection.execute(
        select(endpoints).where(endpoints.c.id == id, endpoints.c.project_id == project_id)
    ).one_or_none()
    return None if row is None else _endpoint(row)


def find(connection: Connection, id: str) -> Endpoint | None:
    """An endpoint of whatever project: for what works on all of them."""
    row = connection.execute(select(endpoints).where(endpoints.c.id == id)).one_or_none()
    return None if row is None else _endpoint(row)


def page(
    connection: Connection, project_id: str | None, *, after: str | None, limit: int
) -> tuple[list[Endpoint], bool] | None:
    """Endpoints, newest first, of a project or of all. None if ``after`` is not one of them."""
    query = select(endpoints)
    if project_id is not None:
        query = query.where(endpoints.c.project_id == project_id)
    rows = _page(connection, query, endpoints, after, limit)
    return None if rows is None else ([_endpoint(row) for row in rows[:limit]], len(rows) > limit)


def change(connection: Connection, id: str, **values: Any) -> None:
    if "event_types" in values:
        values["event_types"] = _text(values["event_types"])
    connection.execute(update(endpoints).where(endpoints.c.id == id).values(**values))


def remove(connection: Connection, project_id: str, id: str) -> bool:
    """Delete an endpoint with all that was to be told to it. False if it is not there."""
    mine = endpoints.c.id == id, endpoints.c.project_id == project_id
    if not connection.execute(delete(endpoints).where(*mine)).rowcount:
        return False
    connection.execute(delete(deliveries).where(deliveries.c.endpoint_id == id))
    queue.finish(connection, id)
    return True


def signing(connection: Connection, id: str) -> list[str]:
    """The secrets that deliveries are signed with now."""
    row = connection.execute(
        select(endpoints.c.secret, endpoints.c.old_secret, endpoints.c.old_secret_until).where(endpoints.c.id == id)
    ).one()
    old = [row.old_secret] if row.old_secret is not None and row.old_secret_until > now() else []
    return [row.secret, *old]


def silence(connection: Connection, id: str) -> tuple[int, int]:
    """How often in a row an endpoint gave no answer, and until when it is left alone."""
    row = connection.execute(
        select(endpoints.c.failures, endpoints.c.silent_until).where(endpoints.c.id == id)
    ).one_or_none()
    return (0, 0) if row is None else (row.failures, row.silent_until)


def enable(connection: Connection, id: str) -> None:
    """Tell an endpoint of events again that was disabled or is left alone. What it missed while disabled is lost."""
    change(connection, id, disabled_at=None, disabled_because=None, failures=0, silent_until=0)
    if next_due(connection, id) is not None:
        queue.ask(connection, id, KIND, "{}", now())


def disable(connection: Connection, id: str, why: str) -> None:
    """Tell an endpoint nothing any more, not even what waits."""
    change(connection, id, disabled_at=now(), disabled_because=why)
    connection.execute(
        update(deliveries)
        .where(deliveries.c.endpoint_id == id, deliveries.c.state == "pending")
        .values(state="failed", last_error=why)
    )


def due(connection: Connection, endpoint_id: str, limit: int) -> list[Delivery]:
    """What is to be tried now, in the order of its time."""
    rows = connection.execute(
        select(deliveries)
        .where(deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "pending", deliveries.c.next_at <= now())
        .order_by(deliveries.c.next_at, deliveries.c.created_at)
        .limit(limit)
    )
    return [_delivery(row) for row in rows]


def next_due(connection: Connection, endpoint_id: str) -> int | None:
    """When the next attempt is due; None if nothing waits."""
    waiting = deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "pending"
    found: int | None = connection.execute(select(func.min(deliveries.c.next_at)).where(*waiting)).scalar()
    return found


def attempted(connection: Connection, id: str, **values: Any) -> None:
    """Write down an attempt: ``state``, ``next_at``, ``last_status``, ``last_error``."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id == id, deliveries.c.state == "pending")
        .values(attempts=deliveries.c.attempts + 1, last_at=now(), **values)
    )


def expire(connection: Connection, endpoint_id: str, before: int) -> int:
    """Give up what is older than ``before``; how many that were."""
    done = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "pending", deliveries.c.created_at < before
        )
        .values(state="failed")
    )
    return done.rowcount


def forget(connection: Connection, endpoint_id: str, before: int) -> None:
    """Drop the record of what ended and is older than ``before``."""
    connection.execute(
        delete(deliveries).where(
            deliveries.c.endpoint_id == endpoint_id, deliveries.c.state != "pending", deliveries.c.created_at < before
        )
    )


def delivery_page(
    connection: Connection, endpoint_ids: Sequence[str], *, after: str | None, limit: int
) -> tuple[list[Delivery], bool] | None:
    """Deliveries, newest first. None if ``after`` is not one of them."""
    query = select(deliveries).where(deliveries.c.endpoint_id.in_(endpoint_ids))
    rows = _page(connection, query, deliveries, after, limit)
    return None if rows is None else ([_delivery(row) for row in rows[:limit]], len(rows) > limit)


def now() -> int:
    return time.time_ns() // 1000


def _page(
    connection: Connection, query: Select[Any], table: Any, after: str | None, limit: int
) -> Sequence[Row[Any]] | None:
    key = tuple_(table.c.created_at, table.c.id)
    if after is not None:
        edge = connection.execute(
            query.with_only_columns(table.c.created_at, table.c.id).where(table.c.id == after)
        ).one_or_none()
        if edge is None:
            return None
        query = query.where(key < tuple_(*edge))
    return connection.execute(query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)).all()


def _text(event_types: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(set(event_types))).decode()


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        organization_id=row.organization_id,
        project_id=row.project_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        name=row.name,
        url=row.url,
        event_types=msgspec.json.decode(row.event_types, type=list[str]),
        secret_hint=hint_of(row.secret),
        operators=bool(row.operators),
        disabled_at=row.disabled_at,
        disabled_because=row.disabled_because,
    )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__struct_fields__})
