"""One workflow in memory: its state, commands of clients and operators, and how a test runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from waystation.v1 import event_pb2
from waystation_conversion import (
    context_to_proto,
    event_to_proto,
    failure_from_proto,
    new_event_from_proto,
    result_from_proto,
)
from waystation_domain import actions, completions, dead_letters, lifecycle, limits, model
from waystation_domain.completions import AttemptState
from waystation_domain.draft import Draft
from waystation_domain.model import Delivery, Event
from waystation_domain.outcomes import AttemptError, Reply
from waystation_worker.completions import task_failure
from waystation_worker.errors import DeliveryNotFound, Unavailable
from waystation_worker.events import NewEvent
from waystation_worker.result import TaskResult
from waystation_worker.testing.calls import as_json, attempt_of, token_of
from waystation_worker.testing.memory import Memory, StoredDeadLetter
from waystation_worker.testing.records import DeadLetter, Entry, PendingTask, entry_of
from waystation_worker.testing.refusals import refusing
from waystation_worker.testing.router import Router
from waystation_worker.testing.texts import timeline
from waystation_worker.times import DAY, Span, span
from waystation_worker.values import Json, Model, copied
from waystation_worker.workflows import (
    EventWithState,
    Failure,
    Wait,
    Workflow,
    to_event_entry,
    to_workflow,
)


class Stuck(AssertionError):
    """The workflow does not reach the expected state; the message says what it waits for."""


class WorkflowRun:
    """One workflow in a TestEngine. Its properties return copies."""

    def __init__(self, memory: Memory, router: Router, seed: int) -> None:
        self._memory = memory
        self._router = router
        self._seed = seed

    # --- what it shows ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its workflow_instance_id."""
        return self._memory.instance.workflow_instance_id

    @property
    def status(self) -> str:
        """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED or CANCELLED."""
        return self._memory.instance.status.name

    @property
    def version(self) -> int:
        """How many entries its history has."""
        return self._memory.instance.version

    @property
    def data(self) -> dict[str, Json]:
        """The workflow's data."""
        data: dict[str, Json] = copied(self._memory.instance.data)
        return data

    @property
    def output(self) -> dict[str, Json] | None:
        """The output of the task that completed it."""
        output: dict[str, Json] | None = copied(self._memory.instance.output)
        return output

    @property
    def failure(self) -> Failure | None:
        """Why it is FAILED or CANCELLED."""
        return self._shown.failure

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The open waits."""
        return self._shown.waits

    @property
    def deadline(self) -> datetime | None:
        """When it fails if it is still open; None: never."""
        return self._memory.instance.deadline

    @property
    def pending(self) -> tuple[PendingTask, ...]:
        """The pending deliveries."""
        memory = self._memory
        return tuple(
            PendingTask(
                row.task_id,
                memory.events[row.event_id].event_type,
                model.idempotency_key(row.event_id, row.task_id, row.edit),
                _token_of(row),
                row.attempts + 1,
                memory.due[row.event_id, row.task_id],
            )
            for row in memory.pending()
        )

    @property
    def events(self) -> list[EventWithState]:
        """All events, including system events, in the order in which they were raised."""
        return [self._with_state(event) for event in self._memory.events.values()]

    @property
    def raised(self) -> list[str]:
        """The types of all events."""
        return [event.event_type for event in self.events]

    @property
    def history(self) -> list[Entry]:
        """The entries of its history, in order."""
        return [entry_of(stored) for stored in self._memory.history]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The open ones."""
        return [one.shown for one in self._memory.open_dead_letters()]

    @property
    def idle(self) -> str | None:
        """Why nothing will continue it; None if it is not idle."""
        idle = self._memory.instance.idle
        return None if idle is None else idle.message

    @property
    def conflicts(self) -> int:
        """How many results were dropped because other results had changed the data that they
        read."""
        return self._router.conflicts

    @property
    def next_due(self) -> datetime | None:
        """When the next attempt, event or deadline that is not due yet becomes due."""
        return self._router.next_due()

    def timeline(self) -> str:
        """Its history and what it waits for, as text."""
        return timeline(self._memory, self._shown, self._seed)

    @property
    def _shown(self) -> Workflow:
        """The instance as a client sees it."""
        return to_workflow(context_to_proto(self._memory.instance))

    def _with_state(self, event: Event) -> EventWithState:
        state = self._memory.state_of(event)
        message = event_pb2.EventWithState(state=f"EVENT_STATE_{state}")
        event_to_proto(event, self.id, into=message.event)
        return to_event_entry(message)

    def __repr__(self) -> str:
        stands = self.failure or self.idle or self.output or ""
        return f"<WorkflowRun {self.id} {self.status} {stands}>".replace(" >", ">")

    # --- what clients and operators do -----------------------------------------------------------

    def provide_input(
        self,
        answer: Mapping[str, Any] | Model,
        wait_id: str | None = None,
        *,
        answered_by: str = "",
    ) -> None:
        """Answers a wait; `wait_id` is not needed if exactly one wait is open.

        Raises WorkflowNotWaiting, WaitIdRequired, WorkflowEnded, WrongState and InvalidRequest as `Client` does.
        """
        given = as_json(answer, "input")
        with refusing(), self._memory.drafting() as draft:
            limits.check_short_text(answered_by, "answered_by")
            actions.provide_input(draft, wait_id or "", given, answered_by)

    def publish(
        self,
        event_type: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        priority: int | None = None,
        metadata: Mapping[str, str] | None = None,
        delay: Span | None = None,
        deliver_at: datetime | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Raises an event, like a client. Raises WorkflowEnded, InvalidRequest for reserved names,
        and ValueError as `NewEvent` does."""
        new = NewEvent(
            event_type,
            payload,
            priority=priority,
            metadata=metadata,
            delay=delay,
            deliver_at=deliver_at,
            expires_at=expires_at,
        )
        with refusing(), self._memory.drafting() as draft:
            event = new_event_from_proto(new._message())
            lifecycle.check_client_event(event.event_type)
            actions.publish(draft, event)

    def complete_delivery(self, completion_token: str, result: TaskResult) -> None:
        """Completes a pending delivery. Raises DeliveryNotFound, WorkflowEnded, and WrongState or
        LimitExceeded for an invalid result."""
        with refusing():
            outcome = result_from_proto(result._message())
            self._complete(completion_token, outcome, fenced=False)

    def fail_delivery(
        self,
        completion_token: str,
        reason: str,
        message: str = "",
        *,
        permanent: bool = False,
        retry_after: Span | None = None,
        metadata: Mapping[str, Any] | Model | None = None,
    ) -> None:
        """Fails the attempt of a pending delivery. Raises the errors of `complete_delivery`."""
        failure = task_failure(reason, message, permanent, retry_after, metadata)
        with refusing():
            self._complete(completion_token, failure_from_proto(failure), fenced=True)

    def extend_delivery(self, completion_token: str, extension: Span) -> datetime:
        """Sets the deadline of a pending delivery to `extension` from now; returns the new
        deadline. Raises the errors of `complete_delivery`."""
        seconds = span(extension, "extension", DAY)

        def extend(draft: Draft, _: Event, row: Delivery) -> None:
            completions.extend(draft, row, seconds.total_seconds())

        with refusing():
            self._follow(completion_token, extend, fenced=True)
        return self._memory.clock() + seconds

    def cancel(self, reason: str = "") -> None:
        """Ends it as CANCELLED. Raises WorkflowEnded if it is COMPLETED or FAILED."""
        with refusing(), self._memory.drafting() as draft:
            actions.cancel(draft, reason)

    def retry(
        self, dead_letter: DeadLetter, payload: Mapping[str, Any] | Model | None = None
    ) -> None:
        """Retries a dead letter from attempt 1, optionally with an edited payload."""
        found, edited = self._dead_letter(dead_letter), None
        if payload is not None:
            edited = as_json(payload, "payload")
        with refusing(), self._memory.drafting() as draft:
            dead_letters.retry_dead_letter(draft, found.dead_letter, edited, self._memory.held())
        self._router.begin_again(found.dead_letter.event.event_id, dead_letter.task_id)

    def discard(self, dead_letter: DeadLetter) -> None:
        """Discards a dead letter."""
        found = self._dead_letter(dead_letter)
        with refusing(), self._memory.drafting() as draft:
            dead_letters.discard_dead_letter(draft, found.dead_letter, self._memory.held())

    def _dead_letter(self, dead_letter: DeadLetter) -> StoredDeadLetter:
        for one in self._memory.open_dead_letters():
            if one.shown is dead_letter:
                return one
        raise ValueError(f"no open dead letter of {self.id}: {dead_letter}")

    def _complete(self, token: str, outcome: Reply | AttemptError, *, fenced: bool) -> None:
        def complete(draft: Draft, event: Event, row: Delivery) -> None:
            completions.complete(draft, event, self._router.task(row.task_id), row, outcome)

        self._follow(token, complete, fenced=fenced)

    def _follow(
        self, token: str, act: Callable[[Draft, Event, Delivery], None], *, fenced: bool
    ) -> None:
        """Changes a pending delivery. `fenced`: only with its last attempt's token."""
        memory, attempt = self._memory, attempt_of(token)
        with memory.drafting() as draft:
            where, row = AttemptState.OVER, None
            if attempt is not None:
                facts = draft.facts(attempt.event_id)
                where, row = completions.attempt_state(facts, attempt, fenced=fenced)
            if where is AttemptState.IN_CALL:
                raise Unavailable(
                    f"{token} has not answered `pending` yet; try again", code="UNAVAILABLE"
                )
            if where is AttemptState.OVER or row is None:
                tokens = ", ".join(_token_of(one) for one in memory.pending()) or "none"
                raise DeliveryNotFound(
                    f"no delivery of {self.id} with the token {token} is pending; pending tokens: "
                    f"{tokens}",
                    reason="DELIVERY_NOT_FOUND",
                    code="NOT_FOUND",
                )
            act(draft, memory.events[row.event_id], row)

    # --- moving it -------------------------------------------------------------------------------

    async def until_quiet(self) -> None:
        """Calls tasks until nothing is due."""
        while await self._router.round():
            pass

    async def until(self, reached: Callable[[WorkflowRun], object]) -> None:
        """Calls tasks, a few at a time, until the condition is true. Raises Stuck if nothing is due
        before that."""
        __tracebackhide__ = True
        while not reached(self):
            if not await self._router.round():
                raise Stuck(f"the condition did not become true\n{self.timeline()}")

    async def until_ended(self) -> None:
        """Calls tasks until nothing is due. Raises Stuck if the workflow has not ended."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self._memory.instance.status.is_open:
            raise Stuck(f"it has not ended\n{self.timeline()}")

    async def until_waiting(self) -> Wait:
        """Calls tasks until nothing is due; returns the first open wait. Raises Stuck if there is
        none."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self.status != "WAITING_FOR_INPUT":
            raise Stuck(f"it does not wait for input\n{self.timeline()}")
        return self.waits[0]


def _token_of(row: Delivery) -> str:
    return token_of(row.event_id, row.task_id, row.edit, row.attempts + 1)
