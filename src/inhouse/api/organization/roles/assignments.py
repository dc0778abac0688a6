"""Who has which role, over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.cursors import CursorQuery
from inhouse.api.organization.roles import wire
from inhouse.api.organization.roles.service import RoleService
from inhouse.kit.errors import Forbidden, InvalidRequest, NotFound

_CHANGE = (Forbidden, InvalidRequest, NotFound)


class UserRoles:
    """Roles of a user in the organization."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation(
        "GET", "/organization/users/{user_id}/roles", id="list-user-role-assignments", tag="Roles", errors=(NotFound,)
    )
    async def list(self, request: Request, user_id: str, query: CursorQuery) -> wire.AssignedRoleList:
        """List the roles of a user in the organization."""
        return await self._service.assigned(request.caller, "", "user", user_id, query)

    @operation("POST", "/organization/users/{user_id}/roles", id="assign-user-role", tag="Roles", errors=_CHANGE)
    async def assign(self, request: Request, user_id: str, body: wire.AssignRole) -> wire.UserRoleAssignment:
        """Give a user a role in the organization."""
        return await self._service.assign_user(request.caller, "", user_id, body.role_id)

    @operation(
        "GET", "/organization/users/{user_id}/roles/{role_id}", id="retrieve-user-role", tag="Roles", errors=(NotFound,)
    )
    async def retrieve(self, request: Request, user_id: str, role_id: str) -> wire.AssignedRole:
        """Get a role of a user in the organization."""
        return await self._service.retrieve_assigned(request.caller, "", "user", user_id, role_id)

    @operation(
        "DELETE", "/organization/users/{user_id}/roles/{role_id}", id="unassign-user-role", tag="Roles", errors=_CHANGE
    )
    async def unassign(self, request: Request, user_id: str, role_id: str) -> wire.RoleUnassigned:
        """Take a role from a user in the organization."""
        return await self._service.unassign(request.caller, "", "user", user_id, role_id)


class GroupRoles:
    """Roles of a group in the organization."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation(
        "GET",
        "/organization/groups/{group_id}/roles",
        id="list-group-role-assignments",
        tag="Roles",
        errors=(NotFound,),
    )
    async def list(self, request: Request, group_id: str, query: CursorQuery) -> wire.AssignedRoleList:
        """List the roles of a group in the organization."""
        return await self._service.assigned(request.caller, "", "group", group_id, query)

    @operation("POST", "/organization/groups/{group_id}/roles", id="assign-group-role", tag="Roles", errors=_CHANGE)
    async def assign(self, request: Request, group_id: str, body: wire.AssignRole) -> wire.GroupRoleAssignment:
        """Give a group a role in the organization."""
        return await self._service.assign_group(request.caller, "", group_id, body.role_id)

    @operation(
        "GET",
        "/organization/groups/{group_id}/roles/{role_id}",
        id="retrieve-group-role",
        tag="Roles",
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, group_id: str, role_id: str) -> wire.AssignedRole:
        """Get a role of a group in the organization."""
        return await self._service.retrieve_assigned(request.caller, "", "group", group_id, role_id)

    @operation(
        "DELETE",
        "/organization/groups/{group_id}/roles/{role_id}",
        id="unassign-group-role",
        tag="Roles",
        errors=_CHANGE,
    )
    async def unassign(self, request: Request, group_id: str, role_id: str) -> wire.RoleUnassigned:
        """Take a role from a group in the organization."""
        return await self._service.unassign(request.caller, "", "group", group_id, role_id)


class ProjectUserRoles:
    """Roles of a user in a project."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation(
        "GET",
        "/projects/{project_id}/users/{user_id}/roles",
        id="list-project-user-role-assignments",
        tag="Roles",
        errors=(NotFound,),
    )
    async def list(self, request: Request, project_id: str, user_id: str, query: CursorQuery) -> wire.AssignedRoleList:
        """List the roles of a user in the project."""
        return await self._service.assigned(request.caller, project_id, "user", user_id, query)

    @operation(
        "POST",
        "/projects/{project_id}/users/{user_id}/roles",
        id="assign-project-user-role",
        tag="Roles",
        errors=_CHANGE,
    )
    async def assign(
        self, request: Request, project_id: str, user_id: str, body: wire.AssignRole
    ) -> wire.UserRoleAssignment:
        """Give a user a role in the project."""
        return await self._service.assign_user(request.caller, project_id, user_id, body.role_id)

    @operation(
        "GET",
        "/projects/{project_id}/users/{user_id}/roles/{role_id}",
        id="retrieve-project-user-role",
        tag="Roles",
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, project_id: str, user_id: str, role_id: str) -> wire.AssignedRole:
        """Get a role of a user in the project."""
        return await self._service.retrieve_assigned(request.caller, project_id, "user", user_id, role_id)

    @operation(
        "DELETE",
        "/projects/{project_id}/users/{user_id}/roles/{role_id}",
        id="unassign-project-user-role",
        tag="Roles",
        errors=_CHANGE,
    )
    async def unassign(self, request: Request, project_id: str, user_id: str, role_id: str) -> wire.RoleUnassigned:
        """Take a role from a user in the project."""
        return await self._service.unassign(request.caller, project_id, "user", user_id, role_id)


class ProjectGroupRoles:
    """Roles of a group in a project."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation(
        "GET",
        "/projects/{project_id}/groups/{group_id}/roles",
        id="list-project-group-role-assignments",
        tag="Roles",
        errors=(NotFound,),
    )
    async def list(self, request: Request, project_id: str, group_id: str, query: CursorQuery) -> wire.AssignedRoleList:
        """List the roles of a group in the project."""
        return await self._service.assigned(request.caller, project_id, "group", group_id, query)

    @operation(
        "POST",
        "/projects/{project_id}/groups/{group_id}/roles",
        id="assign-project-group-role",
        tag="Roles",
        errors=_CHANGE,
    )
    async def assign(
        self, request: Request, project_id: str, group_id: str, body: wire.AssignRole
    ) -> wire.GroupRoleAssignment:
        """Give a group a role in the project."""
        return await self._service.assign_group(request.caller, project_id, group_id, body.role_id)

    @operation(
        "GET",
        "/projects/{project_id}/groups/{group_id}/roles/{role_id}",
        id="retrieve-project-group-role",
        tag="Roles",
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, project_id: str, group_id: str, role_id: str) -> wire.AssignedRole:
        """Get a role of a group in the project."""
        return await self._service.retrieve_assigned(request.caller, project_id, "group", group_id, role_id)

    @operation(
        "DELETE",
        "/projects/{project_id}/groups/{group_id}/roles/{role_id}",
        id="unassign-project-group-role",
        tag="Roles",
        errors=_CHANGE,
    )
    async def unassign(self, request: Request, project_id: str, group_id: str, role_id: str) -> wire.RoleUnassigned:
        """Take a role from a group in the project."""
        return await self._service.unassign(request.caller, project_id, "group", group_id, role_id)
