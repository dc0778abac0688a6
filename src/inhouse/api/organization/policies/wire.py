"""Shapes of the operations on what projects allow."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from inhouse.access.policies import MODERATION_MODEL, GuardrailMode, ModelMode, ProjectRetention, Retention
from inhouse.api.wire import RequestObject, ResponseObject, doc
from inhouse.engines.moderation.categories import Category


class OrganizationRetention(ResponseObject, kw_only=True):
    """What the organization keeps."""

    object: Annotated[Literal["organization.data_retention"], doc("Always `organization.data_retention`.")] = (
        "organization.data_retention"
    )
    type: Annotated[Retention, doc("With `zero` in it, answers are never stored.")]


class UpdateOrganizationRetention(RequestObject, kw_only=True):
    """What is to be kept."""

    retention_type: Annotated[Retention, doc("With `zero` in it, answers are never stored.")]


class ProjectDataRetention(ResponseObject, kw_only=True):
    """What a project keeps."""

    object: Annotated[Literal["project.data_retention"], doc("Always `project.data_retention`.")] = (
        "project.data_retention"
    )
    type: Annotated[ProjectRetention, doc("`organization_default`, or its own.")]


class UpdateProjectRetention(RequestObject, kw_only=True):
    """What is to be kept."""

    retention_type: Annotated[ProjectRetention, doc("`organization_default`, or its own; `none` stores as asked.")]


class HostedToolPermission(ResponseObject, kw_only=True):
    """Whether a hosted tool may be used."""

    enabled: Annotated[bool, doc("Whether the project may use it.")]


class HostedToolPermissions(ResponseObject, kw_only=True):
    """Which hosted tools a project may use."""

    file_search: Annotated[HostedToolPermission, doc("Searching files.")]
    web_search: Annotated[HostedToolPermission, doc("Searching the web.")]
    image_generation: Annotated[HostedToolPermission, doc("Making images.")]
    mcp: Annotated[HostedToolPermission, doc("Calling MCP servers.")]
    code_interpreter: Annotated[HostedToolPermission, doc("Running code.")]


class HostedToolUpdate(RequestObject, kw_only=True):
    """Whether a hosted tool may be used."""

    enabled: Annotated[bool, doc("Whether the project may use it.")]


class UpdateHostedTools(RequestObject, kw_only=True):
    """What is to change; tools that are left out stay as they are."""

    file_search: Annotated[HostedToolUpdate | None, doc("Searching files.")] = None
    web_search: Annotated[HostedToolUpdate | None, doc("Searching the web.")] = None
    image_generation: Annotated[HostedToolUpdate | None, doc("Making images.")] = None
    mcp: Annotated[HostedToolUpdate | None, doc("Calling MCP servers.")] = None
    code_interpreter: Annotated[HostedToolUpdate | None, doc("Running code.")] = None


class ModelPermissions(ResponseObject, kw_only=True):
    """Which models a project may use."""

    object: Annotated[Literal["project.model_permissions"], doc("Always `project.model_permissions`.")] = (
        "project.model_permissions"
    )
    mode: Annotated[ModelMode, doc("Only the models of the list, or all others.")]
    model_ids: Annotated[list[str], doc("Names of models; the name of a family's alias means its snapshots, too.")]


class UpdateModelPermissions(RequestObject, kw_only=True):
    """Which models a project may use from now on."""

    mode: Annotated[ModelMode, doc("Only the models of the list, or all others.")]
    model_ids: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=1000)],
        doc("Names of models."),
    ]


class ModelPermissionsDeleted(ResponseObject, kw_only=True):
    """A project that may use every model again."""

    object: Annotated[
        Literal["project.model_permissions.deleted"], doc("Always `project.model_permissions.deleted`.")
    ] = "project.model_permissions.deleted"
    deleted: Annotated[bool, doc("Always true.")] = True


Score = Annotated[float, Meta(ge=0, le=1)]


class Guardrails(ResponseObject, kw_only=True):
    """What of a project's generations is moderated, and what follows."""

    object: Annotated[Literal["project.guardrails"], doc("Always `project.guardrails`.")] = "project.guardrails"
    input: Annotated[GuardrailMode, doc("What users and tools say: `annotate` tells, `block` also refuses.")]
    output: Annotated[GuardrailMode, doc("What models answer: `block` ends an answer before what is flagged.")]
    model: Annotated[str, doc("The moderation model.")]
    categories: Annotated[list[str] | None, doc("The categories that flag; null: all.")]
    thresholds: Annotated[dict[str, float], doc("Scores from which a category flags; others flag as the model says.")]


class UpdateGuardrails(RequestObject, kw_only=True):
    """What is to be moderated."""

    input: Annotated[GuardrailMode, doc("What users and tools say: `annotate` tells, `block` also refuses.")] = "off"
    output: Annotated[GuardrailMode, doc("What models answer: `block` ends an answer before what is flagged.")] = "off"
    model: Annotated[str, doc("The moderation model.")] = MODERATION_MODEL
    categories: Annotated[
        Annotated[list[Category], Meta(min_length=1, max_length=13)] | None, doc("The categories that flag; null: all.")
    ] = None
    thresholds: Annotated[
        dict[Category, Score] | None, doc("Scores from which a category flags; others flag as the model says.")
    ] = None
