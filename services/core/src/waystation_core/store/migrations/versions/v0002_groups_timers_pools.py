"""Fan-out groups, timers, pending deliveries, retired tasks and router pools."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CHANGES = """
ALTER TABLE workflow_instances
    ADD COLUMN groups JSON,
    ADD COLUMN timers INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE events
    ADD COLUMN deliver_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN group_id UUID,
    ADD COLUMN branch INTEGER;

ALTER TABLE deliveries ADD COLUMN outside_group BOOLEAN DEFAULT false NOT NULL;
DROP INDEX deliveries_parked;
CREATE INDEX deliveries_task ON deliveries (task_id, state);
CREATE INDEX deliveries_pending ON deliveries (due_at) WHERE state = 7;

CREATE TABLE timers (
    instance_key BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    ref TEXT COLLATE "C" NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (instance_key, kind, ref)
);
CREATE INDEX timers_due ON timers (due_at);

ALTER TABLE tasks
    ADD COLUMN retired_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN retired_by TEXT,
    ADD COLUMN undeclared_since TIMESTAMP WITH TIME ZONE;

ALTER TABLE routers ADD COLUMN bindings JSON;

CREATE TABLE pools (
    pool TEXT COLLATE "C" NOT NULL,
    bindings JSON NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_seconds DOUBLE PRECISION NOT NULL,
    lapses_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (pool)
);
"""


def upgrade() -> None:
    op.execute(_CHANGES)
