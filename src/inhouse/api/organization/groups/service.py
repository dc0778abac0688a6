"""Groups of users, and the projects that they have access to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, update

from inhouse.access import Caller
from inhouse.access.audit import record
from inhouse.access.store import now
from inhouse.api.organization.cursors import CursorQuery, cut
from inhouse.api.organization.groups import store, wire
from inhouse.api.organization.listing import seconds
from inhouse.api.organization.office import Office, active_project_of, not_found, project_of
from inhouse.api.organization.people.users import user_of
from inhouse.api.organization.roles import store as assignments
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import lock
from inhouse.storage.schema import group_users, groups


class GroupService(Office):
    async def list(self, caller: Caller, query: CursorQuery) -> wire.GroupList:
        rows = await self.read(lambda c: store.all_groups(c, caller.organization_id))
        data, more, following = cut(rows, _id, query)
        return wire.GroupList(data=[_group(row) for row in data], has_more=more, next=following)

    async def create(self, caller: Caller, body: wire.NameGroup) -> wire.Group:
        def work(connection: Connection) -> wire.Group:
            _free(connection, caller, body.name)
            id = new_id("group_")
            connection.execute(
                insert(groups).values(id=id, organization_id=caller.organization_id, name=body.name, created_at=now())
            )
            _record(connection, caller, "group.created", id, {"data": {"group_name": body.name}})
            return _group(store.group_of(connection, caller.organization_id, id))

        return await self.change(work)

    async def retrieve(self, caller: Caller, group_id: str) -> wire.Group:
        return _group(await self.read(lambda c: store.group_of(c, caller.organization_id, group_id)))

    async def update(self, caller: Caller, group_id: str, body: wire.NameGroup) -> wire.GroupChanged:
        def work(connection: Connection) -> wire.GroupChanged:
            group = store.group_of(connection, caller.organization_id, group_id)
            if body.name != group.name:
                _free(connection, caller, body.name)
                connection.execute(update(groups).where(groups.c.id == group_id).values(name=body.name))
                _record(connection, caller, "group.updated", group_id, {"changes_requested": {"group_name": body.name}})
            return wire.GroupChanged(id=group_id, name=body.name, created_at=seconds(group.created_at))

        return await self.change(work)

    async def delete(self, caller: Caller, group_id: str) -> wire.GroupDeleted:
        """Its users lose what the group gave them, at once."""

        def work(connection: Connection) -> None:
            store.group_of(connection, caller.organization_id, group_id)
            assignments.forget_principal(connection, group_id)
            connection.execute(delete(group_users).where(group_users.c.group_id == group_id))
            connection.execute(delete(groups).where(groups.c.id == group_id))
            _record(connection, caller, "group.deleted", group_id, {})

        await self.change(work)
        return wire.GroupDeleted(id=group_id)

    async def users(self, caller: Caller, group_id: str, query: CursorQuery) -> wire.GroupUserList:
        def work(connection: Connection) -> list[Row[Any]]:
            store.group_of(connection, caller.organization_id, group_id)
            return store.users_in(connection, group_id)

        data, more, following = cut(await self.read(work), _id, query)
        shown = [wire.GroupUser(id=row.id, name=row.name, email=row.email) for row in data]
        return wire.GroupUserList(data=shown, has_more=more, next=following)

    async def add_user(self, caller: Caller, group_id: str, user_id: str) -> wire.GroupUserAdded:
        """Adding again changes nothing."""

        def work(connection: Connection) -> None:
            lock(connection, f"people {caller.organization_id}")
            store.group_of(connection, caller.organization_id, group_id)
            user_of(connection, caller.organization_id, user_id)
            if any(row.id == user_id for row in store.users_in(connection, group_id)):
                return
            connection.execute(insert(group_users).values(group_id=group_id, user_id=user_id, added_at=now()))
            _record(connection, caller, "group.updated", group_id, {"changes_requested": {}})

        await self.change(work)
        return wire.GroupUserAdded(user_id=user_id, group_id=group_id)

    async def user(self, caller: Caller, group_id: str, user_id: str) -> wire.GroupMember:
        row = await self.read(lambda c: _member(c, caller, group_id, user_id))
        return wire.GroupMember(id=row.id, name=row.name, email=row.email)

    async def remove_user(self, caller: Caller, group_id: str, user_id: str) -> wire.GroupUserRemoved:
        def work(connection: Connection) -> None:
            _member(connection, caller, group_id, user_id)
            mine = (group_users.c.group_id == group_id, group_users.c.user_id == user_id)
            connection.execute(delete(group_users).where(*mine))
            _record(connection, caller, "group.updated", group_id, {"changes_requested": {}})

        await self.change(work)
        return wire.GroupUserRemoved()


class ProjectGroupService(Office):
    async def list(self, caller: Caller, project_id: str, query: wire.ListProjectGroupsQuery) -> wire.ProjectGroupList:
        def work(connection: Connection) -> list[Row[Any]]:
            project_of(connection, caller.organization_id, project_id)
            return store.groups_in(connection, project_id)

        wanted = CursorQuery(limit=query.limit, after=query.after, order=query.order)
        data, more, following = cut(await self.read(work), _id, wanted)
        shown = [_project_group(project_id, row) for row in data]
        return wire.ProjectGroupList(data=shown, has_more=more, next=following)

    async def add(self, caller: Caller, project_id: str, body: wire.AddProjectGroup) -> wire.ProjectGroup:
        def work(connection: Connection) -> wire.ProjectGroup:
            lock(connection, f"people {caller.organization_id}")
            active_project_of(connection, caller.organization_id, project_id)
            group = store.group_of(connection, caller.organization_id, body.group_id)
            role = assignments.role_of(connection, caller.organization_id, project_id, body.role)
            if any(row.id == group.id for row in store.groups_in(connection, project_id)):
                raise InvalidRequest(f"Group {group.id} has access to the project already.", param="group_id")
            assignments.assign(connection, caller.organization_id, project_id, group.id, role.id)
            _told(connection, caller, "role.assignment.created", role.id, project_id, group.id)
            return _project_group(project_id, _project_group_row(connection, project_id, group.id))

        return await self.change(work)

    async def retrieve(
        self, caller: Caller, project_id: str, group_id: str, query: wire.RetrieveProjectGroupQuery
    ) -> wire.ProjectGroup:
        def work(connection: Connection) -> wire.ProjectGroup:
            project_of(connection, caller.organization_id, project_id)
            if query.group_type != "group":
                raise not_found("group", group_id)
            return _project_group(project_id, _project_group_row(connection, project_id, group_id))

        return await self.read(work)

    async def remove(self, caller: Caller, project_id: str, group_id: str) -> wire.ProjectGroupRemoved:
        """All of its roles in the project are taken away."""

        def work(connection: Connection) -> None:
            active_project_of(connection, caller.organization_id, project_id)
            _project_group_row(connection, project_id, group_id)
            for each in assignments.held(connection, caller.organization_id, project_id, group_id, user=False):
                _told(connection, caller, "role.assignment.deleted", each.role.id, project_id, group_id)
            assignments.forget_principal(connection, group_id, project_id)

        await self.change(work)
        return wire.ProjectGroupRemoved()


def _id(row: Row[Any]) -> str:
    id: str = row.id
    return id


def _free(connection: Connection, caller: Caller, name: str) -> None:
    lock(connection, f"people {caller.organization_id}")
    if any(row.name == name for row in store.all_groups(connection, caller.organization_id)):
        raise InvalidRequest(f"There is a group named '{name}' already.", param="name")


def _member(connection: Connection, caller: Caller, group_id: str, user_id: str) -> Row[Any]:
    store.group_of(connection, caller.organization_id, group_id)
    for row in store.users_in(connection, group_id):
        if row.id == user_id:
            return row
    raise not_found("user", user_id)


def _project_group_row(connection: Connection, project_id: str, group_id: str) -> Row[Any]:
    for row in store.groups_in(connection, project_id):
        if row.id == group_id:
            return row
    raise not_found("group", group_id)


def _record(connection: Connection, caller: Caller, event: str, id: str, told: dict[str, Any]) -> None:
    record(connection, caller.organization_id, caller.actor, event, id, told)


def _told(connection: Connection, caller: Caller, event: str, role_id: str, project_id: str, group_id: str) -> None:
    told = {
        "principal_id": group_id,
        "principal_type": "group",
        "resource_id": project_id,
        "resource_type": "api.project",
    }
    record(connection, caller.organization_id, caller.actor, event, role_id, told, project_id=project_id)


def _group(row: Row[Any]) -> wire.Group:
    return wire.Group(id=row.id, name=row.name, created_at=seconds(row.created_at))


def _project_group(project_id: str, row: Row[Any]) -> wire.ProjectGroup:
    return wire.ProjectGroup(
        project_id=project_id, group_id=row.id, group_name=row.name, created_at=seconds(row.created_at)
    )
