"""What an open delivery waits for, and what a dead letter asks for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from waystation_api.explanation import routers, timers
from waystation_api.explanation.blocker import (
    AT_CAPACITY,
    DEAD_LETTER,
    HELD,
    IN_CALL,
    NO_LIVE_ENDPOINT,
    PENDING_EVENT,
    RETRYING,
    Blocker,
)
from waystation_api.explanation.endpoints import Registered
from waystation_core.ports.store import DeadLetterFact, DeliveryFact, LeaseState
from waystation_domain.model import Delivery, DeliveryState, Instance
from waystation_domain.pools import Pool


def failed(dead_letter: DeadLetterFact) -> Blocker:
    """A delivery that failed permanently."""
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


def unsettled(
    instance: Instance, fact: DeliveryFact, registered: Registered, pools: Sequence[Pool]
) -> Blocker:
    """An open delivery."""
    delivery, event = fact.delivery, fact.event
    if _wants_router(delivery, registered, pools) and (
        missing := routers.of_delivery(event.event_type, fact.since, pools)
    ):
        return routers.blocker(event, missing, delivery)
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
        remedy = routers.IS_ALIVE
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


def _attempts(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"
