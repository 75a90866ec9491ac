"""What clients and operators ask of an instance. Each refuses before its first move."""

from __future__ import annotations

from waystation_worker.errors import (
    InvalidRequest,
    LimitExceeded,
    WaitIdRequired,
    WorkflowNotWaiting,
    WrongState,
)
from waystation_worker.tasks import is_reserved
from waystation_worker.testing import groups, waits
from waystation_worker.testing.answers import Raised
from waystation_worker.testing.changes import Change, Fault, apply, check_size
from waystation_worker.testing.committing import settle_undeliverable
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import (
    DEAD_LETTER_DISCARDED,
    INPUT,
    STATUS,
    DeadLetter,
    Delivery,
)
from waystation_worker.values import Json
from waystation_worker.workflows import Failure


def start(instance: Instance, raised: Raised) -> None:
    """Raises `workflow.started`."""
    instance.log.append((1, [Change("set", "", instance.data)]))
    event = instance.emit(raised, "client", None)
    instance.record(event, "client", "SUCCESS", raised=[event], action="start")


def provide_input(
    instance: Instance, answer: dict[str, Json], wait_id: str | None, answered_by: str
) -> None:
    """Answers a wait."""
    instance.require_open()
    named = [wait for wait in instance.waits if wait_id in (None, wait.wait_id)]
    known = ", ".join(wait.wait_id for wait in instance.waits) or "none"
    if not named:
        raise WorkflowNotWaiting(f"{instance.id} has no such open wait; open: {known}")
    if len(named) > 1:
        raise WaitIdRequired(f"several waits are open, name one: {known}")
    (wait,) = named
    changes = waits.changes_of(wait, answer)
    try:
        data = apply(instance.data, changes)
    except Fault as fault:
        raise WrongState(fault.message, reason=fault.reason, code="FAILED_PRECONDITION") from None
    _check_limits(instance, data, "CONTEXT_TOO_LARGE", "data with this input")
    payload = {**waits.named(wait), "input": answer}
    if answered_by:
        payload["answered_by"] = answered_by
    _check_limits(instance, payload, "PAYLOAD_TOO_LARGE", "the payload with this input")
    branch = instance.branch_of_wait.get(wait.wait_id)
    event = instance.emit(Raised(INPUT, payload), "client", None, branch=branch)
    instance.data = data
    changes += waits.end_wait(instance, wait)
    instance.record(
        event,
        "client",
        "SUCCESS",
        changes,
        [event],
        action="input",
        note=wait.wait_id,
        answered_by=answered_by,
    )
    waits.leave_wait(instance, wait)


def publish(instance: Instance, raised: Raised) -> None:
    """Raises a client's event."""
    instance.require_open()
    if is_reserved(raised.event_type):
        raise InvalidRequest(
            f"{raised.event_type} is the system's; choose another name",
            reason="RESERVED_EVENT_TYPE",
            code="INVALID_ARGUMENT",
        )
    _check_limits(instance, raised.payload, "PAYLOAD_TOO_LARGE", "the payload")
    event = instance.emit(raised, "client", None)
    instance.record(event, "client", "SUCCESS", raised=[event], action="publish")


def cancel(instance: Instance, reason: str) -> None:
    """Ends it as CANCELLED."""
    if instance.status == "CANCELLED":
        return
    instance.require_open()
    instance.failure = Failure("CANCELLED", reason or "cancelled by a client", "", "")
    instance.enter("CANCELLED")
    event = instance.emit_status("client", None)
    instance.record(event, "client", "SUCCESS", [STATUS], [event], action="cancel", note=reason)
    instance.conclude([event])


def retry(instance: Instance, letter: DeadLetter, payload: dict[str, Json] | None) -> None:
    """Tries a dead letter again from its first attempt."""
    delivery, event = _take(instance, letter), letter.delivery.event
    if instance.status != "FAILED" and not event.after_end:
        instance.require_open()
    letter.state = "RETRIED"
    if payload is not None and payload != (delivery.payload or event.payload):
        delivery.payload = payload
        delivery.edit += 1
    if delivery.state == "DONE":
        # It had its final outcome, which the group has counted.
        delivery.outside_group = event.branch is not None
    delivery.attempts = delivery.doubled = 0
    delivery.state, delivery.due = "OPEN", instance.clock()
    instance.emitted_of(event).state = "PENDING"
    raised, changes = [], []
    if instance.status == "FAILED" and not event.after_end:
        instance.status, instance.failure = "ACTIVE", None
        changes.append(STATUS)
        if instance.waits:
            instance.status = "WAITING_FOR_INPUT"
            raised.append(instance.emit_status("client", None))
    instance.record(event, "client", "SUCCESS", changes, raised, action="dead_letter_retried")
    instance.conclude(raised)


def discard(instance: Instance, letter: DeadLetter) -> None:
    """Gives a dead letter's delivery up for good."""
    delivery = _take(instance, letter)
    task_id = delivery.task.task_id
    if delivery.state == "DEAD" and not delivery.outside_group:
        told = f"the dead letter of {task_id} was discarded"
        groups.fail(instance, delivery.event, task_id, "DISCARDED", told)
    letter.state = "DISCARDED"
    delivery.state = "DONE"
    discarded = Raised(
        DEAD_LETTER_DISCARDED,
        {
            "dead_letter_id": letter.dead_letter_id,
            "task_id": task_id,
            "event_id": delivery.event.event_id,
            "event_type": delivery.event.event_type,
            "reason": letter.failure.reason,
            "message": letter.failure.message,
            "open_dead_letters": len(instance.open_letters()),
        },
    )
    notice = instance.emit(discarded, "client", delivery.event, after_end=not instance.is_open)
    instance.record(
        delivery.event,
        task_id,
        "SKIPPED",
        raised=[notice],
        attempt=max(letter.attempts, 1),
        action="dead_letter_discarded",
    )
    instance.conclude([notice])
    instance.ended(delivery.event, "its dead letter was discarded")
    if not instance.open_letters():
        for emitted in instance.pending():
            settle_undeliverable(instance, emitted)


def _take(instance: Instance, letter: DeadLetter) -> Delivery:
    if letter.state != "OPEN" or not any(letter is one for one in instance.dead_letters):
        raise ValueError(f"no open dead letter of {instance.id}: {letter}")
    return letter.delivery


def _check_limits(instance: Instance, value: Json, reason: str, what: str) -> None:
    try:
        instance.check_room(1)
        check_size(value, reason, what)
    except Fault as fault:
        raise LimitExceeded(fault.message, reason=fault.reason, code="RESOURCE_EXHAUSTED") from None
