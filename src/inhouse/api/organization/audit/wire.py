"""Shapes of the audit log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from inhouse.api.organization.audit import details
from inhouse.api.wire import Page, ResponseObject, doc

EventType = Literal[
    "api_key.created",
    "api_key.deleted",
    "api_key.updated",
    "certificate.created",
    "certificate.deleted",
    "certificate.updated",
    "certificates.activated",
    "certificates.deactivated",
    "checkpoint.permission.created",
    "checkpoint.permission.deleted",
    "external_key.registered",
    "external_key.removed",
    "group.created",
    "group.deleted",
    "group.updated",
    "invite.accepted",
    "invite.deleted",
    "invite.sent",
    "ip_allowlist.config.activated",
    "ip_allowlist.config.deactivated",
    "ip_allowlist.created",
    "ip_allowlist.deleted",
    "ip_allowlist.updated",
    "login.failed",
    "login.succeeded",
    "logout.failed",
    "logout.succeeded",
    "organization.updated",
    "project.archived",
    "project.created",
    "project.deleted",
    "project.updated",
    "rate_limit.deleted",
    "rate_limit.updated",
    "resource.deleted",
    "role.assignment.created",
    "role.assignment.deleted",
    "role.bound_to_resource",
    "role.created",
    "role.deleted",
    "role.unbound_from_resource",
    "role.updated",
    "scim.disabled",
    "scim.enabled",
    "service_account.created",
    "service_account.deleted",
    "service_account.updated",
    "tenant.admin_api_key.created",
    "tenant.admin_api_key.deleted",
    "tenant.admin_api_key.updated",
    "tenant.ads_account.onboarding.redemption",
    "tenant.api_organization_invite.deleted",
    "tenant.api_organization_invite.upserted",
    "tenant.billing.alerts.updated",
    "tenant.billing.info.updated",
    "tenant.billing.overage_limit.updated",
    "tenant.chatgpt_access_token.revoked",
    "tenant.chatgpt_workspace_invite.upserted",
    "tenant.custom_role.created",
    "tenant.custom_role.deleted",
    "tenant.custom_role.updated",
    "tenant.domains.migrated",
    "tenant.group.created",
    "tenant.group.deleted",
    "tenant.group.member.added",
    "tenant.group.member.removed",
    "tenant.group.updated",
    "tenant.membership.accepted",
    "tenant.membership.declined",
    "tenant.membership.revoked",
    "tenant.metadata.updated",
    "tenant.microsoft_entra_mapping.deleted",
    "tenant.microsoft_entra_mapping.upserted",
    "tenant.migration.completed",
    "tenant.migration_rollout.status.updated",
    "tenant.migration_rollout.tier.updated",
    "tenant.policy.attached",
    "tenant.policy.created",
    "tenant.policy.deleted",
    "tenant.policy.detached",
    "tenant.policy.updated",
    "tenant.principal_authentication_policy.resolved",
    "tenant.product_access_policy.updated",
    "tenant.project_api_key.created",
    "tenant.resource_access.deleted",
    "tenant.resource_access.updated",
    "tenant.resource_role_assignment.created",
    "tenant.resource_role_assignment.deleted",
    "tenant.resource_share_grant.accepted",
    "tenant.resource_share_grant.created",
    "tenant.resource_share_grant.declined",
    "tenant.resource_share_grant.deleted",
    "tenant.resource_share_grant.revoked",
    "tenant.resource_share_grant.updated",
    "tenant.role.metadata.updated",
    "tenant.role_assignment.created",
    "tenant.role_assignment.deleted",
    "tenant.scim.deletion.requested",
    "tenant.scim.directory.created",
    "tenant.scim.setup.started",
    "tenant.service_account.deleted",
    "tenant.service_account.token.revoked",
    "tenant.service_account.updated",
    "tenant.session_policy.created",
    "tenant.session_policy.deleted",
    "tenant.session_policy.updated",
    "tenant.session_revocation.started",
    "tenant.sso.migrated",
    "tenant.sso_connection.created",
    "tenant.sso_connection.deleted",
    "tenant.sso_connection.setup.started",
    "tenant.sso_connection.updated",
    "tenant.third_party_app_policy.updated",
    "tenant.usage_limit.group.updated",
    "tenant.usage_limit.increase_request.resolved",
    "tenant.usage_limit.increase_request.updated",
    "tenant.usage_limit.user.updated",
    "tenant.usage_limit.workspace.updated",
    "tenant.user.added",
    "tenant.user.invited",
    "tenant.user.looked_up",
    "tenant.user.removed",
    "tenant.user.updated",
    "tenant.workload_identity.access_token.issued",
    "tenant.workload_identity.binding.created",
    "tenant.workload_identity.mapping.archived",
    "tenant.workload_identity.mapping.created",
    "tenant.workload_identity.mapping.updated",
    "tenant.workload_identity.principal.provisioned",
    "tenant.workload_identity.provider.archived",
    "tenant.workload_identity.provider.created",
    "tenant.workload_identity.provider.updated",
    "tenant.workspace_invite_email_settings.updated",
    "tunnel.created",
    "tunnel.deleted",
    "tunnel.updated",
    "user.added",
    "user.deleted",
    "user.updated",
    "workload_identity_provider.created",
    "workload_identity_provider.deleted",
    "workload_identity_provider.updated",
    "workload_identity_provider_mapping.created",
    "workload_identity_provider_mapping.deleted",
    "workload_identity_provider_mapping.updated",
]
"""Official types of events. Those of parts that this server does not have never occur."""


Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]


class Range(Struct, kw_only=True, forbid_unknown_fields=True):
    """Bounds of a time, in Unix seconds."""

    gt: Annotated[Seconds | None, doc("After.")] = None
    gte: Annotated[Seconds | None, doc("Not before.")] = None
    lt: Annotated[Seconds | None, doc("Before.")] = None
    lte: Annotated[Seconds | None, doc("Not after.")] = None


def _listed(name: str, text: str) -> Meta:
    """The official document names these lists with brackets, as the SDKs write them; both are read."""
    return Meta(description=text, extra_json_schema={"x-parameter": f"{name}[]"})


class ListAuditLogsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which events."""

    effective_at: Annotated[Range | None, doc("When they happened.")] = None
    project_ids: Annotated[list[str] | None, _listed("project_ids", "Only in these projects.")] = None
    event_types: Annotated[list[EventType] | None, _listed("event_types", "Only of these types.")] = None
    actor_ids: Annotated[list[str] | None, _listed("actor_ids", "Only by these users, service accounts or keys.")] = (
        None
    )
    actor_emails: Annotated[list[str] | None, _listed("actor_emails", "Only by users with these addresses.")] = None
    resource_ids: Annotated[list[str] | None, _listed("resource_ids", "Only changes of these.")] = None
    tenant_only: Annotated[bool, doc("Only types that begin with `tenant.`.")] = False
    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Events in a page.")] = 20
    after: Annotated[str | None, doc("Id of the last event of the page before.")] = None
    before: Annotated[str | None, doc("Id of the first event of the page after.")] = None


