"""Converts rows to domain values and back: the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from waystation_core.ports.broker import level_of
from waystation_core.ports.store import StoredEntry
from waystation_domain import details
from waystation_domain.commit import HistoryEntry, NewDeadLetter
from waystation_domain.idle import Idle
from waystation_domain.model import (
    Branch,
    Delivery,
    DeliveryState,
    Event,
    Failure,
    Group,
    Instance,
    JsonObject,
    Result,
    Status,
    Timer,
    Turn,
    Wait,
)

Row = Sequence[Any]


class Columns(tuple[str, ...]):
    """The columns of a row, in order: its text is the list of a SELECT, its length the row's width."""

    def __str__(self) -> str:
        return ", ".join(self)

    def but(self, instead: Mapping[str, str]) -> Columns:
        """The same columns with other expressions for some. Raises KeyError for an unknown one."""
        if missing := instead.keys() - set(self):
            raise KeyError(*sorted(missing))
        return Columns(instead.get(column, column) for column in self)


INSTANCE_COLUMNS = Columns(
    (
        *("i.key", "i.workflow_instance_id", "i.workflow_type", "i.status", "i.version"),
        *("i.revision", "i.data", "i.unsettled", "i.dead_letters", "i.event_count", "i.waits"),
        *("i.failure", "i.output", "i.correlation_id", "i.created_at", "i.updated_at"),
        *("i.completed_at", "i.deadline", "i.idle", "i.idle_since", "i.turn_holder"),
        *("i.turn_until", "i.namespace", "i.groups", "i.timers"),
    )
)

EVENT_COLUMNS = Columns(
    (
        *("e.event_id::text", "e.event_type", "e.payload", "e.raised_by", "e.version"),
        *("e.causation_id::text", "e.priority", "e.correlation_id", "e.schema_version"),
        *("e.metadata", "e.after_end", "e.created_at", "e.deliver_at", "e.expires_at"),
        *("e.group_id::text", "e.branch"),
    )
)
EVENT_WIDTH = len(EVENT_COLUMNS)

UNREAD_PAYLOAD = {"e.payload": "json_build_object()"}
"""EVENT_COLUMNS without payloads, for decisions that need none: they may be large."""

DELIVERY_COLUMNS = Columns(
    (
        *("d.event_id::text", "d.task_id", "d.state", "d.attempts", "d.suspect", "d.conflicts"),
        *("d.leased_by::text", "d.edit", "d.payload", "d.last_error", "d.outside_group"),
    )
)
DELIVERY_WIDTH = len(DELIVERY_COLUMNS)


def same_delivery(one: str, other: str) -> str:
    """The condition of a join by a delivery's key. IS TRUE keeps the planner from finding it by its task:
    by the statistics of an empty table that is as cheap, and each delivery then reads all those of a busy
    task."""
    return f"{one}.event_id = {other}.event_id AND ({one}.task_id = {other}.task_id) IS TRUE"


DELIVERY_AS_JSON = (
    f"json_build_array({Columns(column.removesuffix('::text') for column in DELIVERY_COLUMNS)})"
)


def instance(row: Row) -> Instance:
    """From INSTANCE_COLUMNS."""
    return Instance(
        key=row[0],
        workflow_instance_id=row[1],
        workflow_type=row[2],
        status=Status(row[3]),
        version=row[4],
        revision=row[5],
        data=row[6],
        unsettled=row[7],
        dead_letters=row[8],
        event_count=row[9],
        waits=tuple(Wait.from_json(one) for one in row[10] or ()),
        failure=Failure(**row[11]) if row[11] is not None else None,
        output=row[12],
        correlation_id=row[13],
        created_at=row[14],
        updated_at=row[15],
        completed_at=row[16],
        deadline=row[17],
        idle=Idle.from_json(row[18]) if row[18] is not None else None,
        idle_since=row[19],
        turn=_turn(row[20], row[21]) if row[20] is not None else None,
        namespace=row[22],
        groups=tuple(Group.from_json(one) for one in row[23] or ()),
        timers=row[24],
    )


def _turn(holder: str, until: datetime) -> Turn:
    # No task's id has a colon.
    event_id, _, task_id = holder.rpartition(":")
    return Turn((event_id, task_id), until)


def event(row: Row) -> Event:
    """From EVENT_COLUMNS."""
    return Event(
        event_id=row[0],
        event_type=row[1],
        payload=row[2],
        raised_by=row[3],
        version=row[4],
        causation_id=row[5],
        priority=row[6],
        correlation_id=row[7],
        schema_version=row[8] or "",
        metadata=row[9],
        after_end=row[10],
        created_at=row[11],
        deliver_at=row[12],
        expires_at=row[13],
        branch=Branch(row[14], row[15]) if row[14] is not None else None,
    )


def delivery(row: Row) -> Delivery:
    """From DELIVERY_COLUMNS or DELIVERY_AS_JSON."""
    return Delivery(
        event_id=row[0],
        task_id=row[1],
        state=DeliveryState(row[2]),
        attempts=row[3],
        suspect=row[4],
        conflicts=row[5],
        leased_by=row[6],
        edit=row[7],
        payload=row[8],
        last_error=row[9],
        outside_group=row[10],
    )


