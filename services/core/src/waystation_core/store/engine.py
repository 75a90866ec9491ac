"""Starting, loading and committing work. See `ports.store.EngineStore`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from waystation_core.ports.store import (
    AuditedCall,
    Committed,
    HistoryFilter,
    Loaded,
    LongRequest,
    Started,
    StoredEntry,
    Tally,
)
from waystation_core.store import histories, locked, rows, statements
from waystation_core.store.audit import audited
from waystation_core.store.connections import ConnectionPool, connection_of, json_text
from waystation_core.store.leases import Leases
from waystation_core.store.losses import Losses
from waystation_core.store.membership import Membership
from waystation_core.store.sweeps import Sweeps
from waystation_core.store.writes import count_request, write
from waystation_domain.actions import Start
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.errors import RequestIdReused
from waystation_domain.model import DEFAULT_NAMESPACE


class PostgresEngineStore:
    """Implements `ports.store.EngineStore` over one pool; what only routers need is in parts of its own."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        sweeps = Sweeps(pool)
        self.make_due = sweeps.make_due
        self.claim_due_events = sweeps.claim_due_events
        self.claim_starving_events = sweeps.claim_starving_events
        self.claim_deliveries = sweeps.claim_deliveries
        self.claim_overdue = sweeps.claim_overdue
        self.claim_timers = sweeps.claim_timers
        self.timers_of_instances = sweeps.timers_of_instances
        self.wake_parked = sweeps.wake_parked
        self.backlog = sweeps.backlog
        self.forget_requests = sweeps.forget_requests
        losses = Losses(pool)
        self.note_lost = losses.note_lost
        self.end_lapsed_pools = losses.end_lapsed_pools
        self.make_lost_due = losses.make_lost_due
        leases = Leases(pool)
        self.leased = leases.leased
        self.compared = leases.compared
        self.give_back = leases.give_back
        self.leave = leases.leave
        self.break_leases = leases.break_leases
        membership = Membership(pool)
        self.join_pool = membership.join_pool
        self.heartbeat = membership.heartbeat

    async def start(
        self, batch: Sequence[Start], *, by: AuditedCall | None = None
    ) -> list[Started]:
        answers: dict[int, Started] = {}
        waiting = list(enumerate(batch))
        while waiting:
            # Two starts of one id in one statement would not see each other: the second waits a round.
            ids: set[str] = set()
            requests: set[str] = set()
            now, later = [], []
            for at, start in waiting:
                new_request = start.request_id is None or start.request_id not in requests
                if start.instance.workflow_instance_id in ids or not new_request:
                    later.append((at, start))
                else:
                    now.append((at, start))
                    ids.add(start.instance.workflow_instance_id)
                    if start.request_id is not None:
                        requests.add(start.request_id)
            for (at, _), answer in zip(
                now, await self._start([start for _, start in now], by), strict=True
            ):
                answers[at] = answer
            waiting = later
        return [answers[at] for at in range(len(batch))]

    async def _start(self, batch: Sequence[Start], by: AuditedCall | None) -> list[Started]:
        parameters = {
            "instances": json_text(
                [
                    {
                        "namespace": start.instance.namespace,
                        "id": start.instance.workflow_instance_id,
                        "type": start.instance.workflow_type,
                        "data": start.instance.data,
                        "correlation_id": start.instance.correlation_id,
                        "digest": start.digest.hex(),
                        "request_id": start.request_id,
                        "deadline": start.deadline,
                    }
                    for start in batch
                ]
            ),
            "history": json_text(
                [
                    rows.history_parameter(start.instance.workflow_instance_id, start.entry)
                    for start in batch
                ]
            ),
            "events": json_text(
                [
                    rows.event_parameter(start.instance.workflow_instance_id, start.event)
                    for start in batch
                ]
            ),
            "outbox": json_text(
                [
                    rows.outbox_parameter(start.instance.workflow_instance_id, start.event)
                    for start in batch
                ]
            ),
        }
        async with connection_of(self._pool) as connection, audited(connection, by) as record:
            cursor = await connection.execute(statements.START, parameters)
            created = {row[0]: row for row in await cursor.fetchall()}
            if created:
                await record()
        answers = []
        for start in batch:
            row = created.get(start.instance.workflow_instance_id)
            if row is None:
                answers.append(await self._existing(start))
            else:
                instance = replace(
                    start.instance,
                    key=row[1],
                    created_at=row[2],
                    updated_at=row[2],
                    deadline=row[3],
                )
                answers.append(Started(created=True, instance=instance, same_content=True))
        return answers

    async def _existing(self, start: Start) -> Started:
        """The loser of a race reads in a new statement."""
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(
                f"SELECT start_digest, start_request_id, {rows.INSTANCE_COLUMNS} "
                "FROM workflow_instances i WHERE namespace = %s AND "
                "(workflow_instance_id = %s OR start_request_id = %s) "
                # A repeated request names its instance, whatever id was made for the repetition.
                "ORDER BY start_request_id = %s DESC NULLS LAST LIMIT 1",
                (
                    start.instance.namespace,
                    start.instance.workflow_instance_id,
                    start.request_id,
                    start.request_id,
                ),
            )
            row = await cursor.fetchone()
        if row is None:
            # Nothing is ever deleted: there is no such namespace any more.
            return Started(False, start.instance, same_content=True, namespace_gone=True)
        same = bytes(row[0]) == start.digest
        by_request = start.request_id is not None and row[1] == start.request_id
        return Started(
            created=False,
            instance=rows.instance(row[2:]),
            same_content=same,
            request_reused=by_request and not same,
        )

    async def load(self, event_ids: Sequence[str]) -> Loaded:
        async with connection_of(self._pool) as connection:
            cursor = await connection.execute(statements.LOAD, {"event_ids": list(event_ids)})
            found = await cursor.fetchall()
            events, instances, facts = {}, {}, {}
            for row in found:
                event = rows.event(row)
                at = rows.EVENT_WIDTH
                facts[event.event_id] = EventFacts(
                    row[at] > 0, locked.deliveries_of(row[at + 1]), row[at]
                )
                key = row[at + 2]
                if key not in instances:
                    instances[key] = rows.instance(row[at + 2 :])
                events[event.event_id] = (event, key)
        return Loaded(events, instances, facts, found[0][-1] if found else None)

    async def newest_history(self, key: int, *, up_to: int, limit: int) -> Sequence[StoredEntry]:
        newest = HistoryFilter(to_sequence=up_to)
        async with connection_of(self._pool) as connection:
            found = await histories.portion(
                connection, key, newest, newest_first=True, with_change=True, limit=limit
            )
        return found.entries

    async def commit(
        self,
        batch: Sequence[InstanceCommit],
        *,
        generations: Mapping[str, int],
        tally: Tally | None = None,
    ) -> Committed:
        async with connection_of(self._pool) as connection:
            if tally is None:
                return await write(connection, batch, generations=generations)
            async with connection.transaction():
                written = await write(connection, batch, generations=generations)
                if more := sum(tally.of.get(key, 0) for key in written.keys):
                    # Last: batches of one request wait here for each other.
                    await count_request(
                        connection, tally.rpc, tally.request_id, more, namespace=tally.namespace
                    )
                return written

    async def probe(self) -> None:
        async with connection_of(self._pool) as connection:
            # Postgres checks privileges, tables and whether it may write before it reads rows.
            await connection.execute(statements.START, statements.NO_STARTS)
            await connection.execute(statements.WRITE_ALL, statements.NO_COMMITS)

    async def begin_request(
        self,
        rpc: str,
        request_id: str | None,
        digest: bytes,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        by: AuditedCall | None = None,
    ) -> LongRequest:
        names = {"namespace": namespace, "rpc": rpc, "request_id": request_id, "digest": digest}
        async with connection_of(self._pool) as connection, audited(connection, by) as record:
            if request_id is None:
                await record()
                cursor = await connection.execute("SELECT clock_timestamp()")
                row = await cursor.fetchone()
                assert row is not None
                return LongRequest(row[0])
            await connection.execute(statements.BEGIN_REQUEST, names)
            cursor = await connection.execute(
                "SELECT digest, result FROM requests WHERE namespace = %(namespace)s "
                "AND rpc = %(rpc)s AND request_id = %(request_id)s",
                names,
            )
            row = await cursor.fetchone()
            assert row is not None, "a request is kept for days"
            if bytes(row[0]) != digest:
                raise RequestIdReused.of(request_id)
            kept = row[1]
            if not kept["done"]:
                await record()
        return LongRequest(datetime.fromisoformat(kept["began_at"]), kept["count"], kept["done"])

    async def end_request(
        self, rpc: str, request_id: str, *, namespace: str = DEFAULT_NAMESPACE
    ) -> int:
        async with connection_of(self._pool) as connection:
            done = await count_request(
                connection, rpc, request_id, 0, namespace=namespace, done=True
            )
        assert done is not None, "a request is kept for days"
        return done

    @asynccontextmanager
    async def locked(
        self,
        *,
        key: int | None = None,
        workflow_instance_id: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        event_ids: Sequence[str] = (),
        since: int | None = None,
    ) -> AsyncIterator[locked.LockedInstance]:
        async with connection_of(self._pool) as connection, connection.transaction():
            yield await locked.lock(
                connection,
                key=key,
                workflow_instance_id=workflow_instance_id,
                namespace=namespace,
                event_ids=event_ids,
                since=since,
            )