class ActorUser(ResponseObject, kw_only=True):
    """A user who did something."""

    id: Annotated[str | UnsetType, doc("Its id.")] = UNSET
    email: Annotated[str | UnsetType, doc("Address.")] = UNSET


class ActorServiceAccount(ResponseObject, kw_only=True):
    """A service account that did something."""

    id: Annotated[str | UnsetType, doc("Its id.")] = UNSET


class ActorKey(ResponseObject, kw_only=True):
    """The key that something was done with."""

    id: Annotated[str | UnsetType, doc("Its id.")] = UNSET
    type: Annotated[Literal["user", "service_account"] | UnsetType, doc("What owns it.")] = UNSET
    user: Annotated[ActorUser | UnsetType, doc("The owner, if it is a user.")] = UNSET
    service_account: Annotated[ActorServiceAccount | UnsetType, doc("The owner, if it is one.")] = UNSET


class ActorSession(ResponseObject, kw_only=True):
    """A sign-in that something was done in."""

    ip_address: Annotated[str | UnsetType, doc("Where from.")] = UNSET
    user: Annotated[ActorUser | UnsetType, doc("Who signed in.")] = UNSET


class Actor(ResponseObject, kw_only=True):
    """Who did it."""

    type: Annotated[Literal["session", "api_key"] | UnsetType, doc("By what.")] = UNSET
    api_key: Annotated[ActorKey | UnsetType, doc("The key.")] = UNSET
    session: Annotated[ActorSession | UnsetType, doc("The sign-in.")] = UNSET


