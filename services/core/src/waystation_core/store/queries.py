"""Reads of instances, events and history. See `ports.store.QueryStore`.

Events of an instance are found through `raised` of its history, which is also their order; so the hot tables
need no index for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    Select,
    SmallInteger,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
)

from waystation_core.ports.store import (
    FlowPortion,
    HistoryFilter,
    HistoryPortion,
    HistoryTail,
    OpenWork,
    StoredEvent,
    SystemFacts,
    WorkflowFilter,
    WorkflowsFound,
)
from waystation_core.ports.store.questions import EVERY_ENTRY
from waystation_core.store import flow_queries, histories, rows, states, tables
from waystation_core.store.connections import ConnectionPool, Connections, connection_of
from waystation_core.store.dead_letters import DeadLetters
from waystation_core.store.membership import pools_of
from waystation_core.store.open_work import RAISED, open_work
from waystation_core.store.question import Given, ask, columns, conditions
from waystation_core.store.system_facts import system_facts
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Event,
    Instance,
    Status,
)
from waystation_domain.pools import Pool
from waystation_domain.stored import event_state

_WALK = tables.workflow_instances.alias("w")

# A list has none of these: each may be a MiB, the input schemas of waits six.
_LEFT_OUT = {
    "i.data": "'{}'::json",
    "i.output": "NULL::json",
    "i.groups": "NULL::json",
    "i.failure": "i.failure::jsonb - 'details'",
    "i.waits": """CASE WHEN i.waits IS NOT NULL THEN (
        SELECT json_agg(w.wait::jsonb - 'input_schema' ORDER BY w.at)
        FROM json_array_elements(i.waits) WITH ORDINALITY AS w(wait, at)) END""",
}
_LISTED = rows.INSTANCE_COLUMNS.but(_LEFT_OUT)

_LISTED_BYTES = 1024 * 1024
"""Bytes of stored waits and failures of the instances in one portion, unless a single one has more."""

# An event is handled after it was raised, so entries before the first one that raised an event of the page
# are not needed.
_EVENTS = f"""
WITH page AS (
    SELECT r.event_id, h.sequence, r.at FROM {RAISED}
    WHERE h.instance_key = %(key)s ORDER BY h.sequence, r.at OFFSET %(after)s LIMIT %(limit)s
), outcomes AS (
    SELECT event_id, array_agg(result ORDER BY sequence) AS results FROM history
    WHERE instance_key = %(key)s AND sequence >= (SELECT min(sequence) FROM page)
      AND event_id IN (SELECT event_id FROM page) AND action IS NULL GROUP BY event_id
)
SELECT {rows.EVENT_COLUMNS},
    EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
        OR EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.event_id)
        OR EXISTS (SELECT 1 FROM timers t WHERE t.instance_key = e.instance_key
            AND t.kind = {states.EVENT_TIMER} AND t.ref = e.event_id::text),
    c.results
