"""Many rows in the shape of real ones: an instance that the engine made is copied, with all that belongs
to it, under new keys and ids."""

from collections.abc import Mapping
from types import MappingProxyType

from scale.system import System

_PREPARE = """
CREATE TEMP TABLE new_instances AS
SELECT n, %(id)s::text || '-' || n AS id FROM generate_series(%(first)s, %(last)s) n;
"""

# Ids in the order of time, as the engine makes them.
_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid"""

_TABLES = {
    # What a copied row has instead of what the first one has.
    "history": {
        "event_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.event_id)",
        "raised": """(SELECT array_agg(e.new_id ORDER BY r.at)
            FROM unnest(t.raised) WITH ORDINALITY r(id, at)
            JOIN new_events e ON e.n = k.n AND e.old_id = r.id)""",
    },
    "events": {
        "event_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.event_id)",
        "causation_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.causation_id)",
    },
    "outbox": {
        "event_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.event_id)",
    },
    "deliveries": {
        "event_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.event_id)",
    },
    "timers": {
        "ref": """COALESCE((SELECT e.new_id::text FROM new_events e
            WHERE e.n = k.n AND e.old_id::text = t.ref), t.ref)""",
    },
    "dead_letters": {
        "dead_letter_id": _ID,
        "event_id": "(SELECT e.new_id FROM new_events e WHERE e.n = k.n AND e.old_id = t.event_id)",
    },
}
_GENERATED = "key"


def copy(
    system: System,
    workflow_instance_id: str,
    number: int,
    *,
    first: int = 1,
    others: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Copies the instance so many times; the copies' ids are its own with a number behind, from `first`. `others`:
    what columns of the instances have instead, as SQL, where `k.n` is the number."""
    ((key,),) = system.rows(
        "SELECT key FROM workflow_instances WHERE workflow_instance_id = %s",
        (workflow_instance_id,),
    )
    names = {"key": key, "id": workflow_instance_id, "first": first, "last": first + number - 1}
    columns = [name for name in _columns(system, "workflow_instances") if name != _GENERATED]
    own = {"workflow_instance_id": "k.id", "start_request_id": "NULL", **others}
    values = [own.get(name, f"t.{name}") for name in columns]
    statements = [
        _PREPARE,
        f"""INSERT INTO workflow_instances ({", ".join(columns)}) SELECT {", ".join(values)}
        FROM new_instances k, workflow_instances t WHERE t.key = %(key)s ORDER BY k.n""",
        """CREATE TEMP TABLE new_keys AS SELECT k.n, i.key FROM new_instances k
        JOIN workflow_instances i ON i.namespace = 'default' AND i.workflow_instance_id = k.id""",
        f"""CREATE TEMP TABLE new_events AS SELECT k.n, t.event_id AS old_id, {_ID} AS new_id
        FROM new_keys k, events t WHERE t.instance_key = %(key)s ORDER BY k.n, t.event_id""",
        "CREATE INDEX ON new_events (n, old_id)",
        "ANALYZE new_events, new_keys",
    ]
    for table, theirs in _TABLES.items():
        columns = _columns(system, table)
        own = {"instance_key": "k.key", **theirs}
        values = [own.get(name, f"t.{name}") for name in columns]
        statements.append(
            f"""INSERT INTO {table} ({", ".join(columns)}) SELECT {", ".join(values)}
            FROM new_keys k, {table} t WHERE t.instance_key = %(key)s ORDER BY k.n"""
        )
    statements.append(
        "ANALYZE workflow_instances, history, events, outbox, deliveries, timers, dead_letters"
    )
    system.run(statements, names)


def _columns(system: System, table: str) -> list[str]:
    found = system.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
        "AND table_schema = 'public' ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in found]
