"""The domain's values: instance, event, delivery and what belongs to them (for tasks see `task_spec`).

Enum numbers are those of the contract, so that they are sent and stored without a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple, TypeAlias

from waystation_domain.idle import Idle

Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]

DEFAULT_PRIORITY = 100
DEFAULT_NAMESPACE = "default"

CLIENT = "client"
SYSTEM = "system"


class Status(IntEnum):
    """The status of an instance; `lifecycle` has the table of allowed changes."""

    ACTIVE = 1
    WAITING_FOR_INPUT = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def is_open(self) -> bool:
        return self is Status.ACTIVE or self is Status.WAITING_FOR_INPUT


class Result(IntEnum):
    """How the handling recorded by an entry of history ended."""

    SUCCESS = 1
    FAILED = 2
    SKIPPED = 3
    UNHANDLED = 4


class OnFailure(IntEnum):
    """What a dead letter does to its instance."""

    FAIL_WORKFLOW = 1
    CONTINUE = 2


class DeadLetterState(IntEnum):
    OPEN = 1
    RETRIED = 2
    DISCARDED = 3


class DeliveryState(IntEnum):
    """Why a delivery has a row."""

    READY = 1
    """To be called when due: a retry, a suspect, or a parked delivery that was woken."""
    LEASED = 2
    """In call by the router named in the row."""
    NO_ENDPOINT = 3
    """Its task's service has no live endpoint."""
    AT_CAPACITY = 4
    """Its task is at max_in_flight."""
    HELD = 5
    """Its instance is FAILED."""
    DEAD = 6
    """Dead-lettered under FAIL_WORKFLOW: not final until retried or discarded."""
    PENDING = 7
    """Its task answered `pending`: the result follows by DeliveryCompletionService."""

    @property
    def waits_for_operator(self) -> bool:
        """Whether nothing becomes of it unless an operator acts. A watch of an instance that has ended ends when
        all of its open deliveries are so."""
        return self in (DeliveryState.HELD, DeliveryState.DEAD)


class TimerKind(IntEnum):
    """What becomes due later."""

    EVENT = 1
    """A delayed event becomes due."""
    EXPIRY = 2
    """An event expires unless a task was called."""
    DEADLINE = 3
    """The deadline of the instance: it fails if it is still open."""
    WAIT = 4
    """The deadline of a wait."""
    FAN_OUT = 5
    """The deadline of a group: it fires, settled or not."""
    CLEANUP = 6
    """The instance has ended: its open events and deliveries are settled, except calls in flight."""

    @property
    def moves(self) -> bool:
        """Whether the timer continues the instance, so that it is not idle before. A deadline only ends it:
        `WaitWorkflow` reports an idle instance at once, not at its deadline."""
        return self in (TimerKind.EVENT, TimerKind.WAIT, TimerKind.FAN_OUT)


@dataclass(frozen=True, slots=True)
class Timer:
    """Something of an instance that becomes due, by the database's clock."""

    kind: TimerKind
    ref: str = ""
    """The id of an event, a wait or a group; empty for the instance itself."""
    due_in: float | None = None
    """Seconds from the commit; if None, `due_at`."""
    due_at: datetime | None = None


