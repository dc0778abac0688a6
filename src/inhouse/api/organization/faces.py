"""All faces of administration, wired."""

from __future__ import annotations

from typing import Any

from inhouse.access import Access
from inhouse.api.organization.audit.routes import AuditLogs
from inhouse.api.organization.audit.service import AuditLogService
from inhouse.api.organization.certificates.routes import Certificates, ProjectCertificates
from inhouse.api.organization.certificates.service import CertificateService
from inhouse.api.organization.groups.routes import Groups, ProjectGroups
from inhouse.api.organization.groups.service import GroupService, ProjectGroupService
from inhouse.api.organization.keys.routes import AdminKeys, ProjectKeys
from inhouse.api.organization.keys.service import AdminKeyService, ProjectKeyService
from inhouse.api.organization.people.members import MemberService, ServiceAccountService
from inhouse.api.organization.people.routes import Invites, Members, ServiceAccounts, Users
from inhouse.api.organization.people.users import InviteService, UserService
from inhouse.api.organization.policies.routes import DataRetention, Guardrails, HostedTools, ModelPermissions
from inhouse.api.organization.policies.service import PolicyService
from inhouse.api.organization.projects.routes import Projects
from inhouse.api.organization.projects.service import ProjectService
from inhouse.api.organization.rate_limits.routes import RateLimits
from inhouse.api.organization.rate_limits.service import RateLimitService
from inhouse.api.organization.roles.assignments import GroupRoles, ProjectGroupRoles, ProjectUserRoles, UserRoles
from inhouse.api.organization.roles.routes import ProjectRoles, Roles
from inhouse.api.organization.roles.service import RoleService
from inhouse.api.organization.spend.routes import SpendAlerts, SpendLimits
from inhouse.api.organization.spend.service import SpendService
from inhouse.api.organization.usage.routes import Usage
from inhouse.api.organization.usage.service import UsageService
from inhouse.api.organization.usage.store import UsageStore
from inhouse.catalog import Catalog
from inhouse.limits import Limits
from inhouse.metering.budgets import Budgets
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database

FACES = (
    Usage,
    Projects,
    ProjectKeys,
    Members,
    ServiceAccounts,
    Users,
    Invites,
    AdminKeys,
    SpendLimits,
    SpendAlerts,
    AuditLogs,
    RateLimits,
    Roles,
    ProjectRoles,
    UserRoles,
    GroupRoles,
    ProjectUserRoles,
    ProjectGroupRoles,
    Groups,
    ProjectGroups,
    DataRetention,
    HostedTools,
    ModelPermissions,
    Guardrails,
    Certificates,
    ProjectCertificates,
)


def organization_faces(
    database: Database, access: Access, catalog: Catalog, budgets: Budgets, limits: Limits, ledger: Ledger
) -> tuple[Any, ...]:
    """One of each of ``FACES``."""
    roles = RoleService(database, access)
    policies = PolicyService(database, access, catalog)
    certificates = CertificateService(database, access)
    spend = SpendService(database, access, budgets)
    return (
        Usage(UsageService(UsageStore(database), catalog, ledger)),
        Projects(ProjectService(database, access)),
        ProjectKeys(ProjectKeyService(database, access)),
        Members(MemberService(database, access)),
        ServiceAccounts(ServiceAccountService(database, access)),
        Users(UserService(database, access)),
        Invites(InviteService(database, access)),
        AdminKeys(AdminKeyService(database, access)),
        SpendLimits(spend),
        SpendAlerts(spend),
        AuditLogs(AuditLogService(database, access)),
        RateLimits(RateLimitService(database, access, catalog, limits)),
        *(face(roles) for face in (Roles, ProjectRoles, UserRoles, GroupRoles, ProjectUserRoles, ProjectGroupRoles)),
        Groups(GroupService(database, access)),
        ProjectGroups(ProjectGroupService(database, access)),
        *(face(policies) for face in (DataRetention, HostedTools, ModelPermissions, Guardrails)),
        *(face(certificates) for face in (Certificates, ProjectCertificates)),
    )
