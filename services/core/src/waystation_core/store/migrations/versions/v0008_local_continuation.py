"""Which way the events went that a router's commits raised."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE routers
    ADD COLUMN events_announced BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN events_continued BIGINT NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