class Branch(NamedTuple):
    """A place in a fan-out group."""

    group_id: str
    number: int
    """Its position among the events with which the group was opened, from 0."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Input that an instance waits for."""

    wait_id: str
    task_id: str
    message: str
    since: str
    """RFC 3339."""
    input_schema: JsonObject | None = None
    answer_path: str | None = None
    """The place in data for the answer; None: merged at the top level."""
    deadline: str | None = None
    """RFC 3339; a timer of kind WAIT holds it."""
    branch: Branch | None = None
    """The branch that waits for the answer."""

    def to_json(self) -> JsonObject:
        return {
            "wait_id": self.wait_id,
            "task_id": self.task_id,
            "message": self.message,
            "since": self.since,
            "input_schema": self.input_schema,
            "answer_path": self.answer_path,
            "deadline": self.deadline,
            "branch": list(self.branch) if self.branch else None,
        }

    def to_event_json(self) -> JsonObject:
        """The wait as events carry it: without its branch, which is internal."""
        return {name: value for name, value in self.to_json().items() if name != "branch"}

    def named(self) -> JsonObject:
        """The beginning of the payload of the events that end the wait."""
        return {"wait_id": self.wait_id, "task_id": self.task_id, "message": self.message}

    @classmethod
    def from_json(cls, stored: JsonObject) -> Wait:
        branch = stored.get("branch")
        return cls(**{**stored, "branch": Branch(*branch) if branch else None})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an instance is FAILED or CANCELLED."""

    reason: str
    message: str
    task_id: str = ""
    event_id: str = ""
    details: JsonObject | None = None

    def to_json(self) -> JsonObject:
        stored: JsonObject = {
            "reason": self.reason,
            "message": self.message,
            "task_id": self.task_id,
            "event_id": self.event_id,
        }
        if self.details is not None:
            stored["details"] = self.details
        return stored


@dataclass(frozen=True, slots=True)
class Turn:
    """The delivery that may commit next on a contended instance."""

    holder: tuple[str, str]
    """Event id and task id."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A fan-out group that has not fired. It is stored in its instance's row, so that row's lock protects it;
    it gets smaller with each branch that settles."""

    group_id: str
    then: NewEvent
    """The event that is raised when the group is settled, with inherited priority and metadata."""
    need: int
    """How many branches must settle without a failure; 0: all branches must settle."""
    size: int
    """The number of branches."""
    cause_id: str
    """The event whose handling opened it."""
    task_id: str
    since: str
    """RFC 3339."""
    open: Mapping[int, int]
    """The number of open events, waits and inner groups of each branch that is not settled."""
    well: int = 0
    """Branches that settled without a failure."""
    failed: tuple[JsonObject, ...] = ()
    """The failures of its branches, as `then` reports them."""
    outer: Branch | None = None
    """The outer branch that waits for this group."""
    deadline: str | None = None
    """RFC 3339; a timer of kind FAN_OUT holds it."""

    def to_json(self) -> JsonObject:
        return {
            "id": self.group_id,
            "then": self.then.to_json(),
            "need": self.need,
            "size": self.size,
            "cause": self.cause_id,
            "task": self.task_id,
            "since": self.since,
            # As a list: keys of JSON objects are texts.
            "open": list(self.open.items()),
            "well": self.well,
            "failed": self.failed,
            "outer": list(self.outer) if self.outer else None,
            "deadline": self.deadline,
        }

    @classmethod
    def from_json(cls, stored: JsonObject) -> Group:
        outer = stored["outer"]
        return cls(
            group_id=stored["id"],
            then=NewEvent(**stored["then"]),
            need=stored["need"],
            size=stored["size"],
            cause_id=stored["cause"],
            task_id=stored["task"],
            since=stored["since"],
            open=dict(stored["open"]),
            well=stored["well"],
            failed=tuple(stored["failed"]),
            outer=Branch(*outer) if outer else None,
            deadline=stored["deadline"],
        )


@dataclass(frozen=True, slots=True)
class Instance:
    """One workflow instance. Immutable: routers cache copies by version."""

    key: int
    workflow_instance_id: str
    workflow_type: str
    status: Status
    version: int
    revision: int
    data: JsonObject
    unsettled: int
    """Events that are not settled."""
    dead_letters: int
    """Open dead letters."""
    event_count: int
    """Events ever raised."""
    waits: tuple[Wait, ...] = ()
    failure: Failure | None = None
    output: JsonObject | None = None
    correlation_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = None
    """A timer of kind DEADLINE holds it."""
    idle: Idle | None = None
    idle_since: datetime | None = None
    turn: Turn | None = None
    groups: tuple[Group, ...] = ()
    """Fan-out groups that have not fired."""
    timers: int = 0
    """Timers that will continue it."""
    namespace: str = DEFAULT_NAMESPACE


def unshared(instance: Instance) -> Instance:
    """A copy of its own for a draft."""
    copy = object.__new__(Instance)
    for name in _INSTANCE_FIELDS:
        object.__setattr__(copy, name, getattr(instance, name))
    return copy


_INSTANCE_FIELDS = tuple(field.name for field in fields(Instance))


@dataclass(frozen=True, slots=True)
class Event:
    """A fact raised in one instance."""

    event_id: str
    event_type: str
    payload: JsonObject
    raised_by: str
    version: int
    """The version of the commit that raised it."""
    causation_id: str | None = None
    priority: int | None = None
    correlation_id: str | None = None
    schema_version: str = ""
    metadata: Mapping[str, str] | None = None
    after_end: bool = False
    """Raised by the end of the instance, or while such an event was handled."""
    created_at: datetime | None = None
    deliver_at: datetime | None = None
    deliver_in: float | None = None
    """Seconds from the commit that raises it, instead of `deliver_at`; not read back."""
    expires_at: datetime | None = None
    branch: Branch | None = None
    """The innermost branch that waits for it."""

    @property
    def effective_priority(self) -> int:
        return DEFAULT_PRIORITY if self.priority is None else self.priority


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that a client or a task asks for."""

    event_type: str
    payload: JsonObject
    priority: int | None = None
    metadata: Mapping[str, str] | None = None
    schema_version: str = ""
    delay: float | None = None
    """Seconds from the commit to its delivery."""
    deliver_at: datetime | None = None
    expires_at: datetime | None = None

    def to_json(self) -> JsonObject:
        """All fields except its times, which a group's `then` does not have."""
        return {
            "event_type": self.event_type,
            "payload": self.payload,
            "priority": self.priority,
            "metadata": self.metadata,
            "schema_version": self.schema_version,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery with a row: not on the fast path."""

    event_id: str
    task_id: str
    state: DeliveryState
    attempts: int = 0
    suspect: bool = False
    conflicts: int = 0
    due_in: float = 0.0
    """Seconds from the commit, by the database's clock."""
    leased_by: str | None = None
    edit: int = 0
    payload: JsonObject | None = None
    last_error: JsonObject | None = None
    outside_group: bool = False
    """A retry after its final outcome: its event's group does not wait for it."""


def idempotency_key(event_id: str, task_id: str, edit: int = 0) -> str:
    """The same on every attempt; an edited retry has a new one."""
    key = f"{event_id}:{task_id}"
    return f"{key}:edit-{edit}" if edit else key
