"""The statements of the hot path. Rows travel in as JSON documents, one per table, so that a batch
of any size is one prepared statement with a handful of arguments.

Type `json` hands nested values through as the text they came as, so data comes back bit for bit.
"""

from __future__ import annotations

from waystation_core.store import states
from waystation_core.store.rows import (
    DELIVERY_AS_JSON,
    EVENT_COLUMNS,
    INSTANCE_COLUMNS,
    same_delivery,
)

_HISTORY_INPUT = """json_to_recordset(%(history)s::json) AS h(
    key {key}, sequence int, event_id uuid, event_type text, processed_by text, result smallint,
    attempt int, will_retry boolean, retry_in float8, duration_us bigint, error json,
    base_version int, change json, raised uuid[], service_name text, service_version text,
    endpoint text, status smallint, action text, detail json, effects json,
    principal text)"""

_HISTORY_COLUMNS = """instance_key, sequence, event_id, event_type, processed_by, result, attempt,
    will_retry, next_attempt_at, duration_us, error, base_version, change, raised, service_name,
    service_version, endpoint, status, action, detail, effects, principal"""

_HISTORY_VALUES = """h.sequence, h.event_id, h.event_type, h.processed_by, h.result, h.attempt,
    h.will_retry, now() + make_interval(secs => h.retry_in), h.duration_us, h.error,
    h.base_version, h.change, h.raised, h.service_name, h.service_version, h.endpoint, h.status,
    h.action, h.detail, h.effects, h.principal"""

_EVENTS_INPUT = """json_to_recordset(%(events)s::json) AS e(
    key {key}, event_id uuid, event_type text, payload json, correlation_id text,
    priority smallint, causation_id uuid, raised_by text, schema_version text, metadata json,
    after_end boolean, version int, deliver_at timestamptz, deliver_in float8,
    expires_at timestamptz, group_id uuid, branch int)"""

_EVENTS_COLUMNS = """event_id, instance_key, event_type, payload, correlation_id, priority,
    causation_id, raised_by, schema_version, metadata, after_end, version, deliver_at, expires_at,
    group_id, branch"""

_EVENTS_VALUES = """e.event_type, e.payload, e.correlation_id, e.priority, e.causation_id,
    e.raised_by, e.schema_version, e.metadata, e.after_end, e.version,
    COALESCE(e.deliver_at, now() + make_interval(secs => e.deliver_in)), e.expires_at, e.group_id,
    e.branch"""

_OUTBOX_INPUT = """json_to_recordset(%(outbox)s::json) AS o(
    key {key}, event_id uuid, level smallint)"""

FIRST_WAIT = "interval '60 s'"
"""Until an event is announced again; doubled each time."""

_WRITTEN = "({of}.key IN (SELECT key FROM written)) IS TRUE"
"""Of the rows that came in, those of instances that were written. A hashed subplan, which the plain
IN would not be: it becomes a join, and joins are nested loops here (see `pool`)."""

_COMMIT = f"""
WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(instances)s::json) AS x(
        key bigint, before int, fixes boolean, status smallint, version int, revision int,
        data json, output json, waits json, failure json, ended boolean, unsettled int,
        dead_letters int, event_count int, idle json, turn_holder text, turn_until timestamptz,
        groups json, timers int, generation bigint)
), locked AS MATERIALIZED (
    SELECT i.key FROM workflow_instances i JOIN input x ON x.key = i.key
    WHERE i.revision = x.before
      AND (NOT x.fixes OR x.generation =
           (SELECT generation FROM registry WHERE namespace = i.namespace))
    ORDER BY i.key
    FOR UPDATE OF i SKIP LOCKED
), written AS (
    UPDATE workflow_instances i SET
        status = x.status, version = x.version, revision = x.revision,
        data = COALESCE(x.data, i.data), output = COALESCE(x.output, i.output),
        waits = x.waits, failure = x.failure, updated_at = now(),
        completed_at = CASE WHEN x.ended THEN COALESCE(i.completed_at, now()) END,
        unsettled = x.unsettled, dead_letters = x.dead_letters, event_count = x.event_count,
        idle = x.idle,
        idle_since = CASE WHEN x.idle IS NOT NULL THEN COALESCE(i.idle_since, now()) END,
        turn_holder = x.turn_holder, turn_until = x.turn_until, groups = x.groups,
        timers = x.timers
    FROM input x WHERE i.key = x.key AND (x.key IN (SELECT key FROM locked)) IS TRUE
    RETURNING i.key
), in_history AS (
    INSERT INTO history ({_HISTORY_COLUMNS})
    SELECT h.key, {_HISTORY_VALUES}
    FROM {_HISTORY_INPUT.format(key="bigint")} WHERE {_WRITTEN.format(of="h")}
), raised AS (
    INSERT INTO events ({_EVENTS_COLUMNS})
    SELECT e.event_id, e.key, {_EVENTS_VALUES}
    FROM {_EVENTS_INPUT.format(key="bigint")} WHERE {_WRITTEN.format(of="e")}
), announced AS (
    INSERT INTO outbox (event_id, instance_key, level, due_at, announcements)
    SELECT o.event_id, o.key, o.level, now() + {FIRST_WAIT}, 1
    FROM {_OUTBOX_INPUT.format(key="bigint")} WHERE {_WRITTEN.format(of="o")}
), taken_over AS (
    DELETE FROM outbox
    USING json_to_recordset(%(taken)s::json) AS t(key bigint, event_id uuid)
    WHERE outbox.event_id = t.event_id AND {_WRITTEN.format(of="t")}
)"""

