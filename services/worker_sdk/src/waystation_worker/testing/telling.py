"""How a workflow in memory is told: to a person as a timeline, to a task as its history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from waystation.v1 import history_pb2, status_pb2
from waystation_worker.testing.calling import token_of
from waystation_worker.testing.instance import Instance
from waystation_worker.testing.records import Delivery, Entry
from waystation_worker.values import write_struct


def timeline(instance: Instance, now: datetime, seed: int) -> str:
    """What happened, one line for each commit, and what it waits for now."""
    head = f"{instance.id} ({instance.type}, seed {seed}): {instance.status}"
    return "\n".join([head, *_happened(instance), *_stands(instance, now)])


def _happened(instance: Instance) -> Iterator[str]:
    for entry in instance.history:
        by = f"{entry.processed_by} #{entry.attempt}" if entry.attempt else entry.processed_by
        line = f"  {entry.sequence:3}  {entry.event_type:28} {by:28} {entry.action or entry.result}"
        if entry.failure is not None:
            line += f" {entry.failure.reason}: {entry.failure.message}"
        if entry.answered_by:
            line += f" by {entry.answered_by}"
        if entry.note:
            line += f" ({entry.note})"
        raised = [instance.emitted[event_id].event.event_type for event_id in entry.raised]
        if raised and entry.action not in ("start", "publish"):
            line += f" -> {', '.join(raised)}"
        yield line.rstrip()


def _stands(instance: Instance, now: datetime) -> Iterator[str]:
    for wait in instance.waits:
        line = f"  waits for input {wait.wait_id} of {wait.task_id}: {wait.message}"
        yield line if wait.deadline is None else f"{line} ({_left(wait.deadline, now)} left)"
    for group in instance.groups:
        places = ", ".join(map(str, sorted(group.open)))
        line = f"  {group.then.event_type} waits for branches {places} of {group.size}"
        if group.need:
            line += f", for {group.need} that settle well"
        yield line if group.deadline is None else f"{line} ({_left(group.deadline, now)} left)"
    for letter in instance.dead_letters:
        if letter.state == "OPEN":
            failure = letter.failure
            yield f"  dead letter of {letter.task_id}: {failure.reason}: {failure.message}"
    for emitted in instance.pending():
        if emitted.time > now:
            left = _left(emitted.time, now)
            yield f"  {emitted.event.event_type} is delivered in {left}"
            continue
        for delivery in emitted.deliveries:
            yield from _delivery_stands(instance, delivery, now)
    if instance.is_open and instance.deadline is not None and not instance.deadline_passed:
        yield f"  fails in {_left(instance.deadline, now)} if it is open then"
    if instance.idle is not None:
        yield f"  idle: {instance.idle}"


def _delivery_stands(instance: Instance, delivery: Delivery, now: datetime) -> Iterator[str]:
    what = f"  {delivery.event.event_type} for {delivery.task.task_id}"
    if delivery.state == "PENDING":
        left = _left(delivery.due, now)
        yield f"{what}: its result follows, within {left} ({token_of(delivery.key, delivery.attempts + 1)})"
    elif delivery.state != "OPEN":
        return
    elif instance.treatment(delivery.event) == "HOLD":
        yield f"{what} is held until a dead letter is retried"
    elif delivery.due > now:
        yield f"{what} is tried again in {_left(delivery.due, now)}"
    else:
        yield f"{what} is due"


def _left(until: datetime, now: datetime) -> str:
    return f"{(until - now).total_seconds():g} s"


def entry_message(entry: Entry) -> history_pb2.HistoryEntry:
    """The entry as `ctx.history` shows it; `change`, `duration` and what names an endpoint are
    left out."""
    message = history_pb2.HistoryEntry(
        sequence=entry.sequence,
        version=entry.sequence,
        event_id=entry.event_id,
        event_type=entry.event_type,
        processed_by=entry.processed_by,
        result=getattr(history_pb2, f"HISTORY_RESULT_{entry.result}"),
        status=getattr(status_pb2, f"WORKFLOW_STATUS_{entry.status}"),
        attempt=entry.attempt,
        will_retry=entry.next_attempt_at is not None,
        raised_event_ids=entry.raised,
        action=entry.action,
        note=entry.note,
        answered_by=entry.answered_by,
        opened_wait_ids=entry.opened,
        wait_id=entry.note if entry.action in ("input", "input_timed_out") else "",
    )
    message.processed_at.FromDatetime(entry.at)
    if entry.next_attempt_at is not None:
        message.next_attempt_at.FromDatetime(entry.next_attempt_at)
    if entry.failure is not None:
        error = message.error
        error.code, error.reason = entry.failure.code, entry.failure.reason
        error.message, error.permanent = entry.failure.message, entry.failure.permanent
        write_struct(entry.failure.metadata, error.metadata, "metadata")
    return message
