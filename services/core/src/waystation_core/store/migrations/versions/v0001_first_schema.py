"""The first schema."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE workflow_instances (
    key BIGINT GENERATED ALWAYS AS IDENTITY,
    namespace TEXT COLLATE "C" NOT NULL,
    workflow_instance_id TEXT COLLATE "C" NOT NULL,
    workflow_type TEXT COLLATE "C" NOT NULL,
    status SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    data JSON NOT NULL,
    waits JSON,
    failure JSON,
    output JSON,
    correlation_id TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    completed_at TIMESTAMP WITH TIME ZONE,
    deadline TIMESTAMP WITH TIME ZONE,
    unsettled INTEGER NOT NULL,
    dead_letters INTEGER NOT NULL,
    event_count INTEGER NOT NULL,
    idle JSON,
    idle_since TIMESTAMP WITH TIME ZONE,
    turn_holder TEXT,
    turn_until TIMESTAMP WITH TIME ZONE,
    start_digest BYTEA NOT NULL,
    start_request_id TEXT COLLATE "C",
    PRIMARY KEY (key),
    CONSTRAINT workflow_instances_id UNIQUE (namespace, workflow_instance_id)
);
CREATE INDEX workflow_instances_created ON workflow_instances (created_at, key);
CREATE UNIQUE INDEX workflow_instances_request ON workflow_instances (namespace, start_request_id) WHERE start_request_id IS NOT NULL;

CREATE TABLE history (
    instance_key BIGINT NOT NULL,
    sequence INTEGER NOT NULL,
    event_id UUID,
    event_type TEXT NOT NULL,
    processed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    processed_by TEXT NOT NULL,
    result SMALLINT NOT NULL,
    attempt INTEGER NOT NULL,
    will_retry BOOLEAN NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    duration_us BIGINT,
    error JSON,
    base_version INTEGER NOT NULL,
    change JSON,
    raised UUID[],
    service_name TEXT,
    service_version TEXT,
    endpoint TEXT,
    status SMALLINT NOT NULL,
    action TEXT,
    note TEXT,
    effects JSON,
    PRIMARY KEY (instance_key, sequence)
);
CREATE UNIQUE INDEX history_final_outcome ON history (event_id, processed_by) WHERE attempt > 0 AND (result = 1 OR result = 3);
CREATE INDEX history_unhandled ON history (instance_key) WHERE result = 4 AND (status = 1 OR status = 2);

CREATE TABLE events (
    event_id UUID NOT NULL,
    instance_key BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    payload JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    correlation_id TEXT,
    priority SMALLINT,
    causation_id UUID,
    raised_by TEXT NOT NULL,
    schema_version TEXT,
    metadata JSON,
    after_end BOOLEAN NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (event_id)
);

CREATE TABLE outbox (
    event_id UUID NOT NULL,
    instance_key BIGINT NOT NULL,
    level SMALLINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    announced_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    announcements SMALLINT NOT NULL,
    PRIMARY KEY (event_id)
);
CREATE INDEX outbox_due ON outbox (due_at);

CREATE TABLE deliveries (
    event_id UUID NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    instance_key BIGINT NOT NULL,
    state SMALLINT NOT NULL,
    attempts INTEGER NOT NULL,
    suspect BOOLEAN NOT NULL,
    conflicts INTEGER NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    leased_by UUID,
    edit INTEGER NOT NULL,
    payload JSON,
    last_error JSON,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (event_id, task_id)
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE state = 1;
CREATE INDEX deliveries_instance ON deliveries (instance_key);
CREATE INDEX deliveries_leased ON deliveries (leased_by) WHERE state = 2;
CREATE INDEX deliveries_parked ON deliveries (task_id) WHERE state = 3 OR state = 4;

CREATE TABLE dead_letters (
    dead_letter_id UUID NOT NULL,
    instance_key BIGINT NOT NULL,
    event_id UUID NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    attempts INTEGER NOT NULL,
    error JSON NOT NULL,
    on_failure SMALLINT NOT NULL,
    state SMALLINT NOT NULL,
    payload JSON,
    edit INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    resolved_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (dead_letter_id)
);
CREATE INDEX dead_letters_created ON dead_letters (created_at, dead_letter_id);
CREATE INDEX dead_letters_instance ON dead_letters (instance_key);
CREATE UNIQUE INDEX dead_letters_open ON dead_letters (event_id, task_id) WHERE state = 1;

CREATE TABLE routers (
    router_id UUID NOT NULL,
    pool TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE NOT NULL,
    calls_in_flight INTEGER NOT NULL,
    results_committed BIGINT NOT NULL,
    report JSON NOT NULL,
    PRIMARY KEY (router_id)
);

CREATE TABLE registry (
    namespace TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    changes BIGINT NOT NULL,
    PRIMARY KEY (namespace)
);

CREATE TABLE tasks (
    namespace TEXT COLLATE "C" NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    service_name TEXT COLLATE "C" NOT NULL,
    spec JSON NOT NULL,
    first_registered_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    catch_up_again_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (namespace, task_id)
);

CREATE TABLE handlers (
    handler_id UUID NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    service_name TEXT COLLATE "C" NOT NULL,
    service_version TEXT NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    port INTEGER NOT NULL,
    kind SMALLINT NOT NULL,
    lease_seconds INTEGER,
    lease_until TIMESTAMP WITH TIME ZONE,
    registered_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tasks JSON NOT NULL,
    PRIMARY KEY (handler_id),
    CONSTRAINT handlers_endpoint UNIQUE (namespace, service_name, host, port)
);

CREATE TABLE requests (
    namespace TEXT COLLATE "C" NOT NULL,
    rpc TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    result JSON NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (namespace, rpc, request_id)
);
CREATE INDEX requests_created ON requests (created_at);

CREATE TABLE sweeps (
    name TEXT NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (name)
);
"""

# Rows of these are updated or deleted within milliseconds of being written: room on their pages
# keeps updates off the indexes, and vacuum must not wait for a share of a large table.
_STORAGE = """
ALTER TABLE workflow_instances SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE outbox SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);
ALTER TABLE deliveries SET (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000
);
"""

_ROWS = """
INSERT INTO registry (namespace, generation, changes) VALUES ('default', 1, 1);
"""


def upgrade() -> None:
    for script in (_TABLES, _STORAGE, _ROWS):
        for statement in script.split(";"):
            if statement.strip():
                op.execute(statement)
