"""API keys over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.keys import wire
from inhouse.api.organization.keys.service import AdminKeyService, ProjectKeyService
from inhouse.kit.errors import InvalidRequest, NotFound

_TAG = "Admin API Keys"
_KEYS = "/organization/projects/{project_id}/api_keys"


class ProjectKeys:
    def __init__(self, service: ProjectKeyService) -> None:
        self._service = service

    @operation("GET", _KEYS, id="list-project-api-keys", tag="Projects", errors=(NotFound,))
    async def list(self, request: Request, project_id: str, query: wire.ListProjectKeysQuery) -> wire.ProjectKeyList:
        """List the keys of a project."""
        return await self._service.list(request.caller, project_id, query)

    @operation("GET", _KEYS + "/{api_key_id}", id="retrieve-project-api-key", tag="Projects", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str, api_key_id: str) -> wire.ProjectKey:
        """Get a key of a project."""
        return await self._service.retrieve(request.caller, project_id, api_key_id)

    @operation(
        "POST",
        _KEYS + "/{api_key_id}",
        id="update-project-api-key",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def update(
        self, request: Request, project_id: str, api_key_id: str, body: wire.UpdateProjectKey
    ) -> wire.ProjectKey:
        """Change how long a key is valid, or what it may do.

        In force at once.
        """
        return await self._service.update(request.caller, project_id, api_key_id, body)

    @operation(
        "DELETE",
        _KEYS + "/{api_key_id}",
        id="delete-project-api-key",
        tag="Projects",
        errors=(InvalidRequest, NotFound),
    )
    async def delete(self, request: Request, project_id: str, api_key_id: str) -> wire.ProjectKeyDeleted:
        """End a key of a project at once.

        Keys of service accounts end with their account.
        """
        return await self._service.delete(request.caller, project_id, api_key_id)


class AdminKeys:
    def __init__(self, service: AdminKeyService) -> None:
        self._service = service

    @operation("GET", "/organization/admin_api_keys", id="admin-api-keys-list", tag=_TAG, errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListAdminKeysQuery) -> wire.AdminKeyList:
        """List the organization's admin keys."""
        return await self._service.list(request.caller, query)

    @operation("POST", "/organization/admin_api_keys", id="admin-api-keys-create", tag=_TAG)
    async def create(self, request: Request, body: wire.CreateAdminKey) -> wire.AdminKeyCreated:
        """Make an admin key, shown only now."""
        return await self._service.create(request.caller, body)

    @operation(
        "GET",
        "/organization/admin_api_keys/{key_id}",
        id="admin-api-keys-get",
        tag=_TAG,
        errors=(NotFound,),
    )
    async def retrieve(self, request: Request, key_id: str) -> wire.AdminKey:
        """Get an admin key."""
        return await self._service.retrieve(request.caller, key_id)

    @operation(
        "DELETE",
        "/organization/admin_api_keys/{key_id}",
        id="admin-api-keys-delete",
        tag=_TAG,
        errors=(NotFound,),
    )
    async def delete(self, request: Request, key_id: str) -> wire.AdminKeyDeleted:
        """End an admin key at once."""
        return await self._service.delete(request.caller, key_id)
