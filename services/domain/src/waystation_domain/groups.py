"""Structured fan-out: groups of events, and the event that follows when they are settled.

A branch begins with one of the events that opened its group. Events that are raised while a branch's event is
handled belong to the branch, and so do the waits and inner groups that are opened then. A branch is settled
when nothing of it is open; a group, when enough of its branches are. Its `then` is then raised, once, in the
branch around the group.

The counts are in the instance's row, under its lock. A commit adds before it subtracts: what an answer raises
is counted before the event that it answers is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from waystation_domain import lifecycle, limits, storable
from waystation_domain.details import Action, FannedIn
from waystation_domain.draft import Draft
from waystation_domain.errors import ResponseInvalid
from waystation_domain.history import record_action
from waystation_domain.model import (
    SYSTEM,
    Branch,
    Event,
    Group,
    Json,
    JsonObject,
    Timer,
    TimerKind,
)
from waystation_domain.outcomes import FanOut

_MAX_FAILURE_TEXT = 200
"""Characters of a failed branch's message."""

FAILED, TIMED_OUT, OPEN = "failed_branches", "timed_out", "open_branches"
"""What the engine adds to the payload of `then`."""

_EXPIRED, _UNHANDLED = "EXPIRED", "UNHANDLED"


def check(fan_out: FanOut, cause: Event, size_of: Callable[[Json], int]) -> None:
    """Raises ResponseInvalid for an impossible group, and PayloadTooLarge or InvalidStruct for a `then`
    payload that leaves no room for the list of failures."""
    if cause.after_end:
        raise ResponseInvalid(
            "A task that handles the end of a workflow may raise events, but not use fan_out: nothing "
            "can wait for the group.",
            problem="fan-out after the end",
        )
    if fan_out.need > len(fan_out.events):
        raise ResponseInvalid(
            f"fan_out needs {fan_out.need} of {len(fan_out.events)} branches; set need to at most "
            "the number of branches, or to 0 for all.",
            problem="need above the number of branches",
        )
    for new in (*fan_out.events, fan_out.then):
        if lifecycle.is_reserved(new.event_type):
            raise ResponseInvalid(
                f"fan_out may not raise {new.event_type}; let the task that handles `then` "
                "end the workflow.",
                problem="the end of the workflow in a fan-out",
                event_type=new.event_type,
            )
    if fan_out.then.delay or fan_out.then.deliver_at or fan_out.then.expires_at:
        raise ResponseInvalid(
            "`then` of a fan_out is raised when its group is settled; it cannot have a delay, a delivery time or an expiry.",
            problem="then with a time",
        )
    limits.check_size(size_of(fan_out.then.payload), "then.payload", limits.MAX_THEN_BYTES)
    storable.check_json(fan_out.then.payload, "then.payload", limits.MAX_THEN_NODES)


def open_group(
    draft: Draft, fan_out: FanOut, cause: Event, task_id: str
) -> tuple[Group, list[Event]]:
    """Opens a group and raises its events. Call `fire_empty` after the entry is recorded."""
    then = fan_out.then
    group = Group(
        group_id=draft.rules.providers.make_id(),
        then=replace(
            then,
            priority=then.priority if then.priority is not None else cause.priority,
            metadata={**(cause.metadata or {}), **(then.metadata or {})} or None,
        ),
        need=fan_out.need,
        size=len(fan_out.events),
        cause_id=cause.event_id,
        task_id=task_id,
        since=draft.now.isoformat(),
        open={},
        outer=cause.branch if _is_open(draft, cause.branch) else None,
        deadline=None
        if fan_out.timeout is None
        else (draft.now + timedelta(seconds=fan_out.timeout)).isoformat(),
    )
    draft.touch(groups=(*draft.instance.groups, group))
    if group.outer is not None:
        draft.enter(group.outer)
    if fan_out.timeout is not None:
        draft.put_timer(Timer(TimerKind.FAN_OUT, group.group_id, due_in=fan_out.timeout))
    raised = [
        draft.raise_event(
            new, raised_by=task_id, cause=cause, branch=Branch(group.group_id, number)
        )
        for number, new in enumerate(fan_out.events)
    ]
    return group, raised


def fire_empty(draft: Draft, opened: Sequence[Group]) -> None:
    """Fires those of these groups that have nothing to wait for."""
    for group in opened:
        if not group.size:
            _fire(draft, group)


