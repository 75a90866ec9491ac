"""What tasks answered: applied to a draft, one event at a time.

The order of rules for one result: dedupe first, then the end of the instance, then the turn, then
the conflict rule, then the answer itself; an answer that breaks a rule is a failed attempt for good.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import TypeAlias

from waystation_core.domain import lifecycle, limits
from waystation_core.domain.backoff import delay
from waystation_core.domain.commit import HistoryEntry, NewDeadLetter
from waystation_core.domain.conflicts import STATUS_WRITE, conflicts
from waystation_core.domain.draft import Draft, effects, skip_delivery, writes_of
from waystation_core.domain.errors import ResponseInvalid, TooManyEvents, WaystationError
from waystation_core.domain.lifecycle import Treatment
from waystation_core.domain.model import (
    SYSTEM,
    Delivery,
    DeliveryState,
    Event,
    Failure,
    JsonObject,
    NewEvent,
    OnFailure,
    Result,
    Status,
    TaskSpec,
    Turn,
    Wait,
)
from waystation_core.domain.operations import (
    Operation,
    apply,
    patch_to_operations,
    replacement_to_operations,
    to_json,
    write_of,
)

MAX_EVENTS_PER_ANSWER = 1_000
MAX_TEXT = 4096

CONFLICTS_BEFORE_TURN = 3
TURN_MARGIN_SECONDS = 2.0
"""Beyond the call's own deadline, for the commit."""

# Spreads retries; nothing secret rests on it.
_JITTER = random.Random()  # noqa: S311


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch (RFC 7396)."""

    patch: JsonObject


@dataclass(frozen=True, slots=True)
class Replacement:
    """A new root."""

    root: JsonObject


Change: TypeAlias = tuple[Operation, ...] | Patch | Replacement


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """A question to a person."""

    message: str
    wait_id: str = ""
    input_schema: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a task that did its work."""

    events: tuple[NewEvent, ...] = ()
    change: Change = ()
    status: Status | None = None
    wait: WaitRequest | None = None
    output: JsonObject | None = None
    reads: tuple[str, ...] | None = None
    """None: everything."""


@dataclass(frozen=True, slots=True)
class AttemptError:
    """Why an attempt failed. `code` is a gRPC status code name or TASK_FAILURE."""

    code: str
    reason: str
    message: str
    permanent: bool = False
    retry_after: float | None = None
    metadata: JsonObject | None = None

    def to_json(self) -> JsonObject:
        return {
            "code": self.code,
            "reason": self.reason[:200],
            "message": self.message[:MAX_TEXT],
            "permanent": self.permanent,
            "metadata": self.metadata,
        }


@dataclass(frozen=True, slots=True)
class Cut:
    """The call was sent, and its endpoint or router died before an answer came."""

    message: str


Outcome: TypeAlias = Reply | AttemptError | Cut


@dataclass(frozen=True, slots=True)
class CallResult:
    """The outcome of one attempt of one delivery."""

    task: TaskSpec
    attempt: int
    base_version: int
    outcome: Outcome
    edit: int = 0
    duration_us: int | None = None
    service_version: str = ""
    endpoint: str = ""


class Verdict(Enum):
    """What became of one result."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """The delivery had its outcome, or this attempt was counted."""
    SKIPPED = "skipped"
    """The instance had ended."""
    HELD = "held"
    """The instance is FAILED; the delivery will be called again when it goes on."""
    CONFLICT = "conflict"
    """What it read or wrote was written since: call again with the fresh context."""
    WAIT = "wait"
    """Another delivery has the instance's turn: commit this again a little later."""


@dataclass(frozen=True, slots=True)
class EventTouch:
    """One event, and what a router has to say of its deliveries."""

    event: Event
    tasks: Sequence[TaskSpec]
    """Resolved by the registry; binding only while the event's tasks are not fixed."""
    results: Mapping[str, CallResult] = field(default_factory=dict)
    """By task_id."""
    rows: Mapping[str, Delivery] = field(default_factory=dict)
    """By task_id: rows to write for deliveries that have no result yet."""


