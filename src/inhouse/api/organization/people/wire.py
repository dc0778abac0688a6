"""Shapes of the operations on users, invites, members of projects and service accounts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.organization.keys.wire import ServiceAccountKey
from inhouse.api.organization.listing import ListQuery
from inhouse.api.wire import Deleted, Page, RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class UserAccount(ResponseObject, kw_only=True):
    """The person behind a user of the organization."""

    object: Annotated[Literal["user"], doc("Always `user`.")] = "user"
    id: Annotated[str, doc("Its id.")]
    email: Annotated[str | None, doc("Address.")]
    name: Annotated[str | None, doc("Name.")]
    picture: Annotated[str | None, doc("Always null: no pictures are kept.")] = None
    enabled: Annotated[bool | None, doc("Whether it may act.")] = True
    banned: Annotated[bool | None, doc("Always false: users are removed instead.")] = False
    banned_at: Annotated[int | None, doc("Always null.")] = None


class UserProject(ResponseObject, kw_only=True):
    """A project that a user is a member of."""

    id: Annotated[str | None, doc("Its id.")]
    name: Annotated[str | None, doc("Its name.")]
    role: Annotated[str | None, doc("The user's role there: `owner` or `member`.")]


class UserProjects(ResponseObject, kw_only=True):
    """The projects of a user."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[UserProject], doc("The projects.")]


class User(ResponseObject, kw_only=True):
    """A user of the organization."""

    object: Annotated[Literal["organization.user"], doc("Always `organization.user`.")] = "organization.user"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str | None, doc("Name.")]
    email: Annotated[str | None, doc("Address.")]
    role: Annotated[str | None, doc("`owner` or `reader`.")]
    added_at: Annotated[int, doc("When it joined, in Unix seconds.")]
    created: Annotated[int, doc("The same moment.")]
    is_default: Annotated[bool, doc("Whether this is the user's own organization; here it is the only one.")] = True
    is_service_account: Annotated[bool, doc("Always false: service accounts are listed with their project.")] = False
    is_scale_tier_authorized_purchaser: Annotated[bool | None, doc("Always false: nothing is sold here.")] = False
    is_scim_managed: Annotated[bool, doc("Always false.")] = False
    api_key_last_used_at: Annotated[int | None, doc("When one of its keys was last used, in Unix seconds.")] = None
    technical_level: Annotated[str | None, doc("As it was set.")] = None
    developer_persona: Annotated[str | None, doc("As it was set.")] = None
    user: Annotated[UserAccount, doc("The person.")]
    projects: Annotated[UserProjects | None, doc("The projects that it is a member of.")] = None


class UserList(Page[User], kw_only=True):
    """A page of users, in the order they joined."""


class ListUsersQuery(ListQuery, kw_only=True, forbid_unknown_fields=True):
    """Which users."""

    emails: Annotated[list[str] | None, doc("Only those with these addresses.")] = None


class UpdateUser(RequestObject, kw_only=True):
    """What is to change."""

    role: Annotated[str | None, doc("`owner` or `reader`.")] = None
    role_id: Annotated[str | None, doc("Not offered here: roles are assigned by operations of their own.")] = None
    technical_level: Annotated[Annotated[str, Meta(max_length=64)] | None, doc("Kept as it is given.")] = None
    developer_persona: Annotated[Annotated[str, Meta(max_length=64)] | None, doc("Kept as it is given.")] = None


class UserDeleted(Deleted, kw_only=True):
    """A user that is gone, and its keys with it."""

    object: Annotated[Literal["organization.user.deleted"], doc("Always `organization.user.deleted`.")] = (
        "organization.user.deleted"
    )


class InviteProject(RequestObject, kw_only=True):
    """A project that an invited user becomes a member of."""

    id: Annotated[str, doc("Its id.")]
    role: Annotated[Literal["member", "owner"], doc("The role there.")]


class CreateInvite(RequestObject, kw_only=True):
    """A new invite."""

    email: Annotated[Email, doc("Whom to invite.")]
    role: Annotated[Literal["reader", "owner"], doc("The role in the organization.")]
    projects: Annotated[
        Annotated[list[InviteProject], Meta(max_length=100)] | None, doc("Projects to become a member of.")
    ] = None


