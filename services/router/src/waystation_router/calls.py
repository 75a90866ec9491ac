"""From a delivery in hand to its outcome: a place among the task's calls, the request, the call.

No database connection is held during a call. The outcome is a result or, if the delivery cannot be called
now, a row to write; either way it goes to the committer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
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
from waystation_core.ports.broker import Notice
from waystation_core.ports.store import EngineStore, StoredEntry
from waystation_core.registries import Registries
from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_domain import lifecycle
from waystation_domain.errors import StoreUnavailable
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState, Status
from waystation_domain.outcomes import AttemptError, CallResult, Cut, Outcome
from waystation_router.attempt_spans import AttemptSpans
from waystation_router.delivery_log import log_failure
from waystation_router.endpoints import CallCut, CallOutcome, Cancelled, EndpointDirectory
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.meters import RouterMeters
from waystation_router.places import Places, PlacesOfTask
from waystation_router.pools import PoolsSeen

log = structlog.get_logger(__name__)

UNANNOUNCED_SECONDS = 60.0
"""Seconds that a delivery stays parked if its task is live, but not for this event type: a new version may
have left the type out. A change of endpoints ends the wait."""


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
        self._meters = meters
        self._spans = spans
        self.places = Places(pools, registries, floods, self._begin)
        self._loading: set[asyncio.Task[None]] = set()

    def start(self, handling: Handling, call: DeliveryCall) -> None:
        """Calls the task as soon as there is a place; passes the outcome on."""
        self.places.ask(handling, call)

    def park(self, handling: Handling, call: DeliveryCall) -> None:
        """Removes a delivery from the queue for a place; its row becomes AT_CAPACITY."""
        if self.places.leave(handling, call):
            self._take_off(handling, call, DeliveryState.AT_CAPACITY)

    def lease_lost(self, handling: Handling, call: DeliveryCall, *, is_over: bool) -> None:
        """Another router may call this delivery. A call in flight continues, as its result may count, unless
        the delivery has its outcome (`is_over`); a delivery not called yet is left to others."""
        if call.running is not None:
            if is_over:
                call.running.cancel()
            return
        if self.places.leave(handling, call):
            self._take_off(handling, call, DeliveryState.READY)

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
                await self.places.all_free.wait()

    def stop_reporting(self) -> None:
        """Outcomes are dropped from now on: the router stops, and others will call again."""
        self._on_outcome = lambda handling: None

    def _begin(self, handling: Handling, call: DeliveryCall, place: PlacesOfTask) -> None:
        if call.task.history_entries:
            loading = job("load history", self._load_history(handling, call, place))
            self._loading.add(loading)
            loading.add_done_callback(self._loading.discard)
        else:
            self._try_to_send(handling, call, place, None)

    async def _load_history(
        self, handling: Handling, call: DeliveryCall, place: PlacesOfTask
    ) -> None:
        try:
            history = await self._newest(handling, call.task.history_entries)
        except StoreUnavailable:
            self.places.give_back(place)
            self._take_off(handling, call, DeliveryState.READY, due_in=1.0)
        except Exception as fault:
            self.places.give_back(place)
            self._fail(handling, call, fault)
        else:
            self._try_to_send(handling, call, place, history)

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
        place: PlacesOfTask,
        history: Sequence[StoredEntry] | None,
    ) -> None:
        try:
            self._send(handling, call, place, history)
        except Exception as fault:
            self.places.give_back(place)
            self._fail(handling, call, fault)

    def _send(
        self,
        handling: Handling,
        call: DeliveryCall,
        place: PlacesOfTask,
        history: Sequence[StoredEntry] | None,
    ) -> None:
        instance = handling.state.instance
        treatment = lifecycle.treatment(instance, handling.event)
        if treatment is not Treatment.DELIVER:
            # The committer finds the same and skips or holds it.
            self.places.give_back(place)
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
            lambda outcome: self._ended(handling, call, place, outcome)
        )

    def _ended(
        self,
        handling: Handling,
        call: DeliveryCall,
        place: PlacesOfTask,
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
            self.places.give_back(place)

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
