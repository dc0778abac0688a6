"""Shapes of the operations on API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.organization.listing import ListQuery, Order
from inhouse.api.wire import Deleted, Page, RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Lifetime = Annotated[int, Meta(ge=1, le=31_536_000)]
Scopes = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]


class KeyUser(ResponseObject, kw_only=True):
    """The user who owns a key."""

    id: Annotated[str, doc("Its id.")]
    email: Annotated[str, doc("Address.")]
    name: Annotated[str, doc("Name.")]
    created_at: Annotated[int, doc("When the user was added, in Unix seconds.")]
    role: Annotated[str, doc("Role in the project.")]


class KeyServiceAccount(ResponseObject, kw_only=True):
    """The service account that owns a key."""

    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    role: Annotated[str, doc("Role in the project.")]


class KeyOwner(ResponseObject, kw_only=True):
    """Who owns a key; empty for keys made on the command line for nobody."""

    type: Annotated[Literal["user", "service_account"] | UnsetType, doc("Which of the two.")] = UNSET
    user: Annotated[KeyUser | UnsetType, doc("The user, if it is one.")] = UNSET
    service_account: Annotated[KeyServiceAccount | UnsetType, doc("The service account, if it is one.")] = UNSET


class ProjectKey(ResponseObject, kw_only=True):
    """A key of a project."""

    object: Annotated[Literal["organization.project.api_key"], doc("Always `organization.project.api_key`.")] = (
        "organization.project.api_key"
    )
    id: Annotated[str, doc("Its id.")]
    redacted_value: Annotated[str, doc("The key with its middle left out.")]
    name: Annotated[str, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    last_used_at: Annotated[int | None, doc("When it was last used, in Unix seconds.")]
    owner: Annotated[KeyOwner, doc("Who owns it.")]
    owner_project_access: Annotated[
        Literal["active", "inactive"], doc("Whether the owner still belongs to the project.")
    ]


class ProjectKeyList(Page[ProjectKey], kw_only=True):
    """A page of keys, oldest first."""


class ListProjectKeysQuery(ListQuery, kw_only=True, forbid_unknown_fields=True):
    """Which keys."""

    owner_project_access: Annotated[
        Literal["active", "inactive", "any"] | None, doc("By whether the owner still belongs to the project.")
    ] = None


class UpdateProjectKey(RequestObject, kw_only=True):
    """What is to change."""

    expires_in_seconds: Annotated[Lifetime | UnsetType, doc("How long it is valid from now on.")] = UNSET
    scopes: Annotated[Scopes | UnsetType, doc("All that it may do from now on, e.g. `model.request`.")] = UNSET


class ProjectKeyDeleted(Deleted, kw_only=True):
    """A key that ended."""

    object: Annotated[
        Literal["organization.project.api_key.deleted"], doc("Always `organization.project.api_key.deleted`.")
    ] = "organization.project.api_key.deleted"


class CreateServiceAccountKey(RequestObject, kw_only=True):
    """A new key of a service account."""

    name: Annotated[Name | None, doc("Its name.")] = None
    scopes: Annotated[
        Scopes | None, doc("What it may do, e.g. `model.request`; without them it may do everything.")
    ] = None
    expires_in_seconds: Annotated[Lifetime | None, doc("How long it is valid; for ever without.")] = None


class ServiceAccountKey(ResponseObject, kw_only=True):
    """A key just made."""

    object: Annotated[
        Literal["organization.project.service_account.api_key"],
        doc("Always `organization.project.service_account.api_key`."),
    ] = "organization.project.service_account.api_key"
    id: Annotated[str, doc("Its id.")]
    value: Annotated[str, doc("The key itself, shown only now.")]
    name: Annotated[str, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]


class AdminKeyOwner(ResponseObject, kw_only=True):
    """The user who made an admin key; empty for keys made on the command line."""

    type: Annotated[str | UnsetType, doc("Always `user`.")] = UNSET
    object: Annotated[str | UnsetType, doc("Always `organization.user`.")] = UNSET
    id: Annotated[str | UnsetType, doc("Its id.")] = UNSET
    name: Annotated[str | UnsetType, doc("Name.")] = UNSET
    created_at: Annotated[int | UnsetType, doc("When the user was added, in Unix seconds.")] = UNSET
    role: Annotated[str | UnsetType, doc("Role in the organization.")] = UNSET


class AdminKey(ResponseObject, kw_only=True):
    """A key that manages the organization."""

    object: Annotated[Literal["organization.admin_api_key"], doc("Always `organization.admin_api_key`.")] = (
        "organization.admin_api_key"
    )
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str | None, doc("Its name.")]
    redacted_value: Annotated[str, doc("The key with its middle left out.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    expires_at: Annotated[int | None, doc("When it expires, in Unix seconds; null for never.")]
    last_used_at: Annotated[int | None, doc("When it was last used, in Unix seconds.")]
    owner: Annotated[AdminKeyOwner, doc("Who made it.")]


class AdminKeyList(Page[AdminKey], kw_only=True):
    """A page of admin keys."""


class ListAdminKeysQuery(ListQuery, kw_only=True, forbid_unknown_fields=True):
    """Which admin keys."""

    order: Annotated[Order, doc("By time of creation.")] = "asc"


class CreateAdminKey(RequestObject, kw_only=True):
    """A new admin key."""

    name: Annotated[Name, doc("Its name.")]
    expires_in_seconds: Annotated[Lifetime | UnsetType, doc("How long it is valid; for ever without.")] = UNSET


class AdminKeyCreated(AdminKey, kw_only=True):
    """An admin key just made."""

    value: Annotated[str, doc("The key itself, shown only now.")]


class AdminKeyDeleted(Deleted, kw_only=True):
    """An admin key that ended."""

    object: Annotated[
        Literal["organization.admin_api_key.deleted"], doc("Always `organization.admin_api_key.deleted`.")
    ] = "organization.admin_api_key.deleted"
