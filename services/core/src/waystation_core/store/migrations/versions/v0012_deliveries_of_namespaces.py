"""The namespace of a delivery, as tasks of two namespaces may have one id; what namespaces use."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE deliveries ADD COLUMN namespace text COLLATE "C" NOT NULL DEFAULT 'default';
DROP INDEX deliveries_task;
DROP INDEX deliveries_parked;
CREATE INDEX deliveries_task ON deliveries (namespace, task_id, instance_key);
CREATE INDEX deliveries_parked ON deliveries (namespace, task_id, due_at) WHERE state = 3 OR state = 4;

ALTER TABLE namespaces
    ADD COLUMN open_workflows bigint NOT NULL DEFAULT 0,
    ADD COLUMN stored_bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN counted bigint NOT NULL DEFAULT 0,
    ADD COLUMN counted_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN measured_at timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN starts_left double precision NOT NULL DEFAULT 0,
    ADD COLUMN starts_at timestamptz NOT NULL DEFAULT now();
"""


def upgrade() -> None:
    op.execute(_CHANGES)
