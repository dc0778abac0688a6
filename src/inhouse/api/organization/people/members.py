"""Members of a project, and its service accounts."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, Row, delete, insert, select, update

from inhouse.access import Caller
from inhouse.access.audit import record
from inhouse.access.issuing import end_all_of, issue
from inhouse.access.keys import new_key
from inhouse.access.store import now
from inhouse.api.organization.keys.wire import CreateServiceAccountKey, ServiceAccountKey
from inhouse.api.organization.listing import ListQuery, page, seconds
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.api.organization.people import wire
from inhouse.api.organization.people.users import check_role, user_by_email, user_of
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import project_users, role_assignments, service_accounts, users

ROLES = ("owner", "member")


class MemberService(Office):
    async def list(self, caller: Caller, project_id: str, query: ListQuery) -> wire.ProjectUserList:
        def work(connection: Connection) -> tuple[list[Row[Any]], bool]:
            project_of(connection, caller.organization_id, project_id)
            return page(
                connection,
                _members(project_id),
                project_users.c.added_at,
                project_users.c.user_id,
                limit=query.limit,
                after=query.after,
            )

        rows, more = await self.read(work)
        data = [_member(row) for row in rows]
        return wire.ProjectUserList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def create(self, caller: Caller, project_id: str, body: wire.CreateProjectUser) -> wire.ProjectUser:
        check_role(body.role, ROLES)
        if (body.user_id is None) == (body.email is None):
            raise InvalidRequest("Name the user by 'user_id' or by 'email'.", param="user_id")

        def work(connection: Connection) -> wire.ProjectUser:
            lock(connection, f"people {caller.organization_id}")
            active_project_of(connection, caller.organization_id, project_id)
            if body.user_id is not None:
                user = user_of(connection, caller.organization_id, body.user_id)
            else:
                user = user_by_email(connection, caller.organization_id, body.email or "")
            if connection.execute(_members(project_id).where(users.c.id == user.id)).first() is not None:
                raise InvalidRequest(f"User {user.id} is a member of the project already.", param="user_id")
            connection.execute(
                insert(project_users).values(project_id=project_id, user_id=user.id, role=body.role, added_at=now())
            )
            told = {"data": {"role": body.role}}
            record(connection, caller.organization_id, caller.actor, "user.added", user.id, told, project_id=project_id)
            return _member(_member_of(connection, project_id, user.id))

        return await self.change(work)

    async def retrieve(self, caller: Caller, project_id: str, user_id: str) -> wire.ProjectUser:
        def work(connection: Connection) -> wire.ProjectUser:
            project_of(connection, caller.organization_id, project_id)
            return _member(_member_of(connection, project_id, user_id))

        return await self.read(work)

    async def update(
        self, caller: Caller, project_id: str, user_id: str, body: wire.UpdateProjectUser
    ) -> wire.ProjectUser:
        if body.role is not None:
            check_role(body.role, ROLES)

        def work(connection: Connection) -> wire.ProjectUser:
            active_project_of(connection, caller.organization_id, project_id)
            member = _member_of(connection, project_id, user_id)
            if body.role is not None and body.role != member.role:
                connection.execute(update(project_users).where(_is(project_id, user_id)).values(role=body.role))
                told = {"changes_requested": {"role": body.role}}
                record(
                    connection,
                    caller.organization_id,
                    caller.actor,
                    "user.updated",
                    user_id,
                    told,
                    project_id=project_id,
                )
            return _member(_member_of(connection, project_id, user_id))

        return await self.change(work)

    async def delete(self, caller: Caller, project_id: str, user_id: str) -> wire.ProjectUserDeleted:
        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            _member_of(connection, project_id, user_id)
            connection.execute(delete(project_users).where(_is(project_id, user_id)))
            mine = (role_assignments.c.project_id == project_id, role_assignments.c.principal_id == user_id)
            connection.execute(delete(role_assignments).where(*mine))
            end_all_of(connection, caller.actor, user_id, project_id)
            record(connection, caller.organization_id, caller.actor, "user.deleted", user_id, project_id=project_id)

        await self.change(work)
        return wire.ProjectUserDeleted(id=user_id)


class ServiceAccountService(Office):
    async def list(self, caller: Caller, project_id: str, query: ListQuery) -> wire.ServiceAccountList:
        def work(connection: Connection) -> tuple[list[Row[Any]], bool]:
            project_of(connection, caller.organization_id, project_id)
            table = service_accounts.c
            return page(
                connection, _accounts(project_id), table.created_at, table.id, limit=query.limit, after=query.after
            )

        rows, more = await self.read(work)
        data = [_account(row) for row in rows]
        return wire.ServiceAccountList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def create(
        self, caller: Caller, project_id: str, body: wire.CreateServiceAccount
    ) -> wire.ServiceAccountCreated:
        secret = None if body.create_service_account_only else new_key("project")

        def work(connection: Connection) -> wire.ServiceAccountCreated:
            active_project_of(connection, caller.organization_id, project_id)
            id, at = new_id("svc_acct_"), now()
            connection.execute(
                insert(service_accounts).values(
                    id=id, project_id=project_id, name=body.name, role="member", created_at=at
                )
            )
            told = {"data": {"role": "member"}}
            record(
                connection,
                caller.organization_id,
                caller.actor,
                "service_account.created",
                id,
                told,
                project_id=project_id,
            )
            key = None
            if secret is not None:
                made = issue(
                    connection,
                    caller.actor,
                    secret,
                    "project",
                    "Secret Key",
                    caller.organization_id,
                    project_id,
                    user_id=id,
                )
                key = ServiceAccountKey(id=made.id, value=secret, name=made.name, created_at=seconds(made.created_at))
            return wire.ServiceAccountCreated(id=id, name=body.name, role="member", created_at=seconds(at), api_key=key)

        return await self.change(work)

    async def retrieve(self, caller: Caller, project_id: str, account_id: str) -> wire.ServiceAccount:
        def work(connection: Connection) -> wire.ServiceAccount:
            project_of(connection, caller.organization_id, project_id)
            return _account(_account_of(connection, project_id, account_id))

        return await self.read(work)

    async def update(
        self, caller: Caller, project_id: str, account_id: str, body: wire.UpdateServiceAccount
    ) -> wire.ServiceAccount:
        changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}

        def work(connection: Connection) -> wire.ServiceAccount:
            active_project_of(connection, caller.organization_id, project_id)
            _account_of(connection, project_id, account_id)
            if changes:
                connection.execute(update(service_accounts).where(service_accounts.c.id == account_id).values(changes))
                told = {"changes_requested": {"role": body.role} if body.role is not UNSET else {}}
                record(
                    connection,
                    caller.organization_id,
                    caller.actor,
                    "service_account.updated",
                    account_id,
                    told,
                    project_id=project_id,
                )
            return _account(_account_of(connection, project_id, account_id))

        return await self.change(work)

    async def delete(self, caller: Caller, project_id: str, account_id: str) -> wire.ServiceAccountDeleted:
        def work(connection: Connection) -> None:
            project_of(connection, caller.organization_id, project_id)
            _account_of(connection, project_id, account_id)
            connection.execute(
                update(service_accounts).where(service_accounts.c.id == account_id).values(deleted_at=now())
            )
            end_all_of(connection, caller.actor, account_id)
            record(
                connection,
                caller.organization_id,
                caller.actor,
                "service_account.deleted",
                account_id,
                project_id=project_id,
            )

        await self.change(work)
        return wire.ServiceAccountDeleted(id=account_id)

    async def create_key(
        self, caller: Caller, project_id: str, account_id: str, body: CreateServiceAccountKey
    ) -> ServiceAccountKey:
        secret = new_key("project")
        expires_at = None if body.expires_in_seconds is None else now() + body.expires_in_seconds * 1_000_000

        def work(connection: Connection) -> ServiceAccountKey:
            active_project_of(connection, caller.organization_id, project_id)
            _account_of(connection, project_id, account_id)
            key = issue(
                connection,
                caller.actor,
                secret,
                "project",
                body.name or "Secret Key",
                caller.organization_id,
                project_id,
                expires_at,
                user_id=account_id,
                permission="all" if body.scopes is None else "restricted",
                scopes=tuple(body.scopes or ()),
            )
            return ServiceAccountKey(id=key.id, value=secret, name=key.name, created_at=seconds(key.created_at))

        return await self.change(work)


def _is(project_id: str, user_id: str) -> Any:
    return (project_users.c.project_id == project_id) & (project_users.c.user_id == user_id)


def _members(project_id: str) -> Any:
    return (
        select(users.c.id, users.c.name, users.c.email, project_users.c.role, project_users.c.added_at)
        .join_from(project_users, users)
        .where(project_users.c.project_id == project_id)
    )


def _member_of(connection: Connection, project_id: str, user_id: str) -> Row[Any]:
    row: Row[Any] | None = connection.execute(_members(project_id).where(users.c.id == user_id)).first()
    if row is None:
        raise not_found("user", user_id)
    return row


def _member(row: Row[Any]) -> wire.ProjectUser:
    return wire.ProjectUser(id=row.id, name=row.name, email=row.email, role=row.role, added_at=seconds(row.added_at))


def _accounts(project_id: str) -> Any:
    return select(service_accounts).where(
        service_accounts.c.project_id == project_id, service_accounts.c.deleted_at.is_(None)
    )


def _account_of(connection: Connection, project_id: str, account_id: str) -> Row[Any]:
    query = _accounts(project_id).where(service_accounts.c.id == account_id)
    row: Row[Any] | None = connection.execute(query).first()
    if row is None:
        raise not_found("service account", account_id)
    return row


def _account(row: Row[Any]) -> wire.ServiceAccount:
    return wire.ServiceAccount(id=row.id, name=row.name, role=row.role, created_at=seconds(row.created_at))
