"""Becoming a user of an organization: the first one, one who was invited, one whom an identity provider vouches for."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, insert, select, update

from inhouse.access.audit import Actor, record
from inhouse.access.store import now
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import invites, project_users, users


class _Into(msgspec.Struct):
    """A project that an invite leads into."""

    id: str
    role: str


def add_user(
    connection: Connection, organization_id: str, email: str, name: str, role: str, actor: Actor | None = None
) -> str:
    """Insert a user, on the record. Hold the lock ``people {organization_id}``. Returns its id.

    Args:
        actor: who did it; the user itself if None.

    Raises:
        InvalidRequest: the address is a user's already.
    """
    email = email.lower()
    taken = select(users.c.id).where(
        users.c.organization_id == organization_id, users.c.email == email, users.c.deleted_at.is_(None)
    )
    if connection.execute(taken).first() is not None:
        raise InvalidRequest(f"{email} is a user of the organization already.", param="email")
    id = new_id("user-")
    connection.execute(
        insert(users).values(id=id, organization_id=organization_id, name=name, email=email, role=role, added_at=now())
    )
    told = {"data": {"role": role}}
    record(connection, organization_id, actor or Actor(user_id=id), "user.added", id, told)
    return id


def accept_invite(
    connection: Connection, organization_id: str, invite_id: str, name: str, actor: Actor | None = None
) -> str:
    """Makes the user who was invited. Returns its id.

    Args:
        actor: who did it; the user itself if None.

    Raises:
        NotFound: no such invite.
        InvalidRequest: it was accepted already, has expired, or its address is a user's.
    """
    lock(connection, f"people {organization_id}")
    query = select(invites).where(
        invites.c.id == invite_id, invites.c.organization_id == organization_id, invites.c.deleted_at.is_(None)
    )
    invite = connection.execute(query).first()
    if invite is None:
        raise NotFound(f"No such invite: {invite_id}")
    at = now()
    if invite.accepted_at is not None or invite.expires_at <= at:
        state = "accepted" if invite.accepted_at is not None else "expired"
        raise InvalidRequest(f"The invite is {state}.", param="invite_id")
    id = add_user(connection, organization_id, invite.email, name, invite.role, actor)
    for project in msgspec.json.decode(invite.projects, type=list[_Into]):
        connection.execute(
            insert(project_users).values(project_id=project.id, user_id=id, role=project.role, added_at=at)
        )
    connection.execute(update(invites).where(invites.c.id == invite_id).values(accepted_at=at))
    record(connection, organization_id, actor or Actor(user_id=id), "invite.accepted", invite_id)
    return id
