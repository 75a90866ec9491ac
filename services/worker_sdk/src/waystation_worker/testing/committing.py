"""What becomes of answers: they take effect once, fail, conflict, or come too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from waystation_worker.tasks import ON_FAILURE
from waystation_worker.testing import groups, waits
from waystation_worker.testing.answers import Answer, Failed, Pending
from waystation_worker.testing.calling import SentEvent, number
from waystation_worker.testing.changes import (
    MAX_DETAILS_BYTES,
    Fault,
    apply,
    check_change,
    check_size,
    in_conflict,
)
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
from waystation_worker.workflows import Failure

_FIRST_LETTER = 1_000_001
"""Ids of dead letters are those of no events."""


def settle_undeliverable(instance: Instance, emitted: Emitted) -> None:
    """Settles an event, or what is left of one, that no task is to be called for."""
    event = emitted.event
    if instance.treatment(event) == "SKIP":
        note = f"the workflow is {instance.status}"
        if not emitted.touched:
            instance.skip_event(emitted, note)
            return
        for delivery in emitted.deliveries:
            if delivery.state in ("OPEN", "PENDING"):
                instance.skip(delivery, note)
    elif not emitted.deliveries and emitted.time <= instance.clock():
        emitted.state = "UNHANDLED"
        groups.fail(instance, event, "", "UNHANDLED", f"no task handles `{event.event_type}`")
        instance.record(event, "system", "UNHANDLED")
        instance.ended(event, "no task handles it")


def commit(
    instance: Instance,
    delivery: Delivery,
    result: Answer,
    *,
    attempt: int,
    edit: int,
    base: int,
) -> None:
    """Takes one answer, computed from version `base`: it takes effect once, or not at all."""
    event = delivery.event
    if delivery.state not in ("OPEN", "PENDING") or delivery.edit != edit:
        return
    treatment = instance.treatment(event)
    if treatment == "HOLD":
        delivery.state = "OPEN"
    elif treatment == "SKIP":
        emitted = instance.emitted_of(event)
        if emitted.touched:
            instance.skip(delivery, "the workflow had ended", attempt)
        else:
            settle_undeliverable(instance, emitted)
    elif result.pending is not None:
        # That of an attempt that has failed meanwhile comes too late.
        if delivery.state == "OPEN" and delivery.attempts < attempt:
            _wait_for_completion(instance, delivery, result.pending)
    elif result.failure is not None:
        # A call beside the one that was answered with `pending` cuts nothing.
        if delivery.state != "PENDING" and delivery.attempts < attempt:
            fail(instance, delivery, result.failure, attempt)
    elif _conflicts(instance, result, base):
        instance.conflicts += 1
    else:
        try:
            succeed(instance, delivery, result, attempt)
        except Fault as fault:
            broken = Failed(fault.reason, fault.message, permanent=True)
            fail(instance, delivery, broken, attempt)


def _wait_for_completion(instance: Instance, delivery: Delivery, pending: Pending) -> None:
    """The result follows, or the attempt fails at its time."""
    timeout = delivery.task.timeout if pending.timeout is None else pending.timeout
    delivery.state, delivery.due = "PENDING", instance.clock() + timedelta(seconds=timeout)
    instance.emitted_of(delivery.event).touched = True


def _conflicts(instance: Instance, result: Answer, base: int) -> bool:
    changes = [*result.changes, *([STATUS] if _statuses(result) else ())]
    since = [one for version, logged in instance.log if version > base for one in logged]
    return in_conflict(result.reads, changes, since)


def succeed(instance: Instance, delivery: Delivery, result: Answer, attempt: int) -> None:
    """Makes a result take effect. Raises Fault, before the first move, for one that breaks a rule."""
    event, task_id = _in_group(delivery), delivery.task.task_id
    data = apply(instance.data, result.changes)
    if result.changes:
        check_size(data, "CONTEXT_TOO_LARGE", "the data")
        check_change(result.changes)
    if result.failing is not None and result.failing.details is not None:
        details = result.failing.details
        check_size(details, "PAYLOAD_TOO_LARGE", "the details", MAX_DETAILS_BYTES)
    status = _status_of(result, event)
    _check_events(instance, result, event)
    asked = waits.waits_of(instance, result.waits, task_id, data)

    delivery.state = "DONE"
    instance.data = data
    if result.output is not None:
        instance.output = result.output
    raised_events = []
    for raised in result.events:
        ends = raised.event_type in ENDS
        branch = None if ends else event.branch
        raised_events.append(instance.emit(raised, task_id, event, branch=branch, after_end=ends))
    opened = []
    for fan_out in result.fan_outs:
        group, events = groups.open_group(instance, fan_out, event, task_id)
        opened.append(group)
        raised_events += events
    before, changes = instance.status, list(result.changes)
    if status is not None:
        if status == "FAILED":
            instance.failure = _failure_of(result, event, task_id)
        instance.enter(status)
        for wait in asked:
            waits.open_wait(instance, wait, event.branch)
        if status != before:
            changes.append(STATUS)
            if EVENT_OF_STATUS[status] not in result.raised:
                raised_events.append(instance.emit_status(task_id, event))
    instance.record(
        event,
        task_id,
        "SUCCESS",
        changes,
        raised_events,
        attempt=attempt,
        opened=tuple(wait.wait_id for wait in asked),
    )
    for group in opened:
        if not group.size:
            groups.fire(instance, group)
    instance.conclude(raised_events)
    _handled(instance, delivery)


def _status_of(result: Answer, event: SentEvent) -> str | None:
    """The status that an answer asks for. Raises Fault where a task may not have it."""
    asked = _statuses(result)
    if len(asked) > 1:
        raise Fault("RESPONSE_INVALID", f"asks for {' and '.join(sorted(asked))} at once")
    if asked and event.after_end:
        raise Fault("RESPONSE_INVALID", "handles the end of a workflow and asks for a status")
    return next(iter(asked), None)


def _check_events(instance: Instance, result: Answer, event: SentEvent) -> None:
    """Raises Fault for events that may not be raised."""
    ends = sum(name in ENDS for name in result.raised)
    if ends > 1:
        raise Fault("RESPONSE_INVALID", "raises the end of the workflow more than once")
    events = list(result.events)
    for fan_out in result.fan_outs:
        groups.check(fan_out, event)
        events += fan_out.events
    for raised in events:
        check_size(raised.payload, "PAYLOAD_TOO_LARGE", f"the payload of {raised.event_type}")
    instance.check_room(result.number_of_events - ends)


def _in_group(delivery: Delivery) -> SentEvent:
    """The event, outside its group where nobody waits for this delivery."""
    event = delivery.event
    return replace(event, branch=None) if delivery.outside_group else event


def _handled(instance: Instance, delivery: Delivery) -> None:
    how = f"{delivery.task.task_id} handled it and raised nothing more"
    instance.ended(delivery.event, how)


def fail(instance: Instance, delivery: Delivery, failure: Failed, attempt: int) -> None:
    """Another attempt later, or a dead letter."""
    event, task_id, spec = delivery.event, delivery.task.task_id, delivery.task.spec
    delivery.attempts = max(delivery.attempts, attempt)
    if not failure.permanent and delivery.attempts < spec.max_attempts:
        delivery.state, delivery.due = "OPEN", instance.clock() + _pause(delivery, failure)
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
            number(_FIRST_LETTER + len(instance.dead_letters)),
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
        groups.fail(instance, _in_group(delivery), task_id, failure.reason, failure.message)
    instance.record(event, task_id, "FAILED", changes, raised, attempt=attempt, failure=failure)
    instance.conclude(raised)
    _handled(instance, delivery)


def _statuses(result: Answer) -> set[str]:
    """Every status that an answer asks for, by whatever means."""
    asked = {ENDS[name] for name in result.raised if name in ENDS}
    if result.status is not None:
        asked.add(result.status)
    return asked


def _failure_of(result: Answer, event: SentEvent, task_id: str) -> Failure:
    """A task that fails its workflow says why: by its end, or in the payload of a `workflow.failed` that it
    raised itself."""
    if (failing := result.failing) is not None:
        return Failure(
            failing.reason,
            failing.message or failing.reason,
            task_id,
            event.event_id,
            failing.details,
        )
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
