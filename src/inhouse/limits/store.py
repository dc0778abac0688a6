"""Queries on tiers, project limits and spend: functions of a connection, for ``Database.read`` or ``write``."""

from __future__ import annotations

import time

from sqlalchemy import Connection, delete, func, insert, select

from inhouse.catalog.cards import Tier
from inhouse.limits.plans import ProjectLimits
from inhouse.storage.database import lock
from inhouse.storage.schema import calls, organization_tiers, project_limits

LIMITS = ("rpm", "rpd", "tpm", "ipm", "batch")


def now() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1000


def pins(connection: Connection) -> dict[str, Tier]:
    """The tier of every organization that an administrator fixed."""
    statement = select(organization_tiers.c.organization_id, organization_tiers.c.pinned).where(
        organization_tiers.c.pinned.is_not(None)
    )
    return {row.organization_id: row.pinned for row in connection.execute(statement)}


def pin(connection: Connection, organization_id: str, tier: Tier | None, at: int) -> None:
    lock(connection, f"tier:{organization_id}")
    connection.execute(delete(organization_tiers).where(organization_tiers.c.organization_id == organization_id))
    row = {"organization_id": organization_id, "pinned": tier, "since": at}
    connection.execute(insert(organization_tiers), row)


def all_project_limits(connection: Connection, project_id: str | None = None) -> dict[tuple[str, str], ProjectLimits]:
    """What projects lowered, by project and family; of one project, or of all."""
    query = select(project_limits)
    if project_id is not None:
        query = query.where(project_limits.c.project_id == project_id)
    return {
        (row.project_id, row.model): {name: getattr(row, name) for name in LIMITS if getattr(row, name) is not None}
        for row in connection.execute(query)
    }


def lock_project_limits(connection: Connection, project_id: str) -> None:
    """Until the transaction ends, nobody else changes what a project lowered."""
    lock(connection, f"limits:{project_id}")


def set_project_limits(connection: Connection, project_id: str, model: str, limits: ProjectLimits) -> None:
    """Replace what a project has of its own for a family; nothing left removes the row."""
    lock_project_limits(connection, project_id)
    connection.execute(
        delete(project_limits).where(project_limits.c.project_id == project_id, project_limits.c.model == model)
    )
    if limits:
        row = {"project_id": project_id, "model": model, **{name: limits.get(name) for name in LIMITS}}
        connection.execute(insert(project_limits), row)


def spent(connection: Connection, organization_id: str, after: int, until: int) -> int:
    """Nano-dollars of an organization's calls settled in ``(after, until]``, Unix microseconds."""
    mine = (calls.c.organization_id == organization_id, calls.c.cost_nanos > 0)
    window = (calls.c.settled_at > after, calls.c.settled_at <= until)
    return int(connection.execute(select(func.sum(calls.c.cost_nanos)).where(*mine, *window)).scalar() or 0)


def first_spent_at(connection: Connection, organization_id: str) -> int | None:
    """When an organization's first call that cost something was settled, Unix microseconds."""
    mine = (calls.c.organization_id == organization_id, calls.c.cost_nanos > 0)
    return connection.execute(select(func.min(calls.c.settled_at)).where(*mine)).scalar()
