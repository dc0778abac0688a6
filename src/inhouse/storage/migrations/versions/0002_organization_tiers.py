"""Pinned tiers, limits that projects lowered, and an index of what organizations spent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organization_tiers",
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("pinned", sa.Text),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name="pk_organization_tiers"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_organization_tiers_organization_id_organizations"
        ),
    )
    op.create_table(
        "project_limits",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("rpm", sa.BigInteger),
        sa.Column("rpd", sa.BigInteger),
        sa.Column("tpm", sa.BigInteger),
        sa.Column("batch", sa.BigInteger),
        sa.PrimaryKeyConstraint("project_id", "model", name="pk_project_limits"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_limits_project_id_projects"),
    )
    op.create_index(
        "ix_calls_spent",
        "calls",
        ["organization_id", "settled_at", "cost_nanos"],
        sqlite_where=sa.text("cost_nanos > 0"),
        postgresql_where=sa.text("cost_nanos > 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_calls_spent", table_name="calls")
    op.drop_table("project_limits")
    op.drop_table("organization_tiers")
