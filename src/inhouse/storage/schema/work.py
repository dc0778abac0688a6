"""What goes on: bindings of models, jobs, batches, webhooks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text, text

from inhouse.storage.schema.base import metadata

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

# What a deployment made of tasks; the batch is the run.
evaluations = Table(
    "evaluations",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("created_at", BigInteger, nullable=False),
    Column("model", Text, nullable=False),  # snapshot
    Column("deployment", Text, nullable=False),  # id
    Column("served_by", Text, nullable=False),
    Column("tasks", Text, nullable=False),
    Column("groups", Text, nullable=False),  # JSON: name, passed and total of each
    Column("passed", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Index(None, "model", "deployment", "id"),
    sqlite_autoincrement=True,
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
