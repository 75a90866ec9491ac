"""From a delivery in hand to its outcome: a place among the task's calls, the request, the call.

No database connection is held during a call. The outcome is a result or, if the delivery cannot be called
now, a row to write; either way it goes to the committer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from waystation.v1 import task_handler_service_pb2
from waystation_conversion.events import event_to_proto
from waystation_conversion.history import add_history
from waystation_conversion.replies import reply_from_proto
from waystation_conversion.times import set_timestamp
from waystation_conversion.workflows import context_to_proto
from waystation_core.background import job
from waystation_core.fair_queue import FairQueue
from waystation_core.ports.broker import Notice
from waystation_core.ports.store import EngineStore, StoredEntry
from waystation_core.registries import Registries
from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_domain import lifecycle
from waystation_domain.errors import StoreUnavailable
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState, Status
from waystation_domain.outcomes import AttemptError, CallResult, Cut, Outcome
from waystation_domain.task_spec import TaskKey, TaskSpec
from waystation_router.attempt_spans import AttemptSpans
from waystation_router.delivery_log import log_failure
from waystation_router.endpoints import CallCut, CallOutcome, Cancelled, EndpointDirectory
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.meters import RouterMeters
from waystation_router.pools import PoolsSeen

log = structlog.get_logger(__name__)

UNANNOUNCED_SECONDS = 60.0
"""Seconds that a delivery stays parked if its task is live, but not for this event type: a new version may
have left the type out. A change of endpoints ends the wait."""

KEPT_FREE = 8
"""Of so many places of a task, a type that floods leaves one to the others."""


class _OfNamespace:
    """This router's calls of one namespace, and the tasks that wait because it may have no more."""

    __slots__ = ("being_filled", "line", "name", "taken")

    def __init__(self, name: str) -> None:
        self.name = name
        self.taken = 0
        self.being_filled = False
        self.line: OrderedDict[TaskKey, _Places] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(places.waiting) for places in self.line.values())


class _Places:
    """This router's share of one task's max_in_flight, and the deliveries that wait for a place."""

    __slots__ = ("key", "namespace", "taken", "waiting")

    def __init__(self, key: TaskKey, namespace: _OfNamespace) -> None:
        self.key = key
        self.namespace = namespace
        self.taken = 0
        # By workflow type: a type that floods does not delay other types' deliveries of the same task.
        self.waiting: FairQueue[tuple[Handling, DeliveryCall]] = FairQueue()


