"""Sweeps in portions: what may be lost is noted with how far bringing it back came, and what is parked
is found by task and time."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_CHANGES = """
DROP TABLE sweeps;
CREATE TABLE lost_announcements (
    cause TEXT NOT NULL,
    announced_before TIMESTAMP WITH TIME ZONE NOT NULL,
    bindings JSON,
    walked_to UUID NOT NULL,
    PRIMARY KEY (cause)
);

DROP INDEX deliveries_task;
CREATE INDEX deliveries_task ON deliveries (task_id, instance_key);
CREATE INDEX deliveries_parked ON deliveries (task_id, due_at) WHERE state = 3 OR state = 4;
CREATE INDEX deliveries_suspect ON deliveries (due_at) WHERE state = 1 AND suspect;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
