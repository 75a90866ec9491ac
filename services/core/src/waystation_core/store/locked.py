"""One locked instance: the second form of the commit rule.

Lock first, then read in later statements: a statement that waited for a lock sees the new row, but
its other tables as they were before the wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from waystation_core.ports.store import AuditEntry, DeadLetterFilter, RegistryMoved
from waystation_core.store import audit, rows, statements, states
from waystation_core.store.catch_up import never_delivered
from waystation_core.store.connections import Connection
from waystation_core.store.dead_letter_rows import OPEN_COLUMNS, open_dead_letter
from waystation_core.store.writes import count_request, write
from waystation_domain.commit import EventFacts, InstanceCommit, LoggedWrites, writes_of
from waystation_domain.dead_letters import OpenDeadLetter
from waystation_domain.errors import (
    DeadLetterNotFound,
    DeadLetterResolved,
    RequestIdReused,
    WorkflowNotFound,
)
from waystation_domain.model import (
    DeadLetterState,
    Delivery,
    Event,
    Instance,
    JsonObject,
    Timer,
    TimerKind,
    Turn,
)
from waystation_domain.operations import from_json


class LockedInstance:
    """Implements `ports.store.Locked`. Made by `lock`; lives as long as its transaction."""

    def __init__(
        self,
        connection: Connection,
        instance: Instance,
        facts: Mapping[str, EventFacts],
        log: Sequence[LoggedWrites],
        generation: int,
        now: datetime,
    ) -> None:
        self._connection = connection
        self.instance = instance
        self.facts = facts
        self.log = log
        self.generation = generation
        self.now = now

    async def _rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(query, parameters)
        return await cursor.fetchall()

    async def event(self, event_id: str) -> Event | None:
        found = await self._rows(
            f"SELECT {rows.EVENT_COLUMNS} FROM events e "
            "WHERE e.event_id = %s::uuid AND e.instance_key = %s",
            event_id,
            self.instance.key,
        )
        return rows.event(found[0]) if found else None

    async def dead_letter(self, dead_letter_id: str) -> OpenDeadLetter:
        found = await self._rows(
            f"SELECT l.state, {OPEN_COLUMNS} FROM dead_letters l "
            "JOIN events e ON e.event_id = l.event_id "
            "WHERE l.dead_letter_id = %s::uuid AND l.instance_key = %s",
            dead_letter_id,
            self.instance.key,
        )
        if not found:
            raise DeadLetterNotFound.of(dead_letter_id)
        state = DeadLetterState(found[0][0])
        if state is not DeadLetterState.OPEN:
            raise DeadLetterResolved(
                f"The dead letter {dead_letter_id} is {state.name} already and cannot be changed. "
                "GetWorkflow shows the state of its instance.",
                dead_letter_id=dead_letter_id,
                state=state.name,
            )
        return open_dead_letter(found[0][1:])

    async def dead_letters(
        self, filter: DeadLetterFilter, *, after: str | None = None, limit: int
    ) -> list[OpenDeadLetter]:
        # Only an API asks this: a router need not import SQLAlchemy.
        from waystation_core.store.dead_letter_filter import open_dead_letters, values_of
        from waystation_core.store.optional_conditions import ask

        values = {
            **values_of(filter, self.instance.namespace),
            "key": self.instance.key,
            "after_id": after,
            "limit": limit,
        }
        return [
            open_dead_letter(row) for row in await ask(self._connection, open_dead_letters, values)
        ]

    async def held(self) -> list[tuple[Delivery, Event]]:
        return await self._deliveries(f"AND d.state = {states.HELD}")

    async def open_deliveries(self) -> list[tuple[Delivery, Event]]:
        return await self._deliveries()

    async def deliveries_of(self, task_id: str, *, limit: int) -> list[tuple[Delivery, Event]]:
        return await self._deliveries(
            f"AND d.task_id = %s AND {states.one_of('d.state', states.CALLABLE)}",
            task_id,
            limit=limit,
        )

    async def _deliveries(
        self, condition: str = "", *values: int | str, limit: int | None = None
    ) -> list[tuple[Delivery, Event]]:
        found = await self._rows(
            f"SELECT {rows.DELIVERY_COLUMNS}, {rows.EVENT_COLUMNS} FROM deliveries d "
            "JOIN events e ON e.event_id = d.event_id "
            f"WHERE d.instance_key = %s {condition} ORDER BY e.event_id, d.task_id LIMIT %s",
            self.instance.key,
            *values,
            limit,
        )
        return [(rows.delivery(row), rows.event(row[rows.DELIVERY_WIDTH :])) for row in found]

    async def timers(self) -> list[Timer]:
        found = await self._rows(
            "SELECT kind, ref, due_at FROM timers WHERE instance_key = %s "
            "ORDER BY due_at, kind, ref",
            self.instance.key,
        )
        return [Timer(TimerKind(kind), ref, due_at=due_at) for kind, ref, due_at in found]

    async def facts_of(self, event_ids: Sequence[str]) -> Mapping[str, EventFacts]:
        return await facts(self._connection, event_ids)

    async def unhandled(self, task_id: str) -> list[Event]:
        found = await self._rows(
            f"SELECT {rows.EVENT_COLUMNS} FROM history h JOIN events e ON e.event_id = h.event_id "
            f"WHERE h.instance_key = %s AND h.result = {states.UNHANDLED} "
            f"AND {states.one_of('h.status', states.OPEN)} AND {never_delivered('%s')} ORDER BY h.sequence",
            self.instance.key,
            task_id,
            task_id,
        )
        return [rows.event(row) for row in found]

    async def repeated(self, rpc: str, request_id: str, digest: bytes) -> JsonObject | None:
        found = await self._rows(
            "SELECT digest, result FROM requests "
            "WHERE namespace = %s AND rpc = %s AND request_id = %s",
            self.instance.namespace,
            rpc,
            request_id,
        )
        if not found:
            return None
        if bytes(found[0][0]) != digest:
            raise RequestIdReused.of(request_id)
        result: JsonObject = found[0][1]
        return result

    async def remember(self, rpc: str, request_id: str, digest: bytes, result: JsonObject) -> None:
        await self._connection.execute(
            "INSERT INTO requests (namespace, rpc, request_id, digest, result) "
            "VALUES (%s, %s, %s, %s, %s::json)",
            (
                self.instance.namespace,
                rpc,
                request_id,
                digest,
                orjson.dumps(result).decode(),
            ),
        )

    async def count(self, rpc: str, request_id: str, number: int) -> None:
        await count_request(
            self._connection, rpc, request_id, number, namespace=self.instance.namespace
        )

    async def record(self, entry: AuditEntry) -> None:
        await audit.add(self._connection, [entry])

    async def write(self, commit: InstanceCommit) -> None:
        if commit.is_empty:
            return
        written = await write(
            self._connection,
            [commit],
            generations={self.instance.namespace: self.generation},
        )
        if written.keys != {self.instance.key}:
            # The row is locked, so only the registry can have changed between two statements.
            raise RegistryMoved(self.instance.namespace)


async def lock(
    connection: Connection,
    *,
    key: int | None,
    workflow_instance_id: str | None,
    namespace: str,
    event_ids: Sequence[str],
    since: int | None,
) -> LockedInstance:
    """Locks and reads one instance; the connection must be in a transaction."""
    if key is not None:
        cursor = await connection.execute(statements.LOCK_BY_KEY, (key,))
    else:
        cursor = await connection.execute(statements.LOCK_BY_ID, (namespace, workflow_instance_id))
    row = await cursor.fetchone()
    if row is None:
        raise WorkflowNotFound.of(workflow_instance_id or str(key))
    instance = rows.instance(row)
    if instance.turn is not None and not await _in_call(connection, instance.turn):
        # Its router died, or gave it back: nobody need wait for its end.
        instance = replace(instance, turn=None)
    cursor = await connection.execute(
        "SELECT generation, clock_timestamp() FROM registry WHERE namespace = %s",
        (instance.namespace,),
    )
    registry = await cursor.fetchone()
    assert registry is not None
    known = await facts(connection, event_ids) if event_ids else {}
    log: list[LoggedWrites] = []
    if since is not None and since < instance.version:
        cursor = await connection.execute(statements.LOG, (instance.key, since))
        log = [
            LoggedWrites(sequence, writes_of([from_json(op) for op in change or ()], effects))
            for sequence, change, effects in await cursor.fetchall()
        ]
    return LockedInstance(connection, instance, known, log, registry[0], registry[1])


async def _in_call(connection: Connection, turn: Turn) -> bool:
    cursor = await connection.execute(
        "SELECT 1 FROM deliveries WHERE event_id = %s::uuid AND task_id = %s "
        f"AND state = {states.LEASED}",
        turn.holder,
    )
    return await cursor.fetchone() is not None


async def facts(connection: Connection, event_ids: Sequence[str]) -> dict[str, EventFacts]:
    """What is open of these events."""
    cursor = await connection.execute(statements.FACTS, {"event_ids": list(event_ids)})
    return {
        event_id: EventFacts(in_outbox, deliveries_of(stored))
        for event_id, in_outbox, stored in await cursor.fetchall()
    }


def deliveries_of(stored: Sequence[Any] | None) -> dict[str, Delivery]:
    """From an aggregate of DELIVERY_AS_JSON."""
    return {row[1]: rows.delivery(row) for row in stored or ()}
