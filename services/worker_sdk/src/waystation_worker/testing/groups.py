"""Structured fan-out in memory: which branch waits for what, and when `then` is raised.

A branch begins with one of the events that opened its group; what is raised while its events are
handled belongs to it, with the questions and the inner groups that are opened there. It is settled
when nothing of it is open, the group when enough branches are. What is raised counts before what was
handled is taken off.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from waystation_worker.testing.answers import FannedOut
from waystation_worker.testing.calling import Branch, SentEvent
from waystation_worker.testing.changes import MAX_BYTES, Fault, check_size, json_text
from waystation_worker.testing.records import Group
from waystation_worker.values import Json

if TYPE_CHECKING:
    from waystation_worker.testing.instance import Instance

MAX_THEN_BYTES = MAX_BYTES // 2
MAX_THEN_NODES = 2_000
"""Of the payload given for `then`: the rest is for the list of what failed."""

_MAX_FAILURE_TEXT = 200


def check(fan_out: FannedOut, cause: SentEvent) -> None:
    """Raises Fault for a group that nothing would wait for, and for a `then` that leaves no room for
    the list of what failed."""
    if cause.after_end:
        raise Fault("RESPONSE_INVALID", "handles the end of a workflow and opens a fan-out")
    check_size(
        fan_out.then.payload,
        "PAYLOAD_TOO_LARGE",
        f"the payload of {fan_out.then.event_type}",
        MAX_THEN_BYTES,
        MAX_THEN_NODES,
    )


def open_group(
    instance: Instance, fan_out: FannedOut, cause: SentEvent, task_id: str
) -> tuple[Group, list[SentEvent]]:
    """Opens a group and raises its events."""
    instance.groups_opened += 1
    then, outer = fan_out.then, cause.branch
    group = Group(
        group_id=f"group-{instance.groups_opened}",
        then=replace(
            then,
            priority=then.priority if then.priority is not None else cause.priority,
            metadata={**cause.metadata, **then.metadata},
        ),
        need=fan_out.need,
        size=len(fan_out.events),
        cause=cause,
        task_id=task_id,
        outer=outer if outer is not None and enter(instance, outer) else None,
        deadline=None
        if fan_out.timeout is None
        else instance.clock() + timedelta(seconds=fan_out.timeout),
    )
    instance.groups.append(group)
    events = [
        instance.emit(raised, task_id, cause, branch=Branch(group.group_id, number))
        for number, raised in enumerate(fan_out.events)
    ]
    return group, events


def enter(instance: Instance, branch: Branch) -> bool:
    """One more thing is open in a branch; False when nobody waits for it any more."""
    group = _group(instance, branch)
    if group is None:
        return False
    group.open[branch.number] = group.open.get(branch.number, 0) + 1
    return True


def leave(instance: Instance, branch: Branch) -> None:
    """One thing less is open; the group fires when that settles it."""
    group = _group(instance, branch)
    if group is None:
        return
    number = branch.number
    group.open[number] -= 1
    if not group.open[number]:
        del group.open[number]
        group.well += all(failure["branch"] != number for failure in group.failed)
    if not group.open or (group.need and group.well >= group.need):
        fire(instance, group)


def fail(instance: Instance, event: SentEvent, task_id: str, reason: str, message: str) -> None:
    """Notes what failed in an event's branch, the first time."""
    group = _group(instance, event.branch)
    if group is None or event.branch is None:
        return
    number = event.branch.number
    if all(failure["branch"] != number for failure in group.failed):
        group.failed.append(
            {
                "branch": number,
                "event_id": event.event_id,
                "event_type": event.event_type,
                "task_id": task_id,
                "reason": reason,
                "message": message[:_MAX_FAILURE_TEXT],
            }
        )


def fire(instance: Instance, group: Group, *, timed_out: bool = False) -> None:
    """Raises `then`, in the branch around the group."""
    instance.groups = [one for one in instance.groups if one is not group]
    event = instance.emit(
        replace(group.then, payload=_payload(group, timed_out=timed_out)),
        group.task_id,
        None,
        causation_id=group.cause.event_id,
        branch=group.outer,
    )
    settled = group.size - len(group.open)
    instance.record(
        event,
        "system",
        "SUCCESS",
        raised=[event],
        action="fan_in",
        note=f"{settled} of {group.size} branches settled, {group.well} of them well"
        + (", when the time was over" if timed_out else ""),
    )
    if group.outer is not None:
        leave(instance, group.outer)


def _payload(group: Group, *, timed_out: bool) -> dict[str, Json]:
    """What `then` carries; what failed is told shorter where it would be too long."""
    payload = dict(group.then.payload)
    if timed_out:
        payload |= {"timed_out": True, "open_branches": sorted(group.open)}
    for left_out in ((), ("message",), ("message", "event_id", "event_type", "task_id")):
        payload["failed_branches"] = [
            {key: value for key, value in failure.items() if key not in left_out}
            for failure in sorted(group.failed, key=lambda one: one["branch"])
        ]
        if len(json_text(payload)) <= MAX_BYTES:
            break
    return payload


def _group(instance: Instance, branch: Branch | None) -> Group | None:
    if branch is None:
        return None
    return next((one for one in instance.groups if one.group_id == branch.group_id), None)