FROM page
JOIN events e ON e.event_id = page.event_id
LEFT JOIN outcomes c ON c.event_id = page.event_id
ORDER BY page.sequence, page.at
"""

_BEYOND = "~"
"""Comes after every character that an id may have, in the collation of ids."""

_IDS = """
SELECT workflow_instance_id FROM workflow_instances
WHERE namespace = %(namespace)s AND workflow_instance_id >= %(first)s AND workflow_instance_id < %(last)s
ORDER BY workflow_instance_id LIMIT %(limit)s
"""

_WALKED = 20_000
"""Instances that one portion of a list reads in search of matching ones. What few have has an index, and only those
are read: a type, a correlation id, the beginning of an id, statuses without COMPLETED."""

_FEW = 1_000
"""More ids that begin alike are not looked up one by one."""

_TYPES_APART = 10
"""Types that a list is read for one by one; of more the newest instances of all types are searched."""

_KEYS = """
SELECT key FROM workflow_instances
WHERE namespace = %(namespace)s AND workflow_instance_id >= %(first)s AND workflow_instance_id < %(last)s
LIMIT %(limit)s
"""

_CREATED_AT = rows.INSTANCE_COLUMNS.index("i.created_at")


def _walk(given: Given) -> Select[Any]:
    """Instances by their age, the newest first; by one index each time."""
    w = _WALK.c
    place = tuple_(w.created_at, w.key)
    before = tuple_(
        bindparam("after_time", type_=DateTime(timezone=True)),
        bindparam("after_key", type_=BigInteger),
    )
    where = {
        "created_after": w.created_at >= bindparam("created_after"),
        "created_before": w.created_at < bindparam("created_before"),
        "after_key": place < before,
        "workflow_type": w.workflow_type == bindparam("workflow_type"),
        "correlation_ids": w.correlation_id
        == any_(bindparam("correlation_ids", type_=ARRAY(Text))),
        "keys": w.key == any_(bindparam("keys", type_=ARRAY(BigInteger))),
        # As the condition of the index is written.
        "not_completed": w.status != literal_column(str(states.COMPLETED)),
    }
    return select(_WALK).where(*conditions(where, given)).order_by(*_newest_first(_WALK))


def _newest_first(of: FromClause) -> tuple[ColumnElement[Any], ...]:
    return of.c.created_at.desc(), of.c.key.desc()


def _listed(given: Given) -> Select[Any]:
    walked = _walk(given).limit(_WALKED).subquery("i")
    i = walked.c
    where = {
        "namespace": i.namespace == bindparam("namespace"),
        "workflow_types": i.workflow_type == any_(bindparam("workflow_types", type_=ARRAY(Text))),
        "statuses": i.status == any_(bindparam("statuses", type_=ARRAY(SmallInteger))),
        "idle": i.idle.is_not(None) == bindparam("idle", type_=Boolean),
        "first_id": i.workflow_instance_id >= bindparam("first_id"),
        "after_last_id": i.workflow_instance_id < bindparam("after_last_id"),
    }
    size = func.coalesce(func.pg_column_size(i.waits), 0) + func.coalesce(
        func.pg_column_size(i.failure), 0
    )
    found = (
        select(walked, size.label("bytes"))
        .where(*conditions(where, given))
        .order_by(*_newest_first(walked))
        .limit(bindparam("limit", type_=Integer))
        .subquery("m")
    )
    to_here = func.sum(found.c.bytes).over(order_by=_newest_first(found))
    page = select(
        found,
        func.count().over().label("matching"),
        (to_here - found.c.bytes).label("bytes_before"),
    ).subquery("i")
    return (
        select(*columns(_LISTED), page.c.matching)
        .where(page.c.bytes_before < bindparam("bytes", type_=Integer))
        .order_by(*_newest_first(page))
    )


def _last_walked(given: Given) -> Select[Any]:
    """Where a search ends that has not reached the oldest instance."""
    w = _WALK.c
    return _walk(given).with_only_columns(w.created_at, w.key).offset(_WALKED - 1).limit(1)


# OFFSET 0: each is looked up separately. Without statistics the planner believes that a namespace has few
# instances, and would read all of it. An instance that has ended is settled if nothing of it is open, or only
# deliveries that wait for an operator (HELD and DEAD).
_TAILS = f"""
SELECT w.id, w.after, i.status, i.version,
    NOT {states.one_of("i.status", states.OPEN)} AND i.timers = 0 AND (i.unsettled = 0 OR i.unsettled = (
        SELECT count(*) FROM (
            SELECT d.event_id FROM deliveries d WHERE d.instance_key = i.key
            GROUP BY d.event_id HAVING bool_and({states.one_of("d.state", states.FOR_AN_OPERATOR)})
        ) o WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.event_id = o.event_id)
    )),
    {rows.HISTORY_COLUMNS}
