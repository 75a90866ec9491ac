"""What an instance waits for, since when, and who or what can unblock it. `explain` is a pure function of
facts: what the store has of the instance, and what is registered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation_api.explanation import routers, timers
from waystation_api.explanation.blocker import Blocker
from waystation_api.explanation.endpoints import Registered, how_to_start
from waystation_core.ports.broker import BrokerStatus
from waystation_core.ports.store import (
    DeadLetterFact,
    DeliveryFact,
    LeaseState,
    OpenWork,
    OutboxFact,
)
from waystation_domain import lifecycle
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    Failure,
    Instance,
    Status,
)
from waystation_domain.pools import Pool

PENDING_EVENT = "PENDING_EVENT"
RETRYING = "RETRYING"
WAITING_FOR_INPUT = "WAITING_FOR_INPUT"
DEAD_LETTER = "DEAD_LETTER"
NO_LIVE_ENDPOINT = "NO_LIVE_ENDPOINT"
IDLE = "IDLE"
HELD = "HELD"
IN_CALL = "IN_CALL"
AT_CAPACITY = "AT_CAPACITY"
NO_ROUTER = "NO_ROUTER"

MAX_BLOCKERS = 200
"""Blockers that an explanation names."""

_SHOWN = 3
"""Blockers that the summary names."""

_NAMED = 5
"""Tasks, or services, that one blocker names."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one instance."""

    instance: Instance
    work: OpenWork
    pools: Sequence[Pool]
    broker: str = ""
    """What prevents announcements now (`broker_trouble`)."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an instance waits for."""

    summary: str
    blockers: Sequence[Blocker] = ()
    """Oldest first, the workflow's deadline last; a limited number."""
    left_out: int = 0
    """How many others there are."""


def explain(facts: Facts, registered: Registered) -> Explanation:
    """The summary and the blockers of an instance."""
    instance, work = facts.instance, facts.work
    if instance.status in (Status.COMPLETED, Status.CANCELLED):
        name = instance.workflow_instance_id
        return Explanation(f"{name} is {instance.status.name}; it waits for nothing.")
    blockers = [_dead_letter(dead_letter) for dead_letter in work.dead_letters.shown]
    blockers += [
        _delivery(instance, fact, registered, facts.pools) for fact in work.deliveries.shown
    ]
    left_out = work.dead_letters.left_out + work.deliveries.left_out
    if instance.status.is_open:
        blockers += [_pending(facts, fact, registered) for fact in work.events.shown]
        blockers += _waits(instance)
        blockers += timers.delayed(work.delayed.shown, facts.pools)
        blockers += timers.groups(instance)
        if instance.idle is not None:
            blockers.append(_idle(instance, registered))
        left_out += work.events.left_out + work.delayed.left_out
    blockers.sort(key=lambda blocker: blocker.since.timestamp() if blocker.since else 0.0)
    last = [timers.deadline(instance)] if instance.status.is_open and work.has_deadline else []
    room = MAX_BLOCKERS - len(last)
    left_out += max(len(blockers) - room, 0)
    blockers = [*blockers[:room], *last]
    return Explanation(_summary(instance, blockers, left_out), blockers, left_out)


def _summary(instance: Instance, blockers: Sequence[Blocker], left_out: int) -> str:
    name, status = instance.workflow_instance_id, instance.status.name
    if not blockers:
        if instance.status is Status.FAILED:
            return (
                f"{_sentence(f'{name} is FAILED{_why(instance.failure)}')} It has nothing to retry: start another workflow, or "
                f"fork it from an earlier state: `waystation fork {name} --at SEQUENCE`."
            )
        return (
            f"{name} is {status}; nothing was found that it waits for, perhaps because it changed "
            f"meanwhile. Call again; if this persists, see `waystation show {name}`."
        )
    # Branches of a group often wait for the same. A Counter keeps the order of the blockers.
    told = [*Counter(blocker.message for blocker in blockers).items()][:_SHOWN]
    names_shown = "; ".join(
        f"{message} ({n} of these)" if n > 1 else message for message, n in told
    )
    more = len(blockers) - sum(n for _, n in told) + left_out
    return _sentence(
        f"{name} is {status}: {names_shown}" + (f"; and {more} more" if more > 0 else "")
    )


def _why(failure: Failure | None) -> str:
    """The message alone may be useless: that of a KeyError is a key."""
    if failure is None:
        return ""
    where = f" in {failure.task_id}" if failure.task_id else ""
    known = ": ".join(filter(None, (f"{failure.reason}{where}", failure.message)))
    return f": {known}"


def _sentence(text: str) -> str:
    """The text with a full stop; texts of others may have one."""
    text = text.rstrip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _dead_letter(dead_letter: DeadLetterFact) -> Blocker:
    reason = dead_letter.error.get("reason") or dead_letter.error.get("code") or "unknown"
    return Blocker(
        kind=DEAD_LETTER,
        since=dead_letter.created_at,
        message=f"{dead_letter.task_id} failed permanently on `{dead_letter.event.event_type}` ({reason}) "
        f"after {_attempts(dead_letter.attempts)}",
        remedy=f"Retry it, if necessary with an edited payload: `waystation dead-letters retry "
        f"{dead_letter.dead_letter_id}`; or discard it: `waystation dead-letters discard "
        f"{dead_letter.dead_letter_id}`.",
        event_id=dead_letter.event.event_id,
        event_type=dead_letter.event.event_type,
        task_id=dead_letter.task_id,
        dead_letter_id=dead_letter.dead_letter_id,
        attempts=dead_letter.attempts,
        last_error=dead_letter.error,
    )