class EventProject(ResponseObject, kw_only=True):
    """The project that something was done in."""

    id: Annotated[str | UnsetType, doc("Its id.")] = UNSET
    name: Annotated[str | UnsetType, doc("Its name.")] = UNSET


class AuditLog(ResponseObject, kw_only=True):
    """One administrative change. Its details stand under the name of its type."""

    id: Annotated[str, doc("Its id.")]
    type: Annotated[EventType, doc("What was done.")]
    effective_at: Annotated[int, doc("When, in Unix seconds.")]
    actor: Annotated[Actor | None, doc("Who did it; null for the command line.")] = None
    project: Annotated[EventProject | UnsetType, doc("The project, if it was done in one.")] = UNSET
    api_key_created: details.ApiKeyCreated | UnsetType = field(name="api_key.created", default=UNSET)
    api_key_deleted: details.Changed | UnsetType = field(name="api_key.deleted", default=UNSET)
    api_key_updated: details.ApiKeyUpdated | UnsetType = field(name="api_key.updated", default=UNSET)
    certificate_created: details.CertificateCreated | UnsetType = field(name="certificate.created", default=UNSET)
    certificate_deleted: details.CertificateDeleted | UnsetType = field(name="certificate.deleted", default=UNSET)
    certificate_updated: details.CertificateCreated | UnsetType = field(name="certificate.updated", default=UNSET)
    certificates_activated: Annotated[
        details.CertificatesActivated | UnsetType, doc("Of `certificates.activated`.")
    ] = field(name="certificates.activated", default=UNSET)
    certificates_deactivated: Annotated[
        details.CertificatesActivated | UnsetType, doc("Of `certificates.deactivated`.")
    ] = field(name="certificates.deactivated", default=UNSET)
    checkpoint_permission_created: Annotated[
        details.CheckpointPermissionCreated | UnsetType, doc("Of `checkpoint.permission.created`.")
    ] = field(name="checkpoint.permission.created", default=UNSET)
    checkpoint_permission_deleted: Annotated[
        details.Changed | UnsetType, doc("Of `checkpoint.permission.deleted`.")
    ] = field(name="checkpoint.permission.deleted", default=UNSET)
    external_key_registered: Annotated[
        details.ExternalKeyRegistered | UnsetType, doc("Of `external_key.registered`.")
    ] = field(name="external_key.registered", default=UNSET)
    external_key_removed: details.Changed | UnsetType = field(name="external_key.removed", default=UNSET)
    group_created: details.GroupCreated | UnsetType = field(name="group.created", default=UNSET)
    group_deleted: details.Changed | UnsetType = field(name="group.deleted", default=UNSET)
    group_updated: details.GroupUpdated | UnsetType = field(name="group.updated", default=UNSET)
    invite_accepted: details.Changed | UnsetType = field(name="invite.accepted", default=UNSET)
    invite_deleted: details.Changed | UnsetType = field(name="invite.deleted", default=UNSET)
    invite_sent: details.InviteSent | UnsetType = field(name="invite.sent", default=UNSET)
    ip_allowlist_config_activated: Annotated[
        details.IpAllowlistConfigActivated | UnsetType, doc("Of `ip_allowlist.config.activated`.")
    ] = field(name="ip_allowlist.config.activated", default=UNSET)
    ip_allowlist_config_deactivated: Annotated[
        details.IpAllowlistConfigActivated | UnsetType, doc("Of `ip_allowlist.config.deactivated`.")
    ] = field(name="ip_allowlist.config.deactivated", default=UNSET)
    ip_allowlist_created: details.IpAllowlistCreated | UnsetType = field(name="ip_allowlist.created", default=UNSET)
    ip_allowlist_deleted: details.IpAllowlistCreated | UnsetType = field(name="ip_allowlist.deleted", default=UNSET)
    ip_allowlist_updated: details.IpAllowlistUpdated | UnsetType = field(name="ip_allowlist.updated", default=UNSET)
    login_failed: details.LoginFailed | UnsetType = field(name="login.failed", default=UNSET)
    login_succeeded: dict[str, Any] | UnsetType = field(name="login.succeeded", default=UNSET)
    logout_failed: details.LoginFailed | UnsetType = field(name="logout.failed", default=UNSET)
    logout_succeeded: dict[str, Any] | UnsetType = field(name="logout.succeeded", default=UNSET)
    organization_updated: details.OrganizationUpdated | UnsetType = field(name="organization.updated", default=UNSET)
    project_archived: details.Changed | UnsetType = field(name="project.archived", default=UNSET)
    project_created: details.ProjectCreated | UnsetType = field(name="project.created", default=UNSET)
    project_deleted: details.Changed | UnsetType = field(name="project.deleted", default=UNSET)
    project_updated: details.ProjectUpdated | UnsetType = field(name="project.updated", default=UNSET)
    rate_limit_deleted: details.Changed | UnsetType = field(name="rate_limit.deleted", default=UNSET)
    rate_limit_updated: details.RateLimitUpdated | UnsetType = field(name="rate_limit.updated", default=UNSET)
    role_assignment_created: Annotated[
        details.RoleAssignmentCreated | UnsetType, doc("Of `role.assignment.created`.")
    ] = field(name="role.assignment.created", default=UNSET)
    role_assignment_deleted: Annotated[
        details.RoleAssignmentCreated | UnsetType, doc("Of `role.assignment.deleted`.")
    ] = field(name="role.assignment.deleted", default=UNSET)
    role_bound_to_resource: Annotated[details.RoleBoundToResource | UnsetType, doc("Of `role.bound_to_resource`.")] = (
        field(name="role.bound_to_resource", default=UNSET)
    )
    role_created: details.RoleCreated | UnsetType = field(name="role.created", default=UNSET)
    role_deleted: details.Changed | UnsetType = field(name="role.deleted", default=UNSET)
    role_unbound_from_resource: Annotated[
        details.RoleBoundToResource | UnsetType, doc("Of `role.unbound_from_resource`.")
    ] = field(name="role.unbound_from_resource", default=UNSET)
    role_updated: details.RoleUpdated | UnsetType = field(name="role.updated", default=UNSET)
    scim_disabled: details.Changed | UnsetType = field(name="scim.disabled", default=UNSET)
    scim_enabled: details.Changed | UnsetType = field(name="scim.enabled", default=UNSET)
    service_account_created: Annotated[
        details.ServiceAccountCreated | UnsetType, doc("Of `service_account.created`.")
    ] = field(name="service_account.created", default=UNSET)
    service_account_deleted: details.Changed | UnsetType = field(name="service_account.deleted", default=UNSET)
    service_account_updated: Annotated[
        details.ServiceAccountUpdated | UnsetType, doc("Of `service_account.updated`.")
    ] = field(name="service_account.updated", default=UNSET)
    user_added: details.ServiceAccountCreated | UnsetType = field(name="user.added", default=UNSET)
    user_deleted: details.Changed | UnsetType = field(name="user.deleted", default=UNSET)
    user_updated: details.ServiceAccountUpdated | UnsetType = field(name="user.updated", default=UNSET)
    workload_identity_provider_created: Annotated[
        details.ExternalKeyRegistered | UnsetType, doc("Of `workload_identity_provider.created`.")
    ] = field(name="workload_identity_provider.created", default=UNSET)
    workload_identity_provider_deleted: Annotated[
        details.CertificateCreated | UnsetType, doc("Of `workload_identity_provider.deleted`.")
    ] = field(name="workload_identity_provider.deleted", default=UNSET)
    workload_identity_provider_updated: Annotated[
        details.WorkloadIdentityProviderUpdated | UnsetType, doc("Of `workload_identity_provider.updated`.")
    ] = field(name="workload_identity_provider.updated", default=UNSET)
    workload_identity_provider_mapping_created: Annotated[
        details.WorkloadIdentityProviderMappingCreated | UnsetType,
        doc("Of `workload_identity_provider_mapping.created`."),
    ] = field(name="workload_identity_provider_mapping.created", default=UNSET)
    workload_identity_provider_mapping_deleted: Annotated[
        details.WorkloadIdentityProviderMappingDeleted | UnsetType,
        doc("Of `workload_identity_provider_mapping.deleted`."),
    ] = field(name="workload_identity_provider_mapping.deleted", default=UNSET)
    workload_identity_provider_mapping_updated: Annotated[
        details.WorkloadIdentityProviderMappingUpdated | UnsetType,
        doc("Of `workload_identity_provider_mapping.updated`."),
    ] = field(name="workload_identity_provider_mapping.updated", default=UNSET)


class AuditLogList(Page[AuditLog], kw_only=True):
    """A page of events, newest first."""
