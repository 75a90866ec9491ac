"""Requests of clients and operators, applied to a draft. Each is refused before the first change, or not at
all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waystation_domain import groups, lifecycle, limits, pointers, storable
from waystation_domain.commit import HistoryEntry
from waystation_domain.details import Action, Cancelled, WaitEnded
from waystation_domain.draft import Draft
from waystation_domain.errors import (
    VersionMismatch,
    WaitIdRequired,
    WorkflowEnded,
    WorkflowNotWaiting,
)
from waystation_domain.history import record_action
from waystation_domain.model import (
    CLIENT,
    Delivery,
    DeliveryState,
    Event,
    Failure,
    Instance,
    JsonObject,
    NewEvent,
    Result,
    Status,
    TimerKind,
    Wait,
)
from waystation_domain.operations import Operation, apply, check_size, to_json
from waystation_domain.providers import Providers
from waystation_domain.status_events import raise_status_event, settle_unhandled_now
from waystation_domain.timers import end_wait, leave_wait

_MAX_NAMED = 10
"""How many open waits a refusal names: its details travel as headers, of which clients take 8 KiB by default.
"""


@dataclass(frozen=True, slots=True)
class Start:
    """A new instance with its first event: what one insert writes."""

    instance: Instance
    event: Event
    entry: HistoryEntry
    digest: bytes
    """Digest of the request's content: it tells a repeated start from another one with the same id."""
    request_id: str | None
    deadline: float | None = None
    """Seconds from the commit after which an open instance fails."""


def start(
    *,
    providers: Providers,
    workflow_instance_id: str,
    workflow_type: str,
    data: JsonObject,
    payload: JsonObject | None,
    correlation_id: str | None,
    priority: int | None,
    metadata: dict[str, str] | None,
    digest: bytes,
    request_id: str | None,
    namespace: str,
    deadline: float | None = None,
    principal: str | None = None,
) -> Start:
    """A new instance that has raised `workflow.started`, started by this principal. The caller checks the
    limits."""
    event = Event(
        event_id=providers.make_id(),
        event_type=lifecycle.STARTED,
        payload=data if payload is None else payload,
        raised_by=CLIENT,
        version=1,
        priority=priority,
        correlation_id=correlation_id,
        metadata=metadata or None,
    )
    instance = Instance(
        key=0,
        workflow_instance_id=workflow_instance_id,
        workflow_type=workflow_type,
        status=Status.ACTIVE,
        version=1,
        revision=1,
        data=data,
        unsettled=1,
        dead_letters=0,
        event_count=1,
        correlation_id=correlation_id,
        namespace=namespace,
    )
    entry = HistoryEntry(
        sequence=1,
        event_id=event.event_id,
        event_type=event.event_type,
        processed_by=CLIENT,
        result=Result.SUCCESS,
        status=Status.ACTIVE,
        change=[to_json(Operation("", "set", data))],
        raised=(event.event_id,),
        action=Action.START,
        principal=principal,
    )
    return Start(instance, event, entry, digest, request_id, deadline)


def expect_version(instance: Instance, expected: int | None) -> None:
    """Raises VersionMismatch if the caller decided on another version."""
    if expected is not None and expected != instance.version:
        raise VersionMismatch(
            f"The workflow is at version {instance.version}, not {expected}; "
            "read it again before you decide.",
            expected_version=str(expected),
            version=str(instance.version),
        )


def require_open(instance: Instance) -> None:
    """Raises WorkflowEnded unless the instance is open."""
    if not instance.status.is_open:
        raise _ended(
            instance,
            "retry one of its dead letters to continue it"
            if instance.status is Status.FAILED and instance.dead_letters
            else "start a new workflow instead",
        )


def _ended(instance: Instance, advice: str) -> WorkflowEnded:
    return WorkflowEnded(
        f"Workflow {instance.workflow_instance_id} is {instance.status.name}; {advice}.",
        workflow_instance_id=instance.workflow_instance_id,
        status=instance.status.name,
    )


