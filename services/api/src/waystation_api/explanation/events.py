"""What an event waits for that no task has yet, and what an idle instance needs: an event, or a task for its last one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from waystation_api.explanation import routers
from waystation_api.explanation.blocker import IDLE, NO_LIVE_ENDPOINT, PENDING_EVENT, Blocker
from waystation_api.explanation.endpoints import Registered, how_to_start
from waystation_core.ports.broker import BrokerStatus
from waystation_core.ports.store import OutboxFact
from waystation_domain import lifecycle
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import Event, Instance
from waystation_domain.pools import Pool

_NAMED = 5
"""Tasks, or services, that one blocker names."""


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


def pending(
    instance: Instance,
    fact: OutboxFact,
    registered: Registered,
    pools: Sequence[Pool],
    broker: str,
) -> Blocker:
    """An event whose tasks are not fixed yet. `broker`: see `broker_trouble`."""
    event = fact.event
    if missing := routers.of_event(event.event_type, fact.created_at, pools):
        return routers.blocker(event, missing)
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
        remedy = broker or routers.IS_ALIVE
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


def idle(instance: Instance, registered: Registered) -> Blocker:
    """An instance that nothing will continue."""
    found = instance.idle
    assert found is not None
    tasks = registered.resolve(found.event_type, instance.workflow_type)
    if tasks or found.ending is not Ending.UNHANDLED:
        remedy = (
            "Nothing will continue it. Publish an event: `waystation publish "
            f"{instance.workflow_instance_id} EVENT_TYPE`; or end it: `waystation cancel "
            f"{instance.workflow_instance_id}`."
        )
    else:
        remedy = (
            f"Register a task for `{found.event_type}` of workflow type `{instance.workflow_type}`: "
            f"it will then receive this event.{_if_misspelt(instance, found)}"
        )
    return Blocker(
        kind=IDLE,
        since=instance.idle_since,
        message=found.message,
        remedy=remedy,
        event_id=found.event_id,
        event_type=found.event_type,
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
