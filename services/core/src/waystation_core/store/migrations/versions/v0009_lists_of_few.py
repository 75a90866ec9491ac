"""Indexes for lists of what few instances have: a type, a correlation id, another status than COMPLETED."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_CHANGES = """
CREATE INDEX workflow_instances_type ON workflow_instances (workflow_type, created_at, key);
CREATE INDEX workflow_instances_correlation ON workflow_instances (correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX workflow_instances_not_completed ON workflow_instances (created_at, key) WHERE status <> 3;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
