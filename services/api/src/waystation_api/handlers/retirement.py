"""Retiring tasks: permanently by an operator, or by the system when nobody declares them any more.

A retired task gets no new deliveries from its commit on. Its open ones become dead letters, instance after
instance, each under its own lock. Commits that were under way with the older registry, failed calls and
retried dead letters may leave more of them, at any time; so this is repeated as long as the task is retired,
through an index that is empty when there are none.
"""

from __future__ import annotations

import structlog

from waystation.v1 import handler_registry_service_pb2
from waystation_api.audit.audited_call import audited_call
from waystation_api.requests import check_namespace, check_request_id, digest_of
from waystation_core.decisions import Decision, Decisions
from waystation_core.ports.store import EngineStore, RegistryStore
from waystation_core.registries import Registries
from waystation_core.registry_copy import RegistryCopy
from waystation_domain import limits
from waystation_domain.errors import StoreUnavailable, TaskNotFound
from waystation_domain.retirement import retire

_pb = handler_registry_service_pb2
log = structlog.get_logger(__name__)

_RPC = "RetireTask"
_DELIVERIES_AT_ONCE = 500
"""Deliveries in one transaction."""
_PATIENCE = 3
"""So many instances may be locked for long; with more, the store is at fault."""


class Retirement:
    """Carries out RetireTask, and the periodic part (`look`)."""

    def __init__(
        self,
        store: EngineStore,
        registry: RegistryStore,
        registries: Registries,
        decisions: Decisions,
        grace: float,
    ) -> None:
        self._store = store
        self._registry = registry
        self._registries = registries
        self._decisions = decisions
        self._grace = grace
        self._looked_at: dict[str, int] = {}
        self._waiting: set[str] = set()

    async def retire(self, request: _pb.RetireTaskRequest) -> int:
        """Retires a task for an operator, or only counts; returns how many of its deliveries became dead letters,
        or would. Raises
        TaskNotFound, RequestIdReused."""
        namespace = check_namespace(request.namespace)
        request_id = check_request_id(request.request_id)
        task_id = limits.check_task_id(request.task_id, "task_id")
        copy = self._registries.of(namespace)
        if copy.task(task_id) is None:
            await copy.refresh()
        if copy.task(task_id) is None:
            raise TaskNotFound.of(task_id)
        if request.dry_run:
            return await self._count(task_id)
        begun = await self._store.begin_request(
            _RPC, request_id, digest_of(request), namespace=namespace
        )
        if begun.done:
            return begun.count
        await self._registry.retire(task_id, namespace=namespace, by=audited_call())
        log.info("task_retired", task_id=task_id, by="operator")
        await copy.refresh()
        count = await self._dead_letter(namespace, task_id, request_id)
        if request_id is None:
            return count
        return await self._store.end_request(_RPC, request_id, namespace=namespace)

    async def _count(self, task_id: str) -> int:
        """How many of its deliveries would become dead letters now."""
        count, last = 0, 0
        while found := await self._registry.count_to_retire(task_id, after=last):
            count += sum(deliveries for _, deliveries in found)
            last = found[-1][0]
        return count

    async def look(self) -> None:
        """Retires tasks whose grace period is over, and turns open deliveries of retired ones into dead
        letters."""
        await self._registries.refresh()
        for copy in self._registries.all():
            await self._look(copy)
        await self._dead_letter()

    async def _look(self, copy: RegistryCopy) -> None:
        namespace = copy.namespace
        _, changes = copy.counters
        if changes == self._looked_at.get(namespace) and namespace not in self._waiting:
            return
        undeclared = await self._registry.retire_undeclared(self._grace, namespace=namespace)
        # Only now: a look that failed is repeated.
        self._looked_at[namespace] = changes
        if undeclared.waiting:
            self._waiting.add(namespace)
        else:
            self._waiting.discard(namespace)
        for task_id in undeclared.retired:
            log.warning("task_retired", namespace=namespace, task_id=task_id, by="system")
        if undeclared.retired:
            await copy.refresh()

    async def _dead_letter(
        self, namespace: str | None = None, task_id: str = "", request_id: str | None = None
    ) -> int:
        """Goes once through all open deliveries of retired tasks, or of this one."""
        count = failed = 0
        last = ("", 0)
        while found := await self._registry.instances_to_retire(
            task_id=task_id, after=last, namespace=namespace
        ):
            for one, key in found:
                try:
                    count += await self._of_instance(one, key, request_id)
                except StoreUnavailable:
                    # Its lock is held for long: the next look finds it again. Or Postgres is away.
                    failed += 1
                    if failed > _PATIENCE:
                        raise
                    log.warning("retiring_postponed", task_id=one, instance_key=key)
            last = found[-1]
        return count

    async def _of_instance(self, task_id: str, key: int, request_id: str | None) -> int:
        async def retire_some(decision: Decision) -> tuple[int, bool]:
            locked = decision.locked
            deliveries = await locked.deliveries_of(task_id, limit=_DELIVERIES_AT_ONCE)
            facts = await locked.facts_of([event.event_id for _, event in deliveries])
            retired = retire(decision.draft(facts), deliveries)
            if retired and request_id is not None:
                await locked.count(_RPC, request_id, retired)
            return retired, len(deliveries) == _DELIVERIES_AT_ONCE

        count, may_be_more = 0, True
        while may_be_more:
            decided = await self._decisions.under_lock(retire_some, key=key)
            retired, may_be_more = decided.answer
            count += retired
            if retired:
                log.info(
                    "deliveries_retired",
                    task_id=task_id,
                    workflow_instance_id=decided.instance.workflow_instance_id,
                    deliveries=retired,
                )
        return count
