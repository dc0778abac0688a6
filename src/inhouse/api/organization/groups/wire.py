"""Shapes of the operations on groups."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from inhouse.api.organization.cursors import CursorPage, CursorQuery, Limit
from inhouse.api.organization.listing import Order
from inhouse.api.wire import RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=255)]
GroupType = Literal["group", "tenant_group"]


class GroupChanged(ResponseObject, kw_only=True):
    """A group after a change."""

    id: Annotated[str, doc("Its id.")]
    name: Annotated[str, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    is_scim_managed: Annotated[bool, doc("Always false: no identity provider manages groups here.")] = False


class Group(GroupChanged, kw_only=True):
    """A group of users."""

    group_type: Annotated[GroupType, doc("Always `group`.")] = "group"


class GroupList(CursorPage[Group], kw_only=True):
    """A page of groups."""


class ListGroupsQuery(CursorQuery, kw_only=True, forbid_unknown_fields=True):
    """Which groups."""

    limit: Annotated[Limit, doc("Objects in a page.")] = 100


class NameGroup(RequestObject, kw_only=True):
    """A group's name."""

    name: Annotated[Name, doc("The name.")]


class GroupDeleted(ResponseObject, kw_only=True):
    """A group that is gone."""

    object: Annotated[Literal["group.deleted"], doc("Always `group.deleted`.")] = "group.deleted"
    id: Annotated[str, doc("Its id.")]
    deleted: Annotated[bool, doc("Always true.")] = True


class GroupUser(ResponseObject, kw_only=True):
    """A user in a group."""

    id: Annotated[str, doc("The user's id.")]
    name: Annotated[str, doc("Name.")]
    email: Annotated[str | None, doc("Address.")]


class GroupUserList(CursorPage[GroupUser], kw_only=True):
    """A page of the users in a group."""


class ListGroupUsersQuery(ListGroupsQuery, kw_only=True, forbid_unknown_fields=True):
    """Which users."""

    order: Annotated[Order, doc("By when they joined the group.")] = "desc"


class GroupMember(GroupUser, kw_only=True):
    """A user in a group, in detail."""

    picture: Annotated[str | None, doc("Always null: no pictures are kept.")] = None
    is_service_account: Annotated[bool | None, doc("Always false.")] = False
    user_type: Annotated[Literal["user", "tenant_user"], doc("Always `user`.")] = "user"


class AddGroupUser(RequestObject, kw_only=True):
    """A user who joins a group."""

    user_id: Annotated[str, doc("The user's id.")]


class GroupUserAdded(ResponseObject, kw_only=True):
    """A user who joined a group."""

    object: Annotated[Literal["group.user"], doc("Always `group.user`.")] = "group.user"
    user_id: Annotated[str, doc("The user's id.")]
    group_id: Annotated[str, doc("The group's id.")]


class GroupUserRemoved(ResponseObject, kw_only=True):
    """A user who left a group."""

    object: Annotated[Literal["group.user.deleted"], doc("Always `group.user.deleted`.")] = "group.user.deleted"
    deleted: Annotated[bool, doc("Always true.")] = True


class ProjectGroup(ResponseObject, kw_only=True):
    """A group with access to a project."""

    object: Annotated[Literal["project.group"], doc("Always `project.group`.")] = "project.group"
    project_id: Annotated[str, doc("The project's id.")]
    group_id: Annotated[str, doc("The group's id.")]
    group_name: Annotated[str, doc("The group's name.")]
    group_type: Annotated[GroupType, doc("Always `group`.")] = "group"
    created_at: Annotated[int, doc("Since when, in Unix seconds.")]


class ProjectGroupList(CursorPage[ProjectGroup], kw_only=True):
    """A page of the groups with access to a project."""


class ListProjectGroupsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which groups."""

    limit: Annotated[Annotated[int, Meta(ge=0, le=100)], doc("Objects in a page.")] = 20
    after: Annotated[str | None, doc("The `next` of the page before.")] = None
    order: Annotated[Order, doc("By when they were given access.")] = "asc"


class RetrieveProjectGroupQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which kind of group."""

    group_type: Annotated[GroupType, doc("There are only groups here.")] = "group"


class AddProjectGroup(RequestObject, kw_only=True):
    """A group that is given access to a project."""

    group_id: Annotated[str, doc("The group's id.")]
    role: Annotated[str, doc("Id of the project's role that it has there.")]


class ProjectGroupRemoved(ResponseObject, kw_only=True):
    """A group whose access to a project ended."""

    object: Annotated[Literal["project.group.deleted"], doc("Always `project.group.deleted`.")] = (
        "project.group.deleted"
    )
    deleted: Annotated[bool, doc("Always true.")] = True
