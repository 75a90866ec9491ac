"""The timeline of a workflow as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState, TimerKind
from waystation_domain.units import duration
from waystation_worker.testing.calls import token_of
from waystation_worker.testing.memory import Memory
from waystation_worker.testing.records import entry_of
from waystation_worker.workflows import Workflow


def timeline(memory: Memory, shown: Workflow, seed: int) -> str:
    """The history, one line for each commit, and what the workflow waits for now. `shown`: as a client sees
    it."""
    head = f"{shown.id} ({shown.type}, seed {seed}): {shown.status}"
    return "\n".join([head, *_happened(memory), *_stands(memory, shown)])


def _happened(memory: Memory) -> Iterator[str]:
    for entry in map(entry_of, memory.history):
        by = f"{entry.processed_by} #{entry.attempt}" if entry.attempt else entry.processed_by
        line = f"  {entry.sequence:3}  {entry.event_type:28} {by:28} {entry.action or entry.result}"
        if entry.failure is not None:
            line += f" {entry.failure.reason}: {entry.failure.message}"
        if entry.answered_by:
            line += f" by {entry.answered_by}"
        if about := entry.wait_id or entry.note:
            line += f" ({about})"
        raised = [memory.events[event_id].event_type for event_id in entry.raised]
        if raised and entry.action not in ("start", "publish"):
            line += f" -> {', '.join(raised)}"
        yield line.rstrip()


def _stands(memory: Memory, shown: Workflow) -> Iterator[str]:
    now, instance = memory.clock(), memory.instance
    for wait in shown.waits:
        line = f"  waits for input {wait.wait_id} of {wait.task_id}: {wait.message}"
        yield line if wait.deadline is None else f"{line} ({_left(wait.deadline, now)} left)"
    for group in instance.groups:
        places = ", ".join(map(str, sorted(group.open)))
        line = f"  {group.then.event_type} waits for branches {places} of {group.size}"
        if group.need:
            line += f", for {group.need} that succeed"
        if group.deadline is not None:
            line += f" ({_left(datetime.fromisoformat(group.deadline), now)} left)"
        yield line
    for one in memory.open_dead_letters():
        dead_letter = one.shown
        yield f"  dead letter of {dead_letter.task_id}: {dead_letter.failure.reason}: {dead_letter.failure.message}"
    for event in memory.events.values():
        due = memory.timers.get((TimerKind.EVENT, event.event_id))
        if due is not None:
            yield f"  {event.event_type} is delivered in {_left(due, now)}"
        elif event.event_id in memory.outbox:
            yield f"  {event.event_type} is due"
        for row in memory.rows_of(event.event_id):
            yield from _delivery_stands(memory, row, now)
    due = memory.timers.get((TimerKind.DEADLINE, ""))
    if due is not None and instance.status.is_open:
        yield f"  fails in {_left(due, now)} if it is still open"
    if instance.idle is not None:
        yield f"  idle: {instance.idle.message}"


def _delivery_stands(memory: Memory, row: Delivery, now: datetime) -> Iterator[str]:
    event = memory.events[row.event_id]
    what, due = f"  {event.event_type} for {row.task_id}", memory.due[row.event_id, row.task_id]
    if row.state is DeliveryState.PENDING:
        token = token_of(row.event_id, row.task_id, row.edit, row.attempts + 1)
        yield f"{what}: its result is pending, times out in {_left(due, now)} ({token})"
    elif row.state is DeliveryState.DEAD:
        return
    elif memory.treatment(event) is Treatment.HOLD:
        yield f"{what} is held until a dead letter is retried"
    elif due > now:
        yield f"{what} is retried in {_left(due, now)}"
    else:
        yield f"{what} is due"


def _left(until: datetime, now: datetime) -> str:
    return duration((until - now).total_seconds())
