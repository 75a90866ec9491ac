"""The key that completion tokens are sealed with: two random UUIDs, 244 random bits."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE registry ADD COLUMN completion_key BYTEA;
UPDATE registry SET completion_key =
    decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
ALTER TABLE registry ALTER COLUMN completion_key SET NOT NULL;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
