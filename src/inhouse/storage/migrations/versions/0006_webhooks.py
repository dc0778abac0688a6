"""Jobs that wait for their time, webhook endpoints and deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("due_at", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.drop_index("ix_jobs_kind_created_at_id", "jobs")
    op.create_index("ix_jobs_kind_due_at_created_at_id", "jobs", ["kind", "due_at", "created_at", "id"])
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("event_types", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("old_secret", sa.Text),
        sa.Column("old_secret_until", sa.BigInteger),
        sa.Column("operators", sa.Boolean, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("disabled_because", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("silent_until", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    for columns in (["project_id", "created_at", "id"], ["organization_id"]):
        op.create_index(f"ix_webhook_endpoints_{'_'.join(columns)}", "webhook_endpoints", columns)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    )
    for columns in (["endpoint_id", "state", "next_at"], ["endpoint_id", "created_at", "id"]):
        op.create_index(f"ix_webhook_deliveries_{'_'.join(columns)}", "webhook_deliveries", columns)
