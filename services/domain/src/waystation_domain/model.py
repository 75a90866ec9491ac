"""The nouns: what an instance, an event and a delivery are to the engine (a task: `task_spec`).

Numbers of enums are those of the contract, so that they travel and are stored without a table.
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
    """Where an instance stands; `lifecycle` holds the table of moves."""

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
    """Why a delivery is off the fast way."""

    READY = 1
    """To be called when due: a retry, a suspect, or one whose cause to wait is gone."""
    LEASED = 2
    """In call by the router named in the row."""
    NO_ENDPOINT = 3
    """Its task's service has no live endpoint."""
    AT_CAPACITY = 4
    """Above its task's max_in_flight."""
    HELD = 5
    """Its instance is FAILED."""
    DEAD = 6
    """Dead-lettered under FAIL_WORKFLOW: not final until retried or discarded."""
    PENDING = 7
    """Its task answered that the result follows by DeliveryCompletionService."""


class TimerKind(IntEnum):
    """What becomes due later."""

    EVENT = 1
    """A delayed event is to be delivered."""
    EXPIRY = 2
    """An event that no task was called with is not to be delivered any more."""
    DEADLINE = 3
    """The instance fails when it is still open."""
    WAIT = 4
    """A wait is over, answered or not."""
    FAN_OUT = 5
    """A group fires, settled or not."""
    CLEANUP = 6
    """The instance has ended: what is open of it and not in call is settled."""

    @property
    def moves(self) -> bool:
        """Whether the instance goes on by it, so that it does not stand idle before. A deadline only
        ends it: who waits for an instance that stands still is told so at once, not at its end."""
        return self in (TimerKind.EVENT, TimerKind.WAIT, TimerKind.FAN_OUT)


@dataclass(frozen=True, slots=True)
class Timer:
    """Something of an instance that is due later, by the database's clock."""

    kind: TimerKind
    ref: str = ""
    """What it is about: an event's id, a wait's, a group's; empty for the instance itself."""
    due_in: float | None = None
    """Seconds from the commit; where None, `due_at`."""
    due_at: datetime | None = None


class Branch(NamedTuple):
    """A place in a fan-out group."""

    group_id: str
    number: int
    """Which of the group's events it began with, from 0."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What an instance asks a person for."""

    wait_id: str
    task_id: str
    message: str
    since: str
    """RFC 3339."""
    input_schema: JsonObject | None = None
    answer_path: str | None = None
    """Where in data the answer goes; None: merged at the top level."""
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
        """What events tell of it: all but the branch, which is the engine's own affair."""
        return {name: value for name, value in self.to_json().items() if name != "branch"}

    def named(self) -> JsonObject:
        """What the events that end it begin with: which question it was, and whose."""
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
        to_event_json: JsonObject = {
            "reason": self.reason,
            "message": self.message,
            "task_id": self.task_id,
            "event_id": self.event_id,
        }
        if self.details is not None:
            to_event_json["details"] = self.details
        return to_event_json


@dataclass(frozen=True, slots=True)
class Turn:
    """Which delivery of a contended instance commits next."""

    holder: tuple[str, str]
    """Its event's id and its task's."""
    until: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """A fan-out group that has not fired. Kept in its instance's row, under whose lock all of it
    changes; the fewer branches are open the smaller it is."""

    group_id: str
    then: NewEvent
    """What is raised when the group is settled, its priority and metadata as inherited."""
    need: int
    """Branches that must settle well; 0: all of them must settle."""
    size: int
    """Branches that it began with."""
    cause_id: str
    """The event whose handling opened it."""
    task_id: str
    since: str
    """RFC 3339."""
    open: Mapping[int, int]
    """What is open in each branch that is not settled: events, waits and inner groups."""
    well: int = 0
    """Branches that settled without a failure."""
    failed: tuple[JsonObject, ...] = ()
    """What failed in its branches, as `then` will tell it."""
    outer: Branch | None = None
    """The branch that waits for this group."""
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
            # As a list: keys of JSON objects are text.
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
    """One workflow instance. Never changed in place: routers keep copies by version."""

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
    """Timers that will move it."""
    namespace: str = DEFAULT_NAMESPACE


def unshared(instance: Instance) -> Instance:
    """A copy of one's own, for a working copy."""
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
    """Of the commit that raised it."""
    causation_id: str | None = None
    priority: int | None = None
    correlation_id: str | None = None
    schema_version: str = ""
    metadata: Mapping[str, str] | None = None
    after_end: bool = False
    """Raised by the end of the instance, or while handling what was."""
    created_at: datetime | None = None
    deliver_at: datetime | None = None
    deliver_in: float | None = None
    """Seconds from the commit that raises it, instead of `deliver_at`; never read back."""
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
        """All but its times: those a group's `then` does not have."""
        return {
            "event_type": self.event_type,
            "payload": self.payload,
            "priority": self.priority,
            "metadata": self.metadata,
            "schema_version": self.schema_version,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery off the fast way."""

    event_id: str
    task_id: str
    state: DeliveryState
    attempts: int = 0
    suspect: bool = False
    conflicts: int = 0
    due_in: float = 0.0
    """Seconds from the commit; how the database reckons it."""
    leased_by: str | None = None
    edit: int = 0
    payload: JsonObject | None = None
    last_error: JsonObject | None = None
    outside_group: bool = False
    """A retry of what had its final outcome before: its event's group does not wait for it."""


def idempotency_key(event_id: str, task_id: str, edit: int = 0) -> str:
    """The same on every attempt; an edited retry has a new one."""
    key = f"{event_id}:{task_id}"
    return f"{key}:edit-{edit}" if edit else key
