"""Administration: roles, groups, policies, certificates; tokens of batches; settlements that were refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project_limits", sa.Column("ipm", sa.BigInteger))
    op.create_table(
        "roles",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_roles_organization_id_organizations"
        ),
        sa.UniqueConstraint("organization_id", "project_id", "name", name="uq_roles_name"),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_groups_organization_id_organizations"
        ),
    )
    op.create_index("ix_groups_organization_id", "groups", ["organization_id"])
    op.create_table(
        "group_users",
        sa.Column("group_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_users"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_group_users_group_id_groups"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_group_users_user_id_users"),
    )
    op.create_index("ix_group_users_user_id", "group_users", ["user_id"])
    op.create_table(
        "role_assignments",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("principal_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "principal_id", "role_id", name="pk_role_assignments"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_role_assignments_organization_id_organizations"
        ),
    )
    op.create_index("ix_role_assignments_principal_id", "role_assignments", ["principal_id"])
    op.create_index("ix_role_assignments_role_id", "role_assignments", ["role_id"])
    op.create_table(
        "policies",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("retention", sa.Text),
        sa.Column("model_mode", sa.Text),
        sa.Column("models", sa.Text),
        sa.Column("tools_off", sa.Text),
        sa.PrimaryKeyConstraint("scope", name="pk_policies"),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("valid_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name="fk_certificates_organization_id_organizations"
        ),
    )
    op.create_index("ix_certificates_organization_id", "certificates", ["organization_id"])
    op.create_table(
        "active_certificates",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("certificate_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("scope", "certificate_id", name="pk_active_certificates"),
        sa.ForeignKeyConstraint(
            ["certificate_id"], ["certificates.id"], name="fk_active_certificates_certificate_id_certificates"
        ),
    )
    op.create_table(
        "enqueued_batches",
        sa.Column("batch_id", sa.Text, nullable=False),
        sa.Column("organization_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name="pk_enqueued_batches"),
    )
    op.create_index("ix_enqueued_batches_organization_id_family", "enqueued_batches", ["organization_id", "family"])
    op.create_table(
        "unsettled",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("settlement", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unsettled"),
    )
