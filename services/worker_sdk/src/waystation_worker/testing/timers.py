"""What becomes due in a workflow in memory, and what it does then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from waystation_worker.testing import committing, groups, waits
from waystation_worker.testing.answers import Failed, Raised
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import INPUT_TIMED_OUT, STATUS, Delivery, Emitted
from waystation_worker.workflows import Failure, Wait

EXPIRED = "it expired"
PENDING_TIMED_OUT = Failed(
    "PENDING_TIMED_OUT",
    "The task answered that its result follows, and it did not come in time.",
    code="DEADLINE_EXCEEDED",
)


def next_due(instance: Instance, now: datetime) -> datetime | None:
    """When something is due that is not due yet."""
    times = [due for due, _ in _alarms(instance)]
    for emitted in instance.pending():
        times.append(emitted.time)
        if instance.treatment(emitted.event) == "DELIVER":
            times += [one.due for one in emitted.deliveries if one.state == "OPEN"]
    return min((due for due in times if due > now), default=None)


def fire_due(instance: Instance) -> bool:
    """Does what is due now, in order of time; says whether anything was."""
    fired = False
    while alarms := [one for one in _alarms(instance) if one[0] <= instance.clock()]:
        _, act = min(alarms, key=lambda alarm: alarm[0])
        act()
        fired = True
    return fired


def _alarms(instance: Instance) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """All that will happen by itself, and when; each takes itself away when it does."""
    for emitted in instance.pending():
        event = emitted.event
        if event.expires_at is not None and not emitted.expired:
            yield event.expires_at, partial(_expire, instance, emitted)
    if not instance.is_over:
        if instance.deadline is not None and not instance.deadline_passed:
            yield instance.deadline, partial(_exceed, instance)
        for wait in instance.waits:
            if wait.deadline is not None:
                yield wait.deadline, partial(_time_out, instance, wait)
        for group in instance.groups:
            if group.deadline is not None:
                yield group.deadline, partial(groups.fire, instance, group, timed_out=True)
    for delivery in instance.deliveries():
        if delivery.state == "PENDING" and instance.treatment(delivery.event) != "SKIP":
            yield delivery.due, partial(_cut, instance, delivery)


def _expire(instance: Instance, emitted: Emitted) -> None:
    """Settles what no task was called with. A delivery that was tried goes on: it was delivered."""
    emitted.expired = True
    event = emitted.event
    if not emitted.touched:
        groups.fail(instance, event, "", "EXPIRED", f"`{event.event_type}` expired")
        instance.skip_event(emitted, EXPIRED)
        return
    for delivery in emitted.deliveries:
        if delivery.state == "OPEN" and not delivery.attempts:
            task_id = delivery.task.task_id
            groups.fail(instance, event, task_id, "EXPIRED", f"`{event.event_type}` expired")
            instance.skip(delivery, EXPIRED)


def _exceed(instance: Instance) -> None:
    """The workflow's own deadline: it fails, if it is open still."""
    instance.deadline_passed = True
    if not instance.is_open:
        return
    message = "The workflow was not done by its deadline."
    instance.failure = Failure("WORKFLOW_DEADLINE_EXCEEDED", message, "", "")
    instance.enter("FAILED")
    event = instance.emit_status("system", None)
    instance.record(event, "system", "SUCCESS", [STATUS], [event], action="deadline", note=message)
    instance.conclude([event])


def _time_out(instance: Instance, wait: Wait) -> None:
    """A question that nobody answered in time."""
    branch = instance.branch_of_wait.get(wait.wait_id)
    event = instance.emit(Raised(INPUT_TIMED_OUT, waits.named(wait)), "system", None, branch=branch)
    changes = waits.end_wait(instance, wait)
    instance.record(
        event,
        "system",
        "SUCCESS",
        changes,
        [event],
        action="input_timed_out",
        note=wait.wait_id,
    )
    waits.leave_wait(instance, wait)


def _cut(instance: Instance, delivery: Delivery) -> None:
    """A result that was to follow and did not come."""
    if instance.treatment(delivery.event) == "HOLD":
        delivery.state = "OPEN"
    else:
        committing.fail(instance, delivery, PENDING_TIMED_OUT, delivery.attempts + 1)
