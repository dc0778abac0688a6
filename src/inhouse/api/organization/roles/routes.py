"""Roles over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.cursors import CursorQuery
from inhouse.api.organization.roles import wire
from inhouse.api.organization.roles.service import RoleService
from inhouse.kit.errors import Forbidden, InvalidRequest, NotFound

_OWN = "/organization/roles"
_PROJECT = "/projects/{project_id}"
_CHANGE = (Forbidden, InvalidRequest, NotFound)


class Roles:
    """Roles of the organization."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation("GET", _OWN, id="list-roles", tag="Roles", errors=(NotFound,))
    async def list(self, request: Request, query: CursorQuery) -> wire.RoleList:
        """List the organization's roles."""
        return await self._service.list(request.caller, "", query)

    @operation("POST", _OWN, id="create-role", tag="Roles", errors=_CHANGE)
    async def create(self, request: Request, body: wire.CreateRole) -> wire.Role:
        """Make a role of the organization."""
        return await self._service.create(request.caller, "", body)

    @operation("GET", _OWN + "/{role_id}", id="retrieve-role", tag="Roles", errors=(NotFound,))
    async def retrieve(self, request: Request, role_id: str) -> wire.Role:
        """Get a role."""
        return await self._service.retrieve(request.caller, "", role_id)

    @operation("POST", _OWN + "/{role_id}", id="update-role", tag="Roles", errors=_CHANGE)
    async def update(self, request: Request, role_id: str, body: wire.UpdateRole) -> wire.Role:
        """Change a role.

        What its users' keys may do changes at once.
        """
        return await self._service.update(request.caller, "", role_id, body)

    @operation("DELETE", _OWN + "/{role_id}", id="delete-role", tag="Roles", errors=_CHANGE)
    async def delete(self, request: Request, role_id: str) -> wire.RoleDeleted:
        """Remove a role from everybody who has it."""
        return await self._service.delete(request.caller, "", role_id)


class ProjectRoles:
    """Roles of a project."""

    def __init__(self, service: RoleService) -> None:
        self._service = service

    @operation("GET", _PROJECT + "/roles", id="list-project-roles", tag="Roles", errors=(NotFound,))
    async def list(self, request: Request, project_id: str, query: CursorQuery) -> wire.RoleList:
        """List a project's roles."""
        return await self._service.list(request.caller, project_id, query)

    @operation("POST", _PROJECT + "/roles", id="create-project-role", tag="Roles", errors=_CHANGE)
    async def create(self, request: Request, project_id: str, body: wire.CreateRole) -> wire.Role:
        """Make a role of a project."""
        return await self._service.create(request.caller, project_id, body)

    @operation("GET", _PROJECT + "/roles/{role_id}", id="retrieve-project-role", tag="Roles", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str, role_id: str) -> wire.Role:
        """Get a role of a project."""
        return await self._service.retrieve(request.caller, project_id, role_id)

    @operation("POST", _PROJECT + "/roles/{role_id}", id="update-project-role", tag="Roles", errors=_CHANGE)
    async def update(self, request: Request, project_id: str, role_id: str, body: wire.UpdateRole) -> wire.Role:
        """Change a role of a project."""
        return await self._service.update(request.caller, project_id, role_id, body)

    @operation("DELETE", _PROJECT + "/roles/{role_id}", id="delete-project-role", tag="Roles", errors=_CHANGE)
    async def delete(self, request: Request, project_id: str, role_id: str) -> wire.RoleDeleted:
        """Remove a role of a project from everybody who has it."""
        return await self._service.delete(request.caller, project_id, role_id)
