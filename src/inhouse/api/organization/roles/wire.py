"""Shapes of the operations on roles and on who has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.organization.cursors import CursorPage
from inhouse.api.organization.people.wire import User
from inhouse.api.wire import RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Description = Annotated[str, Meta(max_length=1000)]
Permissions = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=200)]


class Role(ResponseObject, kw_only=True):
    """A set of permissions."""

    object: Annotated[Literal["role"], doc("Always `role`.")] = "role"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    description: Annotated[str | None, doc("What it is for.")]
    permissions: Annotated[list[str], doc("Scopes of operations; `*` is all of them, `*.read` all that read.")]
    resource_type: Annotated[str, doc("`api.organization` or `api.project`.")]
    predefined_role: Annotated[bool, doc("Whether it is built in.")]


class RoleList(CursorPage[Role], kw_only=True):
    """A page of roles: the built-in ones, then the others."""


class CreateRole(RequestObject, kw_only=True):
    """A new role."""

    role_name: Annotated[Name, doc("Its name; no other role of the organization or project has it.")]
    permissions: Annotated[Permissions, doc("Scopes of operations, e.g. `model.request`.")]
    description: Annotated[Description | None, doc("What it is for.")] = None


class UpdateRole(RequestObject, kw_only=True):
    """What is to change."""

    role_name: Annotated[Name | None, doc("Its new name.")] = None
    permissions: Annotated[Permissions | None, doc("All of its new permissions.")] = None
    description: Annotated[Description | UnsetType | None, doc("What it is for.")] = UNSET


class RoleDeleted(ResponseObject, kw_only=True):
    """A role that is gone; nobody has it any more."""

    object: Annotated[Literal["role.deleted"], doc("Always `role.deleted`.")] = "role.deleted"
    id: Annotated[str, doc("Its id.")]
    deleted: Annotated[bool, doc("Always true.")] = True


class AssignRole(RequestObject, kw_only=True):
    """A role to be given."""

    role_id: Annotated[str, doc("Id of the role.")]


class AssignmentSource(ResponseObject, kw_only=True):
    """Where a role comes from."""

    principal_id: Annotated[str, doc("Id of the user or group.")]
    principal_type: Annotated[str, doc("`user` or `group`.")]


class AssignedRole(ResponseObject, kw_only=True):
    """A role that somebody has."""

    id: Annotated[str, doc("Id of the role.")]
    name: Annotated[str, doc("Its name.")]
    permissions: Annotated[list[str], doc("Its permissions.")]
    resource_type: Annotated[str, doc("`api.organization` or `api.project`.")]
    predefined_role: Annotated[bool, doc("Whether it is built in.")]
    description: Annotated[str | None, doc("What it is for.")]
    created_at: Annotated[int | None, doc("When it was made, in Unix seconds; null if it is built in.")]
    updated_at: Annotated[int | None, doc("When it was last changed, in Unix seconds.")]
    created_by: Annotated[str | None, doc("Id of the user who made it.")]
    created_by_user_obj: Annotated[dict[str, Any] | None, doc("That user's id, name and address.")]
    metadata: Annotated[dict[str, Any] | None, doc("Always empty.")]
    assignment_sources: Annotated[list[AssignmentSource] | None, doc("Through whom: the user, or groups of the user.")]


class AssignedRoleList(CursorPage[AssignedRole], kw_only=True):
    """A page of roles that somebody has."""


class AssignmentGroup(ResponseObject, kw_only=True):
    """A group that has a role."""

    object: Annotated[Literal["group"], doc("Always `group`.")] = "group"
    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    scim_managed: Annotated[bool, doc("Always false.")] = False


class GroupRoleAssignment(ResponseObject, kw_only=True):
    """A role that a group has."""

    object: Annotated[Literal["group.role"], doc("Always `group.role`.")] = "group.role"
    group: Annotated[AssignmentGroup, doc("The group.")]
    role: Annotated[Role, doc("The role.")]


class UserRoleAssignment(ResponseObject, kw_only=True):
    """A role that a user has."""

    object: Annotated[Literal["user.role"], doc("Always `user.role`.")] = "user.role"
    user: Annotated[User, doc("The user.")]
    role: Annotated[Role, doc("The role.")]


class RoleUnassigned(ResponseObject, kw_only=True):
    """A role that was taken away."""

    object: Annotated[str, doc("`user.role.deleted` or `group.role.deleted`.")]
    deleted: Annotated[bool, doc("Always true.")] = True
