"""Stored deliveries, from the store's claim into this router's hands.

A claim may have been made although its answer was lost, and what it leased must be loaded before it is in
hand. Whatever goes wrong here leaves rows that are leased to this router and that nobody calls: `in_doubt` is
set, and the reconciler gives back exactly those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from waystation_core.ports.store import EngineStore, LeasedRow, Loaded
from waystation_core.registries import Registries
from waystation_domain.completions import PENDING_TIMED_OUT
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import Delivery
from waystation_domain.outcomes import AttemptError, CallResult, Cut
from waystation_domain.task_spec import TaskSpec
from waystation_router.calls import Calls
from waystation_router.committer import Committer
from waystation_router.endpoints import EndpointDirectory
from waystation_router.lease import Lease
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.pools import PoolsSeen

log = structlog.get_logger(__name__)

AT_ONCE = 100
MOST_UNCOMMITTED = 500
"""No more is claimed while so many events wait for their commit: with a Postgres slower than the tasks, calls
without a commit would grow without end."""
POSTPONED_SECONDS = 10.0
"""Seconds until a delivery that could not be taken in hand, by an internal fault, is claimed again."""


class Claims:
    """Claims what is due and has it called. Each method is one turn of a sweep; True: there is more."""

    def __init__(
        self,
        *,
        router_id: str,
        ledger: Ledger,
        store: EngineStore,
        registries: Registries,
        endpoints: EndpointDirectory,
        calls: Calls,
        committer: Committer,
        pools: PoolsSeen,
        lease: Lease,
        in_doubt: asyncio.Event,
    ) -> None:
        self._router_id = router_id
        self._ledger = ledger
        self._store = store
        self._registries = registries
        self._endpoints = endpoints
        self._calls = calls
        self._committer = committer
        self._pools = pools
        self._lease = lease
        self._in_doubt = in_doubt
        self._under_way: set[int] = set()
        self.begun = 0
        """Number of claims so far."""

    def have_ended(self, up_to: int) -> bool:
        """Whether everything that the first so many claims leased is in hand, or never will be."""
        return all(number > up_to for number in self._under_way)

    def callable_tasks(self) -> list[TaskSpec]:
        """Tasks that have a place and an endpoint now. None while this router's lease is uncertain, as other
        routers may take what it claims; and none while its commits are far behind."""
        if self._committer.behind > MOST_UNCOMMITTED:
            return []
        return [task for task in self._live_tasks() if self._calls.places.free(task) > 0]

    async def deliveries(self) -> bool:
        """Claims due deliveries of tasks that have a place and an endpoint."""
        tasks = self.callable_tasks()
        if not tasks:
            return False
        limit = min(AT_ONCE, self._calls.places.room(tasks))
        with self._claim():
            claimed = await self._claim_deliveries(limit, tasks, suspects=False)
            await self._take_in_hand(claimed)
        return len(claimed) == limit

    async def suspects(self) -> bool:
        """Claims one suspect, calls it alone, and waits for its outcome."""
        tasks = self._live_tasks()
        if not tasks:
            return False
        async with self._endpoints.alone():
            with self._claim():
                claimed = await self._claim_deliveries(1, tasks, suspects=True)
                calls = await self._take_in_hand(claimed)
            for call in calls:
                assert call.finished is not None
                await call.finished.wait()
        return bool(claimed)

    async def overdue(self) -> bool:
        """Fails pending attempts whose deadline has passed."""
        if not self._lease.is_held:
            return False
        with self._claim():
            claimed = await self._store.claim_overdue(self._router_id, AT_ONCE)
            await self._take_in_hand(claimed, PENDING_TIMED_OUT)
        return len(claimed) == AT_ONCE

    def _live_tasks(self) -> list[TaskSpec]:
        if not self._lease.is_held:
            return []
        callable_now = self._endpoints.live_tasks()
        return [
            task
            for registry in self._registries.all()
            for task in registry.live_tasks()
            if task.key in callable_now
        ]

    @contextmanager
    def _claim(self) -> Iterator[None]:
        """From the claim until everything that it leased is in hand."""
        self.begun += 1
        number = self.begun
        self._under_way.add(number)
        try:
            yield
        except BaseException:
            self._in_doubt.set()
            raise
        finally:
            self._under_way.discard(number)

    async def _claim_deliveries(
        self, limit: int, tasks: Sequence[TaskSpec], *, suspects: bool
    ) -> list[Delivery]:
        return await self._store.claim_deliveries(
            self._router_id,
            limit,
            [task.key for task in tasks],
            suspects=suspects,
            types=self._pools.now.called,
        )

    async def _take_in_hand(
        self, claimed: Sequence[Delivery], outcome: AttemptError | None = None
    ) -> list[DeliveryCall]:
        """Loads claimed deliveries and has them called, or gives them this outcome; returns the calls of
        suspects. A faulty delivery is put off, and delays no other."""
        if not claimed:
            return []
        try:
            loaded = await self._load(claimed)
        except StoreUnavailable:
            raise
        except Exception:
            if len(claimed) > 1:
                log.exception("claimed_one_by_one", deliveries=len(claimed))
                return [
                    call for row in claimed for call in await self._take_in_hand([row], outcome)
                ]
            await self._put_off(claimed[0])
            return []
        started = []
        for row in claimed:
            try:
                call = self._take(row, loaded, outcome)
            except Exception:
                await self._put_off(row)
            else:
                if call is not None and call.finished is not None:
                    started.append(call)
        return started

    async def _load(self, claimed: Sequence[Delivery]) -> Loaded:
        loaded = await self._store.load(list({row.event_id for row in claimed}))
        for row in claimed:
            namespace = _namespace_of(row, loaded)
            if self._registries.of(namespace).task(row.task_id) is None:
                # Claimed by state, whatever the task: it may be newer than the copy of the registry.
                await self._registries.refresh_one(namespace)
        self._ledger.learn(loaded)
        return loaded

    def _take(
        self, row: Delivery, loaded: Loaded, outcome: AttemptError | None
    ) -> DeliveryCall | None:
        """Has one delivery called; returns the call, unless it is in call already or has its outcome."""
        handling = self._open(row.event_id, loaded)
        if row.task_id in handling.calls:
            # Its lease was broken and claimed again here; or its commit is done, and will count as a
            # repetition: then nobody calls what was leased here, and the reconciler gives it back.
            return None
        try:
            return self._begin(row, handling, outcome)
        except Exception:
            handling.calls.pop(row.task_id, None)
            if not handling.calls and not self._committer.has(handling):
                self._ledger.close(handling)
            raise

    def _begin(
        self, row: Delivery, handling: Handling, outcome: AttemptError | None
    ) -> DeliveryCall | None:
        task = self._registries.of(handling.state.instance.namespace).task(row.task_id)
        assert task is not None, "what has deliveries was registered, and is never forgotten"
        call = DeliveryCall(
            task,
            # The attempt of a suspect was recorded by the claim.
            attempt=row.attempts if row.suspect else row.attempts + 1,
            edit=row.edit,
            payload=row.payload,
            suspect=row.suspect,
            conflicts=row.conflicts,
            finished=asyncio.Event() if row.suspect else None,
        )
        handling.calls[row.task_id] = call
        given: AttemptError | Cut | None = outcome
        if given is None and call.attempt > task.retry.max_attempts:
            # Every attempt ended with the death of its router: the next one would too.
            call.attempt = task.retry.max_attempts
            given = Cut("the router died during the call", alone=True)
        if given is None:
            self._calls.start(handling, call)
            return call
        call.result = CallResult(
            task,
            attempt=call.attempt,
            base_version=handling.state.instance.version,
            outcome=given,
            edit=row.edit,
        )
        self._committer.submit(handling)
        return None

    def _open(self, event_id: str, loaded: Loaded) -> Handling:
        """The event in hand, with the facts of the load."""
        event, key = loaded.events[event_id]
        facts, revision = loaded.facts[event_id], loaded.instances[key].revision
        handling = self._ledger.handlings.get(event_id)
        if handling is None:
            return self._ledger.open(event, self._ledger.state(key), facts, revision)
        handling.facts = facts
        handling.known = revision
        # A commit of it that is under way was decided before this claim.
        handling.claimed_meanwhile = self._committer.has(handling)
        if not facts.in_outbox:
            handling.release_messages()
        return handling

    async def _put_off(self, row: Delivery) -> None:
        """Gives back a delivery that could not be taken in hand: without an attempt, and not due at once, as
        the same would happen again."""
        log.exception("claimed_and_put_off", event_id=row.event_id, task_id=row.task_id)
        await self._store.give_back(
            self._router_id, [LeasedRow(row.event_id, row.task_id)], due_in=POSTPONED_SECONDS
        )


def _namespace_of(row: Delivery, loaded: Loaded) -> str:
    _, key = loaded.events[row.event_id]
    return loaded.instances[key].namespace
