"""Queries for dead letters: lists, their instances, and what resolving many at once needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Uuid,
    bindparam,
    func,
    literal_column,
    select,
    true,
    tuple_,
)

from waystation_core.ids import may_be_ours
from waystation_core.ports.store import (
    DeadLetterCounts,
    DeadLetterFact,
    DeadLetterFilter,
    DeadLetterGroup,
    DeadLetterInstances,
    InstanceDeadLetters,
    OpenDeadLetters,
)
from waystation_core.store import rows, states, tables
from waystation_core.store.connections import ConnectionPool, connection_of
from waystation_core.store.dead_letter_filter import (
    LETTERS,
    matches,
    named,
    values_of,
    with_their_own,
)
from waystation_core.store.dead_letter_rows import (
    OPEN_COLUMNS,
    SHOWN_COLUMNS,
    dead_letter_fact,
    open_dead_letter,
)
from waystation_core.store.locked import facts
from waystation_core.store.optional_conditions import Given, ask, columns, conditions
from waystation_domain.errors import DeadLetterNotFound
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Delivery,
    Event,
)


def _newest(given: Given) -> Select[Any]:
    of = LETTERS.c
    place = tuple_(of.created_at, of.dead_letter_id)
    more = {
        "after_id": place
        < tuple_(
            bindparam("after_time", type_=DateTime(timezone=True)),
            bindparam("after_id", type_=Uuid),
        ),
        "dead_letter_id": of.dead_letter_id == bindparam("dead_letter_id"),
    }
    return (
        select(*columns(SHOWN_COLUMNS))
        .select_from(with_their_own(LETTERS))
        .where(*matches(LETTERS, given), *conditions(more, given))
        .order_by(of.created_at.desc(), of.dead_letter_id.desc())
        .limit(bindparam("limit", type_=Integer))
    )


def _of_which_instances(given: Given) -> Select[Any]:
    walked = (
        select(LETTERS)
        .where(LETTERS.c.instance_key > bindparam("after"), *named(LETTERS, given))
        .order_by(LETTERS.c.instance_key)
        .limit(bindparam("limit", type_=Integer))
        .cte("walked")
    )
    dead_letters = walked.alias("l")
    keys = select(func.array_agg(dead_letters.c.instance_key.distinct())).select_from(
        with_their_own(dead_letters)
    )
    return select(
        select(func.count()).select_from(walked).scalar_subquery(),
        select(func.max(walked.c.instance_key)).scalar_subquery(),
        keys.where(*matches(dead_letters, given)).scalar_subquery(),
    )


def _of_each_instance(given: Given) -> Select[Any]:
    k = (
        func.unnest(bindparam("keys", type_=ARRAY(BigInteger)))
        .table_valued("key")
        .render_derived("k")
    )
    # OFFSET 0: by the key first. Without statistics all open letters would be read once for each instance.
    dead_letters = (
        select(tables.dead_letters)
        .where(tables.dead_letters.c.instance_key == k.c.key)
        .offset(literal_column("0"))
        .correlate(k)
        .lateral("l")
    )
    x = (
        select(*columns(OPEN_COLUMNS.but(rows.UNREAD_PAYLOAD)))
        .select_from(with_their_own(dead_letters))
        .where(*matches(dead_letters, given))
        .order_by(dead_letters.c.dead_letter_id)
        .limit(bindparam("limit", type_=Integer))
        .correlate(k)
        .lateral("x")
    )
    return select(k.c.key, literal_column("x.*")).select_from(k.join(x, true())).order_by(k.c.key)


def _counted(given: Given) -> Select[Any]:
    """A row for each task and reason, and one for all of them, whose task is NULL."""
    l = LETTERS.c  # noqa: E741
    reason = func.coalesce(_said("reason"), _said("code"), literal_column("''"))
    taken = (
        select(
            l.task_id,
            reason.label("reason"),
            l.instance_key,
            l.created_at,
            literal_column(states.RETRYABLE, type_=Boolean).label("retryable"),
        )
        .select_from(with_their_own(LETTERS))
        .where(*matches(LETTERS, given))
        .order_by(l.created_at.desc(), l.dead_letter_id.desc())
        .limit(bindparam("limit", type_=Integer))
        .subquery("t")
    )
    t = taken.c
    count = func.count().label("count")
    return (
        select(
            t.task_id,
            t.reason,
            count,
            func.count().filter(t.retryable),
            func.count(t.instance_key.distinct()),
            func.min(t.created_at),
            func.max(t.created_at),
        )
        .group_by(func.grouping_sets(tuple_(t.task_id, t.reason), tuple_()))
        .order_by(t.task_id.is_not(None), count.desc(), t.task_id, t.reason)
    )


def _said(member: str) -> ColumnElement[str]:
    """A member of the error; empty texts say nothing."""
    return func.nullif(
        LETTERS.c.error.op("->>")(literal_column(f"'{member}'")), literal_column("''")
    )


_BYTES_AT_ONCE = 1024 * 1024
"""Bytes of data and output of the instances that are decided on together."""

_INSTANCES = f"""
SELECT clock_timestamp(), {rows.INSTANCE_COLUMNS} FROM (
    SELECT w.*, sum(pg_column_size(w.data) + COALESCE(pg_column_size(w.output), 0))
        OVER (ORDER BY w.key) AS bytes_to_here
    FROM workflow_instances w WHERE w.key = ANY(%(keys)s)
) i WHERE i.bytes_to_here < {_BYTES_AT_ONCE} AND i.turn_holder IS NULL
"""

_HELD_OF_EACH = f"""
SELECT k.key, x.* FROM unnest(%(keys)s::bigint[]) AS k(key) CROSS JOIN LATERAL (
    SELECT {rows.DELIVERY_COLUMNS}, {rows.EVENT_COLUMNS.but(rows.UNREAD_PAYLOAD)}
    FROM deliveries d JOIN events e ON e.event_id = d.event_id
    WHERE d.instance_key = k.key AND d.state = {states.HELD}
    ORDER BY e.event_id, d.task_id LIMIT %(limit)s
) x ORDER BY k.key
"""


class DeadLetters:
    """Implements dead letters for `ports.store.QueryStore`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[DeadLetterFact]:
        time, dead_letter = after if after is not None else (None, None)
        values = {
            **values_of(filter, namespace),
            "after_time": time,
            "after_id": dead_letter,
            "limit": limit,
        }
        async with connection_of(self._pool) as connection:
            return [dead_letter_fact(row) for row in await ask(connection, _newest, values)]

    async def count_dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        limit: int = 100_000,
        groups: int = 1_000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> DeadLetterCounts:
        values = {**values_of(filter, namespace), "limit": limit + 1}
        async with connection_of(self._pool) as connection:
            ((_, _, count, retryable, workflows, *_), *found) = await ask(
                connection, _counted, values
            )
        return DeadLetterCounts(
            min(count, limit),
            min(retryable, limit),
            workflows,
            [DeadLetterGroup(*row) for row in found[:groups]],
            max(len(found) - groups, 0),
            more=count > limit,
        )

    async def dead_letter_instances(
        self,
        filter: DeadLetterFilter,
        *,
        after: int = 0,
        limit: int = 5_000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> DeadLetterInstances:
        values = {**values_of(filter, namespace), "after": after, "limit": limit}
        async with connection_of(self._pool) as connection:
            ((walked, last, keys),) = await ask(connection, _of_which_instances, values)
        if walked < limit:
            return DeadLetterInstances(keys or [], None)
        return DeadLetterInstances(sorted({*(keys or ()), last}), last)

    async def dead_letter(
        self, dead_letter_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> DeadLetterFact:
        found: Sequence[rows.Row] = []
        if may_be_ours(dead_letter_id):
            values = {"namespace": namespace, "dead_letter_id": dead_letter_id, "limit": 1}
            async with connection_of(self._pool) as connection:
                found = await ask(connection, _newest, values)
        if not found:
            raise DeadLetterNotFound.of(dead_letter_id)
        return dead_letter_fact(found[0])

    async def open_dead_letters(
        self,
        keys: Sequence[int],
        filter: DeadLetterFilter,
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> OpenDeadLetters:
        values = {**values_of(filter, namespace), "keys": list(keys), "limit": limit + 1}
        async with connection_of(self._pool) as connection:
            # First: if its revision is unchanged later, everything read after it is valid.
            cursor = await connection.execute(_INSTANCES, {"keys": list(keys)})
            instances = {
                row[1]: (row[0], rows.instance(row[1:])) for row in await cursor.fetchall()
            }
            dead_letters = _by_key(await ask(connection, _of_each_instance, values))
            cursor = await connection.execute(
                _HELD_OF_EACH, {"keys": list(dead_letters), "limit": limit + 1}
            )
            held = _by_key(await cursor.fetchall())
            whole = {
                key: ([open_dead_letter(row) for row in found], [_held(row) for row in held[key]])
                for key, found in dead_letters.items()
                if key in instances and max(len(found), len(held[key])) <= limit
            }
            events = {
                event.event_id
                for dead, waiting in whole.values()
                for event in (*(one.event for one in dead), *(event for _, event in waiting))
            }
            known = await facts(connection, sorted(events))
        return OpenDeadLetters(
            [
                InstanceDeadLetters(instances[key][1], dead, waiting, known, instances[key][0])
                for key, (dead, waiting) in whole.items()
            ],
            sorted(dead_letters.keys() - whole.keys()),
        )


def _by_key(found: Sequence[rows.Row]) -> defaultdict[int, list[rows.Row]]:
    """The rows without their first column, by that column, the key."""
    by_key: defaultdict[int, list[rows.Row]] = defaultdict(list)
    for row in found:
        by_key[row[0]].append(row[1:])
    return by_key


def _held(row: rows.Row) -> tuple[Delivery, Event]:
    return rows.delivery(row), rows.event(row[rows.DELIVERY_WIDTH :])
