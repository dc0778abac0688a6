"""Who may: organizations, projects, people, keys, roles, policies, sessions; and what was changed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text

from inhouse.storage.schema.base import metadata

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id"), index=True),  # NULL for admin keys
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),  # SHA-256 in hex; access.keys says why that is enough
    Column("hint", Text, nullable=False),  # the key with its middle left out
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("user_id", Text),  # its owner, a user or a service account; NULL for keys made on the command line
    Column("permission", Text, nullable=False, server_default=text("'all'")),
    Column("scopes", Text),  # JSON list, for restricted keys
    CheckConstraint("kind IN ('project', 'admin')", name="kind"),
    CheckConstraint("(kind = 'project') = (project_id IS NOT NULL)", name="scope"),
)

# People. Each belongs to one organization; who left stays in the books of what was used.
users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),  # in lower case
    Column("role", Text, nullable=False),
    Column("technical_level", Text),
    Column("developer_persona", Text),
    Column("added_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    CheckConstraint("role IN ('owner', 'reader')", name="role"),
)
Index(
    "uq_users_organization_id_email",
    users.c.organization_id,
    users.c.email,
    unique=True,
    sqlite_where=users.c.deleted_at.is_(None),
    postgresql_where=users.c.deleted_at.is_(None),
)

project_users = Table(
    "project_users",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    CheckConstraint("role IN ('owner', 'member')", name="role"),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    CheckConstraint("role IN ('owner', 'member', 'none')", name="role"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("email", Text, nullable=False),  # in lower case
    Column("role", Text, nullable=False),
    Column("projects", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger),
    Column("deleted_at", BigInteger),
)

# Every administrative change, written in the transaction that makes it. Rows are never changed.
audit_logs = Table(
    "audit_logs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text),
    Column("effective_at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("actor_key_id", Text),  # NULL: the command line
    Column("actor_user_id", Text),
    Column("details", Text, nullable=False),  # JSON
    Index(None, "organization_id", "effective_at", "id"),
)

# Roles beside the built-in ones. ``project_id`` is empty where a role is the organization's.
roles = Table(
    "roles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("permissions", Text, nullable=False),  # JSON list of scopes
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_by", Text),  # a user
    UniqueConstraint("organization_id", "project_id", "name", name="uq_roles_name"),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

group_users = Table(
    "group_users",
    metadata,
    Column("group_id", Text, ForeignKey("groups.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True, index=True),
    Column("added_at", BigInteger, nullable=False),
)

# Who has which role beside those of ``users`` and ``project_users``; ``role_id`` may name a built-in one.
role_assignments = Table(
    "role_assignments",
    metadata,
    Column("project_id", Text, primary_key=True),  # empty: in the organization
    Column("principal_id", Text, primary_key=True),  # a user or a group
    Column("role_id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "principal_id"),
    Index(None, "role_id"),
)

# What an organization or one of its projects allows; NULL is not set.
policies = Table(
    "policies",
    metadata,
    Column("scope", Text, primary_key=True),  # an organization's or a project's id
    Column("retention", Text),
    Column("model_mode", Text),
    Column("models", Text),  # JSON list
    Column("tools_off", Text),  # JSON list
    Column("guardrail", Text),  # JSON, see ``access.policies.Guardrail``
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False, index=True),
    Column("name", Text),
    Column("content", Text, nullable=False),  # PEM
    Column("valid_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

active_certificates = Table(
    "active_certificates",
    metadata,
    Column("scope", Text, primary_key=True),  # an organization's or a project's id
    Column("certificate_id", Text, ForeignKey("certificates.id"), primary_key=True),
)

# Keys that an installation makes for itself, shared by its processes.
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# People signed in to the console: as a user, or with keys, which are sealed with the cookie. Of the cookie's token only
# a hash is here.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie's token, in hex
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("sealed", Text, nullable=False),
    Column("user_id", Text, index=True),  # NULL: signed in with keys
    Column("project_id", Text),  # what the user works in; NULL is the first
    Column("agent", Text, nullable=False, server_default=text("''")),  # what the browser calls itself
)

# Failed attempts to sign in, of the last minute.
sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, index=True),  # SHA-256 of an address of the network or of a person
    Column("failed_at", BigInteger, nullable=False, index=True),
)

# How users prove who they are.
user_passwords = Table(
    "user_passwords",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("hash", Text, nullable=False),  # argon2id, with its parameters and salt
    Column("changed_at", BigInteger, nullable=False),
)
user_identities = Table(
    "user_identities",
    metadata,
    Column("issuer", Text, primary_key=True),  # of an OpenID provider
    Column("subject", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

# Links that let somebody choose a password, once.
sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the link's token, in hex
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("subject_id", Text, nullable=False),  # an invite or a user; empty for the first account
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    CheckConstraint("purpose IN ('first', 'invite', 'password')", name="purpose"),
)
