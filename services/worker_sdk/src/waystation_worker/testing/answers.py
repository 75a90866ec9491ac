"""The answers of tasks, as values that compare and print well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import NamedTuple

from waystation_conversion.sizes import json_size
from waystation_domain import outcomes
from waystation_domain.errors import WaystationError
from waystation_domain.model import NewEvent
from waystation_domain.operations import apply
from waystation_worker.values import Json


class Change(NamedTuple):
    """One change of the data. Equals the plain tuple, for example `("set", "/valid", True)`.

    `kind`: set, remove, increment, append, add_to_set, maximum. `path`: a JSON Pointer.
    """

    kind: str
    path: str
    value: Json = None


class _Shown:
    """Its repr shows only fields that differ from their defaults."""

    def __repr__(self) -> str:
        shown = []
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            default = one.default_factory() if one.default_factory is not MISSING else one.default
            if one.repr and (default is MISSING or value != default):
                shown.append(f"{one.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Raised(_Shown):
    """An event that a task raised. `priority` None and empty metadata: inherited. `delay` is in
    seconds."""

    event_type: str
    payload: dict[str, Json] = field(default_factory=dict)
    priority: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    schema_version: str = ""
    delay: float | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, repr=False)
class FannedOut(_Shown):
    """A group of events, and the event that follows. `need` 0: all of them; `timeout` is in
    seconds."""

    events: list[Raised]
    then: Raised
    need: int = 0
    timeout: float | None = None

    @property
    def raised(self) -> list[str]:
        """The types of its events."""
        return [event.event_type for event in self.events]


@dataclass(frozen=True, repr=False)
class Asked(_Shown):
    """A wait for input from a person. `timeout` is in seconds."""

    message: str
    schema: dict[str, Json] | None = None
    wait_id: str = ""
    timeout: float | None = None
    answer_path: str | None = None


@dataclass(frozen=True, repr=False)
class Failing(_Shown):
    """Why a task ended its workflow as FAILED."""

    reason: str
    message: str = ""
    details: dict[str, Json] | None = None


@dataclass(frozen=True, repr=False)
class Pending(_Shown):
    """The result follows. `timeout` is in seconds; None: the task's timeout."""

    timeout: float | None = None


@dataclass(frozen=True, repr=False)
class Failed(_Shown):
    """A failed attempt. `retry_after` is in seconds; `code` is TASK_FAILURE, or a gRPC status."""

    reason: str
    message: str = ""
    permanent: bool = False
    retry_after: float | None = None
    metadata: dict[str, Json] = field(default_factory=dict)
    code: str = "TASK_FAILURE"


@dataclass(frozen=True, repr=False)
class Answer(_Shown):
    """The answer of one call of one task.

    `data` is the data of the call with `changes` applied; `status` is COMPLETED (with its
    `output`), FAILED (see `failing`), WAITING_FOR_INPUT (see `waits`) or None for unchanged;
    `reads` are the paths that it read, as JSON Pointers. A failed call has only its `failure`, a
    pending one only `pending`.
    """

    data: dict[str, Json]
    changes: list[Change] = field(default_factory=list)
    events: list[Raised] = field(default_factory=list)
    fan_outs: list[FannedOut] = field(default_factory=list)
    waits: list[Asked] = field(default_factory=list)
    status: str | None = None
    output: dict[str, Json] | None = None
    failing: Failing | None = None
    failure: Failed | None = None
    pending: Pending | None = None
    reads: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def raised(self) -> list[str]:
        """The types of its events, without events of groups."""
        return [event.event_type for event in self.events]


def answer_of(outcome: outcomes.Outcome, data: dict[str, Json]) -> Answer:
    """What a task answered as a value; `data` is what the call was given."""
    if isinstance(outcome, outcomes.AttemptError):
        return Answer(data, failure=failed_of(outcome.to_json(json_size), outcome.retry_after))
    if isinstance(outcome, outcomes.Pending):
        return Answer(data, pending=Pending(outcome.timeout))
    assert isinstance(outcome, outcomes.Reply), "who calls a task in memory does not die"
    try:
        operations = outcomes.operations_of(outcome.change, data)
        after = apply(data, operations)
    except WaystationError as fault:
        return answer_of(outcomes.fault_of(fault), data)
    end = outcome.end
    return Answer(
        data=after,
        changes=[Change(one.kind, one.path, one.value) for one in operations],
        events=[_raised(new) for new in outcome.events],
        fan_outs=[
            FannedOut(
                [_raised(new) for new in one.events], _raised(one.then), one.need, one.timeout
            )
            for one in outcome.fan_outs
        ],
        waits=[
            Asked(one.message, one.input_schema, one.wait_id, one.timeout, one.answer_path)
            for one in outcome.waits
        ],
        status=_status_of(outcome),
        output=end.output if isinstance(end, outcomes.Completion) else None,
        failing=Failing(end.reason, end.message, end.details)
        if isinstance(end, outcomes.Failing)
        else None,
        reads=list(outcome.reads or ()),
    )


def failed_of(error: Mapping[str, Json], retry_after: float | None = None) -> Failed:
    """The failed attempt from the form in which history keeps it."""
    return Failed(
        reason=error["reason"],
        message=error["message"],
        permanent=error["permanent"],
        retry_after=retry_after,
        metadata=error["metadata"] or {},
        code=error["code"],
    )


def _status_of(reply: outcomes.Reply) -> str | None:
    if reply.waits:
        return "WAITING_FOR_INPUT"
    if reply.end is None:
        return None
    return "COMPLETED" if isinstance(reply.end, outcomes.Completion) else "FAILED"


def _raised(new: NewEvent) -> Raised:
    return Raised(
        event_type=new.event_type,
        payload=new.payload,
        priority=new.priority,
        metadata=dict(new.metadata or {}),
        schema_version=new.schema_version,
        delay=new.delay,
        deliver_at=new.deliver_at,
        expires_at=new.expires_at,
    )
