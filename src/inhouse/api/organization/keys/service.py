"""Keys of projects, and keys for administration."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, Row, and_, or_, select, update

from inhouse.access import Caller, Key
from inhouse.access.audit import record
from inhouse.access.issuing import end, issue
from inhouse.access.keys import new_key
from inhouse.access.store import now
from inhouse.api.organization.keys import wire
from inhouse.api.organization.listing import page, seconds, seconds_or_none
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.kit.errors import InvalidRequest
from inhouse.storage.schema import api_keys, project_users, service_accounts, users

_FIELDS = [api_keys.c[name] for name in Key.__struct_fields__]


class ProjectKeyService(Office):
    async def list(self, caller: Caller, project_id: str, query: wire.ListProjectKeysQuery) -> wire.ProjectKeyList:
        wanted = _of_project(project_id)
        match query.owner_project_access:
            case "active":
                wanted = wanted.where(_OWNER_IS_THERE)
            case "inactive":
                wanted = wanted.where(~_OWNER_IS_THERE)

        def work(connection: Connection) -> tuple[list[wire.ProjectKey], bool]:
            project_of(connection, caller.organization_id, project_id)
            rows, more = page(
                connection, wanted, api_keys.c.created_at, api_keys.c.id, limit=query.limit, after=query.after
            )
            return [_project_key(row) for row in rows], more

        data, more = await self.read(work)
        return wire.ProjectKeyList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def retrieve(self, caller: Caller, project_id: str, key_id: str) -> wire.ProjectKey:
        def work(connection: Connection) -> wire.ProjectKey:
            project_of(connection, caller.organization_id, project_id)
            return _project_key(_project_row(connection, project_id, key_id))

        return await self.read(work)

    async def update(
        self, caller: Caller, project_id: str, key_id: str, body: wire.UpdateProjectKey
    ) -> wire.ProjectKey:
        """In force at once."""

        def work(connection: Connection) -> wire.ProjectKey:
            active_project_of(connection, caller.organization_id, project_id)
            _project_row(connection, project_id, key_id)
            changes: dict[str, Any] = {}
            if body.expires_in_seconds is not UNSET:
                changes["expires_at"] = now() + body.expires_in_seconds * 1_000_000
            told: dict[str, Any] = {}
            if body.scopes is not UNSET:
                changes |= {"permission": "restricted", "scopes": msgspec.json.encode(body.scopes).decode()}
                told["scopes"] = body.scopes
            if changes:
                connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(changes))
                record(
                    connection,
                    caller.organization_id,
                    caller.actor,
                    "api_key.updated",
                    key_id,
                    {"changes_requested": told},
                    project_id=project_id,
                )
            return _project_key(_project_row(connection, project_id, key_id))

        return await self.change(work)

    async def delete(self, caller: Caller, project_id: str, key_id: str) -> wire.ProjectKeyDeleted:
        def work(connection: Connection) -> None:
            project_of(connection, caller.organization_id, project_id)
            row = _project_row(connection, project_id, key_id)
            if row.account_name is not None:
                raise InvalidRequest(
                    "The key belongs to a service account. Delete the service account instead.", param="api_key_id"
                )
            end(connection, caller.actor, key_id, caller.organization_id)

        await self.change(work)
        return wire.ProjectKeyDeleted(id=key_id)


class AdminKeyService(Office):
    async def list(self, caller: Caller, query: wire.ListAdminKeysQuery) -> wire.AdminKeyList:
        rows, more = await self.read(
            lambda c: page(
                c,
                _admin(caller.organization_id),
                api_keys.c.created_at,
                api_keys.c.id,
                limit=query.limit,
                after=query.after,
                order=query.order,
            )
        )
        data = [_admin_key(row) for row in rows]
        return wire.AdminKeyList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def create(self, caller: Caller, body: wire.CreateAdminKey) -> wire.AdminKeyCreated:
        secret = new_key("admin")
        expires_at = None if body.expires_in_seconds is UNSET else now() + body.expires_in_seconds * 1_000_000

        def work(connection: Connection) -> wire.AdminKeyCreated:
            made = issue(
                connection,
                caller.actor,
                secret,
                "admin",
                body.name,
                caller.organization_id,
                None,
                expires_at,
                user_id=caller.user_id or None,
                # Nobody gives away more than they have.
                permission=caller.permission,
                scopes=caller.scopes,
            )
            shown = _admin_key(_admin_row(connection, caller.organization_id, made.id))
            return wire.AdminKeyCreated(
                value=secret, **{name: getattr(shown, name) for name in shown.__struct_fields__}
            )

        return await self.change(work)

    async def retrieve(self, caller: Caller, key_id: str) -> wire.AdminKey:
        return _admin_key(await self.read(lambda c: _admin_row(c, caller.organization_id, key_id)))

    async def delete(self, caller: Caller, key_id: str) -> wire.AdminKeyDeleted:
        def work(connection: Connection) -> None:
            _admin_row(connection, caller.organization_id, key_id)
            end(connection, caller.actor, key_id, caller.organization_id)

        await self.change(work)
        return wire.AdminKeyDeleted(id=key_id)


_OWNER_IS_THERE: Any = or_(
    api_keys.c.user_id.is_(None),
    project_users.c.user_id.is_not(None),
    and_(service_accounts.c.id.is_not(None), service_accounts.c.deleted_at.is_(None)),
)


def _of_project(project_id: str) -> Any:
    membership = (project_users.c.project_id == api_keys.c.project_id) & (project_users.c.user_id == api_keys.c.user_id)
    return (
        select(
            *_FIELDS,
            users.c.name.label("user_name"),
            users.c.email,
            users.c.added_at.label("user_added_at"),
            project_users.c.role.label("user_role"),
            service_accounts.c.name.label("account_name"),
            service_accounts.c.created_at.label("account_created_at"),
            service_accounts.c.role.label("account_role"),
            service_accounts.c.deleted_at.label("account_deleted_at"),
        )
        .outerjoin_from(api_keys, users, users.c.id == api_keys.c.user_id)
        .outerjoin(project_users, membership)
        .outerjoin(service_accounts, service_accounts.c.id == api_keys.c.user_id)
        .where(api_keys.c.project_id == project_id, api_keys.c.kind == "project", api_keys.c.revoked_at.is_(None))
    )


def _project_row(connection: Connection, project_id: str, key_id: str) -> Row[Any]:
    row: Row[Any] | None = connection.execute(_of_project(project_id).where(api_keys.c.id == key_id)).first()
    if row is None:
        raise not_found("API key", key_id)
    return row


def _project_key(row: Row[Any]) -> wire.ProjectKey:
    owner, there = wire.KeyOwner(), True
    if row.account_name is not None:
        there = row.account_deleted_at is None
        account = wire.KeyServiceAccount(
            id=row.user_id,
            name=row.account_name,
            created_at=seconds(row.account_created_at),
            role=row.account_role,
        )
        owner = wire.KeyOwner(type="service_account", service_account=account)
    elif row.email is not None:
        there = row.user_role is not None
        user = wire.KeyUser(
            id=row.user_id,
            email=row.email,
            name=row.user_name,
            created_at=seconds(row.user_added_at),
            role=row.user_role or "none",
        )
        owner = wire.KeyOwner(type="user", user=user)
    return wire.ProjectKey(
        id=row.id,
        redacted_value=row.hint,
        name=row.name,
        created_at=seconds(row.created_at),
        last_used_at=seconds_or_none(row.last_used_at),
        owner=owner,
        owner_project_access="active" if there else "inactive",
    )


def _admin(organization_id: str) -> Any:
    return (
        select(*_FIELDS, users.c.name.label("user_name"), users.c.added_at.label("user_added_at"), users.c.role)
        .outerjoin_from(api_keys, users, users.c.id == api_keys.c.user_id)
        .where(
            api_keys.c.organization_id == organization_id,
            api_keys.c.kind == "admin",
            api_keys.c.revoked_at.is_(None),
        )
    )


def _admin_row(connection: Connection, organization_id: str, key_id: str) -> Row[Any]:
    row: Row[Any] | None = connection.execute(_admin(organization_id).where(api_keys.c.id == key_id)).first()
    if row is None:
        raise not_found("API key", key_id)
    return row


def _admin_key(row: Row[Any]) -> wire.AdminKey:
    owner = wire.AdminKeyOwner()
    if row.user_name is not None:
        owner = wire.AdminKeyOwner(
            type="user",
            object="organization.user",
            id=row.user_id,
            name=row.user_name,
            created_at=seconds(row.user_added_at),
            role=row.role,
        )
    return wire.AdminKey(
        id=row.id,
        name=row.name,
        redacted_value=row.hint,
        created_at=seconds(row.created_at),
        expires_at=seconds_or_none(row.expires_at),
        last_used_at=seconds_or_none(row.last_used_at),
        owner=owner,
    )
