"""Projects over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.projects import wire
from inhouse.api.organization.projects.service import ProjectService
from inhouse.kit.errors import InvalidRequest, NotFound


class Projects:
    def __init__(self, service: ProjectService) -> None:
        self._service = service

    @operation("GET", "/organization/projects", id="list-projects", tag="Projects", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListProjectsQuery) -> wire.ProjectList:
        """List the organization's projects."""
        return await self._service.list(request.caller, query)

    @operation("POST", "/organization/projects", id="create-project", tag="Projects", errors=(InvalidRequest,))
    async def create(self, request: Request, body: wire.CreateProject) -> wire.Project:
        """Make a project."""
        return await self._service.create(request.caller, body)

    @operation("GET", "/organization/projects/{project_id}", id="retrieve-project", tag="Projects", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str) -> wire.Project:
        """Get a project."""
        return await self._service.retrieve(request.caller, project_id)

    @operation("POST", "/organization/projects/{project_id}", id="modify-project", tag="Projects", errors=(NotFound,))
    async def update(self, request: Request, project_id: str, body: wire.UpdateProject) -> wire.Project:
        """Rename a project."""
        return await self._service.update(request.caller, project_id, body)

    @operation(
        "POST", "/organization/projects/{project_id}/archive", id="archive-project", tag="Projects", errors=(NotFound,)
    )
    async def archive(self, request: Request, project_id: str) -> wire.Project:
        """Archive a project.

        Its keys end at once, for good.
        """
        return await self._service.archive(request.caller, project_id)
