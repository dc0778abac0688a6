"""Sums of usage over all users, keys and details, made of the sums that there are; and what engines count."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SUMS = (
    *("requests", "input_tokens", "cached_input_tokens", "output_tokens", "units"),
    *("input_nanos", "cached_input_nanos", "output_nanos", "fee_nanos"),
)
_KEPT = "organization_id, family, project_id, model, batch, service_tier"


def upgrade() -> None:
    op.create_table(
        "usage_totals",
        sa.Column("series_id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("width", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("start", sa.BigInteger, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("series_id", "width", "start", name="pk_usage_totals"),
        sqlite_with_rowid=False,
    )
    op.execute(
        f"INSERT INTO usage_series ({_KEPT}, user_id, key_id, detail) "  # noqa: S608
        f"SELECT DISTINCT {_KEPT}, '*', '*', '*' FROM usage_series"
    )
    same = " AND ".join(f"t.{name} = s.{name}" for name in _KEPT.split(", "))
    op.execute(
        f"INSERT INTO usage_totals (series_id, width, start, {', '.join(_SUMS)}) "  # noqa: S608
        f"SELECT t.id, r.width, r.start, {', '.join(f'sum(r.{name})' for name in _SUMS)} "
        f"FROM usage_rollups r JOIN usage_series s ON s.id = r.series_id "
        f"JOIN usage_series t ON {same} AND t.key_id = '*' GROUP BY t.id, r.width, r.start"
    )
    op.create_table(
        "engine_counts",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("process", "engine", "server")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("instances", "deployments")),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("counted_at", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        *(sa.Column(f"{name}_tokens", sa.BigInteger, nullable=False) for name in ("input", "output", "own")),
        sa.PrimaryKeyConstraint("process", name="pk_engine_counts"),
    )
    op.create_index("ix_engine_counts_server_engine", "engine_counts", ["server", "engine"])


def downgrade() -> None:
    op.drop_table("engine_counts")
    op.drop_table("usage_totals")
    op.execute("DELETE FROM usage_series WHERE key_id = '*'")
