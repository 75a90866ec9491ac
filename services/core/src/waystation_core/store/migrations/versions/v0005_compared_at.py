"""When a router last compared what is leased to it with what it has in hand."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE routers ADD COLUMN compared_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE routers ADD COLUMN in_hand_before TIMESTAMP WITH TIME ZONE;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