def apply_touch(draft: Draft, touch: EventTouch, *, router_id: str) -> dict[str, Verdict]:
    """Applies one event's results and rows; answers with the verdict of each result."""
    event = touch.event
    facts = draft.facts(event.event_id)
    if facts.in_outbox:
        treatment = lifecycle.treatment(draft.instance.status, after_end=event.after_end)
        if treatment is Treatment.SKIP:
            return _skip_event(draft, touch)
        if not touch.tasks:
            draft.fix_tasks(event)
            draft.record_unhandled(event)
            draft.settle_if_done(event, "no task handles it")
            return {}
        if treatment is Treatment.HOLD:
            draft.fix_tasks(event)
            for task in touch.tasks:
                row = Delivery(event.event_id, task.task_id, DeliveryState.HELD)
                draft.put_delivery(touch.rows.get(task.task_id, row))
                _hold(draft, event.event_id, task.task_id)
            return dict.fromkeys(touch.results, Verdict.HELD)
        return _fix_and_apply(draft, touch, router_id)
    verdicts = {
        task_id: _apply(draft, event, result, facts.deliveries.get(task_id))
        if task_id in facts.deliveries
        else Verdict.DUPLICATE
        for task_id, result in touch.results.items()
    }
    for task_id, row in touch.rows.items():
        known = draft.facts(event.event_id).deliveries.get(task_id)
        if known is None or known.edit != row.edit or known.state is DeliveryState.DEAD:
            continue
        treatment = lifecycle.treatment(draft.instance.status, after_end=event.after_end)
        if treatment is Treatment.SKIP:
            skip_delivery(draft, known, event, f"the workflow is {draft.instance.status.name}")
            continue
        draft.put_delivery(row)
        if treatment is Treatment.HOLD:
            _hold(draft, event.event_id, task_id)
    if touch.results:
        draft.settle_if_done(event, _how(touch))
    return verdicts


def _how(touch: EventTouch) -> str:
    names = ", ".join(sorted(touch.results)) or "its tasks"
    return f"{names} handled it and raised nothing more"


def _skip_event(draft: Draft, touch: EventTouch) -> dict[str, Verdict]:
    event = touch.event
    draft.leave_outbox(event)
    draft.record(
        HistoryEntry(
            sequence=draft.next_version,
            event_id=event.event_id,
            event_type=event.event_type,
            processed_by=SYSTEM,
            result=Result.SKIPPED,
            status=draft.instance.status,
            base_version=draft.instance.version,
            note=f"the workflow is {draft.instance.status.name}",
        )
    )
    draft.settle_if_done(event, "it was skipped")
    return dict.fromkeys(touch.results, Verdict.SKIPPED)


def take_turn(draft: Draft, touch: EventTouch, task: TaskSpec, *, router_id: str) -> None:
    """Gives an open delivery the instance's turn: what others computed waits until it has committed
    or its time is over. The delivery gets its row, which says how often it lost."""
    event = touch.event
    facts = draft.facts(event.event_id)
    if facts.in_outbox:
        draft.fix_tasks(event)
        for other in touch.tasks:
            draft.put_delivery(
                Delivery(event.event_id, other.task_id, DeliveryState.LEASED, leased_by=router_id)
            )
    row = draft.facts(event.event_id).deliveries.get(task.task_id)
    turn = draft.instance.turn
    if row is None or (turn is not None and turn.until > draft.now):
        return
    draft.put_delivery(replace(row, conflicts=row.conflicts + CONFLICTS_BEFORE_TURN))
    draft.touch(
        turn=Turn(
            holder=f"{event.event_id}:{task.task_id}",
            until=draft.now + timedelta(seconds=task.timeout + TURN_MARGIN_SECONDS),
        )
    )


def _hold(draft: Draft, event_id: str, task_id: str) -> None:
    row = draft.facts(event_id).deliveries[task_id]
    draft.put_delivery(replace(row, state=DeliveryState.HELD, leased_by=None, due_in=0.0))