def leave(draft: Draft, branch: Branch) -> None:
    """Counts one open item less; fires the group if that settles it."""
    group = draft.group_of(branch)
    if group is None:
        return
    remaining = dict(group.open)
    remaining[branch.number] -= 1
    well = group.well
    if not remaining[branch.number]:
        del remaining[branch.number]
        well += all(failure["branch"] != branch.number for failure in group.failed)
    group = replace(group, open=remaining, well=well)
    draft.put_group(group)
    if not remaining or (group.need and well >= group.need):
        _fire(draft, group)


def fail(draft: Draft, event: Event, task_id: str, reason: str, message: str) -> None:
    """Records the first failure of an event's branch, if its group waits for it."""
    if event.branch is None or (group := draft.group_of(event.branch)) is None:
        return
    if any(one["branch"] == event.branch.number for one in group.failed):
        return
    failure: JsonObject = {
        "branch": event.branch.number,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "task_id": task_id,
        "reason": reason,
        "message": message[:_MAX_FAILURE_TEXT],
    }
    draft.put_group(replace(group, failed=(*group.failed, failure)))


def fail_unhandled(draft: Draft, event: Event) -> None:
    """Records that no task handles an event."""
    fail(draft, event, "", _UNHANDLED, f"no task handles `{event.event_type}`")


def fail_expired(draft: Draft, event: Event, task_id: str = "") -> None:
    """Records that an event expired before a task was called."""
    fail(draft, event, task_id, _EXPIRED, f"`{event.event_type}` expired")


def may_catch_up(draft: Draft, event: Event) -> bool:
    """Whether a new task may handle an UNHANDLED event: not after its group has fired, as `then` has reported
    the event and tasks may have acted on that."""
    return event.branch is None or _is_open(draft, event.branch)


def take_back(draft: Draft, event: Event) -> None:
    """Reopens the branch of an UNHANDLED event that a new task handles now: the branch is counted again when
    that task has finished."""
    if event.branch is None or (group := draft.group_of(event.branch)) is None:
        return
    number = event.branch.number
    settled_well = number not in group.open and all(one["branch"] != number for one in group.failed)
    # Failures of other late tasks stay recorded.
    failed = tuple(
        one for one in group.failed if one["event_id"] != event.event_id or one["task_id"]
    )
    draft.put_group(replace(group, failed=failed, well=group.well - settled_well))
    draft.enter(event.branch)


def time_out(draft: Draft, group_id: str) -> None:
    """Fires a group at its deadline, if it has not fired."""
    group = next((one for one in draft.instance.groups if one.group_id == group_id), None)
    if group is not None:
        _fire(draft, group, timed_out=True)


def _fire(draft: Draft, group: Group, *, timed_out: bool = False) -> None:
    payload = _payload(group, draft.rules.providers.size_of, timed_out=timed_out)
    draft.touch(
        groups=tuple(one for one in draft.instance.groups if one.group_id != group.group_id)
    )
    if group.deadline is not None and not timed_out:
        draft.drop_timer(TimerKind.FAN_OUT, group.group_id)
    event = draft.raise_event(
        replace(group.then, payload=payload),
        raised_by=group.task_id,
        cause=None,
        causation_id=group.cause_id,
        branch=group.outer,
        # Its `then` was promised when the group was opened.
        limited=False,
    )
    settled = group.size - len(group.open)
    record_action(
        draft,
        Action.FAN_IN,
        event,
        by=SYSTEM,
        raised=[event],
        detail=FannedIn(settled, group.well, group.size, timed_out),
    )
    if group.outer is not None:
        leave(draft, group.outer)


def _payload(group: Group, size_of: Callable[[Json], int], *, timed_out: bool) -> JsonObject:
    """The payload of `then`. It can always be raised: if a thousand long messages do not fit, they are cut."""
    payload: JsonObject = dict(group.then.payload)
    if timed_out:
        payload |= {TIMED_OUT: True, OPEN: sorted(group.open)}
    named = ("message", "event_id", "event_type", "task_id")
    for left_out in ((), ("message",), named, (*named, "reason")):
        payload[FAILED] = [
            {key: value for key, value in failure.items() if key not in left_out}
            for failure in sorted(group.failed, key=lambda failure: failure["branch"])
        ]
        if size_of(payload) <= limits.MAX_BYTES:
            break
    return payload


def _is_open(draft: Draft, branch: Branch | None) -> bool:
    return branch is not None and draft.group_of(branch) is not None
