"""Usage by minute, hour and day; prices on every call; the processes that serve."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ZERO = sa.text("0")
_EMPTY = sa.text("''")
_SERIES = ("organization_id", "family", "project_id", "user_id", "key_id", "model", "batch", "service_tier", "detail")
_SUMS = (
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "units",
    "input_nanos",
    "cached_input_nanos",
    "output_nanos",
    "fee_nanos",
)


def upgrade() -> None:
    for column in (
        sa.Column("user_id", sa.Text, nullable=False, server_default=_EMPTY),
        sa.Column("family", sa.Text, nullable=False, server_default=sa.text("'completions'")),
        sa.Column("batch", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("detail", sa.Text, nullable=False, server_default=_EMPTY),
        sa.Column("units", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("input_price", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("cached_input_price", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("output_price", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("fee_nanos", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("reserved_nanos", sa.BigInteger, nullable=False, server_default=_ZERO),
        sa.Column("instance", sa.Text, nullable=False, server_default=_EMPTY),
    ):
        op.add_column("calls", column)
    op.add_column("api_keys", sa.Column("user_id", sa.Text))
    op.add_column("api_keys", sa.Column("permission", sa.Text, nullable=False, server_default=sa.text("'all'")))
    op.add_column("api_keys", sa.Column("scopes", sa.Text))
    op.create_table(
        "instances",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("beat_at", sa.BigInteger, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
    )
    op.create_table(
        "usage_series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=True),
        *(sa.Column(name, sa.Boolean if name == "batch" else sa.Text, nullable=False) for name in _SERIES),
        sa.PrimaryKeyConstraint("id", name="pk_usage_series"),
        sa.UniqueConstraint(*_SERIES, name="uq_usage_series"),
    )
    op.create_table(
        "usage_rollups",
        sa.Column("series_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("width", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("start", sa.BigInteger, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("series_id", "width", "start", name="pk_usage_rollups"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spend_accounts",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("limit_nanos", sa.BigInteger),
        sa.Column("month", sa.Integer, nullable=False),
        sa.Column("spent_nanos", sa.BigInteger, nullable=False),
        sa.Column("reserved_nanos", sa.BigInteger, nullable=False),
        sa.Column("baseline_nanos", sa.BigInteger, nullable=False),
        sa.CheckConstraint("kind IN ('monthly', 'credits')", name=op.f("ck_spend_accounts_kind")),
        sa.PrimaryKeyConstraint("scope", "kind", name="pk_spend_accounts"),
    )
    op.create_index("ix_spend_accounts_organization_id", "spend_accounts", ["organization_id"])
    op.create_table(
        "credit_grants",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("amount_nanos", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credit_grants"),
    )
    op.create_index("ix_credit_grants_organization_id", "credit_grants", ["organization_id"])
    op.create_table(
        "spend_alerts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("threshold_nanos", sa.BigInteger, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spend_alerts"),
    )
    op.create_index("ix_spend_alerts_organization_id", "spend_alerts", ["organization_id"])
    op.create_table(
        "spend_alert_events",
        sa.Column("alert_id", sa.Text, nullable=False),
        sa.Column("month", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("spent_nanos", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("alert_id", "month", name="pk_spend_alert_events"),
    )
    _people()
    _book_earlier_calls()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("technical_level", sa.Text),
        sa.Column("developer_persona", sa.Text),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.CheckConstraint("role IN ('owner', 'reader')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_users_organization_id_organizations"
        ),
    )
    op.create_index("ix_users_organization_id", "users", ["organization_id"])
    op.create_index(
        "uq_users_organization_id_email",
        "users",
        ["organization_id", "email"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "project_users",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'member')", name=op.f("ck_project_users_role")),
        sa.PrimaryKeyConstraint("project_id", "user_id", name="pk_project_users"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_users_project_id_projects"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_project_users_user_id_users"),
    )
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.CheckConstraint("role IN ('owner', 'member', 'none')", name=op.f("ck_service_accounts_role")),
        sa.PrimaryKeyConstraint("id", name="pk_service_accounts"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_service_accounts_project_id_projects"),
    )
    op.create_index("ix_service_accounts_project_id", "service_accounts", ["project_id"])
    op.create_table(
        "invites",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("projects", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("accepted_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_invites_organization_id_organizations"
        ),
    )
    op.create_index("ix_invites_organization_id", "invites", ["organization_id"])
    op.create_table(
        "audit_logs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text),
        sa.Column("effective_at", sa.BigInteger, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("actor_key_id", sa.Text),
        sa.Column("actor_user_id", sa.Text),
        sa.Column("details", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_logs"),
    )
    op.create_index(
        "ix_audit_logs_organization_id_effective_at_id", "audit_logs", ["organization_id", "effective_at", "id"]
    )


def _book_earlier_calls() -> None:
    """Calls from before prices were kept: their cost stands as a fee, and they count like all others."""
    op.execute("UPDATE calls SET fee_nanos = cost_nanos")
    dimensions = ", ".join("snapshot" if name == "model" else name for name in _SERIES)
    op.execute(
        f"INSERT INTO usage_series ({', '.join(_SERIES)}) "  # noqa: S608
        f"SELECT DISTINCT {dimensions} FROM calls WHERE state <> 'open' ORDER BY {dimensions}"
    )
    same = " AND ".join(f"s.{name} = c.{'snapshot' if name == 'model' else name}" for name in _SERIES)
    for width in (60, 3600, 86400):
        op.execute(
            f"INSERT INTO usage_rollups "  # noqa: S608
            f"SELECT s.id, {width}, c.settled_at / 1000000 - c.settled_at / 1000000 % {width}, "
            "sum(CASE WHEN c.status < 400 OR c.input_tokens + c.output_tokens > 0 THEN 1 ELSE 0 END), "
            "sum(c.input_tokens), sum(c.cached_input_tokens), sum(c.output_tokens), 0, 0, 0, 0, sum(c.cost_nanos) "
            f"FROM calls c JOIN usage_series s ON {same} WHERE c.state <> 'open' GROUP BY 1, 3"
        )


def downgrade() -> None:
    for table in ("audit_logs", "invites", "service_accounts", "project_users", "users"):
        op.drop_table(table)
    for table in ("spend_alert_events", "spend_alerts", "credit_grants", "spend_accounts"):
        op.drop_table(table)
    for table in ("usage_rollups", "usage_series", "instances"):
        op.drop_table(table)
    with op.batch_alter_table("api_keys") as keys:
        for column in ("user_id", "permission", "scopes"):
            keys.drop_column(column)
    with op.batch_alter_table("calls") as calls:
        for column in (
            "user_id",
            "family",
            "batch",
            "detail",
            "units",
            "input_price",
            "cached_input_price",
            "output_price",
            "fee_nanos",
            "reserved_nanos",
            "instance",
        ):
            calls.drop_column(column)
