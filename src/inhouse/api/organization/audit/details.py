"""What stands in an event of the audit log beside its type: the official shapes, most of them for events of parts
that this server does not have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.wire import ResponseObject, doc

Source = Literal["connector_publish", "role_connector_update", "role_delete", "role_toggle", "workspace_permissions"]
"""What bound a role to a resource."""


class Changed(ResponseObject, kw_only=True):
    """Something that was changed, by its id alone."""

    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ApiKeyCreatedData(ResponseObject, kw_only=True):
    """Details of an event."""

    scopes: Annotated[list[str] | UnsetType, doc("What the key may do.")] = UNSET


class ApiKeyCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[ApiKeyCreatedData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ApiKeyUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[ApiKeyCreatedData | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class CertificateCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET


class CertificateDeleted(ResponseObject, kw_only=True):
    """Details of an event."""

    certificate: Annotated[str | UnsetType, doc("Certificate.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET


class CertificatesActivated(ResponseObject, kw_only=True):
    """Details of an event."""

    certificates: Annotated[list[CertificateCreated] | UnsetType, doc("Certificates.")] = UNSET


class CheckpointPermissionCreatedData(ResponseObject, kw_only=True):
    """Details of an event."""

    fine_tuned_model_checkpoint: Annotated[str | UnsetType, doc("Fine tuned model checkpoint.")] = UNSET
    project_id: Annotated[str | UnsetType, doc("Project id.")] = UNSET


class CheckpointPermissionCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[CheckpointPermissionCreatedData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ExternalKeyRegistered(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[dict[str, Any] | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class GroupCreatedData(ResponseObject, kw_only=True):
    """Details of an event."""

    group_name: Annotated[str | UnsetType, doc("Group name.")] = UNSET


class GroupCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[GroupCreatedData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class GroupUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[GroupCreatedData | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class InviteSentData(ResponseObject, kw_only=True):
    """Details of an event."""

    email: Annotated[str | UnsetType, doc("The address.")] = UNSET
    role: Annotated[str | UnsetType, doc("The role.")] = UNSET


class InviteSent(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[InviteSentData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class IpAllowlistConfigActivated(ResponseObject, kw_only=True):
    """Details of an event."""

    configs: Annotated[list[CertificateCreated] | UnsetType, doc("Configs.")] = UNSET


class IpAllowlistCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    allowed_ips: Annotated[list[str] | UnsetType, doc("Allowed ips.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET


class IpAllowlistUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    allowed_ips: Annotated[list[str] | UnsetType, doc("Allowed ips.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class LoginFailed(ResponseObject, kw_only=True):
    """Details of an event."""

    error_code: Annotated[str | UnsetType, doc("Error code.")] = UNSET
    error_message: Annotated[str | UnsetType, doc("Error message.")] = UNSET


class OrganizationUpdatedChangesRequested(ResponseObject, kw_only=True):
    """Details of an event."""

    api_call_logging: Annotated[str | UnsetType, doc("Api call logging.")] = UNSET
    api_call_logging_project_ids: Annotated[str | UnsetType, doc("Api call logging project ids.")] = UNSET
    description: Annotated[str | UnsetType, doc("Description.")] = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET
    threads_ui_visibility: Annotated[str | UnsetType, doc("Threads ui visibility.")] = UNSET
    title: Annotated[str | UnsetType, doc("The name.")] = UNSET
    usage_dashboard_visibility: Annotated[str | UnsetType, doc("Usage dashboard visibility.")] = UNSET


class OrganizationUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[OrganizationUpdatedChangesRequested | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ProjectCreatedData(ResponseObject, kw_only=True):
    """Details of an event."""

    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET
    title: Annotated[str | UnsetType, doc("The name.")] = UNSET


class ProjectCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[ProjectCreatedData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ProjectUpdatedChangesRequested(ResponseObject, kw_only=True):
    """Details of an event."""

    title: Annotated[str | UnsetType, doc("The name.")] = UNSET


class ProjectUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[ProjectUpdatedChangesRequested | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class RateLimitUpdatedChangesRequested(ResponseObject, kw_only=True):
    """Details of an event."""

    batch_1_day_max_input_tokens: Annotated[int | UnsetType, doc("Batch 1 day max input tokens.")] = UNSET
    max_audio_megabytes_per_1_minute: Annotated[int | UnsetType, doc("Max audio megabytes per 1 minute.")] = UNSET
    max_images_per_1_minute: Annotated[int | UnsetType, doc("Max images per 1 minute.")] = UNSET
    max_requests_per_1_day: Annotated[int | UnsetType, doc("Max requests per 1 day.")] = UNSET
    max_requests_per_1_minute: Annotated[int | UnsetType, doc("Max requests per 1 minute.")] = UNSET
    max_tokens_per_1_minute: Annotated[int | UnsetType, doc("Max tokens per 1 minute.")] = UNSET


class RateLimitUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[RateLimitUpdatedChangesRequested | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class RoleAssignmentCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    principal_id: Annotated[str | UnsetType, doc("Principal id.")] = UNSET
    principal_type: Annotated[str | UnsetType, doc("Principal type.")] = UNSET
    resource_id: Annotated[str | UnsetType, doc("Resource id.")] = UNSET
    resource_type: Annotated[str | UnsetType, doc("Resource type.")] = UNSET


class RoleBoundToResource(ResponseObject, kw_only=True):
    """Details of an event."""

    connector_id: Annotated[str | UnsetType, doc("Connector id.")] = UNSET
    connector_name: Annotated[str | UnsetType, doc("Connector name.")] = UNSET
    enabled: Annotated[bool | UnsetType, doc("Enabled.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    permissions: Annotated[list[str] | UnsetType, doc("Permissions.")] = UNSET
    resource_id: Annotated[str | UnsetType, doc("Resource id.")] = UNSET
    resource_type: Annotated[str | UnsetType, doc("Resource type.")] = UNSET
    role_id: Annotated[str | UnsetType, doc("Role id.")] = UNSET
    source: Annotated[
        Literal["connector_publish", "role_connector_update", "role_delete", "role_toggle", "workspace_permissions"]
        | UnsetType,
        doc("Source."),
    ] = UNSET
    workspace_id: Annotated[str | UnsetType, doc("Workspace id.")] = UNSET


class RoleCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    permissions: Annotated[list[str] | UnsetType, doc("Permissions.")] = UNSET
    resource_id: Annotated[str | UnsetType, doc("Resource id.")] = UNSET
    resource_type: Annotated[str | UnsetType, doc("Resource type.")] = UNSET
    role_name: Annotated[str | UnsetType, doc("Role name.")] = UNSET


class RoleUpdatedChangesRequested(ResponseObject, kw_only=True):
    """Details of an event."""

    description: Annotated[str | UnsetType, doc("Description.")] = UNSET
    metadata: Annotated[dict[str, Any] | UnsetType, doc("Metadata.")] = UNSET
    permissions_added: Annotated[list[str] | UnsetType, doc("Permissions added.")] = UNSET
    permissions_removed: Annotated[list[str] | UnsetType, doc("Permissions removed.")] = UNSET
    resource_id: Annotated[str | UnsetType, doc("Resource id.")] = UNSET
    resource_type: Annotated[str | UnsetType, doc("Resource type.")] = UNSET
    role_name: Annotated[str | UnsetType, doc("Role name.")] = UNSET


class RoleUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[RoleUpdatedChangesRequested | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ServiceAccountCreatedData(ResponseObject, kw_only=True):
    """Details of an event."""

    role: Annotated[str | UnsetType, doc("The role.")] = UNSET


class ServiceAccountCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[ServiceAccountCreatedData | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class ServiceAccountUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[ServiceAccountCreatedData | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class WorkloadIdentityProviderUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[dict[str, Any] | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET


class WorkloadIdentityProviderMappingCreated(ResponseObject, kw_only=True):
    """Details of an event."""

    data: Annotated[dict[str, Any] | UnsetType, doc("What it was made with.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    identity_provider_id: Annotated[str | UnsetType, doc("Identity provider id.")] = UNSET


class WorkloadIdentityProviderMappingDeleted(ResponseObject, kw_only=True):
    """Details of an event."""

    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    identity_provider_id: Annotated[str | UnsetType, doc("Identity provider id.")] = UNSET
    project_id: Annotated[str | UnsetType, doc("Project id.")] = UNSET
    service_account_id: Annotated[str | UnsetType, doc("Service account id.")] = UNSET


class WorkloadIdentityProviderMappingUpdated(ResponseObject, kw_only=True):
    """Details of an event."""

    changes_requested: Annotated[dict[str, Any] | UnsetType, doc("What was to change.")] = UNSET
    id: Annotated[str | UnsetType, doc("Id of what was changed.")] = UNSET
    identity_provider_id: Annotated[str | UnsetType, doc("Identity provider id.")] = UNSET
