"""The questions of `ports.store.QueryStore`: here is what a single statement answers, and where the others are
answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from waystation_core.ports.store import (
    FlowPortion,
    HistoryFilter,
    HistoryPortion,
    HistoryTail,
    OpenWork,
    SystemFacts,
    SystemNumbers,
)
from waystation_core.ports.store.questions import EVERY_ENTRY
from waystation_core.store import flow_queries, histories, rows
from waystation_core.store.connections import Connections, connection_of, fetch
from waystation_core.store.dead_letters import DeadLetters
from waystation_core.store.instance_events import InstanceEvents
from waystation_core.store.membership import pools_of
from waystation_core.store.open_work import open_work
from waystation_core.store.system_facts import system_facts
from waystation_core.store.system_numbers import system_numbers
from waystation_core.store.workflow_lists import WorkflowLists
from waystation_domain.model import DEFAULT_NAMESPACE, Instance
from waystation_domain.pools import Pool


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
        lists = WorkflowLists(connections.questions)
        self.workflows = lists.workflows
        self.ids_beginning = lists.ids_beginning
        events = InstanceEvents(connections.questions)
        self.events = events.events
        self.events_named = events.events_named
        self.instance_of_event = events.instance_of_event

    async def instances(
        self, ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, Instance]:
        found = await fetch(
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
        return await histories.tails(self._hot, places, limit=limit, namespace=namespace)

    async def open_work(self, key: int, *, limit: int = 200) -> OpenWork:
        # As of one moment: what moves from one kind to another meanwhile is neither missing nor there twice.
        async with connection_of(self._pool) as connection, connection.transaction():
            return await open_work(connection, key, limit)

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

    async def numbers(self) -> SystemNumbers:
        async with connection_of(self._pool) as connection:
            return await system_numbers(connection)

    async def system(self, namespace: str = DEFAULT_NAMESPACE) -> SystemFacts:
        async with connection_of(self._pool) as connection:
            return await system_facts(connection, namespace)