def _fix_and_apply(draft: Draft, touch: EventTouch, router_id: str) -> dict[str, Verdict]:
    """The first commit that touches an event: each task that it does not finish gets a row."""
    event = touch.event
    known = {task.task_id for task in touch.tasks}
    # What the registry gave to other tasks since has no delivery that it could end.
    verdicts = {task_id: Verdict.DUPLICATE for task_id in touch.results if task_id not in known}
    pending = [result for task_id, result in touch.results.items() if task_id in known]
    must_fix = bool(touch.rows)
    for result in pending:
        if not must_fix and not isinstance(result.outcome, Cut):
            # Looked at before anything is written: a lone conflict leaves the event as it is.
            verdict = _obstacle(draft, event, result)
            if verdict is not None:
                verdicts[result.task.task_id] = verdict
                continue
        must_fix = True
        break
    if not must_fix:
        return verdicts
    draft.fix_tasks(event)
    for task in touch.tasks:
        if task.task_id in touch.rows:
            draft.put_delivery(touch.rows[task.task_id])
        else:
            # For as long as this commit lasts, or until its own call ends.
            draft.put_delivery(
                Delivery(event.event_id, task.task_id, DeliveryState.LEASED, leased_by=router_id)
            )
    for result in pending:
        task_id = result.task.task_id
        if task_id not in verdicts:
            row = draft.facts(event.event_id).deliveries[task_id]
            verdicts[task_id] = _apply(draft, event, result, row)
    if draft.instance.status is Status.FAILED and not event.after_end:
        for task_id, row in draft.facts(event.event_id).deliveries.items():
            if row.state is not DeliveryState.DEAD and task_id not in touch.results:
                _hold(draft, event.event_id, task_id)
    draft.settle_if_done(event, _how(touch))
    return verdicts


def _obstacle(draft: Draft, event: Event, result: CallResult) -> Verdict | None:
    """CONFLICT or WAIT where a reply can't commit now; failures always can."""
    reply = result.outcome
    if not isinstance(reply, Reply):
        return None
    turn = draft.instance.turn
    holder = f"{event.event_id}:{result.task.task_id}"
    if turn is not None and turn.holder != holder and turn.until > draft.now:
        return Verdict.WAIT
    if result.base_version < draft.instance.version:
        since = draft.writes_since(result.base_version)
        if since:
            reads = reply.reads if reply.reads is not None else result.task.reads
            writes = [write_of(op) for op in _operations(reply.change, draft.instance.data)]
            if _wanted_status(reply) is not None:
                writes.append(STATUS_WRITE)
            if conflicts(reads, writes, since):
                return Verdict.CONFLICT
    return None


def _apply(draft: Draft, event: Event, result: CallResult, row: Delivery | None) -> Verdict:
    """Applies one result to a delivery that has a row."""
    if row is None or row.edit != result.edit or row.state is DeliveryState.DEAD:
        return Verdict.DUPLICATE
    treatment = lifecycle.treatment(draft.instance.status, after_end=event.after_end)
    if treatment is Treatment.HOLD:
        _hold(draft, event.event_id, row.task_id)
        return Verdict.HELD
    if treatment is Treatment.SKIP:
        draft.end_delivery(event.event_id, row.task_id)
        draft.record(_entry(draft, event, result, Result.SKIPPED, note="the workflow had ended"))
        return Verdict.SKIPPED
    outcome = result.outcome
    if isinstance(outcome, Reply):
        obstacle = _obstacle(draft, event, result)
        if obstacle is not None:
            return obstacle
        try:
            _succeed(draft, event, result, outcome)
        except WaystationError as fault:
            error = AttemptError(
                code=fault.code,
                reason=fault.reason,
                message=fault.message,
                permanent=True,
                metadata=dict(fault.metadata) or None,
            )
            _fail(draft, event, result, row, error)
        return Verdict.APPLIED
    recorded = row.attempts >= result.attempt
    if isinstance(outcome, Cut):
        if not row.suspect:
            draft.put_delivery(
                replace(row, state=DeliveryState.READY, suspect=True, leased_by=None, due_in=0.0)
            )
            return Verdict.APPLIED
        if not recorded:
            return Verdict.DUPLICATE
        outcome = AttemptError(
            code="UNAVAILABLE",
            reason="CALL_CUT",
            message=f"{outcome.message}; the call was alone on its endpoint, so it is held to be the cause",
        )
    elif recorded and not row.suspect:
        return Verdict.DUPLICATE
    _fail(draft, event, result, row, outcome)
    return Verdict.APPLIED


