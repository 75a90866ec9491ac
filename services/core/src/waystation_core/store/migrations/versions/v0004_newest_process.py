"""Which process a task's spec and an endpoint's registration are of: when that was registered first."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE tasks ADD COLUMN began_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
ALTER TABLE handlers ADD COLUMN began_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
