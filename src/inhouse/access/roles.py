"""Roles: what their users' keys may do.

A role is a set of permissions, which are the scopes that operations need (``access.scopes``). Four are built in; an
organization and each of its projects may have more. A user has the role kept with the user (``owner`` or ``reader``),
in each project the one of its membership (``owner`` or ``member``), and whatever was assigned to the user or to a group
of the user. All of them add up. They bound every key that the user owns: a key never allows more than its owner may.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select

from inhouse.access.scopes import ADMINISTRATION, missing_scope
from inhouse.storage.schema import group_users, project_users, role_assignments, roles, service_accounts, users

EVERYTHING = "*"
READING = "*.read"


class BuiltIn(msgspec.Struct, frozen=True):
    """A role that is always there. In place of scopes it has ``*``, everything, or ``*.read``, all reading."""

    id: str
    name: str
    description: str
    permissions: tuple[str, ...]
    project: bool


BUILT_IN = {
    role.id: role
    for role in (
        BuiltIn("role-organization-owner", "owner", "May do everything in the organization.", (EVERYTHING,), False),
        BuiltIn("role-organization-reader", "reader", "May read what the organization has.", (READING,), False),
        BuiltIn("role-project-owner", "owner", "May do everything in the project.", (EVERYTHING,), True),
        BuiltIn("role-project-member", "member", "May use everything in the project.", (EVERYTHING,), True),
    )
}


def built_in(name: str, *, project: bool) -> BuiltIn:
    """The built-in role of this name."""
    return next(role for role in BUILT_IN.values() if role.name == name and role.project == project)


def principals(user_id: str) -> ColumnElement[bool]:
    """Condition: an assignment to a user, or to a group that the user is in."""
    mine = select(group_users.c.group_id).where(group_users.c.user_id == user_id)
    return or_(role_assignments.c.principal_id == user_id, role_assignments.c.principal_id.in_(mine))


def granted(connection: Connection, user_id: str | None, project_id: str | None) -> frozenset[str] | None:
    """What the owner of a key may do in the project, or without one in the organization.

    Returns:
        Scopes and the built-in patterns; None is everything, as for keys that nobody owns.
    """
    if not user_id:
        return None
    if project_id is not None:
        account = select(service_accounts.c.role).where(service_accounts.c.id == user_id)
        if (role := connection.execute(account).scalar()) is not None:
            return frozenset() if role == "none" else None
        membership = select(project_users.c.role).where(
            project_users.c.project_id == project_id, project_users.c.user_id == user_id
        )
    else:
        membership = select(users.c.role).where(users.c.id == user_id)
    base = connection.execute(membership).scalar()
    found = set() if base is None else set(built_in(base, project=project_id is not None).permissions)
    assigned = (
        select(role_assignments.c.role_id, roles.c.permissions)
        .outerjoin_from(role_assignments, roles, roles.c.id == role_assignments.c.role_id)
        .where(role_assignments.c.project_id == (project_id or ""), principals(user_id))
    )
    for role_id, permissions in connection.execute(assigned):
        if role_id in BUILT_IN:
            found |= set(BUILT_IN[role_id].permissions)
        elif permissions is not None:
            found |= set(msgspec.json.decode(permissions, type=list[str]))
    return None if EVERYTHING in found else frozenset(found)


def permits(granted: frozenset[str] | None, scope: str) -> bool:
    """Whether what ``granted`` returned includes a scope."""
    return granted is None or scope in granted or (READING in granted and scope.endswith(".read"))


class _Holder(Protocol):
    def may(self, scope: str) -> bool: ...


def not_more(caller: _Holder, permissions: Collection[str], *, organization: bool = True) -> None:
    """Nobody gives away more of the organization than they have.

    Args:
        caller: who gives.
        permissions: of the role that is given or changed.
        organization: whether it is a role of the organization; what projects allow is not the giver's own.

    Raises:
        Forbidden
    """
    for scope in sorted(ADMINISTRATION) if organization else ():
        given = (
            scope in permissions or EVERYTHING in permissions or (READING in permissions and scope.endswith(".read"))
        )
        if given and not caller.may(scope):
            raise missing_scope(scope)
