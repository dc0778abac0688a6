"""Batches, and what their lines came to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTS = ("parts", "chunks", "total", "completed", "failed", "input_tokens", "cached_tokens", "output_tokens")
TIMES = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("input_file_id", sa.Text, nullable=False),
        sa.Column("output_lifetime_s", sa.BigInteger, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ending", sa.Text),
        sa.Column("errors", sa.Text),
        sa.Column("model", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default=sa.text("0")) for name in COUNTS),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("output_file_id", sa.Text),
        sa.Column("error_file_id", sa.Text),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger) for name in TIMES),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_project_id_created_at_id", "batches", ["project_id", "created_at", "id"])
    op.create_table(
        "batch_results",
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("failed", sa.Boolean, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "number", name="pk_batch_results"),
    )


def downgrade() -> None:
    op.drop_table("batch_results")
    op.drop_table("batches")
