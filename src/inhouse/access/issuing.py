"""Making and ending keys within a transaction, on the record."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from inhouse.access import store
from inhouse.access.audit import Actor, record
from inhouse.access.keys import Kind
from inhouse.access.store import Key
from inhouse.storage.schema import api_keys


def issue(
    connection: Connection,
    actor: Actor,
    secret: str,
    kind: Kind,
    name: str,
    organization_id: str,
    project_id: str | None,
    expires_at: int | None = None,
    **more: Any,
) -> Key:
    """Insert a key, see ``store.insert_key``, and record who made it."""
    key = store.insert_key(connection, secret, kind, name, organization_id, project_id, expires_at, **more)
    details = {"data": {"scopes": list(key.scopes)}}
    record(connection, organization_id, actor, "api_key.created", key.id, details, project_id=project_id)
    return key


def end(connection: Connection, actor: Actor, id: str, organization_id: str | None) -> Key | None:
    """Revoke a key and record who did, unless it was revoked already. None if there is no such key."""
    known = select(api_keys.c.revoked_at).where(api_keys.c.id == id)
    was_valid = connection.execute(known.with_for_update()).scalar() is None
    key = store.revoke(connection, id, organization_id)
    if key is not None and was_valid:
        record(connection, key.organization_id, actor, "api_key.deleted", id, project_id=key.project_id)
    return key


def end_all_of(connection: Connection, actor: Actor, owner_id: str, project_id: str | None = None) -> None:
    """Revoke every key of a user or service account, or those of one project."""
    query = select(api_keys.c.id).where(api_keys.c.user_id == owner_id, api_keys.c.revoked_at.is_(None))
    if project_id is not None:
        query = query.where(api_keys.c.project_id == project_id)
    for id in connection.execute(query).scalars().all():
        end(connection, actor, id, None)
