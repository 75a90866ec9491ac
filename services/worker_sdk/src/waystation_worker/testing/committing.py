"""What becomes of answers: they take effect once, fail, conflict, or come too late."""

from __future__ import annotations

from datetime import timedelta

from waystation_worker.tasks import ON_FAILURE
from waystation_worker.testing.answers import Failed, TaskResult
from waystation_worker.testing.calling import SentEvent
from waystation_worker.testing.changes import Fault, apply, check_size, in_conflict
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import (
    ENDS,
    EVENT_OF_STATUS,
    STATUS,
    DeadLetter,
    Delivery,
    Emitted,
)
from waystation_worker.values import Json
from waystation_worker.workflows import Failure, Wait


def settle_undeliverable(instance: Instance, emitted: Emitted) -> None:
    """Settles an event, or what is left of one, that no task is to be called for."""
    event = emitted.event
    if instance.treatment(event) == "SKIP":
        note = f"the workflow is {instance.status}"
        if not emitted.touched:
            for delivery in emitted.deliveries:
                delivery.state = "DONE"
            emitted.state = "SKIPPED"
            instance.record(event, "system", "SKIPPED", note=note)
            return
        for delivery in emitted.deliveries:
            if delivery.state == "OPEN":
                instance.skip(delivery, note)
    elif not emitted.deliveries:
        emitted.state = "UNHANDLED"
        instance.record(event, "system", "UNHANDLED")
        instance.note_end(event, "no task handles it")


def commit(
    instance: Instance,
    delivery: Delivery,
    result: TaskResult,
    *,
    attempt: int,
    edit: int,
    base: int,
) -> None:
    """Takes one answer, computed from version `base`: it takes effect once, or not at all."""
    event = delivery.event
    if delivery.state != "OPEN" or delivery.edit != edit:
        return
    treatment = instance.treatment(event)
    if treatment == "HOLD":
        return
    if treatment == "SKIP":
        emitted = instance.emitted_of(event)
        if emitted.touched:
            instance.skip(delivery, "the workflow had ended", attempt)
        else:
            settle_undeliverable(instance, emitted)
        return
    if result.failure is not None:
        if delivery.attempts < attempt:
            _fail(instance, delivery, result.failure, attempt)
        return
    asked = _statuses(result)
    changes = [*result.changes, *([STATUS] if asked else ())]
    since = [one for version, logged in instance.log if version > base for one in logged]
    if in_conflict(result.reads, changes, since):
        instance.conflicts += 1
        return
    try:
        _succeed(instance, delivery, result, asked, attempt)
    except Fault as fault:
        broken = Failed(fault.reason, fault.message, permanent=True)
        _fail(instance, delivery, broken, attempt)


def _succeed(
    instance: Instance, delivery: Delivery, result: TaskResult, asked: set[str], attempt: int
) -> None:
    """Everything that can be refused is refused before the first move."""
    event, task_id = delivery.event, delivery.task.task_id
    data = apply(instance.data, result.changes)
    if result.changes:
        check_size(data, "CONTEXT_TOO_LARGE", "the data")
    if len(asked) > 1:
        raise Fault("RESPONSE_INVALID", f"asks for {' and '.join(sorted(asked))} at once")
    if asked and event.after_end:
        raise Fault("RESPONSE_INVALID", "handles the end of a workflow and asks for a status")
    ends = sum(name in ENDS for name in result.raised)
    if ends > 1:
        raise Fault("RESPONSE_INVALID", "raises the end of the workflow more than once")
    for raised in result.events:
        check_size(raised.payload, "PAYLOAD_TOO_LARGE", f"the payload of {raised.event_type}")
    instance.check_room(len(result.events) - ends)
    wait = _open_wait(instance, result, task_id)

    delivery.state = "DONE"
    instance.data = data
    if result.output is not None:
        instance.output = result.output
    raised_events = [
        instance.emit(raised, task_id, event, after_end=raised.event_type in ENDS)
        for raised in result.events
    ]
    before, changes = instance.status, list(result.changes)
    if asked:
        (status,) = asked
        if status == "FAILED":
            instance.failure = _failure_of(result, event, task_id)
        instance.enter(status)
        if wait is not None:
            instance.waits = (*instance.waits, wait)
        if status != before:
            changes.append(STATUS)
            if EVENT_OF_STATUS[status] not in result.raised:
                raised_events.append(instance.emit_status(task_id, event))
    instance.record(event, task_id, "SUCCESS", changes, raised_events, attempt=attempt)
    instance.ended(event, f"{instance.handlers(event)} handled it and raised nothing more")


def _open_wait(instance: Instance, result: TaskResult, task_id: str) -> Wait | None:
    if result.wait is None:
        return None
    wait_id = result.wait.wait_id or f"w-{instance.version + 1}"
    if any(wait.wait_id == wait_id for wait in instance.waits):
        raise Fault("RESPONSE_INVALID", f"the wait {wait_id} is open already")
    return Wait(wait_id, task_id, result.wait.message, result.wait.schema, instance.clock())


def _fail(instance: Instance, delivery: Delivery, failure: Failed, attempt: int) -> None:
    """Another attempt later, or a dead letter."""
    event, task_id, spec = delivery.event, delivery.task.task_id, delivery.task.spec
    delivery.attempts = max(delivery.attempts, attempt)
    if not failure.permanent and delivery.attempts < spec.max_attempts:
        delivery.due = instance.clock() + _pause(delivery, failure)
        instance.record(
            event,
            task_id,
            "FAILED",
            attempt=attempt,
            failure=failure,
            next_attempt_at=delivery.due,
        )
        return
    fails = spec.on_failure != ON_FAILURE["continue"] and not event.after_end
    instance.dead_letters.append(
        DeadLetter(
            event.event_type,
            task_id,
            delivery.attempts,
            failure,
            fails,
            delivery.payload or event.payload,
            delivery=delivery,
        )
    )
    raised, changes = [], []
    if fails:
        delivery.state = "DEAD"
        instance.failure = Failure(failure.reason, failure.message, task_id, event.event_id)
        instance.enter("FAILED")
        raised.append(instance.emit_status(task_id, event))
        changes.append(STATUS)
    else:
        delivery.state = "DONE"
    instance.record(event, task_id, "FAILED", changes, raised, attempt=attempt, failure=failure)
    instance.ended(event, f"{instance.handlers(event)} handled it and raised nothing more")


def _statuses(result: TaskResult) -> set[str]:
    """Every status that an answer asks for, by whatever means."""
    asked = {ENDS[name] for name in result.raised if name in ENDS}
    if result.status is not None:
        asked.add(result.status)
    return asked


def _failure_of(result: TaskResult, event: SentEvent, task_id: str) -> Failure:
    """A task that fails its workflow says why in the payload of `workflow.failed`."""
    payload: dict[str, Json] = next(
        (raised.payload for raised in result.events if raised.event_type in ENDS), {}
    )
    return Failure(
        str(payload.get("reason") or "FAILED_BY_TASK"),
        str(payload.get("message") or f"{task_id} failed the workflow"),
        task_id,
        event.event_id,
    )


def _pause(delivery: Delivery, failure: Failed) -> timedelta:
    """The wait before the next attempt, without jitter: tests want to know when."""
    if failure.retry_after is not None:
        return timedelta(seconds=failure.retry_after)
    spec = delivery.task.spec
    longest: timedelta = spec.max_backoff.ToTimedelta()
    pause: timedelta = spec.initial_backoff.ToTimedelta()
    for _ in range(delivery.attempts - 1):
        if pause >= longest:
            break
        pause *= spec.backoff_multiplier
    return min(pause, longest)
