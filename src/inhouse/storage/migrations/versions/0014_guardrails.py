"""What of a project's generations is moderated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("policies", sa.Column("guardrail", sa.Text))


def downgrade() -> None:
    op.drop_column("policies", "guardrail")
