"""Sums of a while are found by when they are, not only by whose they are."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_usage_rollups_width_start", "usage_rollups", ["width", "start"])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_usage_rollups_width_start", "usage_rollups")