def _operations(change: Change, data: JsonObject) -> Sequence[Operation]:
    if isinstance(change, Patch):
        return patch_to_operations(change.patch, data)
    if isinstance(change, Replacement):
        return replacement_to_operations(change.root)
    return change


def _succeed(draft: Draft, event: Event, result: CallResult, reply: Reply) -> None:
    """Writes a reply. Everything that can be refused is refused before the first move."""
    before = draft.as_it_is()
    task_id = result.task.task_id
    operations = _operations(reply.change, before.data)
    data = apply(before.data, operations) if operations else before.data
    if operations:
        limits.check_context(data)
    status = _wanted_status(reply)
    if status is not None:
        lifecycle.check_task_status(
            status, has_wait=reply.wait is not None, after_end=event.after_end
        )
    if len(reply.events) > MAX_EVENTS_PER_ANSWER:
        raise TooManyEvents(
            f"An answer may raise {MAX_EVENTS_PER_ANSWER} events, not {len(reply.events)}; "
            "raise them in several steps.",
            limit=str(MAX_EVENTS_PER_ANSWER),
        )
    for new in reply.events:
        lifecycle.check_task_event(new.event_type)
    if before.event_count + len(reply.events) > draft.rules.max_events:
        raise TooManyEvents(
            f"The instance has reached its limit of {draft.rules.max_events} events; "
            "start another workflow for what follows, or raise the limit.",
            limit=str(draft.rules.max_events),
        )
    wait = _wait_of(draft, reply, task_id)

    draft.end_delivery(event.event_id, task_id)
    if data is not before.data:
        draft.touch(data=data)
    if reply.output is not None:
        draft.touch(output=reply.output)
    raised = [draft.raise_event(new, raised_by=task_id, cause=event) for new in reply.events]
    if status is not None and lifecycle.may_move(before.status, status):
        draft.move_to(status)
        if status is Status.FAILED:
            draft.touch(failure=_failure_of(reply, event, task_id))
        if wait is not None:
            draft.touch(waits=(*before.waits, wait))
        if status is not before.status:
            raised += _status_events(draft, event, status, raised, task_id)
    if draft.instance.turn is not None:
        # Its own, or one whose time is over.
        draft.touch(turn=None)
    changed = effects(before, draft.instance)
    draft.record(
        _entry(
            draft,
            event,
            result,
            Result.SUCCESS,
            change=[to_json(op) for op in operations] or None,
            raised=tuple(e.event_id for e in raised),
            effects=changed,
        ),
        writes_of(operations, changed),
    )
    draft.settle_unhandled_now(raised)


def _wanted_status(reply: Reply) -> Status | None:
    if reply.status is not None:
        return reply.status
    for new in reply.events:
        status = lifecycle.STATUS_OF_EVENT.get(new.event_type)
        if status is not None:
            return status
    return Status.WAITING_FOR_INPUT if reply.wait is not None else None


def _wait_of(draft: Draft, reply: Reply, task_id: str) -> Wait | None:
    if reply.wait is None:
        return None
    request = reply.wait
    wait_id = request.wait_id or f"w-{draft.next_version}"
    if any(wait.wait_id == wait_id for wait in draft.instance.waits):
        raise ResponseInvalid(
            f"The wait {wait_id} is open already; give each wait an id of its own, or none.",
            problem="wait_id in use",
            wait_id=wait_id,
        )
    return Wait(
        wait_id=wait_id,
        task_id=task_id,
        message=request.message[:MAX_TEXT],
        since=draft.now.isoformat(),
        input_schema=request.input_schema,
    )


def _failure_of(reply: Reply, event: Event, task_id: str) -> Failure:
    """A task that fails its workflow says why in the payload of `workflow.failed`."""
    payload: JsonObject = next(
        (e.payload for e in reply.events if e.event_type == lifecycle.FAILED), {}
    )
    return Failure(
        reason=str(payload.get("reason") or "FAILED_BY_TASK")[:200],
        message=str(payload.get("message") or f"{task_id} failed the workflow")[:MAX_TEXT],
        task_id=task_id,
        event_id=event.event_id,
    )


