"""Which releases can work on the schema: those whose own schema version is `works_from` or later.

A migration that servers of an older release cannot work on sets it to its own version, in its transaction:

    UPDATE schema_compatibility SET works_from = '0042'

One that only adds what they do not see, such as a table, an index or a column with a default, leaves it.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CHANGES = """
CREATE TABLE schema_compatibility (works_from text COLLATE "C" PRIMARY KEY);
INSERT INTO schema_compatibility (works_from) VALUES ('0011');
"""


def upgrade() -> None:
    op.execute(_CHANGES)
