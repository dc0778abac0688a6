"""What was used and what it cost, and the limits of both."""

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
    Table,
    Text,
    UniqueConstraint,
    text,
)

from inhouse.storage.schema.base import metadata

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

# What engine processes count themselves, see metering.engines.
engine_counts = Table(
    "engine_counts",
    metadata,
    Column("process", Text, primary_key=True),
    Column("engine", Text, nullable=False),
    Column("server", Text, nullable=False),  # the first instance of the server process that ran it
    Column("instances", Text, nullable=False),  # JSON: all of them
    Column("deployments", Text, nullable=False),  # JSON: ids of those that it served
    Column("started_at", BigInteger, nullable=False),
    Column("counted_at", BigInteger, nullable=False),  # by the clock of the server process, as in calls
    Column("ended", Boolean, nullable=False),  # after this reading, so that nothing was missed
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("own_tokens", BigInteger, nullable=False),
    Index(None, "server", "engine"),
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


def _sums(name: str) -> Table:
    """Sums of settled calls by minute, hour and day, written in the transaction that settles them."""
    added = (
        *("requests", "input_tokens", "cached_input_tokens", "output_tokens", "units"),
        *("input_nanos", "cached_input_nanos", "output_nanos", "fee_nanos"),
    )
    return Table(
        name,
        metadata,
        Column("series_id", BigInteger, primary_key=True, autoincrement=False),
        Column("width", Integer, primary_key=True, autoincrement=False),  # seconds: 60, 3600 or 86400
        Column("start", BigInteger, primary_key=True, autoincrement=False),  # Unix seconds, a multiple of the width
        *(Column(each, BigInteger, nullable=False) for each in added),
        sqlite_with_rowid=False,
    )


usage_rollups = _sums("usage_rollups")
# The same over all users, keys and details together: as many rows as projects and models make, however many people
# there are. Their series have ``*`` in place of these three.
usage_totals = _sums("usage_totals")

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