class InvitedProject(ResponseObject, kw_only=True):
    """A project that an invited user becomes a member of."""

    id: Annotated[str, doc("Its id.")]
    role: Annotated[Literal["member", "owner"], doc("The role there.")]


class Invite(ResponseObject, kw_only=True):
    """An invite to the organization."""

    object: Annotated[Literal["organization.invite"], doc("Always `organization.invite`.")] = "organization.invite"
    id: Annotated[str, doc("Its id.")]
    email: Annotated[str, doc("Whom it is for.")]
    role: Annotated[Literal["owner", "reader"], doc("The role in the organization.")]
    status: Annotated[Literal["accepted", "expired", "pending"], doc("What became of it.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    expires_at: Annotated[int | None, doc("When it expires or has expired, in Unix seconds.")]
    accepted_at: Annotated[int | None, doc("When it was accepted, in Unix seconds.")]
    projects: Annotated[list[InvitedProject], doc("Projects to become a member of.")]


class InviteList(Page[Invite], kw_only=True):
    """A page of invites, oldest first."""


class InviteDeleted(Deleted, kw_only=True):
    """An invite that is withdrawn."""

    object: Annotated[Literal["organization.invite.deleted"], doc("Always `organization.invite.deleted`.")] = (
        "organization.invite.deleted"
    )


class ProjectUser(ResponseObject, kw_only=True):
    """A member of a project."""

    object: Annotated[Literal["organization.project.user"], doc("Always `organization.project.user`.")] = (
        "organization.project.user"
    )
    id: Annotated[str, doc("The user's id.")]
    name: Annotated[str | None, doc("Name.")]
    email: Annotated[str | None, doc("Address.")]
    role: Annotated[str, doc("`owner` or `member`.")]
    added_at: Annotated[int, doc("When it joined the project, in Unix seconds.")]


class ProjectUserList(Page[ProjectUser], kw_only=True):
    """A page of members, in the order they joined."""


class CreateProjectUser(RequestObject, kw_only=True):
    """A user of the organization who becomes a member: named by id or by address."""

    user_id: Annotated[str | None, doc("The user's id.")] = None
    email: Annotated[str | None, doc("The user's address.")] = None
    role: Annotated[str, doc("`owner` or `member`.")]


class UpdateProjectUser(RequestObject, kw_only=True):
    """What is to change."""

    role: Annotated[str | None, doc("`owner` or `member`.")] = None


class ProjectUserDeleted(Deleted, kw_only=True):
    """A member who left the project."""

    object: Annotated[
        Literal["organization.project.user.deleted"], doc("Always `organization.project.user.deleted`.")
    ] = "organization.project.user.deleted"


class ServiceAccount(ResponseObject, kw_only=True):
    """A bot of a project that owns keys of its own."""

    object: Annotated[
        Literal["organization.project.service_account"], doc("Always `organization.project.service_account`.")
    ] = "organization.project.service_account"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    role: Annotated[Literal["owner", "member", "none"], doc("Its role in the project.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]


class ServiceAccountList(Page[ServiceAccount], kw_only=True):
    """A page of service accounts, oldest first."""


class CreateServiceAccount(RequestObject, kw_only=True):
    """A new service account."""

    name: Annotated[Name, doc("Its name.")]
    create_service_account_only: Annotated[bool | None, doc("Make no key with it.")] = None


class ServiceAccountCreated(ResponseObject, kw_only=True):
    """A service account just made, with its first key."""

    object: Annotated[
        Literal["organization.project.service_account"], doc("Always `organization.project.service_account`.")
    ] = "organization.project.service_account"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    role: Annotated[Literal["member", "none"], doc("Its role in the project.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    api_key: Annotated[ServiceAccountKey | None, doc("Its key, shown only now; null if none was made.")]


class UpdateServiceAccount(RequestObject, kw_only=True):
    """What is to change."""

    name: Annotated[Name | UnsetType, doc("Its new name.")] = UNSET
    role: Annotated[Literal["member", "owner"] | UnsetType, doc("Its new role in the project.")] = UNSET


class ServiceAccountDeleted(Deleted, kw_only=True):
    """A service account that is gone, and its keys with it."""

    object: Annotated[
        Literal["organization.project.service_account.deleted"],
        doc("Always `organization.project.service_account.deleted`."),
    ] = "organization.project.service_account.deleted"