def provide_input(draft: Draft, wait_id: str, answer: JsonObject, answered_by: str = "") -> Event:
    """Answers a wait: stores the answer at the wait's `answer_path`, or merges it into data member by member,
    and raises `user.input.provided`. Raises PathTypeMismatch if data no longer has such a place."""
    before = draft.snapshot()
    require_open(before)
    waits = {wait.wait_id: wait for wait in before.waits}
    names = list(waits)[:_MAX_NAMED]
    more = f" and {len(waits) - len(names)} more" if len(waits) > len(names) else ""
    if not waits or (wait_id and wait_id not in waits):
        known = f"; open waits: {', '.join(names)}{more}" if waits else " and has no open wait"
        raise WorkflowNotWaiting(
            f"Workflow {before.workflow_instance_id} is {before.status.name}{known}; "
            "ExplainWorkflow shows what it waits for.",
            workflow_instance_id=before.workflow_instance_id,
            status=before.status.name,
        )
    if not wait_id and len(waits) > 1:
        raise WaitIdRequired(
            f"Several waits are open ({', '.join(names)}{more}); give one of them as wait_id.",
            wait_ids=",".join(names),
        )
    wait = waits[wait_id] if wait_id else before.waits[0]
    operations = _operations_of(wait, answer)
    data = apply(before.data, operations)
    storable.check_context(data, draft.rules.providers.size_of)
    check_size(operations, draft.rules.providers.size_of)
    payload = {**wait.named(), "input": answer}
    if answered_by:
        payload["answered_by"] = answered_by
    # The payload is deeper and longer than the answer, which was checked on arrival.
    storable.check_json(payload, "the payload with this input")
    limits.check_size(draft.rules.providers.size_of(payload), "the payload with this input")
    event = draft.raise_event(
        NewEvent(lifecycle.INPUT_PROVIDED, payload),
        raised_by=CLIENT,
        cause=None,
        branch=wait.branch,
    )
    draft.touch(data=data)
    end_wait(draft, wait)
    if wait.deadline is not None:
        draft.drop_timer(TimerKind.WAIT, wait.wait_id)
    record_action(
        draft,
        Action.INPUT,
        event,
        by=CLIENT,
        before=before,
        operations=operations,
        raised=[event],
        detail=WaitEnded(wait.wait_id, answered_by),
    )
    leave_wait(draft, wait)
    return event


def _operations_of(wait: Wait, answer: JsonObject) -> list[Operation]:
    if wait.answer_path is not None:
        return [Operation(wait.answer_path, "set", answer)]
    return [Operation(pointers.child("", key), "set", value) for key, value in answer.items()]


def publish(draft: Draft, new: NewEvent) -> Event:
    """Raises an event in an open instance."""
    require_open(draft.instance)
    event = draft.raise_event(new, raised_by=CLIENT, cause=None)
    record_action(draft, Action.PUBLISH, event, by=CLIENT, raised=[event])
    return event


def cancel(draft: Draft, reason: str) -> None:
    """Ends an open instance as CANCELLED; a CANCELLED one stays as it is."""
    before = draft.snapshot()
    if before.status is Status.CANCELLED:
        return
    if not before.status.is_open:
        raise _ended(
            before,
            "discard its dead letters, then it cannot continue"
            if before.status is Status.FAILED and before.dead_letters
            else "there is nothing left to cancel",
        )
    draft.move_to(Status.CANCELLED)
    failure = Failure(reason="CANCELLED", message=reason or "cancelled by a client")
    draft.touch(failure=failure, turn=None)
    event = raise_status_event(draft, raised_by=CLIENT, cause=None)
    record_action(
        draft,
        Action.CANCEL,
        event,
        by=CLIENT,
        before=before,
        raised=[event],
        detail=Cancelled(reason) if reason else None,
    )
    settle_unhandled_now(draft, [event])


def catch_up(draft: Draft, unhandled: Sequence[Event], task_id: str) -> None:
    """Gives a new task the events that settled as UNHANDLED; the instance must be open. It does not matter
    whether other tasks handle them by now. Events of groups that have fired are left out.

    The draft must have the facts of the events.
    """
    for event in unhandled:
        facts = draft.facts(event.event_id)
        if task_id not in facts.deliveries and groups.may_catch_up(draft, event):
            if not facts.holds_group:
                groups.take_back(draft, event)
            draft.put_delivery(Delivery(event.event_id, task_id, DeliveryState.READY))
