"""What is asked of dead letters: lists of them, whose they are, and what resolving many at once needs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from waystation_core.ids import may_be_ours
from waystation_core.ports.store import (
    DeadLetterFact,
    DeadLetterFilter,
    LetterInstances,
    LettersOf,
    OpenLetters,
)
from waystation_core.store import rows, states
from waystation_core.store.conditions import LETTERS, Conditions, add_instances, letter_conditions
from waystation_core.store.locked import LETTER_COLUMNS, facts, open_letter
from waystation_core.store.open_work import letter_fact
from waystation_core.store.pool import Connection, Pool, connection_of, question_of
from waystation_domain.errors import DeadLetterNotFound
from waystation_domain.model import (
    DEFAULT_NAMESPACE,
    Delivery,
    Event,
)

_SHOWN = (
    f"{rows.EVENT_COLUMNS.but({'e.payload': 'COALESCE(l.payload, e.payload)'})}, "
    "l.dead_letter_id::text, l.task_id, i.workflow_instance_id, i.workflow_type, l.attempts, "
    f"l.error, l.on_failure, l.state, l.created_at, l.resolved_at FROM {LETTERS}"
)
"""What `letter_fact` reads."""

# An instance that the portion cut in two belongs to it, whatever the part that is here says.
_WALKED = """
WITH walked AS MATERIALIZED (
    SELECT * FROM dead_letters l WHERE {named}
    ORDER BY l.instance_key LIMIT %(limit)s
)
SELECT (SELECT count(*) FROM walked), (SELECT max(instance_key) FROM walked),
    (SELECT array_agg(DISTINCT l.instance_key) FROM {letters} WHERE {where})
"""

_BYTES_AT_ONCE = 1024 * 1024
"""Of data and output, of instances that are decided on together."""

_INSTANCES = f"""
SELECT clock_timestamp(), {rows.INSTANCE_COLUMNS} FROM (
    SELECT w.*, sum(pg_column_size(w.data) + COALESCE(pg_column_size(w.output), 0))
        OVER (ORDER BY w.key) AS bytes_to_here
    FROM workflow_instances w WHERE w.key = ANY(%(keys)s)
) i WHERE i.bytes_to_here < {_BYTES_AT_ONCE} AND i.turn_holder IS NULL
"""

# OFFSET 0 keeps the planner from walking the letters of all instances in the order of their ids.
_LETTERS_OF_EACH = f"""
SELECT k.key, x.* FROM unnest(%(keys)s::bigint[]) AS k(key) CROSS JOIN LATERAL (
    SELECT {LETTER_COLUMNS.but(rows.UNREAD_PAYLOAD)}
    FROM (SELECT * FROM dead_letters WHERE instance_key = k.key OFFSET 0) l
    {LETTERS.removeprefix("dead_letters l")} WHERE {{where}}
    ORDER BY l.dead_letter_id LIMIT %(limit)s
) x ORDER BY k.key
"""

_HELD_OF_EACH = f"""
SELECT k.key, x.* FROM unnest(%(keys)s::bigint[]) AS k(key) CROSS JOIN LATERAL (
    SELECT {rows.DELIVERY_COLUMNS}, {rows.EVENT_COLUMNS.but(rows.UNREAD_PAYLOAD)}
    FROM deliveries d JOIN events e ON e.event_id = d.event_id
    WHERE d.instance_key = k.key AND d.state = {states.HELD}
    ORDER BY e.event_id, d.task_id LIMIT %(limit)s
) x ORDER BY k.key
"""


class Letters:
    """The dead letters' part of `ports.store.QueryStore`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def dead_letters(
        self,
        filter: DeadLetterFilter,
        *,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> list[DeadLetterFact]:
        where = letter_conditions(filter, namespace)
        if after is not None:
            where.add(
                "(l.created_at, l.dead_letter_id) < (%(after_time)s, %(after_id)s::uuid)",
                after_time=after[0],
                after_id=after[1],
            )
        async with question_of(self._pool) as connection:
            cursor = await connection.execute(
                f"SELECT {_SHOWN} WHERE {where} "
                "ORDER BY l.created_at DESC, l.dead_letter_id DESC LIMIT %(limit)s",
                {**where.parameters, "limit": limit},
                prepare=False,
            )
            return [letter_fact(row) for row in await cursor.fetchall()]

    async def dead_letter_instances(
        self,
        filter: DeadLetterFilter,
        *,
        after: int = 0,
        limit: int = 5_000,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> LetterInstances:
        where = letter_conditions(filter, namespace)
        named = Conditions()
        named.add("l.instance_key > %(after)s")
        add_instances(named, filter)
        query = _WALKED.format(
            letters=LETTERS.replace("dead_letters l", "walked l", 1), where=where, named=named
        )
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                query, {**where.parameters, "after": after, "limit": limit}
            )
            row = await cursor.fetchone()
        assert row is not None
        walked, last, keys = row
        if walked < limit:
            return LetterInstances(keys or [], None)
        return LetterInstances(sorted({*(keys or ()), last}), last)

    async def dead_letter(
        self, dead_letter_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> DeadLetterFact:
        row = None
        if may_be_ours(dead_letter_id):
            async with connection_of(self._pool) as connection:
                cursor = await connection.execute(
                    f"SELECT {_SHOWN} WHERE l.dead_letter_id = %s::uuid AND i.namespace = %s",
                    (dead_letter_id, namespace),
                )
                row = await cursor.fetchone()
        if row is None:
            raise DeadLetterNotFound.of(dead_letter_id)
        return letter_fact(row)

    async def open_letters(
        self,
        keys: Sequence[int],
        filter: DeadLetterFilter,
        *,
        limit: int,
        namespace: str = DEFAULT_NAMESPACE,
    ) -> OpenLetters:
        where = letter_conditions(filter, namespace)
        more_than_that = {"limit": limit + 1}
        async with connection_of(self._pool) as connection:
            # First of all: a revision that is still the same proves what was read after it.
            cursor = await connection.execute(_INSTANCES, {"keys": list(keys)})
            instances = {
                row[1]: (row[0], rows.instance(row[1:])) for row in await cursor.fetchall()
            }
            letters = await _by_key(
                connection,
                _LETTERS_OF_EACH.format(where=where),
                {**where.parameters, **more_than_that, "keys": list(keys)},
            )
            held = await _by_key(
                connection, _HELD_OF_EACH, {**more_than_that, "keys": list(letters)}
            )
            whole = {
                key: ([open_letter(row) for row in found], [_held(row) for row in held[key]])
                for key, found in letters.items()
                if key in instances and max(len(found), len(held[key])) <= limit
            }
            events = {
                event.event_id
                for dead, waiting in whole.values()
                for event in (*(one.event for one in dead), *(event for _, event in waiting))
            }
            known = await facts(connection, sorted(events))
        return OpenLetters(
            [
                LettersOf(instances[key][1], dead, waiting, known, instances[key][0])
                for key, (dead, waiting) in whole.items()
            ],
            sorted(letters.keys() - whole.keys()),
        )


async def _by_key(
    connection: Connection, query: str, parameters: dict[str, Any]
) -> defaultdict[int, list[rows.Row]]:
    """The rows without their first column, which is the key."""
    found: defaultdict[int, list[rows.Row]] = defaultdict(list)
    cursor = await connection.execute(query, parameters)
    for row in await cursor.fetchall():
        found[row[0]].append(row[1:])
    return found


def _held(row: rows.Row) -> tuple[Delivery, Event]:
    return rows.delivery(row), rows.event(row[rows.DELIVERY_WIDTH :])
