"""What a user may do right now: as whom the console calls operations for somebody who is signed in."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from inhouse.access.policies import policy_of
from inhouse.access.roles import granted, principals
from inhouse.access.service import Caller
from inhouse.storage.database import Database
from inhouse.storage.schema import project_users, projects, role_assignments, users


class Person(msgspec.Struct, frozen=True):
    """A user, as the organization's administration and as a project's caller."""

    id: str
    name: str
    email: str
    role: str
    admin: Caller
    project: Caller | None
    """None if the user is in no project."""
    projects: tuple[tuple[str, str], ...]
    """Ids and names of those that the user can work in, oldest first."""


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: str, project_id: str | None) -> Person | None:
        """A user as of now; None once removed.

        Args:
            project_id: the one to work in, if the user still may; else the first.
        """
        return await self._database.read(lambda connection: _person(connection, user_id, project_id))


def _person(connection: Connection, user_id: str, project_id: str | None) -> Person | None:
    user = connection.execute(select(users).where(users.c.id == user_id, users.c.deleted_at.is_(None))).first()
    if user is None:
        return None
    allowed = granted(connection, user_id, None)
    mine = _projects(connection, user.organization_id, user_id, everything=allowed is None)
    chosen = project_id if project_id in dict(mine) else (mine[0][0] if mine else None)
    policy = policy_of(connection, user.organization_id, None)
    admin = Caller(user.organization_id, "", "", admin=True, user_id=user_id, granted=allowed, policy=policy)
    project = None
    if chosen is not None:
        # Who may do everything in the organization may in each of its projects: they could make themselves members.
        within = None if allowed is None else granted(connection, user_id, chosen)
        policy = policy_of(connection, user.organization_id, chosen)
        project = Caller(user.organization_id, chosen, "", user_id=user_id, granted=within, policy=policy)
    return Person(user.id, user.name, user.email, user.role, admin, project, mine)


def _projects(
    connection: Connection, organization_id: str, user_id: str, *, everything: bool
) -> tuple[tuple[str, str], ...]:
    query = select(projects.c.id, projects.c.name).where(
        projects.c.organization_id == organization_id, projects.c.archived_at.is_(None)
    )
    if not everything:
        member = select(project_users.c.project_id).where(project_users.c.user_id == user_id)
        assigned = select(role_assignments.c.project_id).where(principals(user_id))
        query = query.where(projects.c.id.in_(member) | projects.c.id.in_(assigned))
    rows = connection.execute(query.order_by(projects.c.created_at, projects.c.id))
    return tuple((row.id, row.name) for row in rows)
