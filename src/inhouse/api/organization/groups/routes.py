"""Groups over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.groups import wire
from inhouse.api.organization.groups.service import GroupService, ProjectGroupService
from inhouse.kit.errors import InvalidRequest, NotFound

_GROUPS = "/organization/groups"
_GROUP = _GROUPS + "/{group_id}"
_PROJECT = "/organization/projects/{project_id}/groups"


class Groups:
    def __init__(self, service: GroupService) -> None:
        self._service = service

    @operation("GET", _GROUPS, id="list-groups", tag="Groups", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListGroupsQuery) -> wire.GroupList:
        """List the organization's groups."""
        return await self._service.list(request.caller, query)

    @operation("POST", _GROUPS, id="create-group", tag="Groups", errors=(InvalidRequest,))
    async def create(self, request: Request, body: wire.NameGroup) -> wire.Group:
        """Make a group."""
        return await self._service.create(request.caller, body)

    @operation("GET", _GROUP, id="retrieve-group", tag="Groups", errors=(NotFound,))
    async def retrieve(self, request: Request, group_id: str) -> wire.Group:
        """Get a group."""
        return await self._service.retrieve(request.caller, group_id)

    @operation("POST", _GROUP, id="update-group", tag="Groups", errors=(InvalidRequest, NotFound))
    async def update(self, request: Request, group_id: str, body: wire.NameGroup) -> wire.GroupChanged:
        """Rename a group."""
        return await self._service.update(request.caller, group_id, body)

    @operation("DELETE", _GROUP, id="delete-group", tag="Groups", errors=(NotFound,))
    async def delete(self, request: Request, group_id: str) -> wire.GroupDeleted:
        """Remove a group, and what it gave its users."""
        return await self._service.delete(request.caller, group_id)

    @operation("GET", _GROUP + "/users", id="list-group-users", tag="Groups", errors=(NotFound,))
    async def users(self, request: Request, group_id: str, query: wire.ListGroupUsersQuery) -> wire.GroupUserList:
        """List the users in a group."""
        return await self._service.users(request.caller, group_id, query)

    @operation("POST", _GROUP + "/users", id="add-group-user", tag="Groups", errors=(NotFound,))
    async def add_user(self, request: Request, group_id: str, body: wire.AddGroupUser) -> wire.GroupUserAdded:
        """Put a user into a group."""
        return await self._service.add_user(request.caller, group_id, body.user_id)

    @operation("GET", _GROUP + "/users/{user_id}", id="retrieve-group-user", tag="Groups", errors=(NotFound,))
    async def user(self, request: Request, group_id: str, user_id: str) -> wire.GroupMember:
        """Get a user in a group."""
        return await self._service.user(request.caller, group_id, user_id)

    @operation("DELETE", _GROUP + "/users/{user_id}", id="remove-group-user", tag="Groups", errors=(NotFound,))
    async def remove_user(self, request: Request, group_id: str, user_id: str) -> wire.GroupUserRemoved:
        """Take a user out of a group."""
        return await self._service.remove_user(request.caller, group_id, user_id)


class ProjectGroups:
    def __init__(self, service: ProjectGroupService) -> None:
        self._service = service

    @operation("GET", _PROJECT, id="list-project-groups", tag="Projects", errors=(NotFound,))
    async def list(
        self, request: Request, project_id: str, query: wire.ListProjectGroupsQuery
    ) -> wire.ProjectGroupList:
        """List the groups with access to a project."""
        return await self._service.list(request.caller, project_id, query)

    @operation("POST", _PROJECT, id="add-project-group", tag="Projects", errors=(InvalidRequest, NotFound))
    async def add(self, request: Request, project_id: str, body: wire.AddProjectGroup) -> wire.ProjectGroup:
        """Give a group access to a project, with a role there."""
        return await self._service.add(request.caller, project_id, body)

    @operation("GET", _PROJECT + "/{group_id}", id="retrieve-project-group", tag="Projects", errors=(NotFound,))
    async def retrieve(
        self, request: Request, project_id: str, group_id: str, query: wire.RetrieveProjectGroupQuery
    ) -> wire.ProjectGroup:
        """Get a group with access to a project."""
        return await self._service.retrieve(request.caller, project_id, group_id, query)

    @operation("DELETE", _PROJECT + "/{group_id}", id="remove-project-group", tag="Projects", errors=(NotFound,))
    async def remove(self, request: Request, project_id: str, group_id: str) -> wire.ProjectGroupRemoved:
        """End a group's access to a project."""
        return await self._service.remove(request.caller, project_id, group_id)
