"""What projects allow, over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.policies import wire
from inhouse.api.organization.policies.service import PolicyService
from inhouse.kit.errors import InvalidRequest, NotFound

_ORGANIZATION = "/organization/data_retention"
_PROJECT = "/organization/projects/{project_id}"


class DataRetention:
    def __init__(self, service: PolicyService) -> None:
        self._service = service

    @operation("GET", _ORGANIZATION, id="retrieve-organization-data-retention", tag="Data retention")
    async def retrieve(self, request: Request) -> wire.OrganizationRetention:
        """Get what the organization keeps."""
        return await self._service.retention(request.caller)

    @operation("POST", _ORGANIZATION, id="update-organization-data-retention", tag="Data retention")
    async def update(self, request: Request, body: wire.UpdateOrganizationRetention) -> wire.OrganizationRetention:
        """Change what the organization keeps.

        With zero retention, answers are not stored from now on, whatever requests say; what is stored stays.
        """
        return await self._service.set_retention(request.caller, body)

    @operation(
        "GET",
        _PROJECT + "/data_retention",
        id="retrieve-project-data-retention",
        tag="Data retention",
        errors=(NotFound,),
    )
    async def retrieve_project(self, request: Request, project_id: str) -> wire.ProjectDataRetention:
        """Get what a project keeps."""
        return await self._service.project_retention(request.caller, project_id)

    @operation(
        "POST",
        _PROJECT + "/data_retention",
        id="update-project-data-retention",
        tag="Data retention",
        errors=(InvalidRequest, NotFound),
    )
    async def update_project(
        self, request: Request, project_id: str, body: wire.UpdateProjectRetention
    ) -> wire.ProjectDataRetention:
        """Change what a project keeps."""
        return await self._service.set_project_retention(request.caller, project_id, body)


class HostedTools:
    def __init__(self, service: PolicyService) -> None:
        self._service = service

    @operation(
        "GET",
        _PROJECT + "/hosted_tool_permissions",
        id="retrieve-project-hosted-tool-permissions",
        tag="Projects",
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, project_id: str) -> wire.HostedToolPermissions:
        """Get which hosted tools a project may use."""
        return await self._service.tools(request.caller, project_id)

    @operation(
        "POST",
        _PROJECT + "/hosted_tool_permissions",
        id="update-project-hosted-tool-permissions",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def update(
        self, request: Request, project_id: str, body: wire.UpdateHostedTools
    ) -> wire.HostedToolPermissions:
        """Change which hosted tools a project may use."""
        return await self._service.set_tools(request.caller, project_id, body)


class ModelPermissions:
    def __init__(self, service: PolicyService) -> None:
        self._service = service

    @operation(
        "GET",
        _PROJECT + "/model_permissions",
        id="retrieve-project-model-permissions",
        tag="Projects",
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, project_id: str) -> wire.ModelPermissions:
        """Get which models a project may use; 404 if it may use every model."""
        return await self._service.models(request.caller, project_id)

    @operation(
        "POST",
        _PROJECT + "/model_permissions",
        id="update-project-model-permissions",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def update(
        self, request: Request, project_id: str, body: wire.UpdateModelPermissions
    ) -> wire.ModelPermissions:
        """Change which models a project may use."""
        return await self._service.set_models(request.caller, project_id, body)

    @operation(
        "DELETE",
        _PROJECT + "/model_permissions",
        id="delete-project-model-permissions",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def delete(self, request: Request, project_id: str) -> wire.ModelPermissionsDeleted:
        """Let a project use every model."""
        return await self._service.delete_models(request.caller, project_id)


class Guardrails:
    def __init__(self, service: PolicyService) -> None:
        self._service = service

    @operation("GET", _PROJECT + "/guardrails", id="retrieve-project-guardrails", tag="Guardrails", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str) -> wire.Guardrails:
        """Get what of a project's generations is moderated."""
        return await self._service.guardrails(request.caller, project_id)

    @operation(
        "POST",
        _PROJECT + "/guardrails",
        id="update-project-guardrails",
        tag="Guardrails",
        errors=(InvalidRequest, NotFound),
    )
    async def update(self, request: Request, project_id: str, body: wire.UpdateGuardrails) -> wire.Guardrails:
        """Change what of a project's generations is moderated: chat, completions, responses, assistants, batches.

        What is left out is as if it was never set.
        """
        return await self._service.set_guardrails(request.caller, project_id, body)