HISTORY_COLUMNS = Columns(
    (
        *("h.sequence", "h.event_id::text", "h.event_type", "h.processed_by", "h.result"),
        *("h.status", "h.attempt", "h.base_version", "h.will_retry", "h.duration_us", "h.error"),
        *("h.change", "h.raised::text[]", "h.service_name", "h.service_version", "h.endpoint"),
        *("h.action", "h.detail", "h.effects", "h.principal", "h.processed_at"),
        "h.next_attempt_at",
    )
)


def history_entry(row: Row) -> HistoryEntry:
    """From HISTORY_COLUMNS, without the times."""
    return HistoryEntry(
        sequence=row[0],
        event_id=row[1],
        event_type=row[2],
        processed_by=row[3],
        result=Result(row[4]),
        status=Status(row[5]),
        attempt=row[6],
        base_version=row[7],
        will_retry=row[8],
        duration_us=row[9],
        error=row[10],
        change=row[11],
        raised=tuple(row[12] or ()),
        service_name=row[13],
        service_version=row[14],
        endpoint=row[15],
        action=row[16],
        detail=details.from_json(row[17]) if row[17] is not None else None,
        effects=row[18],
        principal=row[19],
    )


def stored_entry(row: Row) -> StoredEntry:
    """From HISTORY_COLUMNS."""
    return StoredEntry(history_entry(row), row[20], row[21])


# --- to parameters ---------------------------------------------------------------------------


def instance_parameter(before: Instance, after: Instance, *, generation: int | None) -> JsonObject:
    """An instance's new values; `data` and `output` only if they changed. With a generation it is only written
    while its namespace's registry has that one."""
    return {
        "key": before.key,
        "before": before.revision,
        "fixes": generation is not None,
        "generation": generation,
        "status": after.status,
        "version": after.version,
        "revision": after.revision,
        "data": after.data if after.data is not before.data else None,
        "output": after.output if after.output is not before.output else None,
        "waits": [one.to_json() for one in after.waits] or None,
        "failure": after.failure.to_json() if after.failure is not None else None,
        "ended": after.completed_at is not None,
        "unsettled": after.unsettled,
        "dead_letters": after.dead_letters,
        "event_count": after.event_count,
        "idle": after.idle.to_json() if after.idle is not None else None,
        "turn_holder": ":".join(after.turn.holder) if after.turn is not None else None,
        "turn_until": after.turn.until if after.turn is not None else None,
        "groups": [one.to_json() for one in after.groups] or None,
        "timers": after.timers,
    }


def history_parameter(key: int | str, entry: HistoryEntry) -> JsonObject:
    return {
        "key": key,
        "sequence": entry.sequence,
        "event_id": entry.event_id,
        "event_type": entry.event_type,
        "processed_by": entry.processed_by,
        "result": entry.result,
        "attempt": entry.attempt,
        "will_retry": entry.will_retry,
        "retry_in": entry.retry_in,
        "duration_us": entry.duration_us,
        "error": entry.error,
        "base_version": entry.base_version,
        "change": entry.change,
        "raised": "{" + ",".join(entry.raised) + "}" if entry.raised else None,
        "service_name": entry.service_name,
        "service_version": entry.service_version,
        "endpoint": entry.endpoint,
        "status": entry.status,
        "action": entry.action,
        "detail": details.to_json(entry.detail) if entry.detail is not None else None,
        "effects": entry.effects,
        "principal": entry.principal,
    }


def event_parameter(key: int | str, raised: Event) -> JsonObject:
    return {
        "key": key,
        "event_id": raised.event_id,
        "event_type": raised.event_type,
        "payload": raised.payload,
        "correlation_id": raised.correlation_id,
        "priority": raised.priority,
        "causation_id": raised.causation_id,
        "raised_by": raised.raised_by,
        "schema_version": raised.schema_version or None,
        "metadata": raised.metadata,
        "after_end": raised.after_end,
        "version": raised.version,
        "deliver_at": raised.deliver_at,
        "deliver_in": raised.deliver_in,
        "expires_at": raised.expires_at,
        "group_id": raised.branch.group_id if raised.branch is not None else None,
        "branch": raised.branch.number if raised.branch is not None else None,
    }


def outbox_parameter(key: int | str, raised: Event) -> JsonObject:
    return {
        "key": key,
        "event_id": raised.event_id,
        "level": level_of(raised.effective_priority),
    }


def delivery_parameter(key: int, namespace: str, row: Delivery) -> JsonObject:
    return {
        "key": key,
        "event_id": row.event_id,
        "task_id": row.task_id,
        "state": row.state,
        "attempts": row.attempts,
        "suspect": row.suspect,
        "conflicts": row.conflicts,
        "due_in": row.due_in,
        "leased_by": row.leased_by,
        "edit": row.edit,
        "payload": row.payload,
        "last_error": row.last_error,
        "outside_group": row.outside_group,
        "namespace": namespace,
    }


def timer_parameter(key: int | str, timer: Timer) -> JsonObject:
    return {
        "key": key,
        "kind": timer.kind,
        "ref": timer.ref,
        "due_in": timer.due_in,
        "due_at": timer.due_at,
    }


def dead_letter_parameter(key: int, dead_letter: NewDeadLetter) -> JsonObject:
    return {
        "key": key,
        "dead_letter_id": dead_letter.dead_letter_id,
        "event_id": dead_letter.event_id,
        "task_id": dead_letter.task_id,
        "attempts": dead_letter.attempts,
        "error": dead_letter.error,
        "on_failure": dead_letter.on_failure,
        "payload": dead_letter.payload,
        "edit": dead_letter.edit,
    }
