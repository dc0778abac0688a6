"""Roles of an organization and of its projects, and who has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, delete, insert, select, update

from inhouse.access import Caller
from inhouse.access.audit import record
from inhouse.access.issuing import end_all_of
from inhouse.access.roles import not_more
from inhouse.access.scopes import ADMINISTRATION
from inhouse.access.store import now
from inhouse.api.organization.cursors import CursorQuery, cut
from inhouse.api.organization.groups.store import group_of
from inhouse.api.organization.listing import seconds, seconds_or_none
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.api.organization.people.users import shown_user, user_of
from inhouse.api.organization.roles import store, wire
from inhouse.api.organization.roles.store import Held, RoleRow
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import project_users, roles, users

Kind = Literal["user", "group"]
_SCOPE = re.compile(r"model\.request|api(\.[a-z_]+)+\.(read|write|request)")


class RoleService(Office):
    """``project_id`` is empty for what belongs to the organization itself."""

    async def list(self, caller: Caller, project_id: str, query: CursorQuery) -> wire.RoleList:
        def work(connection: Connection) -> list[RoleRow]:
            _there(connection, caller, project_id)
            return store.all_roles(connection, caller.organization_id, project_id)

        data, more, following = cut(await self.read(work), lambda role: role.id, query)
        return wire.RoleList(data=[_role(each) for each in data], has_more=more, next=following)

    async def create(self, caller: Caller, project_id: str, body: wire.CreateRole) -> wire.Role:
        permissions = check_permissions(body.permissions, project_id)
        not_more(caller, permissions, organization=not project_id)

        def work(connection: Connection) -> wire.Role:
            _there(connection, caller, project_id, active=True)
            self._free(connection, caller, project_id, body.role_name)
            id, at = new_id("role_"), now()
            connection.execute(
                insert(roles).values(
                    id=id,
                    organization_id=caller.organization_id,
                    project_id=project_id,
                    name=body.role_name,
                    description=body.description,
                    permissions=msgspec.json.encode(permissions).decode(),
                    created_at=at,
                    updated_at=at,
                    created_by=caller.user_id or None,
                )
            )
            told = {"role_name": body.role_name, "permissions": permissions, **_resource(caller, project_id)}
            self._record(connection, caller, "role.created", id, told, project_id)
            return _role(store.role_of(connection, caller.organization_id, project_id, id))

        return await self.change(work)

    async def retrieve(self, caller: Caller, project_id: str, role_id: str) -> wire.Role:
        def work(connection: Connection) -> wire.Role:
            _there(connection, caller, project_id)
            return _role(store.role_of(connection, caller.organization_id, project_id, role_id))

        return await self.read(work)

    async def update(self, caller: Caller, project_id: str, role_id: str, body: wire.UpdateRole) -> wire.Role:
        permissions = None if body.permissions is None else check_permissions(body.permissions, project_id)
        if permissions is not None:
            not_more(caller, permissions, organization=not project_id)

        def work(connection: Connection) -> wire.Role:
            _there(connection, caller, project_id, active=True)
            role = self._own(connection, caller, project_id, role_id)
            told: dict[str, object] = {}
            changes: dict[str, object] = {}
            if body.role_name is not None and body.role_name != role.name:
                self._free(connection, caller, project_id, body.role_name)
                changes["name"] = told["role_name"] = body.role_name
            if body.description is not UNSET and body.description != role.description:
                changes["description"] = body.description
                told["description"] = body.description or ""
            if permissions is not None and set(permissions) != set(role.permissions):
                changes["permissions"] = msgspec.json.encode(permissions).decode()
                told["permissions_added"] = sorted(set(permissions) - set(role.permissions))
                told["permissions_removed"] = sorted(set(role.permissions) - set(permissions))
            if changes:
                connection.execute(update(roles).where(roles.c.id == role_id).values(**changes, updated_at=now()))
                self._record(connection, caller, "role.updated", role_id, {"changes_requested": told}, project_id)
            return _role(store.role_of(connection, caller.organization_id, project_id, role_id))

        return await self.change(work)

    async def delete(self, caller: Caller, project_id: str, role_id: str) -> wire.RoleDeleted:
        def work(connection: Connection) -> None:
            _there(connection, caller, project_id, active=True)
            self._own(connection, caller, project_id, role_id)
            store.forget_role(connection, role_id)
            connection.execute(delete(roles).where(roles.c.id == role_id))
            self._record(connection, caller, "role.deleted", role_id, {}, project_id)

        await self.change(work)
        return wire.RoleDeleted(id=role_id)

    async def assigned(
        self, caller: Caller, project_id: str, kind: Kind, principal_id: str, query: CursorQuery
    ) -> wire.AssignedRoleList:
        """The roles of a user or a group."""

        def work(connection: Connection) -> list[wire.AssignedRole]:
            return [
                _assigned(connection, each) for each in self._held(connection, caller, project_id, kind, principal_id)
            ]

        data, more, following = cut(await self.read(work), lambda role: role.id, query)
        return wire.AssignedRoleList(data=data, has_more=more, next=following)

    async def retrieve_assigned(
        self, caller: Caller, project_id: str, kind: Kind, principal_id: str, role_id: str
    ) -> wire.AssignedRole:
        def work(connection: Connection) -> wire.AssignedRole:
            for each in self._held(connection, caller, project_id, kind, principal_id):
                if each.role.id == role_id:
                    return _assigned(connection, each)
            raise not_found("role", role_id)

        return await self.read(work)

    async def assign_user(self, caller: Caller, project_id: str, user_id: str, role_id: str) -> wire.UserRoleAssignment:
        def work(connection: Connection) -> wire.UserRoleAssignment:
            role = self._assign(connection, caller, project_id, "user", user_id, role_id)
            user = user_of(connection, caller.organization_id, user_id)
            return wire.UserRoleAssignment(user=shown_user(connection, user), role=_role(role))

        return await self.change(work)

    async def assign_group(
        self, caller: Caller, project_id: str, group_id: str, role_id: str
    ) -> wire.GroupRoleAssignment:
        def work(connection: Connection) -> wire.GroupRoleAssignment:
            role = self._assign(connection, caller, project_id, "group", group_id, role_id)
            group = group_of(connection, caller.organization_id, group_id)
            shown = wire.AssignmentGroup(id=group.id, name=group.name, created_at=seconds(group.created_at))
            return wire.GroupRoleAssignment(group=shown, role=_role(role))

        return await self.change(work)

    async def unassign(
        self, caller: Caller, project_id: str, kind: Kind, principal_id: str, role_id: str
    ) -> wire.RoleUnassigned:
        """Take a role away. Keys of a user to whom nothing is left in a project end."""

        def work(connection: Connection) -> None:
            _there(connection, caller, project_id, active=True)
            found = self._held(connection, caller, project_id, kind, principal_id)
            if all(each.role.id != role_id for each in found):
                raise not_found("role", role_id)
            gone = store.unassign(connection, project_id, principal_id, role_id)
            if kind == "user" and store.base_role(connection, project_id, principal_id) == role_id:
                if not project_id:
                    raise InvalidRequest(
                        "Every user is an owner or a reader of the organization: change the user's role instead.",
                        param="role_id",
                    )
                mine = (project_users.c.project_id == project_id, project_users.c.user_id == principal_id)
                connection.execute(delete(project_users).where(*mine))
                gone = True
            if not gone:
                raise InvalidRequest("The role comes from a group of the user.", param="role_id")
            if kind == "user" and project_id and not self._held(connection, caller, project_id, kind, principal_id):
                end_all_of(connection, caller.actor, principal_id, project_id)
            told = {"principal_id": principal_id, "principal_type": kind, **_resource(caller, project_id)}
            self._record(connection, caller, "role.assignment.deleted", role_id, told, project_id)

        await self.change(work)
        return wire.RoleUnassigned(object=f"{kind}.role.deleted")

    def _assign(
        self, connection: Connection, caller: Caller, project_id: str, kind: Kind, principal_id: str, role_id: str
    ) -> RoleRow:
        _there(connection, caller, project_id, active=True)
        lock(connection, f"people {caller.organization_id}")
        _principal(connection, caller, kind, principal_id)
        role = store.role_of(connection, caller.organization_id, project_id, role_id)
        not_more(caller, role.permissions, organization=not project_id)
        if kind == "user" and store.base_role(connection, project_id, principal_id) == role_id:
            return role
        if store.assign(connection, caller.organization_id, project_id, principal_id, role_id):
            told = {"principal_id": principal_id, "principal_type": kind, **_resource(caller, project_id)}
            self._record(connection, caller, "role.assignment.created", role_id, told, project_id)
        return role

    def _held(
        self, connection: Connection, caller: Caller, project_id: str, kind: Kind, principal_id: str
    ) -> Sequence[Held]:
        _there(connection, caller, project_id)
        _principal(connection, caller, kind, principal_id)
        return store.held(connection, caller.organization_id, project_id, principal_id, user=kind == "user")

    def _own(self, connection: Connection, caller: Caller, project_id: str, role_id: str) -> RoleRow:
        role = store.role_of(connection, caller.organization_id, project_id, role_id)
        if role.built_in:
            raise InvalidRequest("Built-in roles cannot be changed.", param="role_id")
        return role

    def _free(self, connection: Connection, caller: Caller, project_id: str, name: str) -> None:
        lock(connection, f"people {caller.organization_id}")
        if any(each.name == name for each in store.all_roles(connection, caller.organization_id, project_id)):
            raise InvalidRequest(f"There is a role named '{name}' already.", param="role_name")

    def _record(
        self, connection: Connection, caller: Caller, event: str, id: str, told: dict[str, object], project_id: str
    ) -> None:
        record(connection, caller.organization_id, caller.actor, event, id, told, project_id=project_id or None)


def check_permissions(permissions: list[str], project_id: str) -> list[str]:
    """
    Raises:
        InvalidRequest: one is not a permission, or not of a role of this kind.
    """
    for place, each in enumerate(permissions):
        if project_id and each in ADMINISTRATION:
            reason = "it manages the organization; give it to a role of the organization."
        elif not project_id and each not in ADMINISTRATION:
            reason = f"roles of the organization have {', '.join(sorted(ADMINISTRATION))}."
        elif not _SCOPE.fullmatch(each):
            reason = "permissions are scopes like 'api.files.read' or 'model.request'."
        else:
            continue
        raise InvalidRequest(f"Invalid permission '{each}': {reason}", param=f"permissions[{place}]")
    return list(dict.fromkeys(permissions))


def _there(connection: Connection, caller: Caller, project_id: str, *, active: bool = False) -> None:
    if project_id:
        (active_project_of if active else project_of)(connection, caller.organization_id, project_id)


def _principal(connection: Connection, caller: Caller, kind: Kind, id: str) -> None:
    if kind == "user":
        user_of(connection, caller.organization_id, id)
    else:
        group_of(connection, caller.organization_id, id)


def _resource(caller: Caller, project_id: str) -> dict[str, object]:
    return {
        "resource_id": project_id or caller.organization_id,
        "resource_type": "api.project" if project_id else "api.organization",
    }


def _role(role: RoleRow) -> wire.Role:
    return wire.Role(
        id=role.id,
        name=role.name,
        description=role.description,
        permissions=list(role.permissions),
        resource_type="api.project" if role.project_id else "api.organization",
        predefined_role=role.built_in,
    )


def _assigned(connection: Connection, held: Held) -> wire.AssignedRole:
    role = held.role
    shown = _role(role)
    maker = None
    if role.created_by is not None:
        made = select(users.c.id, users.c.name, users.c.email).where(users.c.id == role.created_by)
        maker = connection.execute(made).first()
    return wire.AssignedRole(
        id=role.id,
        name=role.name,
        permissions=shown.permissions,
        resource_type=shown.resource_type,
        predefined_role=shown.predefined_role,
        description=role.description,
        created_at=seconds_or_none(role.created_at),
        updated_at=seconds_or_none(role.updated_at),
        created_by=role.created_by,
        created_by_user_obj=None if maker is None else dict(maker._mapping),
        metadata={},
        assignment_sources=[
            wire.AssignmentSource(principal_id=id, principal_type="group" if id.startswith("group_") else "user")
            for id in held.sources
        ],
    )
