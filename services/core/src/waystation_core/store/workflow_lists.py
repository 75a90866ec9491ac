"""Lists of instances: each portion is found by one index, in its order, and bounded in rows and bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
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

from waystation_core.ports.store import WorkflowFilter, WorkflowsFound
from waystation_core.store import rows, states, tables
from waystation_core.store.connections import ConnectionPool, connection_of, fetch
from waystation_core.store.optional_conditions import Given, ask, columns, conditions
from waystation_domain.model import DEFAULT_NAMESPACE, Instance

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


class WorkflowLists:
    """Implements lists of instances for `ports.store.QueryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

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
        # As of one moment: what the second look reaches is what the first one has looked at.
        async with connection_of(self._pool) as connection, connection.transaction():
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
        found = await fetch(
            self._pool,
            _IDS,
            {"namespace": namespace, "first": prefix, "last": prefix + _BEYOND, "limit": limit},
        )
        return [row[0] for row in found]


def _place(instance: Instance) -> tuple[datetime, int]:
    """In the order of lists."""
    assert instance.created_at is not None
    return instance.created_at, instance.key
