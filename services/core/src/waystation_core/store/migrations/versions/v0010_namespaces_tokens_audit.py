"""Namespaces with limits, API tokens, the audit log, and who made an entry of history."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_CHANGES = """
CREATE TABLE namespaces (
    namespace text COLLATE "C" PRIMARY KEY,
    description text NOT NULL,
    max_open_workflows bigint,
    max_starts_per_second double precision,
    max_in_flight integer,
    max_stored_bytes bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO namespaces (namespace, description) VALUES ('default', 'Used by callers that name no namespace.');

CREATE TABLE api_tokens (
    token_id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    grants json NOT NULL,
    service_names text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE UNIQUE INDEX api_tokens_digest ON api_tokens (digest);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX api_tokens_created ON api_tokens (created_at, token_id);

CREATE TABLE audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal text NOT NULL,
    peer text NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    method text NOT NULL,
    target json NOT NULL,
    request_id text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    calls integer NOT NULL
);
CREATE INDEX audit_occurred ON audit (occurred_at, audit_id);
CREATE INDEX audit_namespace ON audit (namespace, occurred_at, audit_id);
CREATE INDEX audit_principal ON audit (principal, occurred_at, audit_id);
CREATE INDEX audit_method ON audit (method, occurred_at, audit_id);
CREATE INDEX audit_denied ON audit (occurred_at, audit_id)
    WHERE code IN ('UNAUTHENTICATED', 'PERMISSION_DENIED');

CREATE TABLE audit_targets (
    value text COLLATE "C" NOT NULL,
    occurred_at timestamptz NOT NULL,
    audit_id bigint NOT NULL,
    PRIMARY KEY (value, occurred_at, audit_id)
);

ALTER TABLE history ADD COLUMN principal text;
"""


def upgrade() -> None:
    op.execute(_CHANGES)
