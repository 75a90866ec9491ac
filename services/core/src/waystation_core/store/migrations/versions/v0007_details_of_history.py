"""What an entry of history tells, as values; its note is written from them when it is shown."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE history ADD COLUMN detail JSON;
ALTER TABLE history DROP COLUMN note;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
