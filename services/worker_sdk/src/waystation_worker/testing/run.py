"""One workflow in memory: what it shows, what people do to it, and how a test moves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from waystation_worker.completing import task_failure
from waystation_worker.events import NewEvent
from waystation_worker.result import TaskResult
from waystation_worker.testing import asking, committing, completing, timers
from waystation_worker.testing.answers import Answer, read_event, read_failure
from waystation_worker.testing.calling import Snapshot, as_json, call, token_of
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import DeadLetter, Delivery, Entry, PendingTask
from waystation_worker.testing.telling import entry_message, timeline
from waystation_worker.timing import DAY, Span, span
from waystation_worker.values import Json, Model, copied
from waystation_worker.workflows import EventWithState, Failure, Wait

if TYPE_CHECKING:
    from waystation_worker.testing.engine import TestEngine


class Stuck(AssertionError):
    """The workflow does not come where the test wants it; the message says what it waits for."""


class WorkflowRun:
    """One workflow in a TestEngine. What it shows are copies."""

    def __init__(self, engine: TestEngine, instance: Instance) -> None:
        self._engine = engine
        self._instance = instance

    # --- what it shows ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its workflow_instance_id."""
        return self._instance.id

    @property
    def status(self) -> str:
        """ACTIVE, WAITING_FOR_INPUT, COMPLETED, FAILED or CANCELLED."""
        return self._instance.status

    @property
    def version(self) -> int:
        """How many entries its history has."""
        return self._instance.version

    @property
    def data(self) -> dict[str, Json]:
        """The workflow's data."""
        data: dict[str, Json] = copied(self._instance.data)
        return data

    @property
    def output(self) -> dict[str, Json] | None:
        """What `complete` gave."""
        output: dict[str, Json] | None = copied(self._instance.output)
        return output

    @property
    def failure(self) -> Failure | None:
        """Why it is FAILED or CANCELLED."""
        return self._instance.failure

    @property
    def waits(self) -> tuple[Wait, ...]:
        """The questions that are open."""
        return self._instance.waits

    @property
    def deadline(self) -> datetime | None:
        """When it fails if it is open still; None: never."""
        return self._instance.deadline

    @property
    def pending(self) -> tuple[PendingTask, ...]:
        """The tasks whose result is to follow."""
        return tuple(
            PendingTask(
                delivery.task.task_id,
                delivery.event.event_type,
                delivery.key,
                token_of(delivery.key, delivery.attempts + 1),
                delivery.attempts + 1,
                delivery.due,
            )
            for delivery in self._instance.deliveries()
            if delivery.state == "PENDING"
        )

    @property
    def events(self) -> list[EventWithState]:
        """Every event, in the order in which they were raised, those of the system included."""
        return [
            EventWithState(
                event_id=emitted.event.event_id,
                event_type=emitted.event.event_type,
                state=emitted.state,
                payload=copied(emitted.event.payload),
                raised_by=emitted.event.raised_by,
                causation_id=emitted.event.causation_id or None,
                priority=100 if emitted.event.priority is None else emitted.event.priority,
                created_at=emitted.event.created_at,
                deliver_at=emitted.event.deliver_at,
                expires_at=emitted.event.expires_at,
                group_id=emitted.event.branch.group_id if emitted.event.branch else None,
                branch=emitted.event.branch.number if emitted.event.branch else None,
            )
            for emitted in self._instance.emitted.values()
        ]

    @property
    def raised(self) -> list[str]:
        """The types of all events."""
        return [event.event_type for event in self.events]

    @property
    def history(self) -> list[Entry]:
        """What was committed, in order."""
        return list(self._instance.history)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The open ones."""
        return [letter for letter in self._instance.dead_letters if letter.state == "OPEN"]

    @property
    def idle(self) -> str | None:
        """Why nothing will ever move it; None while something may."""
        return self._instance.idle

    @property
    def conflicts(self) -> int:
        """How many answers were thrown away because others had changed what they were made from."""
        return self._instance.conflicts

    @property
    def next_due(self) -> datetime | None:
        """When something is due that is not due yet: an attempt, an event, a deadline."""
        return timers.next_due(self._instance, self._engine.now)

    def timeline(self) -> str:
        """What happened and what it waits for now, in lines for a person."""
        return timeline(self._instance, self._engine.now, self._engine.seed)

    def __repr__(self) -> str:
        instance = self._instance
        stands = instance.failure or instance.idle or instance.output or ""
        return f"<WorkflowRun {instance.id} {instance.status} {stands}>".replace(" >", ">")

    # --- what clients and operators do -----------------------------------------------------------

    def provide_input(
        self,
        answer: Mapping[str, Any] | Model,
        wait_id: str | None = None,
        *,
        answered_by: str = "",
    ) -> None:
        """Answers a question; `wait_id` may be left out where one is open.

        Raises WorkflowNotWaiting, WaitIdRequired, WorkflowEnded and WrongState as `Client` does.
        """
        asking.provide_input(self._instance, as_json(answer, "input"), wait_id, answered_by)

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
        """Raises an event from outside. Raises WorkflowEnded, InvalidRequest for the names that
        belong to the system, and ValueError as `NewEvent` does."""
        new = NewEvent(
            event_type,
            payload,
            priority=priority,
            metadata=metadata,
            delay=delay,
            deliver_at=deliver_at,
            expires_at=expires_at,
        )
        asking.publish(self._instance, read_event(new._message()))

    def complete_delivery(self, completion_token: str, result: TaskResult) -> None:
        """Gives the result of a task that answered `pending`. Raises DeliveryNotFound, WorkflowEnded,
        and for a result that breaks a rule WrongState or LimitExceeded."""
        completing.complete(self._instance, completion_token, result)

    def fail_delivery(
        self,
        completion_token: str,
        reason: str,
        message: str = "",
        *,
        permanent: bool = False,
        retry_after: Span | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Fails the attempt of a task that answered `pending`. Raises as `complete_delivery`."""
        failure = task_failure(reason, message, permanent, retry_after, metadata)
        completing.fail(self._instance, completion_token, read_failure(failure))

    def extend_delivery(self, completion_token: str, extension: Span) -> datetime:
        """Gives a task that answered `pending` more time, from now; answers until when. Raises as
        `complete_delivery`."""
        seconds = span(extension, "extension", DAY)
        return completing.extend(self._instance, completion_token, seconds)

    def cancel(self, reason: str = "") -> None:
        """Ends it as CANCELLED. Raises WorkflowEnded when it is COMPLETED or FAILED."""
        asking.cancel(self._instance, reason)

    def retry(self, letter: DeadLetter, payload: Mapping[str, Any] | Model | None = None) -> None:
        """Tries a dead letter again from attempt 1, with an edited payload where one is given."""
        asking.retry(
            self._instance, letter, None if payload is None else as_json(payload, "payload")
        )

    def discard(self, letter: DeadLetter) -> None:
        """Gives a dead letter up."""
        asking.discard(self._instance, letter)

    # --- moving it -------------------------------------------------------------------------------

    async def until_quiet(self) -> None:
        """Calls tasks until nothing is due now."""
        while await self._round():
            pass

    async def until(self, reached: Callable[[WorkflowRun], object]) -> None:
        """Calls tasks, a few at a time, until the condition holds. Raises Stuck when nothing is due
        and it does not."""
        __tracebackhide__ = True
        while not reached(self):
            if not await self._round():
                raise Stuck(f"it never came to that\n{self.timeline()}")

    async def until_ended(self) -> None:
        """Calls tasks until nothing is due. Raises Stuck unless the workflow has ended then."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self._instance.is_open:
            raise Stuck(f"it has not ended\n{self.timeline()}")

    async def until_waiting(self) -> Wait:
        """Calls tasks until nothing is due; gives the open question, the first of several. Raises
        Stuck unless there is one."""
        __tracebackhide__ = True
        await self.until_quiet()
        if self.status != "WAITING_FOR_INPUT":
            raise Stuck(f"it asks for nothing\n{self.timeline()}")
        return self.waits[0]

    async def _round(self) -> bool:
        """Calls some of what is due, on one copy of the data, and commits the answers. Says whether
        anything was due."""
        now, order, instance = self._engine.now, self._engine.random, self._instance
        moved = timers.fire_due(instance)
        for emitted in instance.pending():
            committing.settle_undeliverable(instance, emitted)
        due = [delivery for delivery in self._deliverable() if delivery.due <= now]
        if not due:
            return moved
        order.shuffle(due)
        answers: list[tuple[Delivery, int, int, int, Answer]] = []
        for delivery in due[: order.randint(1, len(due))]:
            attempt = delivery.attempts + 1
            mine = (delivery, attempt, delivery.edit, instance.version)
            answer = await self._call(delivery, attempt)
            if not self._engine.duplicates or delivery.doubled == attempt:
                answers.append((*mine, answer))
                continue
            delivery.doubled = attempt
            if order.random() < 0.5:
                answers.append((*mine, answer))
                answers.append((*mine, await self._call(delivery, attempt)))
            # Else whoever called it died before the commit: it is called again later.
        order.shuffle(answers)
        for delivery, attempt, edit, base, answer in answers:
            committing.commit(instance, delivery, answer, attempt=attempt, edit=edit, base=base)
        return True

    def _deliverable(self) -> list[Delivery]:
        return [
            delivery
            for emitted in self._instance.pending()
            if self._instance.treatment(emitted.event) == "DELIVER"
            for delivery in emitted.deliveries
            if delivery.state == "OPEN"
        ]

    async def _call(self, delivery: Delivery, attempt: int) -> Answer:
        instance, event = self._instance, delivery.event
        if delivery.payload is not None:
            event = replace(event, payload=delivery.payload)
        wants_history = delivery.task.spec.history_entries > 0
        return await call(
            delivery.service,
            delivery.task,
            event,
            Snapshot(
                instance.id,
                instance.type,
                instance.status,
                instance.version,
                instance.data,
                tuple(map(entry_message, instance.history)) if wants_history else (),
            ),
            attempt=attempt,
            key=delivery.key,
        )
