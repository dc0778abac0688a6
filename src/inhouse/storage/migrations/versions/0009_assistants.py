"""Assistants, threads, their messages, runs, steps and streams."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_assistants"),
    )
    op.create_index("ix_assistants_project_id_created_at_id", "assistants", ["project_id", "created_at", "id"])
    op.create_table(
        "threads",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("places", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_threads"),
    )
    op.create_index("ix_threads_project_id_created_at_id", "threads", ["project_id", "created_at", "id"])
    op.create_table(
        "thread_messages",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_thread_messages"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name="fk_thread_messages_thread_id_threads"),
    )
    op.create_index("ix_thread_messages_thread_id_place", "thread_messages", ["thread_id", "place"], unique=True)
    op.create_table(
        "thread_runs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("assistant_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_thread_runs"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name="fk_thread_runs_thread_id_threads"),
    )
    op.create_index("ix_thread_runs_thread_id_created_at_id", "thread_runs", ["thread_id", "created_at", "id"])
    op.create_index("ix_thread_runs_assistant_id", "thread_runs", ["assistant_id"])
    op.create_table(
        "thread_run_steps",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_thread_run_steps"),
        sa.ForeignKeyConstraint(["thread_id"], ["threads.id"], name="fk_thread_run_steps_thread_id_threads"),
    )
    op.create_index("ix_thread_run_steps_thread_id_place", "thread_run_steps", ["thread_id", "place"], unique=True)
    op.create_index("ix_thread_run_steps_run_id_place", "thread_run_steps", ["run_id", "place"])
    op.create_table(
        "thread_run_events",
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "first", name="pk_thread_run_events"),
    )
