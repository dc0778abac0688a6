"""Vector stores: files in stores, their chunks, vectors and words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vector_stores",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("days", sa.BigInteger),
        sa.Column("last_active_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vector_stores"),
    )
    op.create_index("ix_vector_stores_project_id_created_at_id", "vector_stores", ["project_id", "created_at", "id"])
    op.create_index("ix_vector_stores_expires_at", "vector_stores", ["expires_at"])
    op.create_table(
        "vector_store_batches",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(
            ["store_id"], ["vector_stores.id"], name="fk_vector_store_batches_store_id_vector_stores"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_vector_store_batches"),
    )
    op.create_index("ix_vector_store_batches_store_id", "vector_store_batches", ["store_id"])
    op.create_table(
        "vector_store_files",
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("batch_id", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("chunk_tokens", sa.BigInteger, nullable=False),
        sa.Column("overlap_tokens", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_message", sa.Text),
        sa.Column("usage_bytes", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "status IN ('in_progress', 'completed', 'failed', 'cancelled')", name=op.f("ck_vector_store_files_status")
        ),
        sa.ForeignKeyConstraint(
            ["store_id"], ["vector_stores.id"], name="fk_vector_store_files_store_id_vector_stores"
        ),
        sa.PrimaryKeyConstraint("store_id", "file_id", name="pk_vector_store_files"),
        sa.UniqueConstraint("run", name="uq_vector_store_files_run"),
    )
    op.create_index("ix_vector_store_files_batch_id", "vector_store_files", ["batch_id"])
    op.create_index("ix_vector_store_files_file_id", "vector_store_files", ["file_id"])
    op.create_index("ix_vector_store_files_store_id_status", "vector_store_files", ["store_id", "status"])
    op.create_table(
        "vector_store_chunks",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("repeated", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run", "number", name="pk_vector_store_chunks"),
    )
    op.create_table(
        "vector_store_segments",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("vectors", sa.LargeBinary, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "first", name="pk_vector_store_segments"),
    )


def downgrade() -> None:
    op.drop_table("vector_store_segments")
    op.drop_table("vector_store_chunks")
    op.drop_table("vector_store_files")
    op.drop_table("vector_store_batches")
    op.drop_table("vector_stores")