_RARER_TABLES = f""", put AS (
    INSERT INTO deliveries (event_id, task_id, instance_key, state, attempts, suspect, conflicts,
        due_at, leased_by, edit, payload, last_error, outside_group, namespace)
    SELECT d.event_id, d.task_id, d.key, d.state, d.attempts, d.suspect, d.conflicts,
        now() + make_interval(secs => d.due_in), d.leased_by, d.edit, d.payload, d.last_error,
        d.outside_group, d.namespace
    FROM json_to_recordset(%(put)s::json) AS d(
        key bigint, event_id uuid, task_id text, state smallint, attempts int, suspect boolean,
        conflicts int, due_in float8, leased_by uuid, edit int, payload json, last_error json,
        outside_group boolean, namespace text)
    WHERE {_WRITTEN.format(of="d")}
    ON CONFLICT (event_id, task_id) DO UPDATE SET
        state = excluded.state, attempts = excluded.attempts, suspect = excluded.suspect,
        conflicts = excluded.conflicts, due_at = excluded.due_at,
        leased_by = excluded.leased_by, edit = excluded.edit, payload = excluded.payload,
        last_error = excluded.last_error, outside_group = excluded.outside_group,
        since = CASE WHEN deliveries.state = excluded.state THEN deliveries.since ELSE now() END
), ended AS (
    DELETE FROM deliveries
    USING json_to_recordset(%(ended)s::json) AS t(key bigint, event_id uuid, task_id text)
    WHERE {same_delivery("deliveries", "t")}
        AND {_WRITTEN.format(of="t")}
), died AS (
    INSERT INTO dead_letters (dead_letter_id, instance_key, event_id, task_id, attempts, error,
        on_failure, state, payload, edit)
    SELECT d.dead_letter_id, d.key, d.event_id, d.task_id, d.attempts, d.error, d.on_failure, {states.OPEN_LETTER},
        d.payload, d.edit
    FROM json_to_recordset(%(dead)s::json) AS d(
        key bigint, dead_letter_id uuid, event_id uuid, task_id text, attempts int, error json,
        on_failure smallint, payload json, edit int)
    WHERE {_WRITTEN.format(of="d")}
), resolved AS (
    UPDATE dead_letters SET state = r.state, resolved_at = now()
    FROM json_to_recordset(%(resolved)s::json) AS r(key bigint, dead_letter_id uuid, state smallint)
    WHERE dead_letters.dead_letter_id = r.dead_letter_id AND {_WRITTEN.format(of="r")}
), set_timers AS (
    INSERT INTO timers (instance_key, kind, ref, due_at)
    SELECT t.key, t.kind, t.ref, COALESCE(t.due_at, now() + make_interval(secs => t.due_in))
    FROM json_to_recordset(%(timers)s::json) AS t(
        key bigint, kind smallint, ref text, due_in float8, due_at timestamptz)
    WHERE {_WRITTEN.format(of="t")}
    ON CONFLICT (instance_key, kind, ref) DO UPDATE SET due_at = excluded.due_at
), dropped_timers AS (
    DELETE FROM timers
    USING json_to_recordset(%(dropped)s::json) AS t(key bigint, kind smallint, ref text)
    WHERE timers.instance_key = t.key AND timers.kind = t.kind AND timers.ref = t.ref
        AND {_WRITTEN.format(of="t")}
)"""

_WHICH_WERE_WRITTEN = """
SELECT key, now() FROM written
"""

WRITE = _COMMIT + _WHICH_WERE_WRITTEN
"""For commits that write only the tables that every commit writes."""