def _status_events(
    draft: Draft, event: Event, status: Status, raised: Sequence[Event], task_id: str
) -> list[Event]:
    """The event of a status just entered, unless the task raised it itself."""
    wanted = lifecycle.EVENT_OF_STATUS.get(status)
    if wanted is None or any(e.event_type == wanted for e in raised):
        return []
    instance = draft.instance
    if instance.failure is not None:
        payload = instance.failure.to_json()
    elif status is Status.COMPLETED:
        payload = instance.output or {}
    else:
        payload = {"waits": [wait.to_json() for wait in instance.waits]}
    return [draft.raise_status_event(status, payload, raised_by=task_id, cause=event)]


def _fail(
    draft: Draft, event: Event, result: CallResult, row: Delivery, error: AttemptError
) -> None:
    """A failed attempt: another one later, or a dead letter."""
    task = result.task
    attempts = max(row.attempts, result.attempt)
    stored = error.to_json()
    turn = draft.instance.turn
    if turn is not None and turn.holder == f"{event.event_id}:{task.task_id}":
        draft.touch(turn=None)
    if not error.permanent and attempts < task.retry.max_attempts:
        wait = error.retry_after
        if wait is None:
            wait = delay(attempts, task.retry, _JITTER)
        draft.record(
            _entry(
                draft, event, result, Result.FAILED, error=stored, will_retry=True, retry_in=wait
            )
        )
        draft.put_delivery(
            replace(
                row,
                state=DeliveryState.READY,
                attempts=attempts,
                due_in=wait,
                leased_by=None,
                last_error=stored,
            )
        )
        return
    fails_workflow = task.on_failure is OnFailure.FAIL_WORKFLOW and not event.after_end
    before = draft.as_it_is()
    draft.touch(dead_letters=before.dead_letters + 1)
    draft.raising.dead_letters.append(
        NewDeadLetter(
            dead_letter_id=draft.rules.make_id(),
            event_id=event.event_id,
            event_type=event.event_type,
            task_id=task.task_id,
            attempts=attempts,
            error=stored,
            on_failure=OnFailure.FAIL_WORKFLOW if fails_workflow else OnFailure.CONTINUE,
            edit=row.edit,
            payload=row.payload,
        )
    )
    raised: list[Event] = []
    if fails_workflow:
        draft.put_delivery(
            replace(
                row,
                state=DeliveryState.DEAD,
                attempts=attempts,
                leased_by=None,
                due_in=0.0,
                last_error=stored,
            )
        )
        draft.move_to(Status.FAILED)
        failure = Failure(
            reason=stored["reason"],
            message=stored["message"],
            task_id=task.task_id,
            event_id=event.event_id,
        )
        draft.touch(failure=failure)
        raised = [
            draft.raise_status_event(
                Status.FAILED, failure.to_json(), raised_by=task.task_id, cause=event
            )
        ]
    else:
        draft.end_delivery(event.event_id, task.task_id)
    changed = effects(before, draft.instance)
    draft.record(
        _entry(
            draft,
            event,
            result,
            Result.FAILED,
            error=stored,
            raised=tuple(e.event_id for e in raised),
            effects=changed,
        ),
        writes_of((), changed),
    )
    draft.settle_unhandled_now(raised)


def _entry(
    draft: Draft, event: Event, result: CallResult, how: Result, **more: object
) -> HistoryEntry:
    return HistoryEntry(
        sequence=draft.next_version,
        event_id=event.event_id,
        event_type=event.event_type,
        processed_by=result.task.task_id,
        result=how,
        status=draft.instance.status,
        attempt=max(result.attempt, 1),
        base_version=result.base_version,
        duration_us=result.duration_us,
        service_name=result.task.service_name,
        service_version=result.service_version or None,
        endpoint=result.endpoint or None,
        **more,  # type: ignore[arg-type]
    )
