"""Shapes of the operations on projects."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from inhouse.api.organization.listing import ListQuery
from inhouse.api.wire import Page, RequestObject, ResponseObject, doc

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Residency = Literal[
    "GLOBAL",
    "US_STORAGE_PROCESSING",
    "EU_STORAGE_PROCESSING",
    "JP_STORAGE",
    "KR_STORAGE",
    "CA_STORAGE",
    "SG_STORAGE",
    "IN_STORAGE",
    "AU_STORAGE",
    "GB_STORAGE",
    "AE_STORAGE",
    "AE_STORAGE_PROCESSING",
]


class Project(ResponseObject, kw_only=True):
    """A project: what keys, limits and stored objects belong to."""

    id: Annotated[str, doc("Its id.")]
    object: Annotated[Literal["organization.project"], doc("Always `organization.project`.")] = "organization.project"
    name: Annotated[str | None, doc("Its name.")]
    created_at: Annotated[int, doc("When it was made, in Unix seconds.")]
    archived_at: Annotated[int | None, doc("When it was archived, in Unix seconds; null if it is in use.")] = None
    status: Annotated[str | None, doc("`active` or `archived`.")]
    external_key_id: Annotated[str | None, doc("Always null: keys of others do not encrypt what is stored here.")] = (
        None
    )
    residency: Annotated[Residency, doc("Always `GLOBAL`: everything stays on the machines of this server.")] = "GLOBAL"


class ProjectList(Page[Project], kw_only=True):
    """A page of projects, oldest first."""


class ListProjectsQuery(ListQuery, kw_only=True, forbid_unknown_fields=True):
    """Which projects."""

    include_archived: Annotated[bool, doc("Archived ones too.")] = False


class CreateProject(RequestObject, kw_only=True):
    """A new project."""

    name: Annotated[Name, doc("Its name.")]
    residency: Annotated[Residency | None, doc("Only `GLOBAL` is offered here.")] = None
    external_key_id: Annotated[str | None, doc("Not offered here.")] = None


class UpdateProject(RequestObject, kw_only=True):
    """What is to change."""

    name: Annotated[Name | None, doc("Its new name.")] = None
    external_key_id: Annotated[str | None, doc("Not offered here.")] = None