WRITE_ALL = _COMMIT + _RARER_TABLES + _WHICH_WERE_WRITTEN
"""For the others."""

START = f"""
WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(instances)s::json) AS x(
        namespace text, id text, type text, data json, correlation_id text, digest text,
        request_id text, deadline float8)
), written AS (
    INSERT INTO workflow_instances (namespace, workflow_instance_id, workflow_type, status,
        version, revision, data, correlation_id, unsettled, dead_letters, event_count,
        start_digest, start_request_id, deadline)
    SELECT namespace, id, type, {states.ACTIVE}, 1, 1, data, correlation_id, 1, 0, 1, decode(digest, 'hex'),
        request_id, now() + make_interval(secs => deadline)
    FROM input WHERE (namespace IN (SELECT namespace FROM registry)) IS TRUE
    ORDER BY namespace, id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING key, workflow_instance_id, created_at, deadline
), deadlines AS (
    INSERT INTO timers (instance_key, kind, ref, due_at)
    SELECT key, {states.DEADLINE_TIMER}, '', deadline FROM written WHERE deadline IS NOT NULL
), in_history AS (
    INSERT INTO history ({_HISTORY_COLUMNS})
    SELECT w.key, {_HISTORY_VALUES}
    FROM {_HISTORY_INPUT.format(key="text")} JOIN written w ON w.workflow_instance_id = h.key
), raised AS (
    INSERT INTO events ({_EVENTS_COLUMNS})
    SELECT e.event_id, w.key, {_EVENTS_VALUES}
    FROM {_EVENTS_INPUT.format(key="text")} JOIN written w ON w.workflow_instance_id = e.key
), announced AS (
    INSERT INTO outbox (event_id, instance_key, level, due_at, announcements)
    SELECT o.event_id, w.key, o.level, now() + {FIRST_WAIT}, 1
    FROM {_OUTBOX_INPUT.format(key="text")} JOIN written w ON w.workflow_instance_id = o.key
)
SELECT workflow_instance_id, key, created_at, deadline FROM written
"""

_NOTHING = "[]"
NO_STARTS = dict.fromkeys(("instances", "history", "events", "outbox"), _NOTHING)
NO_COMMITS = {
    **NO_STARTS,
    **dict.fromkeys(("taken", "put", "ended", "dead", "resolved", "timers", "dropped"), _NOTHING),
}
"""Arguments of START and of WRITE_ALL with which they write nothing."""

FACTS = f"""
SELECT f.event_id, o.event_id IS NOT NULL,
    (SELECT json_agg({DELIVERY_AS_JSON}) FROM deliveries d WHERE d.event_id = f.event_id::uuid)
FROM unnest(%(event_ids)s::text[]) AS f(event_id)
LEFT JOIN outbox o ON o.event_id = f.event_id::uuid
"""

LOAD = f"""
SELECT {EVENT_COLUMNS}, COALESCE(o.announcements, 0),
    (SELECT json_agg({DELIVERY_AS_JSON}) FROM deliveries d WHERE d.event_id = e.event_id),
    {INSTANCE_COLUMNS}, now()
FROM unnest(%(event_ids)s::uuid[]) AS f(event_id)
JOIN events e ON e.event_id = f.event_id
JOIN workflow_instances i ON i.key = e.instance_key
LEFT JOIN outbox o ON o.event_id = e.event_id
"""

LOCK_BY_KEY = f"SELECT {INSTANCE_COLUMNS} FROM workflow_instances i WHERE key = %s FOR UPDATE"

LOCK_BY_ID = f"""SELECT {INSTANCE_COLUMNS} FROM workflow_instances i
WHERE namespace = %s AND workflow_instance_id = %s FOR UPDATE"""

LOG = """SELECT sequence, change, effects FROM history
WHERE instance_key = %s AND sequence > %s ORDER BY sequence"""

# A stored request of many transactions: when it began, its count, and whether it is finished.
BEGIN_REQUEST = """
INSERT INTO requests (namespace, rpc, request_id, digest, result)
VALUES (%(namespace)s, %(rpc)s, %(request_id)s, %(digest)s,
    json_build_object('began_at', clock_timestamp(), 'count', 0, 'done', false))
ON CONFLICT DO NOTHING
"""

COUNT_REQUEST = """
UPDATE requests SET result = json_build_object('began_at', result->'began_at',
    'count', (result->>'count')::int + %(more)s, 'done', (result->>'done')::bool OR %(done)s)
WHERE namespace = %(namespace)s AND rpc = %(rpc)s AND request_id = %(request_id)s
RETURNING (result->>'count')::int
"""
