"""Queries on groups. A group has access to a project while it has a role there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from inhouse.api.organization.office import not_found
from inhouse.storage.schema import group_users, groups, role_assignments, users


def all_groups(connection: Connection, organization_id: str) -> list[Row[Any]]:
    """Oldest first."""
    query = select(groups).where(groups.c.organization_id == organization_id)
    return list(connection.execute(query.order_by(groups.c.created_at, groups.c.id)))


def group_of(connection: Connection, organization_id: str, group_id: str) -> Row[Any]:
    """
    Raises:
        NotFound
    """
    query = select(groups).where(groups.c.organization_id == organization_id, groups.c.id == group_id)
    row = connection.execute(query).first()
    if row is None:
        raise not_found("group", group_id)
    return row


def users_in(connection: Connection, group_id: str) -> list[Row[Any]]:
    """In the order they joined."""
    query = (
        select(users.c.id, users.c.name, users.c.email)
        .join_from(group_users, users)
        .where(group_users.c.group_id == group_id, users.c.deleted_at.is_(None))
    )
    return list(connection.execute(query.order_by(group_users.c.added_at, users.c.id)))


def groups_in(connection: Connection, project_id: str) -> list[Row[Any]]:
    """Groups with a role in a project, with ``created_at`` of the first, in that order."""
    since = func.min(role_assignments.c.created_at)
    query = (
        select(groups.c.id, groups.c.name, since.label("created_at"))
        .join_from(role_assignments, groups, groups.c.id == role_assignments.c.principal_id)
        .where(role_assignments.c.project_id == project_id)
        .group_by(groups.c.id, groups.c.name)
    )
    return list(connection.execute(query.order_by(since, groups.c.id)))
