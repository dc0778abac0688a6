"""Queries on roles and who has them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select

from inhouse.access.roles import BUILT_IN, built_in, principals
from inhouse.access.store import now
from inhouse.kit.errors import NotFound
from inhouse.storage.schema import project_users, role_assignments, roles, users


class RoleRow(msgspec.Struct, frozen=True):
    """A role of an organization, or with ``project_id`` of a project. Times are Unix microseconds."""

    id: str
    project_id: str
    name: str
    description: str | None
    permissions: tuple[str, ...]
    created_at: int | None = None
    updated_at: int | None = None
    created_by: str | None = None

    @property
    def built_in(self) -> bool:
        return self.id in BUILT_IN


class Held(msgspec.Struct, frozen=True):
    """A role that somebody has, and through whom (ids of users and groups)."""

    role: RoleRow
    sources: tuple[str, ...]


def all_roles(connection: Connection, organization_id: str, project_id: str) -> list[RoleRow]:
    """Roles that can be given in the organization (``project_id`` empty) or in a project, built-in ones first."""
    found = [
        RoleRow(role.id, project_id, role.name, role.description, role.permissions)
        for role in BUILT_IN.values()
        if role.project == bool(project_id)
    ]
    own = select(roles).where(roles.c.organization_id == organization_id, roles.c.project_id == project_id)
    for row in connection.execute(own.order_by(roles.c.created_at, roles.c.id)):
        permissions = msgspec.json.decode(row.permissions, type=tuple[str, ...])
        found.append(
            RoleRow(
                row.id,
                row.project_id,
                row.name,
                row.description,
                permissions,
                row.created_at,
                row.updated_at,
                row.created_by,
            )
        )
    return found


def role_of(connection: Connection, organization_id: str, project_id: str, role_id: str) -> RoleRow:
    """
    Raises:
        NotFound
    """
    for role in all_roles(connection, organization_id, project_id):
        if role.id == role_id:
            return role
    raise NotFound(f"No such role: {role_id}")


def base_role(connection: Connection, project_id: str, user_id: str) -> str | None:
    """Id of the built-in role that a user has by itself."""
    if project_id:
        query = select(project_users.c.role).where(
            project_users.c.project_id == project_id, project_users.c.user_id == user_id
        )
    else:
        query = select(users.c.role).where(users.c.id == user_id)
    name = connection.execute(query).scalar()
    return None if name is None else built_in(name, project=bool(project_id)).id


def held(connection: Connection, organization_id: str, project_id: str, principal_id: str, *, user: bool) -> list[Held]:
    """The roles of a user, those of its groups included, or of a group."""
    mine = principals(principal_id) if user else role_assignments.c.principal_id == principal_id
    query = select(role_assignments.c.role_id, role_assignments.c.principal_id).where(
        role_assignments.c.organization_id == organization_id, role_assignments.c.project_id == project_id, mine
    )
    sources: dict[str, list[str]] = {}
    if user and (base := base_role(connection, project_id, principal_id)) is not None:
        sources[base] = [principal_id]
    for role_id, source in connection.execute(query.order_by(role_assignments.c.created_at)):
        sources.setdefault(role_id, [])
        if source not in sources[role_id]:
            sources[role_id].append(source)
    return [
        Held(role, tuple(sources[role.id]))
        for role in all_roles(connection, organization_id, project_id)
        if role.id in sources
    ]


def assign(connection: Connection, organization_id: str, project_id: str, principal_id: str, role_id: str) -> bool:
    """Whether it is new."""
    row = _assignment(project_id, principal_id, role_id)
    if connection.execute(select(role_assignments.c.role_id).where(*row)).first() is not None:
        return False
    connection.execute(
        insert(role_assignments).values(
            project_id=project_id,
            principal_id=principal_id,
            role_id=role_id,
            organization_id=organization_id,
            created_at=now(),
        )
    )
    return True


def unassign(connection: Connection, project_id: str, principal_id: str, role_id: str) -> bool:
    """Whether there was such an assignment."""
    statement = delete(role_assignments).where(*_assignment(project_id, principal_id, role_id))
    return connection.execute(statement).rowcount > 0


def forget_role(connection: Connection, role_id: str) -> None:
    connection.execute(delete(role_assignments).where(role_assignments.c.role_id == role_id))


def forget_principal(connection: Connection, principal_id: str, project_id: str | None = None) -> None:
    """A user or group leaves a project, or for good."""
    statement = delete(role_assignments).where(role_assignments.c.principal_id == principal_id)
    if project_id is not None:
        statement = statement.where(role_assignments.c.project_id == project_id)
    connection.execute(statement)


def _assignment(project_id: str, principal_id: str, role_id: str) -> tuple[Any, ...]:
    table = role_assignments.c
    return (table.project_id == project_id, table.principal_id == principal_id, table.role_id == role_id)