class Calls:
    """Starts calls and passes their outcomes on."""

    def __init__(
        self,
        ledger: Ledger,
        store: EngineStore,
        endpoints: EndpointDirectory,
        pools: PoolsSeen,
        registries: Registries,
        on_outcome: Callable[[Handling], None],
        floods: Callable[[str, str], bool],
        meters: RouterMeters,
        spans: AttemptSpans,
    ) -> None:
        """`floods`: whether a workflow type of a namespace floods while others have events too."""
        self._ledger = ledger
        self._store = store
        self._registries = registries
        self._endpoints = endpoints
        self._on_outcome = on_outcome
        self._floods = floods
        self._meters = meters
        self._spans = spans
        self._places: dict[TaskKey, _Places] = {}
        self._namespaces: dict[str, _OfNamespace] = {}
        self._pools = pools
        self.in_flight = 0
        self.place_freed = asyncio.Event()
        """Set when a place becomes free; the waiting loop clears it first."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._loading: set[asyncio.Task[None]] = set()

    def start(self, handling: Handling, call: DeliveryCall) -> None:
        """Calls the task as soon as there is a place; passes the outcome on."""
        places = self._places_of(call.task)
        namespace = places.namespace
        workflow_type = _type_of(handling)
        may_start = places.taken < self._places_for(call.task, workflow_type)
        if not may_start or namespace.taken >= self._most_of(namespace.name):
            places.waiting.append(workflow_type, (handling, call))
            if may_start:
                namespace.line.setdefault(places.key, places)
            return
        self._start(handling, call, places)

    def waiting(self) -> list[tuple[Handling, DeliveryCall]]:
        """Deliveries that wait for a place, longest first within a task and a workflow type."""
        return [item for places in self._places.values() for item in places.waiting]

    def of_tasks(self) -> list[tuple[TaskKey, int, int]]:
        """The calls in flight of each task, and the deliveries that wait for a place; from any thread."""
        return [
            (key, places.taken, len(places.waiting)) for key, places in self._places.copy().items()
        ]

    def park(self, handling: Handling, call: DeliveryCall) -> None:
        """Removes a delivery from the queue for a place; its row becomes AT_CAPACITY."""
        self._places[call.task.key].waiting.remove(_type_of(handling), (handling, call))
        self._take_off(handling, call, DeliveryState.AT_CAPACITY)

    def lease_lost(self, handling: Handling, call: DeliveryCall, *, is_over: bool) -> None:
        """Another router may call this delivery. A call in flight continues, as its result may count, unless
        the delivery has its outcome (`is_over`); a delivery not called yet is left to others."""
        if call.running is not None:
            if is_over:
                call.running.cancel()
            return
        places = self._places.get(call.task.key)
        if places is not None and (handling, call) in places.waiting:
            places.waiting.remove(_type_of(handling), (handling, call))
            self._take_off(handling, call, DeliveryState.READY)

    def free(self, task: TaskSpec) -> int:
        """The number of free places of a task; none if its namespace has none."""
        places = self._places.get(task.key)
        free = self._share(task) - (places.taken + len(places.waiting) if places else 0)
        return int(min(free, self._free_of(task.namespace)))

    def room(self, tasks: Sequence[TaskSpec]) -> int:
        """How many deliveries of these tasks together have places."""
        free: dict[str, int] = {}
        for task in tasks:
            free[task.namespace] = free.get(task.namespace, 0) + self.free(task)
        return int(sum(min(number, self._free_of(name)) for name, number in free.items()))

    def cancel_ended(self, notices: Sequence[Notice]) -> None:
        """Cancels calls for instances that have ended: their results would have no effect."""
        for notice in notices:
            if notice.status != Status.CANCELLED:
                continue
            state = self._ledger.states_of(notice.namespace, notice.workflow_instance_id)
            for handling in list(state.handlings) if state is not None else ():
                if handling.event.after_end:
                    continue
                for call in list(handling.calls.values()):
                    if call.running is not None:
                        call.running.cancel()

    async def drain(self, seconds: float) -> None:
        """Waits for calls in flight, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def stop_reporting(self) -> None:
        """Outcomes are dropped from now on: the router stops, and others will call again."""
        self._on_outcome = lambda handling: None

    def _share(self, task: TaskSpec) -> int:
        return -(-task.max_in_flight // self._pools.now.sharing(task.event_types))

    def _places_of(self, task: TaskSpec) -> _Places:
        places = self._places.get(task.key)
        if places is None:
            namespace = self._namespaces.get(task.namespace)
            if namespace is None:
                namespace = self._namespaces[task.namespace] = _OfNamespace(task.namespace)
            places = self._places[task.key] = _Places(task.key, namespace)
        return places

    def _most_of(self, namespace: str) -> float:
        """This router's share of the calls that a namespace may have in flight."""
        most = self._registries.limits(namespace).max_in_flight
        return math.inf if most is None else -(-most // self._pools.now.routers)

    def _free_of(self, namespace: str) -> float:
        most = self._most_of(namespace)
        known = self._namespaces.get(namespace)
        return most if known is None or most == math.inf else most - known.taken - known.waiting

    def _places_for(self, task: TaskSpec, workflow_type: str) -> int:
        """How many places of a task deliveries of this workflow type may have taken."""
        share = self._share(task)
        if self._floods(workflow_type, task.namespace):
            return share - share // KEPT_FREE
        return share

    def _start(self, handling: Handling, call: DeliveryCall, places: _Places) -> None:
        places.taken += 1
        places.namespace.taken += 1
        self.in_flight += 1
        self._idle.clear()
        if call.task.history_entries:
            loading = job("load history", self._load_history(handling, call, places))
            self._loading.add(loading)
            loading.add_done_callback(self._loading.discard)
        else:
            self._try_to_send(handling, call, places, None)

    async def _load_history(self, handling: Handling, call: DeliveryCall, places: _Places) -> None:
        try:
            history = await self._newest(handling, call.task.history_entries)
        except StoreUnavailable:
            self._done(places)
            self._take_off(handling, call, DeliveryState.READY, due_in=1.0)
        except Exception as fault:
            self._done(places)
            self._fail(handling, call, fault)
        else:
            self._try_to_send(handling, call, places, history)

    async def _newest(self, handling: Handling, limit: int) -> Sequence[StoredEntry]:
        """The newest entries up to the version of the instance in the call."""
        while True:
            instance = handling.state.instance
            found = await self._store.newest_history(
                instance.key, up_to=instance.version, limit=limit
            )
            if handling.state.instance.version == instance.version:
                return found

    def _try_to_send(
        self,
        handling: Handling,
        call: DeliveryCall,
        places: _Places,
        history: Sequence[StoredEntry] | None,
    ) -> None:
        try:
            self._send(handling, call, places, history)
        except Exception as fault:
            self._done(places)
            self._fail(handling, call, fault)

    def _send(
        self,
        handling: Handling,
        call: DeliveryCall,
        places: _Places,
        history: Sequence[StoredEntry] | None,
    ) -> None:
        instance = handling.state.instance
        treatment = lifecycle.treatment(instance, handling.event)
        if treatment is not Treatment.DELIVER:
            # The committer finds the same and skips or holds it.
            self._done(places)
            self._take_off(handling, call, DeliveryState.READY)
            return
        call.base_version = instance.version
        request = task_handler_service_pb2.HandleEventRequest(
            event=event_to_proto(
                handling.event, instance.workflow_instance_id, payload=call.payload
            ),
            context=context_to_proto(instance),
            task_id=call.task.task_id,
            attempt=call.attempt,
            idempotency_key=call.key(handling.event_id),
            completion_token=self._registries.of(instance.namespace).tokens.of(
                handling.event_id, call.task.task_id, call.edit, call.attempt
            ),
        )
        set_timestamp(request.deadline, datetime.now(UTC) + timedelta(seconds=call.task.timeout))
        if history is not None:
            add_history(request, history)
        self._meters.called(handling, call)
        self._spans.begun(handling, call, request)
        call.running = self._endpoints.call(
            call.task.service_name, request, call.task.timeout, alone=call.suspect
        )
        call.running.outcome.add_done_callback(
            lambda outcome: self._ended(handling, call, places, outcome)
        )

    def _ended(
        self,
        handling: Handling,
        call: DeliveryCall,
        places: _Places,
        outcome: asyncio.Future[CallOutcome],
    ) -> None:
        """Handles the end of a call. It never raises: the event loop would only log it, and the delivery
        would stay in call for ever."""
        call.running = None
        try:
            self._settle(handling, call, Cancelled() if outcome.cancelled() else outcome.result())
        except Exception as fault:
            self._fail(handling, call, fault)
        finally:
            self._done(places)

    def _fail(self, handling: Handling, call: DeliveryCall, fault: Exception) -> None:
        """An internal fault. It counts as an attempt, so that a fault that always occurs does not repeat for
        ever."""
        log.error(
            "call_not_carried_out",
            event_id=handling.event_id,
            task_id=call.task.task_id,
            exc_info=fault,
        )
        self._spans.given_up(call)
        call.row = None
        call.result = CallResult(
            task=call.task,
            attempt=call.attempt,
            base_version=call.base_version or handling.state.instance.version,
            outcome=AttemptError(
                code="INTERNAL",
                reason="INTERNAL",
                message="The router could not make this call; see its log.",
            ),
            edit=call.edit,
            duration_us=0,
            service_version="",
            endpoint="",
        )
        self._tell(handling, call)

    def _settle(self, handling: Handling, call: DeliveryCall, outcome: CallOutcome) -> None:
        """Turns the outcome into a result, or into a row if nothing was called."""
        result: Outcome
        if isinstance(outcome, Answered):
            result = reply_from_proto(outcome.response)
        elif isinstance(outcome, Failed):
            result = outcome.error
        elif isinstance(outcome, CallCut):
            result = Cut(outcome.message, alone=call.suspect)
        elif isinstance(outcome, NotSent):
            log.info(
                "no_endpoint",
                event_id=handling.event_id,
                task_id=call.task.task_id,
                reason=outcome.reason,
            )
            self._spans.given_up(call)
            wait = UNANNOUNCED_SECONDS if outcome.unannounced else 0.0
            self._take_off(handling, call, DeliveryState.NO_ENDPOINT, due_in=wait)
            return
        else:
            self._spans.given_up(call)
            self._take_off(handling, call, DeliveryState.READY)
            return
        result = self._spans.answered(call, result)
        endpoint = outcome.endpoint
        address = f"{endpoint.host}:{endpoint.port}"
        call.result = CallResult(
            task=call.task,
            attempt=call.attempt,
            base_version=call.base_version,
            outcome=result,
            edit=call.edit,
            duration_us=int(outcome.duration * 1e6),
            service_version=endpoint.service_version,
            endpoint=address,
        )
        self._meters.answered(call.result)
        if isinstance(result, (AttemptError, Cut)):
            log_failure(handling, call, result, address)
        self._tell(handling, call)

    def _done(self, places: _Places) -> None:
        places.taken -= 1
        places.namespace.taken -= 1
        self.in_flight -= 1
        if places.waiting:
            places.namespace.line.setdefault(places.key, places)
        self._fill(places.namespace)
        self.place_freed.set()
        if not self.in_flight:
            self._idle.set()

    def _fill(self, namespace: _OfNamespace) -> None:
        """Starts those that wait, as far as there are places, one delivery of each task in turn. One that is
        not called after all gives its place back at once: the loop goes on with it, as of many in a row each
        would call the next one here."""
        if namespace.being_filled:
            return
        namespace.being_filled = True
        try:
            while namespace.line and namespace.taken < self._most_of(namespace.name):
                key, places = namespace.line.popitem(last=False)
                if waiting := self._next(places):
                    following = places.waiting.pop_of(waiting)
                    if places.waiting:
                        namespace.line[key] = places
                    self._start(*following, places)
        finally:
            namespace.being_filled = False

    def _next(self, places: _Places) -> str:
        """The workflow type whose delivery has the next place; empty if none may have one."""
        for workflow_type, (_, call) in places.waiting.firsts():
            if places.taken < self._places_for(call.task, workflow_type):
                return workflow_type
        return ""

    def _tell(self, handling: Handling, call: DeliveryCall) -> None:
        if call.finished is not None:
            call.finished.set()
        self._on_outcome(handling)

    def _take_off(
        self, handling: Handling, call: DeliveryCall, state: DeliveryState, *, due_in: float = 0.0
    ) -> None:
        """The delivery was not called: it gets a row, and no attempt is counted."""
        known = handling.facts.deliveries.get(call.task.task_id)
        spent = call.attempt - 1
        call.row_since = time.monotonic()
        call.row = Delivery(
            event_id=handling.event_id,
            task_id=call.task.task_id,
            state=state,
            attempts=spent,
            suspect=call.suspect,
            conflicts=known.conflicts if known is not None else 0,
            due_in=due_in,
            edit=call.edit,
            payload=call.payload,
            last_error=known.last_error if known is not None else None,
        )
        self._tell(handling, call)


def _type_of(handling: Handling) -> str:
    return handling.state.instance.workflow_type
