"""The tables.

Conventions, everywhere: times are BIGINT Unix **microseconds** (``created_at`` and the like), ids are text with the
official prefixes, JSON is text holding what msgspec encoded. Money is BIGINT nano-dollars (``*_nanos``).

The schema is portable between SQLite and PostgreSQL; a migration in ``storage.migrations`` brings each database to it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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

# One row a request. No foreign keys: what was used must stay countable after a project or key is gone.
calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("state", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("service_tier", Text, nullable=False),
    Column("status", Integer),
    Column("error_code", Text),
    Column("input_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("cached_input_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("cost_nanos", BigInteger, nullable=False, server_default=text("0")),
    Column("first_token_ms", Float),
    Column("prefill_ms", Float),
    Column("decode_ms", Float),
    Column("user_id", Text, nullable=False, server_default=text("''")),
    Column("family", Text, nullable=False, server_default=text("'completions'")),
    Column("batch", Boolean, nullable=False, server_default=text("false")),
    Column("detail", Text, nullable=False, server_default=text("''")),  # what the family tells apart beside these
    Column("units", BigInteger, nullable=False, server_default=text("0")),
    Column("input_price", BigInteger, nullable=False, server_default=text("0")),  # nano-dollars a token
    Column("cached_input_price", BigInteger, nullable=False, server_default=text("0")),
    Column("output_price", BigInteger, nullable=False, server_default=text("0")),
    Column("fee_nanos", BigInteger, nullable=False, server_default=text("0")),  # whatever is not priced by token
    Column("reserved_nanos", BigInteger, nullable=False, server_default=text("0")),  # of every account while open
    Column("instance", Text, nullable=False, server_default=text("''")),
    CheckConstraint("state IN ('open', 'settled', 'interrupted')", name="state"),
    Index(None, "project_id", "created_at"),
    Index(None, "deployment", "created_at"),
)
# What a start after a crash has to mark as interrupted, without reading the whole table.
Index(
    "ix_calls_open",
    calls.c.created_at,
    sqlite_where=calls.c.state == text("'open'"),
    postgresql_where=calls.c.state == text("'open'"),
)

# Server processes that may have open calls. One whose beat is too old, or that the system says is gone, is dead.
instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("beat_at", BigInteger, nullable=False),  # by the database's clock
    Column("process", Text, nullable=False),  # where and which, see metering.instances; empty if unknown
)

# Who used what, once: the combinations that usage is grouped and filtered by.
usage_series = Table(
    "usage_series",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("organization_id", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model", Text, nullable=False),  # the snapshot
    Column("batch", Boolean, nullable=False),
    Column("service_tier", Text, nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint(
        "organization_id",
        "family",
        "project_id",
        "user_id",
        "key_id",
        "model",
        "batch",
        "service_tier",
        "detail",
        name="uq_usage_series",
    ),
)

# Sums of settled calls by minute, hour and day, written in the transaction that settles them.
usage_rollups = Table(
    "usage_rollups",
    metadata,
    Column("series_id", BigInteger, primary_key=True, autoincrement=False),
    Column("width", Integer, primary_key=True, autoincrement=False),  # seconds: 60, 3600 or 86400
    Column("start", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds, a multiple of the width
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("input_nanos", BigInteger, nullable=False),
    Column("cached_input_nanos", BigInteger, nullable=False),
    Column("output_nanos", BigInteger, nullable=False),
    Column("fee_nanos", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# All series of a while at once, on PostgreSQL only: SQLite's table is kept in the order of its key, and SQLite would
# take the index also where a few series over a long time are asked for, which is four times as slow.
Index("ix_usage_rollups_width_start", usage_rollups.c.width, usage_rollups.c.start).ddl_if(dialect="postgresql")

# What an organization spent, from the index alone; calls that cost nothing are not in it.
Index(
    "ix_calls_spent",
    calls.c.organization_id,
    calls.c.settled_at,
    calls.c.cost_nanos,
    sqlite_where=calls.c.cost_nanos > text("0"),
    postgresql_where=calls.c.cost_nanos > text("0"),
)

# Without a row, or with NULL, an organization's tier is what the settings say.
organization_tiers = Table(
    "organization_tiers",
    metadata,
    Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
    Column("pinned", Text),
    Column("since", BigInteger, nullable=False),
)

# What a project has lowered; NULL is its organization's limit. ``model`` is a family, or its long context.
project_limits = Table(
    "project_limits",
    metadata,
    Column("project_id", Text, ForeignKey("projects.id"), primary_key=True),
    Column("model", Text, primary_key=True),
    Column("rpm", BigInteger),
    Column("rpd", BigInteger),
    Column("tpm", BigInteger),
    Column("batch", BigInteger),
    Column("ipm", BigInteger),
)

# What is counted against a monthly limit, an alert or prepaid credits; see metering.accounts.
spend_accounts = Table(
    "spend_accounts",
    metadata,
    Column("scope", Text, primary_key=True),  # an organization's or a project's id
    Column("kind", Text, primary_key=True),
    Column("organization_id", Text, nullable=False, index=True),
    Column("project_id", Text, nullable=False),  # empty: the whole organization
    Column("limit_nanos", BigInteger),  # NULL: nothing is stopped
    Column("month", Integer, nullable=False),  # that spent_nanos is of, 202611; 0 for credits, which do not lapse
    Column("spent_nanos", BigInteger, nullable=False),
    Column("reserved_nanos", BigInteger, nullable=False),
    Column("baseline_nanos", BigInteger, nullable=False),  # what had been spent before credits were counted
    CheckConstraint("kind IN ('monthly', 'credits')", name="kind"),
)

credit_grants = Table(
    "credit_grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),  # negative: taken back
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
)

spend_alerts = Table(
    "spend_alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False, index=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("threshold_nanos", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),  # JSON
)

spend_alert_events = Table(
    "spend_alert_events",
    metadata,
    Column("alert_id", Text, primary_key=True),
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("spent_nanos", BigInteger, nullable=False),
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

# Tokens of batches that wait or run, against the batch queue's limit; see limits.batch_queue.
enqueued_batches = Table(
    "enqueued_batches",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index(None, "organization_id", "family"),
)

# Settlements that the database refused, kept for people; their calls were closed as interrupted.
unsettled = Table(
    "unsettled",
    metadata,
    Column("id", Text, primary_key=True),  # the call's
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("settlement", Text, nullable=False),  # JSON
)

bindings = Table(
    "bindings",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("created_at", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("deployment", Text, nullable=False),  # JSON
    Column("actor", Text, nullable=False),
    Index(None, "model", "id"),
    sqlite_autoincrement=True,
)

stored_completions = Table(
    "stored_completions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Column("request", Text, nullable=False),  # JSON
    Column("response", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

responses = Table(
    "responses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("previous_response_id", Text),
    Column("conversation_id", Text),
    Column("body", Text, nullable=False),  # JSON, without the output
    Index(None, "project_id", "created_at", "id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

# Each item is stored once. It belongs to the response that it came with, to a conversation, or to both; a response
# that goes on from another one only names it.
response_items = Table(
    "response_items",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("response_id", Text),
    Column("is_output", Integer, nullable=False),
    Column("conversation_id", Text),
    Column("place", BigInteger),  # in the conversation
    Column("body", Text, nullable=False),  # JSON
    Index(None, "response_id", "key"),
    Index(None, "conversation_id", "place"),
    Index(None, "project_id", "id"),
    sqlite_autoincrement=True,
)

# What the stream of a background response told so far, in pieces of several events.
response_events = Table(
    "response_events",
    metadata,
    Column("response_id", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # sequence number
    Column("last", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON array
)

# Work that must be done even if the process dies. Whoever holds the lease works on it.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),  # JSON
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("cancelled", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text),
    Column("lease_until", BigInteger),
    Column("due_at", BigInteger, nullable=False, server_default=text("0")),  # not to be begun before
    Index(None, "kind", "due_at", "created_at", "id"),
)

# Receivers of a project's events. Secrets are kept as they are: each delivery is signed with them.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", Text, nullable=False),  # JSON list
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_secret_until", BigInteger),
    Column("operators", Boolean, nullable=False),  # named on the command line, so it may be a private address
    Column("disabled_at", BigInteger),
    Column("disabled_because", Text),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row without any answer
    Column("silent_until", BigInteger, nullable=False, server_default=text("0")),  # after such failures
    Index(None, "project_id", "created_at", "id"),
    Index(None, "organization_id"),
)

# One event for one receiver: written with the change it tells of, kept for a while after it was delivered.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON, byte for byte as it is signed
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
    Column("last_status", Integer),  # of HTTP
    Column("last_error", Text),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    Index(None, "endpoint_id", "state", "next_at"),
    Index(None, "endpoint_id", "created_at", "id"),
)

prompts = Table(
    "prompts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("published", BigInteger, nullable=False),  # the version that is used where none is named
    Index(None, "project_id", "created_at", "id"),
)

# A version never changes.
prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("prompt_id", Text, ForeignKey("prompts.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
)

# The turn that a conversation is in. It counts while its job is open, or while the process lives that answers it.
conversation_turns = Table(
    "conversation_turns",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("turn", Text, nullable=False),  # the job, or the request
    Column("instance", Text),  # null: a job
)

# Keys that an installation makes for itself, shared by its processes.
secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# Contents are in the blob store, under a key of their own: a blob is written before its row and removed after it.
files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),  # in hex
    Column("blob", Text, nullable=False, unique=True),
    Index(None, "project_id", "created_at", "id"),
    Index(None, "expires_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # that the parts together must have
    Column("lifetime_s", BigInteger),  # of the file to be
    Column("status", Text, nullable=False),
    Column("file_id", Text),
    CheckConstraint("status IN ('pending', 'completed', 'cancelled')", name="status"),
    Index(None, "status", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("upload_id", Text, ForeignKey("uploads.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False, unique=True),
)

assistants = Table(
    "assistants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON, without what other columns hold
    Index(None, "project_id", "created_at", "id"),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("places", BigInteger, nullable=False),  # given so far to messages and steps
    Column("body", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

# Messages and steps of runs stand in the order in which they came about: the places of a thread count both.
thread_messages = Table(
    "thread_messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("run_id", Text),
    Column("place", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Index(None, "thread_id", "place", unique=True),
)

thread_runs = Table(
    "thread_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("assistant_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON as a client receives it
    Column("state", Text, nullable=False),  # JSON: what the client is not told
    Index(None, "thread_id", "created_at", "id"),
    Index(None, "assistant_id"),
)

thread_run_steps = Table(
    "thread_run_steps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("run_id", Text, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Index(None, "thread_id", "place", unique=True),
    Index(None, "run_id", "place"),
)

# What the stream of a thread's newest run told, in pieces of several events.
thread_run_events = Table(
    "thread_run_events",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # counts events from 0
    Column("last", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON array
)

# People signed in to the console. What they signed in with is sealed with their cookie, of which only a hash is here.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("id", Text, primary_key=True),  # SHA-256 of the cookie's token, in hex
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("sealed", Text, nullable=False),
)

# Times are Unix microseconds, one for each step that a batch can have taken.
batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("input_file_id", Text, nullable=False),
    Column("output_lifetime_s", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Column("status", Text, nullable=False),
    Column("ending", Text),  # what it will end as, once that is not "completed"
    Column("errors", Text),  # JSON
    Column("model", Text),
    Column("parts", BigInteger, nullable=False, server_default=text("0")),  # jobs that its requests were divided into
    Column("chunks", BigInteger, nullable=False, server_default=text("0")),  # of these, that are not done
    Column("total", BigInteger, nullable=False, server_default=text("0")),
    Column("completed", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("input_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("cached_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("reasoning_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("output_file_id", Text),
    Column("error_file_id", Text),
    Column("expires_at", BigInteger, nullable=False),
    Column("in_progress_at", BigInteger),
    Column("finalizing_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("expired_at", BigInteger),
    Column("cancelling_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Index(None, "project_id", "created_at", "id"),
)

# What lines of batches came to, until it is in a file.
batch_results = Table(
    "batch_results",
    metadata,
    Column("batch_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the request in its file, from 0
    Column("failed", Boolean, nullable=False),
    Column("line", Text, nullable=False),  # of the output file
)

# Their counts, sizes and statuses are those of their files, so they cannot differ.
vector_stores = Table(
    "vector_stores",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),  # JSON
    Column("days", BigInteger),  # without use until it expires
    Column("last_active_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revision", BigInteger, nullable=False),  # one more with every change of what can be found
    Index(None, "project_id", "created_at", "id"),
    Index(None, "expires_at"),
)

vector_store_batches = Table(
    "vector_store_batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("store_id", Text, ForeignKey("vector_stores.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("cancelled", Boolean, nullable=False),
)

# A file in a store. ``run`` names one ingestion of it: its job, and what belongs to it.
vector_store_files = Table(
    "vector_store_files",
    metadata,
    Column("store_id", Text, ForeignKey("vector_stores.id"), primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("run", Text, nullable=False, unique=True),
    Column("batch_id", Text, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("filename", Text, nullable=False),
    Column("attributes", Text, nullable=False),  # JSON
    Column("chunk_tokens", BigInteger, nullable=False),
    Column("overlap_tokens", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("usage_bytes", BigInteger, nullable=False),
    CheckConstraint("status IN ('in_progress', 'completed', 'failed', 'cancelled')", name="status"),
    Index(None, "file_id"),
    Index(None, "store_id", "status"),
)

vector_store_chunks = Table(
    "vector_store_chunks",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("repeated", BigInteger, nullable=False),  # characters at its start that end the chunk before
)

# Vectors and words of some chunks of a run that follow one another.
vector_store_segments = Table(
    "vector_store_segments",
    metadata,
    Column("run", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # number of its first chunk
    Column("chunks", BigInteger, nullable=False),
    Column("embedder", Text, nullable=False),  # what made the vectors; those of others cannot be compared
    Column("vectors", LargeBinary, nullable=False),  # rows of 16-bit floats, little-endian
    Column("words", LargeBinary, nullable=False),
)
