"""Queries on organizations, projects and keys: functions of a connection, for ``Database.read`` or ``write``."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from inhouse.access.keys import Kind, digest, hint
from inhouse.access.scopes import Permission
from inhouse.kit.ids import new_id
from inhouse.storage.schema import api_keys, organizations, projects


class Project(msgspec.Struct, frozen=True):
    """A project; its organization has the id ``organization_id``. Times are Unix microseconds."""

    id: str
    organization_id: str
    name: str
    created_at: int
    archived_at: int | None


class Key(msgspec.Struct, frozen=True):
    """A key as it is listed: everything but the key. Times are Unix microseconds."""

    id: str
    kind: Kind
    name: str
    organization_id: str
    project_id: str | None
    """None for admin keys."""
    hint: str
    created_at: int
    last_used_at: int | None
    expires_at: int | None
    revoked_at: int | None
    user_id: str | None = None
    """Its owner, a user or a service account."""
    permission: Permission = "all"
    scopes: tuple[str, ...] = ()
    """Of a restricted key."""


_KEY = select(*(api_keys.c[name] for name in Key.__struct_fields__))


def now() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1000


def key_of(row: Row[Any]) -> Key:
    scopes = () if row.scopes is None else msgspec.json.decode(row.scopes, type=tuple[str, ...])
    return Key(**{**row._mapping, "scopes": scopes})


def usable_key(connection: Connection, hash: str, at: int) -> Key | None:
    """The key with this hash, if at that time it is neither revoked nor expired nor its project archived."""
    statement = (
        _KEY.outerjoin_from(api_keys, projects, api_keys.c.project_id == projects.c.id)
        .where(api_keys.c.hash == hash, api_keys.c.revoked_at.is_(None), projects.c.archived_at.is_(None))
        .where(or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > at))
    )
    row = connection.execute(statement).first()
    return None if row is None else key_of(row)


def key_by_hash(connection: Connection, hash: str) -> Key | None:
    row = connection.execute(_KEY.where(api_keys.c.hash == hash)).first()
    return None if row is None else key_of(row)


def any_key(connection: Connection, kind: Kind) -> bool:
    """Whether a key of this kind was ever made, revoked or not."""
    return connection.execute(select(api_keys.c.id).where(api_keys.c.kind == kind).limit(1)).first() is not None


def list_keys(connection: Connection, organization_id: str | None, project_id: str | None) -> list[Key]:
    """Newest first, revoked ones too."""
    statement = _KEY.order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc())
    if organization_id is not None:
        statement = statement.where(api_keys.c.organization_id == organization_id)
    if project_id is not None:
        statement = statement.where(api_keys.c.project_id == project_id)
    return [key_of(row) for row in connection.execute(statement)]


def insert_key(
    connection: Connection,
    secret: str,
    kind: Kind,
    name: str,
    organization_id: str,
    project_id: str | None,
    expires_at: int | None = None,
    *,
    user_id: str | None = None,
    permission: Permission = "all",
    scopes: tuple[str, ...] = (),
) -> Key:
    key = Key(
        new_id("key_"),
        kind,
        name,
        organization_id,
        project_id,
        hint(secret),
        now(),
        None,
        expires_at,
        None,
        user_id,
        permission,
        scopes,
    )
    values = msgspec.structs.asdict(key) | {"scopes": msgspec.json.encode(scopes).decode() if scopes else None}
    connection.execute(insert(api_keys).values(hash=digest(secret), **values))
    return key


def revoke(connection: Connection, id: str, organization_id: str | None) -> Key | None:
    """Revokes a key for good; one that is revoked already stays as it is. None if there is no such key."""
    mine = [api_keys.c.id == id]
    if organization_id is not None:
        mine.append(api_keys.c.organization_id == organization_id)
    connection.execute(update(api_keys).where(*mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now()))
    row = connection.execute(_KEY.where(*mine)).first()
    return None if row is None else key_of(row)


def touch(connection: Connection, id: str, at: int) -> None:
    """Records that a key was used, never going back in time."""
    older = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < at)
    connection.execute(update(api_keys).where(and_(api_keys.c.id == id, older)).values(last_used_at=at))


def project(connection: Connection, id: str | None) -> Project | None:
    """The project with this id; without one, the default project: the oldest that is not archived."""
    statement = select(*(projects.c[name] for name in Project.__struct_fields__))
    if id is not None:
        statement = statement.where(projects.c.id == id)
    else:
        statement = statement.where(projects.c.archived_at.is_(None)).order_by(projects.c.created_at, projects.c.id)
    row = connection.execute(statement.limit(1)).first()
    return None if row is None else Project(*row)


def insert_project(connection: Connection, organization_id: str, name: str) -> Project:
    made = Project(new_id("proj_"), organization_id, name, now(), None)
    connection.execute(insert(projects).values(msgspec.structs.asdict(made)))
    return made


def insert_organization(connection: Connection, name: str) -> str:
    id = new_id("org-")
    connection.execute(insert(organizations).values(id=id, name=name, created_at=now()))
    return id