FROM unnest(%(ids)s::text[], %(after)s::int[]) AS w(id, after)
CROSS JOIN LATERAL (
    SELECT * FROM workflow_instances
    WHERE namespace = %(namespace)s AND workflow_instance_id = w.id OFFSET 0
) i
LEFT JOIN LATERAL (
    {histories.within_bounds("n.instance_key = i.key AND n.sequence > w.after", "n.sequence")}
) h ON true
ORDER BY w.id, w.after, h.sequence
"""


class PostgresQueryStore:
    """Implements `ports.store.QueryStore`. Reads for waiting clients use the hot pool, like the work that
    they wait for."""

    def __init__(self, connections: Connections) -> None:
        self._pool = connections.questions
        self._hot = connections.hot
        dead_letters = DeadLetters(connections.questions)
        self.dead_letters = dead_letters.dead_letters
        self.dead_letter = dead_letters.dead_letter
        self.count_dead_letters = dead_letters.count_dead_letters
        self.dead_letter_instances = dead_letters.dead_letter_instances
        self.open_dead_letters = dead_letters.open_dead_letters

    async def _ask(self, query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        return await _fetch(self._pool, query, parameters)

    async def instances(
        self, ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, Instance]:
        found = await _fetch(
            self._hot,
            f"SELECT {rows.INSTANCE_COLUMNS} FROM workflow_instances i "
            "WHERE i.namespace = %(namespace)s AND i.workflow_instance_id = ANY(%(ids)s)",
            {"namespace": namespace, "ids": list(ids)},
        )
        return {row[1]: rows.instance(row) for row in found}

    async def history(
        self,
        key: int,
        filter: HistoryFilter = EVERY_ENTRY,
        *,
        newest_first: bool = False,
        with_change: bool = True,
        limit: int = 1_000,
    ) -> HistoryPortion:
        async with connection_of(self._pool) as connection:
            return await histories.portion(
                connection,
                key,
                filter,
                newest_first=newest_first,
                with_change=with_change,
                limit=limit,
            )

    async def tails(
        self,
        places: Sequence[tuple[str, int]],
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> dict[tuple[str, int], HistoryTail]:
        found = await _fetch(
            self._hot,
            _TAILS,
            {
                "ids": [id for id, _ in places],
                "after": [after for _, after in places],
                "limit": limit,
                "namespace": namespace,
            },
        )
        tails: dict[tuple[str, int], HistoryTail] = {}
        for place, grouped in groupby(found, key=lambda row: (row[0], row[1])):
            same = list(grouped)
            _, _, status, version, is_settled = same[0][:5]
            tails[place] = HistoryTail(
                Status(status),
                version,
                bool(is_settled),
                tuple(rows.stored_entry(row[5:]) for row in same if row[5] is not None),
            )
        return tails

    async def workflows(
        self,
        filter: WorkflowFilter,
        *,
        after: tuple[datetime, int] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> WorkflowsFound:
        types = tuple(dict.fromkeys(filter.workflow_types))
        if not 1 < len(types) <= _TYPES_APART:
            return await self._newest(filter, after, limit, namespace)
        # No index has several types in their order, so each is read alone.
        portions = [
            await self._newest(replace(filter, workflow_types=(one,)), after, limit, namespace)
            for one in types
        ]
        # Beyond where one of them ends, others of its type may follow.
        ends = [portion.after for portion in portions if portion.after is not None]
        end = max(ends, default=None)
        found = sorted(
            (one for portion in portions for one in portion.instances), key=_place, reverse=True
        )
        found = [one for one in found if end is None or _place(one) >= end]
        if len(found) > limit:
            return WorkflowsFound(found[:limit], _place(found[limit - 1]))
        return WorkflowsFound(found, end)

    async def _newest(
        self,
        filter: WorkflowFilter,
        after: tuple[datetime, int] | None,
        limit: int,
        namespace: str,
    ) -> WorkflowsFound:
        time, key = after if after is not None else (None, None)
        types = list(filter.workflow_types)
        values = {
            "namespace": namespace,
            "workflow_type": types[0] if len(types) == 1 else None,
            "workflow_types": types if len(types) > 1 else None,
            "not_completed": filter.asks_for_none_completed or None,
            "statuses": [int(status) for status in filter.statuses],
            "idle": filter.idle,
            "correlation_ids": list(filter.correlation_ids),
            "first_id": filter.id_prefix or None,
            "after_last_id": filter.id_prefix + _BEYOND if filter.id_prefix else None,
            "created_after": filter.created_after,
            "created_before": filter.created_before,
            "after_time": time,
            "after_key": key,
            "limit": limit,
            "bytes": _LISTED_BYTES,
        }
        async with connection_of(self._pool) as connection:
            if filter.id_prefix:
                cursor = await connection.execute(
                    _KEYS,
                    {
                        "namespace": namespace,
                        "first": values["first_id"],
                        "last": values["after_last_id"],
                        "limit": _FEW + 1,
                    },
                )
                keys = [row[0] for row in await cursor.fetchall()]
                if not keys:
                    return WorkflowsFound([], None)
                values["keys"] = keys if len(keys) <= _FEW else None
            found = await ask(connection, _listed, values)
            instances = [rows.instance(row) for row in found]
            if found and (len(found) == limit or len(found) < found[0][-1]):
                return WorkflowsFound(instances, (found[-1][_CREATED_AT], found[-1][0]))
            last = await ask(connection, _last_walked, values)
        return WorkflowsFound(instances, (last[0][0], last[0][1]) if last else None)

    async def ids_beginning(
        self, prefix: str, *, limit: int, namespace: str = DEFAULT_NAMESPACE
    ) -> list[str]:
        found = await self._ask(
            _IDS,
            {"namespace": namespace, "first": prefix, "last": prefix + _BEYOND, "limit": limit},
        )
        return [row[0] for row in found]

    async def events(
        self, key: int, *, after: int | None = None, limit: int = 50
    ) -> list[StoredEvent]:
        found = await self._ask(_EVENTS, {"key": key, "after": after or 0, "limit": limit})
        return [
            StoredEvent(
                rows.event(row), event_state(row[rows.EVENT_WIDTH], row[rows.EVENT_WIDTH + 1] or ())
            )
            for row in found
        ]

    async def events_named(self, key: int, event_ids: Sequence[str]) -> dict[str, Event]:
        found = await self._ask(
            f"SELECT {rows.EVENT_COLUMNS} FROM unnest(%s::uuid[]) AS f(event_id) "
            "JOIN events e ON e.event_id = f.event_id WHERE e.instance_key = %s",
            (list(event_ids), key),
        )
        return {row[0]: rows.event(row) for row in found}

    async def open_work(self, key: int, *, limit: int = 200) -> OpenWork:
        async with connection_of(self._pool) as connection:
            return await open_work(connection, key, limit)

    async def instance_of_event(
        self, event_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int | None:
        found = await self._ask(
            "SELECT e.instance_key FROM events e JOIN workflow_instances i ON i.key = e.instance_key "
            "WHERE e.event_id = %s::uuid AND i.namespace = %s",
            (event_id, namespace),
        )
        return found[0][0] if found else None

    async def pools(self) -> tuple[Pool, ...]:
        async with connection_of(self._pool) as connection:
            return await pools_of(connection)

    async def flow(
        self,
        created_after: datetime,
        *,
        workflow_type: str = "",
        after: tuple[datetime, int] | None = None,
        limit: int = 100,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> FlowPortion:
        return await flow_queries.look(
            self._pool,
            created_after,
            workflow_type=workflow_type,
            after=after,
            limit=limit,
            namespace=namespace,
        )

    async def system(self, namespace: str = DEFAULT_NAMESPACE) -> SystemFacts:
        async with connection_of(self._pool) as connection:
            return await system_facts(connection, namespace)


def _place(instance: Instance) -> tuple[datetime, int]:
    """In the order of lists."""
    assert instance.created_at is not None
    return instance.created_at, instance.key


async def _fetch(pool: ConnectionPool, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    async with connection_of(pool) as connection:
        cursor = await connection.execute(query, parameters)
        return await cursor.fetchall()
