"""A task's reply: what prevents its commit, and what it changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from waystation_domain import groups, lifecycle, limits, reserved, storable, units
from waystation_domain.conflicts import STATUS_WRITE, Write, conflicts
from waystation_domain.details import WaitsOpened
from waystation_domain.draft import Draft
from waystation_domain.errors import ContextTooLarge, ResponseInvalid
from waystation_domain.history import record_attempt
from waystation_domain.model import (
    Event,
    Failure,
    Json,
    JsonObject,
    Result,
    Status,
    Timer,
    TimerKind,
    Wait,
)
from waystation_domain.operations import Operation, apply, check_size, write_of
from waystation_domain.outcomes import (
    CallResult,
    Completion,
    Failing,
    Reply,
    Verdict,
    WaitRequest,
    operations_of,
)
from waystation_domain.status_events import raise_status_event, settle_unhandled_now


def obstacle(draft: Draft, event: Event, result: CallResult, reply: Reply) -> Verdict | None:
    """CONFLICT or WAIT if the reply cannot commit now; None if it can."""
    instance = draft.instance
    turn = instance.turn
    if (
        turn is not None
        and turn.holder != (event.event_id, result.task.task_id)
        and turn.until > draft.now
    ):
        return Verdict.WAIT
    if result.base_version >= instance.version:
        return None
    since = draft.writes_since(result.base_version)
    if not since:
        return None
    try:
        reads, writes = places_of(result, reply, instance.data)
    except ContextTooLarge:
        # It is refused when it is applied.
        return None
    return Verdict.CONFLICT if conflicts(reads, writes, since) else None


def places_of(
    result: CallResult, reply: Reply, data: JsonObject
) -> tuple[Sequence[str] | None, Sequence[Write]]:
    """The places that the reply read (None: everything), and its writes to these data. Raises ContextTooLarge."""
    reads = reply.reads if reply.reads is not None else result.task.reads
    writes = [write_of(operation) for operation in operations_of(reply.change, data)]
    if reply.statuses:
        writes.append(STATUS_WRITE)
    return reads, writes


def succeed(draft: Draft, event: Event, result: CallResult, reply: Reply) -> None:
    """Applies a reply. It is refused before the first change, or not at all; a broken rule raises a typed
    error."""
    before = draft.snapshot()
    task_id = result.task.task_id
    operations = operations_of(reply.change, before.data)
    data = apply(before.data, operations) if operations else before.data
    if operations:
        storable.check_context(data, draft.rules.providers.size_of)
        check_size(operations, draft.rules.providers.size_of)
    status = _status_of(reply, event)
    _check_events(draft, event, reply)
    waits = _waits_of(draft, reply, event, task_id)
    for wait, _ in waits:
        if wait.answer_path is not None:
            # The person who answers cannot correct the place; the task can.
            apply(data, [Operation(wait.answer_path, "set", {})])

    draft.end_delivery(event.event_id, task_id)
    if operations:
        draft.touch(data=data)
    if isinstance(reply.end, Completion) and reply.end.output is not None:
        draft.touch(output=reply.end.output)
    raised = []
    for new in reply.events:
        ends = new.event_type in lifecycle.STATUS_OF_EVENT
        raised.append(
            draft.raise_event(
                new,
                raised_by=task_id,
                cause=event,
                branch=None if ends else event.branch,
                after_end=ends,
                limited=not ends,
            )
        )
    opened = []
    for fan_out in reply.fan_outs:
        group, events = groups.open_group(draft, fan_out, event, task_id)
        opened.append(group)
        raised += events
    if status is not None:
        draft.move_to(status)
        if status is Status.FAILED:
            draft.touch(failure=_failure_of(reply, event, task_id))
        for wait, timeout in waits:
            _open_wait(draft, wait, timeout)
        by_task = any(e.event_type == lifecycle.EVENT_OF_STATUS[status] for e in raised)
        if status is not before.status and not by_task:
            raised.append(raise_status_event(draft, raised_by=task_id, cause=event))
    record_attempt(
        draft,
        event,
        result,
        Result.SUCCESS,
        before=before,
        operations=operations or None,
        raised=raised,
        detail=WaitsOpened(tuple(wait.wait_id for wait, _ in waits)) if waits else None,
    )
    groups.fire_empty(draft, opened)
    settle_unhandled_now(draft, raised)


def _status_of(reply: Reply, event: Event) -> Status | None:
    """The status that the reply asks for. Raises ResponseInvalid if a task may not set it."""
    statuses = reply.statuses
    if not statuses:
        return None
    reply.check_one_status()
    if event.after_end:
        raise ResponseInvalid(
            "A task that handles the end of a workflow may change data, but not the status.",
            problem="status after the end",
        )
    return statuses[0]


def _check_events(draft: Draft, event: Event, reply: Reply) -> None:
    """Raises ResponseInvalid, TooManyEvents or InvalidField for events that may not be raised."""
    limits.check_events_of_answer(reply.number_of_events)
    ends = 0
    for fan_out in reply.fan_outs:
        groups.check(fan_out, event, draft.rules.providers.size_of)
    for new in reply.all_events:
        lifecycle.check_task_event(new.event_type)
        ends += new.event_type in lifecycle.STATUS_OF_EVENT
        if new.metadata and event.metadata:
            # Inherited metadata counts too; otherwise it would grow from event to event.
            limits.check_metadata({**event.metadata, **new.metadata})
    if ends > 1:
        raise ResponseInvalid(
            "The answer ends the workflow more than once; end it once.",
            problem="several ends",
        )
    draft.check_event_limit(reply.number_of_events + reply.number_of_promises - ends)


def _waits_of(
    draft: Draft, reply: Reply, event: Event, task_id: str
) -> list[tuple[Wait, float | None]]:
    """The waits that the reply opens, each with its seconds until its deadline. Raises ResponseInvalid for an
    id in use and for too many, ContextTooLarge for too large ones."""
    taken = {wait.wait_id for wait in draft.instance.waits}
    if reply.waits and len(taken) + len(reply.waits) > limits.MAX_OPEN_WAITS:
        raise ResponseInvalid(
            f"{len(taken)} waits are open and {len(reply.waits)} more would be opened; a workflow may have at most "
            f"{limits.MAX_OPEN_WAITS}. Open them in several steps.",
            problem="too many waits",
            limit=str(limits.MAX_OPEN_WAITS),
        )
    waits = []
    for at, request in enumerate(reply.waits):
        wait_id = request.wait_id or _name_of_wait(draft, at)
        reserved.check_name(wait_id, f"waits[{at}].wait_id")
        if wait_id in taken:
            raise ResponseInvalid(
                f"The wait {wait_id} is open already; give each wait a unique wait_id, or none.",
                problem="wait_id in use",
                wait_id=wait_id,
            )
        taken.add(wait_id)
        waits.append((_wait_of(draft, request, wait_id, event, task_id), request.timeout))
    if waits:
        open_now = [*draft.instance.waits, *(wait for wait, _ in waits)]
        _check_room(open_now, draft.rules.providers.size_of)
    return waits


def _check_room(waits: Sequence[Wait], size_of: Callable[[Json], int]) -> None:
    """Raises ContextTooLarge for more or larger waits than a context may have."""
    advice = "Open them in several steps, or store the schemas elsewhere."
    size = size_of([wait.to_json() for wait in waits])
    if size > limits.MAX_WAITS_BYTES:
        raise ContextTooLarge(
            f"The {len(waits)} waits that would be open take {units.size(size)} as JSON with their schemas; the limit "
            f"is {units.size(limits.MAX_WAITS_BYTES)}. {advice}",
            field="waits",
            limit_bytes=str(limits.MAX_WAITS_BYTES),
            bytes=str(size),
        )
    nodes = sum(
        storable.number_of_nodes(wait.input_schema)
        for wait in waits
        if wait.input_schema is not None
    )
    if nodes > limits.MAX_NODES:
        raise ContextTooLarge(
            f"The schemas of the {len(waits)} waits that would be open have {nodes} values; the limit is "
            f"{limits.MAX_NODES}. {advice}",
            field="waits",
            limit=str(limits.MAX_NODES),
        )


def _name_of_wait(draft: Draft, at: int) -> str:
    """`w-7` for the first wait of an answer that makes version 7, `w-7-2` for the second."""
    return f"w-{draft.next_version}" + (f"-{at + 1}" if at else "")


def _wait_of(draft: Draft, request: WaitRequest, wait_id: str, event: Event, task_id: str) -> Wait:
    return Wait(
        wait_id=wait_id,
        task_id=task_id,
        message=limits.cut(request.message),
        since=draft.now.isoformat(),
        input_schema=request.input_schema,
        answer_path=request.answer_path,
        deadline=None
        if request.timeout is None
        else (draft.now + timedelta(seconds=request.timeout)).isoformat(),
        branch=event.branch,
    )


def _open_wait(draft: Draft, wait: Wait, timeout: float | None) -> None:
    """Opens a wait; the branch of the event waits for its answer."""
    draft.touch(waits=(*draft.instance.waits, wait))
    if wait.branch is not None:
        draft.enter(wait.branch)
    if timeout is not None:
        draft.put_timer(Timer(TimerKind.WAIT, wait.wait_id, due_in=timeout))


def _failure_of(reply: Reply, event: Event, task_id: str) -> Failure:
    """The failure of a workflow that a task failed: from its answer, or from the payload of a
    `workflow.failed` that it raised itself."""
    if isinstance(reply.end, Failing):
        return Failure(
            reason=reply.end.reason[: limits.MAX_REASON],
            message=limits.cut(reply.end.message or reply.end.reason),
            task_id=task_id,
            event_id=event.event_id,
            details=reply.end.details,
        )
    payload: JsonObject = next(
        (e.payload for e in reply.events if e.event_type == lifecycle.FAILED), {}
    )
    return Failure(
        reason=str(payload.get("reason") or "FAILED_BY_TASK")[: limits.MAX_REASON],
        message=limits.cut(str(payload.get("message") or f"{task_id} failed the workflow")),
        task_id=task_id,
        event_id=event.event_id,
    )