def _delivery(
    instance: Instance, fact: DeliveryFact, registered: Registered, pools: Sequence[Pool]
) -> Blocker:
    delivery, event = fact.delivery, fact.event
    if _wants_router(delivery, registered, pools) and (
        missing := routers.of_delivery(event.event_type, fact.since, pools)
    ):
        return _no_router(event, missing, delivery)
    task_id, event_type = delivery.task_id, event.event_type
    service = registered.service_of(task_id)
    due_at: datetime | None = None
    if delivery.state is DeliveryState.PENDING:
        return timers.pending(fact, service, pools)
    if delivery.state is DeliveryState.HELD:
        kind = HELD
        message = f"`{event_type}` for {task_id} is held because the workflow is FAILED"
        remedy = (
            "It continues when a dead letter of this workflow is retried: "
            f"`waystation dead-letters list --workflow {instance.workflow_instance_id}`."
        )
    elif fact.lease is LeaseState.LAPSED:
        kind = PENDING_EVENT
        message = f"the router that called {task_id} for `{event_type}` has not renewed its lease"
        remedy = "Nothing to do: another router calls it again within seconds."
    elif fact.lease is LeaseState.NOT_COMPARED:
        kind = PENDING_EVENT
        message = f"a router took `{event_type}` for {task_id}"
        remedy = (
            "Nothing to do: within seconds the router reports the call or gives the delivery "
            "back. If this persists, check the routers: `waystation status`."
        )
    elif delivery.state is DeliveryState.LEASED:
        kind = IN_CALL
        message = f"{task_id} is handling `{event_type}`"
        turn = instance.turn
        if turn is not None and turn.holder == (delivery.event_id, task_id):
            message += (
                f", and has the turn after {delivery.conflicts} conflicts: other results wait "
                f"for it until {turn.until.isoformat(timespec='seconds')}"
            )
        remedy = "Nothing to do: its answer or its deadline ends the call."
    elif delivery.state is DeliveryState.AT_CAPACITY:
        kind = AT_CAPACITY
        message = f"`{event_type}` waits because {task_id} has reached its max_in_flight"
        remedy = f"Increase max_in_flight of {task_id}, or start more endpoints of {service}."
    elif delivery.state is DeliveryState.NO_ENDPOINT or not registered.can_be_called(task_id):
        kind = NO_LIVE_ENDPOINT
        why, remedy = registered.why_not_called(task_id, event_type, instance.workflow_type)
        message = f"`{event_type}` waits for {task_id}: {why}"
    elif delivery.suspect:
        kind = PENDING_EVENT
        due_at = fact.due_at
        message = (
            f"a call of {task_id} for `{event_type}` was interrupted; it will be called again, with no other "
            "such call at the same time"
        )
        remedy = (
            f"Nothing to do. If {task_id} ends its process, the delivery becomes a "
            "dead letter after its attempts."
        )
    elif delivery.attempts or delivery.last_error is not None:
        kind = RETRYING
        due_at = fact.due_at
        reason = (delivery.last_error or {}).get("reason") or "no answer"
        message = (
            f"{task_id} failed on `{event_type}` ({reason}) after "
            f"{_attempts(delivery.attempts)}; the next is due at "
            f"{fact.due_at.isoformat(timespec='seconds')}"
        )
        remedy = (
            f"Nothing to do if the cause is temporary; otherwise correct {task_id}. "
            f"`waystation show {instance.workflow_instance_id}` shows every attempt."
        )
    else:
        kind = PENDING_EVENT
        due_at = fact.due_at
        message = f"`{event_type}` waits for a router to call {task_id}"
        remedy = _ROUTERS
    return Blocker(
        kind=kind,
        since=fact.since,
        message=message,
        remedy=remedy,
        event_id=event.event_id,
        event_type=event_type,
        task_id=task_id,
        service_name=service,
        attempts=delivery.attempts,
        due_at=due_at,
        last_error=delivery.last_error,
        endpoint=fact.endpoint if kind == IN_CALL else "",
    )


def _wants_router(delivery: Delivery, registered: Registered, pools: Sequence[Pool]) -> bool:
    """Whether it cannot continue while its pool has no router, whatever else it waits for."""
    if delivery.state is DeliveryState.LEASED:
        # A router of another pool may have it.
        return routers.none_is_alive(pools)
    if delivery.state is DeliveryState.NO_ENDPOINT:
        return registered.can_be_called(delivery.task_id)
    return delivery.state in (DeliveryState.READY, DeliveryState.AT_CAPACITY)


_ROUTERS = (
    "Its pool has a live router, which calls the task when it has free capacity. `waystation status` "
    "shows the routers and their calls."
)


