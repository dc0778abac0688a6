"""Users, invites, members of projects and service accounts over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.keys.wire import CreateServiceAccountKey, ServiceAccountKey
from inhouse.api.organization.listing import ListQuery
from inhouse.api.organization.people import wire
from inhouse.api.organization.people.members import MemberService, ServiceAccountService
from inhouse.api.organization.people.users import InviteService, UserService
from inhouse.kit.errors import InvalidRequest, NotFound

_PROJECT = "/organization/projects/{project_id}"
_ACCOUNT = _PROJECT + "/service_accounts/{service_account_id}"


class Users:
    def __init__(self, service: UserService) -> None:
        self._service = service

    @operation("GET", "/organization/users", id="list-users", tag="Users", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListUsersQuery) -> wire.UserList:
        """List the organization's users."""
        return await self._service.list(request.caller, query)

    @operation("GET", "/organization/users/{user_id}", id="retrieve-user", tag="Users", errors=(NotFound,))
    async def retrieve(self, request: Request, user_id: str) -> wire.User:
        """Get a user."""
        return await self._service.retrieve(request.caller, user_id)

    @operation("POST", "/organization/users/{user_id}", id="modify-user", tag="Users", errors=(NotFound,))
    async def update(self, request: Request, user_id: str, body: wire.UpdateUser) -> wire.User:
        """Change a user's role."""
        return await self._service.update(request.caller, user_id, body)

    @operation("DELETE", "/organization/users/{user_id}", id="delete-user", tag="Users", errors=(NotFound,))
    async def delete(self, request: Request, user_id: str) -> wire.UserDeleted:
        """Remove a user.

        Its keys end at once.
        """
        return await self._service.delete(request.caller, user_id)


class Invites:
    def __init__(self, service: InviteService) -> None:
        self._service = service

    @operation("GET", "/organization/invites", id="list-invites", tag="Invites", errors=(NotFound,))
    async def list(self, request: Request, query: ListQuery) -> wire.InviteList:
        """List the organization's invites."""
        return await self._service.list(request.caller, query)

    @operation("POST", "/organization/invites", id="inviteUser", tag="Invites", errors=(InvalidRequest, NotFound))
    async def create(self, request: Request, body: wire.CreateInvite) -> wire.Invite:
        """Invite somebody.

        This server sends no mail: hand the id over; `inhouse users accept` makes the user.
        """
        return await self._service.create(request.caller, body)

    @operation("GET", "/organization/invites/{invite_id}", id="retrieve-invite", tag="Invites", errors=(NotFound,))
    async def retrieve(self, request: Request, invite_id: str) -> wire.Invite:
        """Get an invite."""
        return await self._service.retrieve(request.caller, invite_id)

    @operation(
        "DELETE",
        "/organization/invites/{invite_id}",
        id="delete-invite",
        tag="Invites",
        errors=(InvalidRequest, NotFound),
    )
    async def delete(self, request: Request, invite_id: str) -> wire.InviteDeleted:
        """Withdraw an invite that was not accepted."""
        return await self._service.delete(request.caller, invite_id)


class Members:
    def __init__(self, service: MemberService) -> None:
        self._service = service

    @operation("GET", _PROJECT + "/users", id="list-project-users", tag="Projects", errors=(NotFound,))
    async def list(self, request: Request, project_id: str, query: ListQuery) -> wire.ProjectUserList:
        """List the members of a project."""
        return await self._service.list(request.caller, project_id, query)

    @operation("POST", _PROJECT + "/users", id="create-project-user", tag="Projects", errors=(InvalidRequest, NotFound))
    async def create(self, request: Request, project_id: str, body: wire.CreateProjectUser) -> wire.ProjectUser:
        """Make a user of the organization a member of a project."""
        return await self._service.create(request.caller, project_id, body)

    @operation("GET", _PROJECT + "/users/{user_id}", id="retrieve-project-user", tag="Projects", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str, user_id: str) -> wire.ProjectUser:
        """Get a member of a project."""
        return await self._service.retrieve(request.caller, project_id, user_id)

    @operation("POST", _PROJECT + "/users/{user_id}", id="modify-project-user", tag="Projects", errors=(NotFound,))
    async def update(
        self, request: Request, project_id: str, user_id: str, body: wire.UpdateProjectUser
    ) -> wire.ProjectUser:
        """Change a member's role."""
        return await self._service.update(request.caller, project_id, user_id, body)

    @operation("DELETE", _PROJECT + "/users/{user_id}", id="delete-project-user", tag="Projects", errors=(NotFound,))
    async def delete(self, request: Request, project_id: str, user_id: str) -> wire.ProjectUserDeleted:
        """Remove a member from a project.

        Its keys of the project end at once.
        """
        return await self._service.delete(request.caller, project_id, user_id)


class ServiceAccounts:
    def __init__(self, service: ServiceAccountService) -> None:
        self._service = service

    @operation(
        "GET", _PROJECT + "/service_accounts", id="list-project-service-accounts", tag="Projects", errors=(NotFound,)
    )
    async def list(self, request: Request, project_id: str, query: ListQuery) -> wire.ServiceAccountList:
        """List the service accounts of a project."""
        return await self._service.list(request.caller, project_id, query)

    @operation(
        "POST", _PROJECT + "/service_accounts", id="create-project-service-account", tag="Projects", errors=(NotFound,)
    )
    async def create(
        self, request: Request, project_id: str, body: wire.CreateServiceAccount
    ) -> wire.ServiceAccountCreated:
        """Make a service account, with a key that is shown only now."""
        return await self._service.create(request.caller, project_id, body)

    @operation("GET", _ACCOUNT, id="retrieve-project-service-account", tag="Projects", errors=(NotFound,))
    async def retrieve(self, request: Request, project_id: str, service_account_id: str) -> wire.ServiceAccount:
        """Get a service account."""
        return await self._service.retrieve(request.caller, project_id, service_account_id)

    @operation("POST", _ACCOUNT, id="update-project-service-account", tag="Projects", errors=(NotFound,))
    async def update(
        self, request: Request, project_id: str, service_account_id: str, body: wire.UpdateServiceAccount
    ) -> wire.ServiceAccount:
        """Change a service account."""
        return await self._service.update(request.caller, project_id, service_account_id, body)

    @operation("DELETE", _ACCOUNT, id="delete-project-service-account", tag="Projects", errors=(NotFound,))
    async def delete(self, request: Request, project_id: str, service_account_id: str) -> wire.ServiceAccountDeleted:
        """Remove a service account.

        Its keys end at once.
        """
        return await self._service.delete(request.caller, project_id, service_account_id)

    @operation(
        "POST", _ACCOUNT + "/api_keys", id="CreateanAPIkeyforaserviceaccount", tag="Projects", errors=(NotFound,)
    )
    async def create_key(
        self, request: Request, project_id: str, service_account_id: str, body: CreateServiceAccountKey | None
    ) -> ServiceAccountKey:
        """Make a further key of a service account, shown only now."""
        wanted = body or CreateServiceAccountKey()
        return await self._service.create_key(request.caller, project_id, service_account_id, wanted)
