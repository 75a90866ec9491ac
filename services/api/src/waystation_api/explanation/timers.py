"""What an instance waits for by time and by count: timers, groups, pending results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from waystation_api.explanation.blocker import FAN_OUT, PENDING_COMPLETION, TIMER, Blocker
from waystation_api.explanation.routers import none_is_alive
from waystation_core.ports.store import DeliveryFact, TimerFact
from waystation_domain.model import Group, Instance
from waystation_domain.pools import Pool

_NO_ROUTER = (
    "No router is running, so no timer fires: start one, `waystation-router`. `waystation status` shows "
    "the routers."
)


def delayed(facts: Sequence[TimerFact], pools: Sequence[Pool]) -> list[Blocker]:
    """Delayed events."""
    remedy = _NO_ROUTER if none_is_alive(pools) else "Nothing to do: it is delivered at that time."
    return [
        Blocker(
            kind=TIMER,
            since=fact.event.created_at,
            message=f"`{fact.event.event_type}` was raised by {fact.event.raised_by} and is delivered "
            f"at {_at(fact.due_at)}",
            remedy=remedy,
            event_id=fact.event.event_id,
            event_type=fact.event.event_type,
            due_at=fact.due_at,
        )
        for fact in facts
        if fact.event is not None
    ]


def deadline(instance: Instance) -> Blocker:
    """The workflow's deadline, unless it passed while the workflow was FAILED. Listed last, as it only ends
    the workflow."""
    return Blocker(
        kind=TIMER,
        since=instance.created_at,
        message=f"it fails at {_at(instance.deadline)} unless it has ended",
        remedy="Resolve the other blockers before that.",
        due_at=instance.deadline,
    )


def groups(instance: Instance) -> list[Blocker]:
    """Fan-out groups, each with how much of it is settled."""
    return [_group(instance, group) for group in instance.groups]


def _group(instance: Instance, group: Group) -> Blocker:
    settled = group.size - len(group.open)
    needed = f"{group.need - group.well} more of them to succeed" if group.need else "all of them"
    until = datetime.fromisoformat(group.deadline) if group.deadline is not None else None
    at_last = f", or for {_at(until)}" if until is not None else ""
    failed = f", {len(group.failed)} with failures" if group.failed else ""
    verb = "is" if settled == 1 else "are"
    branches = "1 branch" if group.size == 1 else f"{group.size} branches"
    first = ", ".join(str(number) for number in sorted(group.open)[:5])
    return Blocker(
        kind=FAN_OUT,
        since=datetime.fromisoformat(group.since),
        message=f"`{group.then.event_type}` follows the {branches} that {group.task_id} "
        f"opened: {settled} {verb} settled{failed}, and it waits for {needed}{at_last}",
        remedy=f"See what the open branches wait for (the first ones: {first}): "
        f"`waystation show {instance.workflow_instance_id}` has their events.",
        event_type=group.then.event_type,
        task_id=group.task_id,
        group_id=group.group_id,
        due_at=until,
    )


def pending(fact: DeliveryFact, service: str, pools: Sequence[Pool]) -> Blocker:
    """A delivery whose task answered `pending`."""
    delivery, event = fact.delivery, fact.event
    unless = f" {_NO_ROUTER}" if none_is_alive(pools) else ""
    return Blocker(
        kind=PENDING_COMPLETION,
        since=fact.since,
        message=f"{delivery.task_id} answered `{event.event_type}` with `pending`: its result is due "
        f"by {_at(fact.due_at)}",
        remedy="The process that does the work completes it with CompleteDelivery and the completion token of "
        "the call. ExtendDelivery gives it more time; otherwise the attempt fails then." + unless,
        event_id=event.event_id,
        event_type=event.event_type,
        task_id=delivery.task_id,
        service_name=service,
        attempts=delivery.attempts,
        due_at=fact.due_at,
        last_error=delivery.last_error,
    )


def _at(when: datetime | None) -> str:
    return when.isoformat(timespec="seconds") if when is not None else "an unknown time"