def broker_trouble(status: BrokerStatus) -> str:
    """What prevents announcements now; empty if nothing is known to."""
    if status.blocked:
        return (
            "RabbitMQ blocks publishers because of its memory or disk alarm. The event waits in the database "
            "and is announced when the alarm ends; free memory or disk space of RabbitMQ."
        )
    if not status.connected:
        return (
            "The broker cannot be reached. The event waits in the database and is announced when the broker is "
            "back; see `waystation status`."
        )
    return ""


def _pending(facts: Facts, fact: OutboxFact, registered: Registered) -> Blocker:
    event, instance, pools = fact.event, facts.instance, facts.pools
    if missing := routers.of_event(event.event_type, fact.created_at, pools):
        return _no_router(event, missing)
    tasks = registered.resolve(event.event_type, instance.workflow_type)
    names = _some(task.task_id for task in tasks)
    kind, task_id, service = PENDING_EVENT, "", ""
    if not tasks:
        message = f"`{event.event_type}` was raised by {event.raised_by}; no task handles it"
        remedy = _register(event, instance)
    elif not any(registered.is_live(task) for task in tasks):
        kind, task_id, service = NO_LIVE_ENDPOINT, tasks[0].task_id, tasks[0].service_name
        services = sorted({task.service_name for task in tasks})
        message = f"`{event.event_type}` waits for {names}: no live endpoint of {_some(services)}"
        remedy = how_to_start(", ".join(services[:_NAMED]))
    else:
        message = f"`{event.event_type}` waits to be handled by {names}"
        remedy = facts.broker or _ROUTERS
        if len(tasks) == 1:
            task_id, service = tasks[0].task_id, tasks[0].service_name
    return Blocker(
        kind=kind,
        since=fact.created_at,
        message=message,
        remedy=remedy,
        event_id=event.event_id,
        event_type=event.event_type,
        task_id=task_id,
        service_name=service,
        due_at=fact.due_at,
    )


def _no_router(
    event: Event, missing: routers.NoRouter, delivery: Delivery | None = None
) -> Blocker:
    for_task = f" for {delivery.task_id}" if delivery is not None else ""
    return Blocker(
        kind=NO_ROUTER,
        since=missing.since,
        message=f"`{event.event_type}`{for_task} waits: {missing.why}",
        remedy=missing.remedy,
        event_id=event.event_id,
        event_type=event.event_type,
        task_id=delivery.task_id if delivery is not None else "",
        attempts=delivery.attempts if delivery is not None else 0,
        due_at=missing.due_at,
        last_error=delivery.last_error if delivery is not None else None,
        pool=missing.pool,
    )


def _waits(instance: Instance) -> list[Blocker]:
    return [
        Blocker(
            kind=WAITING_FOR_INPUT,
            since=datetime.fromisoformat(wait.since),
            message=f"{wait.task_id} asks: {wait.message}",
            remedy="Answer it: `waystation input "
            f"{instance.workflow_instance_id} --wait-id {wait.wait_id} --data '{{...}}'`.",
            task_id=wait.task_id,
            wait_id=wait.wait_id,
            due_at=datetime.fromisoformat(wait.deadline) if wait.deadline is not None else None,
        )
        for wait in instance.waits
    ]


def _idle(instance: Instance, registered: Registered) -> Blocker:
    idle = instance.idle
    assert idle is not None
    tasks = registered.resolve(idle.event_type, instance.workflow_type)
    if tasks or idle.ending is not Ending.UNHANDLED:
        remedy = (
            "Nothing will continue it. Publish an event: `waystation publish "
            f"{instance.workflow_instance_id} EVENT_TYPE`; or end it: `waystation cancel "
            f"{instance.workflow_instance_id}`."
        )
    else:
        remedy = (
            f"Register a task for `{idle.event_type}` of workflow type `{instance.workflow_type}`: "
            f"it will then receive this event.{_if_misspelt(instance, idle)}"
        )
    return Blocker(
        kind=IDLE,
        since=instance.idle_since,
        message=idle.message,
        remedy=remedy,
        event_id=idle.event_id,
        event_type=idle.event_type,
    )


def _if_misspelt(instance: Instance, idle: Idle) -> str:
    """How to continue without such a task, if a name may be misspelt."""
    name = instance.workflow_instance_id
    if idle.event_type == lifecycle.STARTED:
        return f" Or, if the workflow type is misspelt, end it: `waystation cancel {name}`."
    if lifecycle.is_reserved(idle.event_type):
        return ""
    return (
        f" Or, if {idle.raised_by} misspelt it, correct the task, and publish the right event: "
        f"`waystation publish {name} EVENT_TYPE`."
    )


def _register(event: Event, instance: Instance) -> str:
    return (
        f"Register a task for `{event.event_type}` of workflow type `{instance.workflow_type}`: "
        "it will then receive this event (`waystation handlers register`)."
    )


def _some(names: Iterable[str]) -> str:
    """The first of them, and how many others there are."""
    names_shown = list(names)
    more = len(names_shown) - _NAMED
    return ", ".join(names_shown[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"
