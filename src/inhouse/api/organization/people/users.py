"""Users of the organization and their invites."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from inhouse.access import Caller
from inhouse.access.audit import Actor, record
from inhouse.access.issuing import end_all_of
from inhouse.access.joining import accept_invite
from inhouse.access.roles import built_in, not_more
from inhouse.access.store import now
from inhouse.api.organization.listing import ListQuery, page, seconds, seconds_or_none
from inhouse.api.organization.office import Office, active_project_of, not_found
from inhouse.api.organization.people import wire
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import (
    api_keys,
    group_users,
    invites,
    project_users,
    projects,
    role_assignments,
    users,
)

INVITE_US = 7 * 86_400 * 1_000_000
"""How long an invite can be accepted."""
ROLES = ("owner", "reader")


class UserService(Office):
    async def list(self, caller: Caller, query: wire.ListUsersQuery) -> wire.UserList:
        wanted = _users(caller.organization_id)
        if query.emails is not None:
            wanted = wanted.where(users.c.email.in_([email.lower() for email in query.emails]))

        def work(connection: Connection) -> tuple[list[wire.User], bool]:
            rows, more = page(connection, wanted, users.c.added_at, users.c.id, limit=query.limit, after=query.after)
            return _shown(connection, rows), more

        data, more = await self.read(work)
        return wire.UserList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def retrieve(self, caller: Caller, user_id: str) -> wire.User:
        return await self.read(lambda c: _shown(c, [user_of(c, caller.organization_id, user_id)])[0])

    async def update(self, caller: Caller, user_id: str, body: wire.UpdateUser) -> wire.User:
        if body.role_id is not None:
            raise InvalidRequest(
                "Assign roles with /organization/users/{user_id}/roles.", param="role_id", code="unsupported_parameter"
            )
        changes = {
            name: value
            for name in ("role", "technical_level", "developer_persona")
            if (value := getattr(body, name)) is not None
        }
        if body.role is not None:
            check_role(body.role, ROLES)
            not_more(caller, built_in(body.role, project=False).permissions)

        def work(connection: Connection) -> wire.User:
            user = user_of(connection, caller.organization_id, user_id)
            if changes:
                connection.execute(update(users).where(users.c.id == user_id).values(changes))
            if body.role is not None and body.role != user.role:
                told = {"changes_requested": {"role": body.role}}
                record(connection, caller.organization_id, caller.actor, "user.updated", user_id, told)
            return _shown(connection, [user_of(connection, caller.organization_id, user_id)])[0]

        return await self.change(work)

    async def delete(self, caller: Caller, user_id: str) -> wire.UserDeleted:
        def work(connection: Connection) -> None:
            user_of(connection, caller.organization_id, user_id)
            connection.execute(delete(project_users).where(project_users.c.user_id == user_id))
            connection.execute(delete(group_users).where(group_users.c.user_id == user_id))
            connection.execute(delete(role_assignments).where(role_assignments.c.principal_id == user_id))
            connection.execute(update(users).where(users.c.id == user_id).values(deleted_at=now()))
            end_all_of(connection, caller.actor, user_id)
            record(connection, caller.organization_id, caller.actor, "user.deleted", user_id)

        await self.change(work)
        return wire.UserDeleted(id=user_id)


class InviteService(Office):
    async def list(self, caller: Caller, query: ListQuery) -> wire.InviteList:
        wanted = _invites(caller.organization_id)
        rows, more = await self.read(
            lambda c: page(c, wanted, invites.c.created_at, invites.c.id, limit=query.limit, after=query.after)
        )
        data = [_invite(row) for row in rows]
        return wire.InviteList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def create(self, caller: Caller, body: wire.CreateInvite) -> wire.Invite:
        email = body.email.lower()
        into = body.projects or []
        not_more(caller, built_in(body.role, project=False).permissions)

        def work(connection: Connection) -> wire.Invite:
            lock(connection, f"people {caller.organization_id}")
            for project in into:
                active_project_of(connection, caller.organization_id, project.id)
            taken = _users(caller.organization_id).where(users.c.email == email)
            if connection.execute(taken).first() is not None:
                raise InvalidRequest(f"{email} is a user of the organization already.", param="email")
            pending = _invites(caller.organization_id).where(
                invites.c.email == email, invites.c.accepted_at.is_(None), invites.c.expires_at > now()
            )
            if connection.execute(pending).first() is not None:
                raise InvalidRequest(f"{email} is invited already.", param="email")
            id, at = new_id("invite-"), now()
            connection.execute(
                insert(invites).values(
                    id=id,
                    organization_id=caller.organization_id,
                    email=email,
                    role=body.role,
                    projects=msgspec.json.encode(into).decode(),
                    created_at=at,
                    expires_at=at + INVITE_US,
                )
            )
            told = {"data": {"email": email, "role": body.role}}
            record(connection, caller.organization_id, caller.actor, "invite.sent", id, told)
            return _invite(invite_of(connection, caller.organization_id, id))

        return await self.change(work)

    async def retrieve(self, caller: Caller, invite_id: str) -> wire.Invite:
        return _invite(await self.read(lambda c: invite_of(c, caller.organization_id, invite_id)))

    async def delete(self, caller: Caller, invite_id: str) -> wire.InviteDeleted:
        def work(connection: Connection) -> None:
            invite = invite_of(connection, caller.organization_id, invite_id)
            if invite.accepted_at is not None:
                raise InvalidRequest("The invite was accepted; remove the user instead.", param="invite_id")
            connection.execute(update(invites).where(invites.c.id == invite_id).values(deleted_at=now()))
            record(connection, caller.organization_id, caller.actor, "invite.deleted", invite_id)

        await self.change(work)
        return wire.InviteDeleted(id=invite_id)

    async def accept(self, organization_id: str, invite_id: str, name: str, actor: Actor) -> str:
        """Makes the user who was invited. Returns its id.

        Raises:
            NotFound: no such invite.
            InvalidRequest: it was accepted already, or has expired.
        """

        return await self.change(lambda c: accept_invite(c, organization_id, invite_id, name, actor))


def check_role(role: str, roles: tuple[str, ...]) -> None:
    """Raises InvalidRequest for a role that there is not."""
    if role not in roles:
        supported = " and ".join(f"'{each}'" for each in roles)
        raise InvalidRequest(
            f"Invalid value: '{role}'. Supported values are: {supported}.",
            param="role",
            code="invalid_value",
        )


def user_of(connection: Connection, organization_id: str, user_id: str) -> Row[Any]:
    """A user of the organization. Raises NotFound."""
    row = connection.execute(_users(organization_id).where(users.c.id == user_id)).first()
    if row is None:
        raise not_found("user", user_id)
    return row


def shown_user(connection: Connection, row: Row[Any]) -> wire.User:
    """A row of ``user_of`` as clients read it."""
    return _shown(connection, [row])[0]


def user_by_email(connection: Connection, organization_id: str, email: str) -> Row[Any]:
    """A user of the organization. Raises NotFound."""
    row = connection.execute(_users(organization_id).where(users.c.email == email.lower())).first()
    if row is None:
        raise not_found("user", email)
    return row


def invite_of(connection: Connection, organization_id: str, invite_id: str) -> Row[Any]:
    """An invite of the organization. Raises NotFound."""
    row = connection.execute(_invites(organization_id).where(invites.c.id == invite_id)).first()
    if row is None:
        raise not_found("invite", invite_id)
    return row


def _users(organization_id: str) -> Any:
    return select(users).where(users.c.organization_id == organization_id, users.c.deleted_at.is_(None))


def _invites(organization_id: str) -> Any:
    return select(invites).where(invites.c.organization_id == organization_id, invites.c.deleted_at.is_(None))


def _status(invite: Row[Any]) -> Any:
    if invite.accepted_at is not None:
        return "accepted"
    return "expired" if invite.expires_at <= now() else "pending"


def _invite(row: Row[Any]) -> wire.Invite:
    return wire.Invite(
        id=row.id,
        email=row.email,
        role=row.role,
        status=_status(row),
        created_at=seconds(row.created_at),
        expires_at=seconds(row.expires_at),
        accepted_at=seconds_or_none(row.accepted_at),
        projects=msgspec.json.decode(row.projects, type=list[wire.InvitedProject]),
    )


def _shown(connection: Connection, rows: list[Row[Any]]) -> list[wire.User]:
    ids = [row.id for row in rows]
    used = select(api_keys.c.user_id, func.max(api_keys.c.last_used_at)).where(api_keys.c.user_id.in_(ids))
    last_used = dict(map(tuple, connection.execute(used.group_by(api_keys.c.user_id))))
    memberships: dict[str, list[wire.UserProject]] = defaultdict(list)
    joined = (
        select(project_users.c.user_id, project_users.c.role, projects.c.id, projects.c.name)
        .join_from(project_users, projects)
        .where(project_users.c.user_id.in_(ids), projects.c.archived_at.is_(None))
        .order_by(project_users.c.added_at, projects.c.id)
    )
    for row in connection.execute(joined):
        memberships[row.user_id].append(wire.UserProject(id=row.id, name=row.name, role=row.role))
    return [
        wire.User(
            id=row.id,
            name=row.name,
            email=row.email,
            role=row.role,
            added_at=seconds(row.added_at),
            created=seconds(row.added_at),
            api_key_last_used_at=seconds_or_none(last_used.get(row.id)),
            technical_level=row.technical_level,
            developer_persona=row.developer_persona,
            user=wire.UserAccount(id=row.id, email=row.email, name=row.name),
            projects=wire.UserProjects(data=memberships[row.id]),
        )
        for row in rows
    ]
