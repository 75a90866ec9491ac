"""Outcomes of an attempt, as the router passes them to `results`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from waystation_domain import lifecycle, limits, units
from waystation_domain.errors import (
    InvalidArgument,
    NotYetAvailable,
    ResourceExhausted,
    ResponseInvalid,
    WaystationError,
)
from waystation_domain.model import JsonObject, NewEvent, Status
from waystation_domain.operations import (
    Operation,
    patch_to_operations,
    replacement_to_operations,
)
from waystation_domain.task_spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch (RFC 7396)."""

    patch: JsonObject


@dataclass(frozen=True, slots=True)
class Replacement:
    """A new root."""

    root: JsonObject


Change: TypeAlias = tuple[Operation, ...] | Patch | Replacement


def operations_of(change: Change, data: JsonObject) -> tuple[Operation, ...]:
    """The operations of this change of this data."""
    if isinstance(change, Patch):
        return tuple(patch_to_operations(change.patch, data))
    if isinstance(change, Replacement):
        return tuple(replacement_to_operations(change.root))
    return change


@dataclass(frozen=True, slots=True)
class WaitRequest:
    """A request for input."""

    message: str
    wait_id: str = ""
    input_schema: JsonObject | None = None
    answer_path: str | None = None
    timeout: float | None = None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """A group of events to open, and the event that follows when it is settled."""

    events: tuple[NewEvent, ...]
    then: NewEvent
    need: int = 0
    timeout: float | None = None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The workflow is completed."""

    output: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """The task succeeded, and the workflow fails."""

    reason: str
    message: str = ""
    details: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a task that succeeded."""

    events: tuple[NewEvent, ...] = ()
    change: Change = ()
    end: Completion | Failing | None = None
    waits: tuple[WaitRequest, ...] = ()
    reads: tuple[str, ...] | None = None
    """None: everything."""
    fan_outs: tuple[FanOut, ...] = ()

    @property
    def number_of_events(self) -> int:
        """The number of events that it raises now: `then` of its groups follows later, unless they are empty."""
        return len(self.events) + sum(len(fan_out.events) or 1 for fan_out in self.fan_outs)

    @property
    def number_of_promises(self) -> int:
        """The number of events that follow later: `then` of the other groups."""
        return sum(bool(fan_out.events) for fan_out in self.fan_outs)

    @property
    def all_events(self) -> Iterator[NewEvent]:
        """Every event that it raises, now or later."""
        yield from self.events
        for fan_out in self.fan_outs:
            yield from fan_out.events
            yield fan_out.then

    @property
    def statuses(self) -> list[Status]:
        """The statuses that it asks for, in whichever way; more than one contradict each other."""
        statuses = {
            lifecycle.STATUS_OF_EVENT[new.event_type]
            for new in self.events
            if new.event_type in lifecycle.STATUS_OF_EVENT
        }
        if self.end is not None:
            statuses.add(Status.COMPLETED if isinstance(self.end, Completion) else Status.FAILED)
        if self.waits:
            statuses.add(Status.WAITING_FOR_INPUT)
        return sorted(statuses)

    def check_one_status(self) -> None:
        """Raises ResponseInvalid for an answer that asks for two statuses at once."""
        if len(statuses := self.statuses) > 1:
            names = ", ".join(status.name for status in statuses)
            raise ResponseInvalid(
                f"The answer has {names}, which exclude each other; use one of them.",
                problem="contradicting statuses",
                statuses=names,
            )


@dataclass(frozen=True, slots=True)
class AttemptError:
    """Why an attempt failed. `code` is a gRPC status code name or TASK_FAILURE."""

    code: str
    reason: str
    message: str
    permanent: bool = False
    retry_after: float | None = None
    """Seconds, instead of the policy's backoff."""
    metadata: JsonObject | None = None

    def to_json(self, size_of: Callable[[JsonObject], int]) -> JsonObject:
        """The stored form, cut to size."""
        metadata = self.metadata
        if metadata and (size := size_of(metadata)) > limits.MAX_DETAILS_BYTES:
            metadata = {
                "left_out": f"{units.size(size)} as JSON; the limit is {units.size(limits.MAX_DETAILS_BYTES)}"
            }
        return {
            "code": self.code,
            "reason": self.reason[: limits.MAX_REASON],
            "message": limits.cut(self.message),
            "permanent": self.permanent,
            "metadata": metadata,
        }


def fault_of(fault: WaystationError) -> AttemptError:
    """The permanent failure of an attempt whose answer broke a rule. For a rule of requests it is
    RESPONSE_INVALID, with the rule's own reason as `rule`; limits and features that are not built yet keep
    their reasons."""
    reason, metadata = fault.reason, dict(fault.metadata)
    if isinstance(fault, InvalidArgument):
        reason, metadata = (
            ResponseInvalid.reason,
            {"problem": fault.reason, **metadata, "rule": fault.reason},
        )
    code = fault.code
    if not isinstance(fault, (NotYetAvailable, ResourceExhausted)):
        code = ResponseInvalid.code
    return AttemptError(
        code=code, reason=reason, message=fault.message, permanent=True, metadata=metadata or None
    )


@dataclass(frozen=True, slots=True)
class Cut:
    """The call was sent, and its endpoint or router died before an answer came."""

    message: str
    alone: bool = False
    """Whether it was the only suspect in call: then it is the cause."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The task's result follows by DeliveryCompletionService."""

    timeout: float | None = None
    """Seconds until the attempt is cut; None: the task's timeout."""


Outcome: TypeAlias = Reply | AttemptError | Cut | Pending


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
    """What was decided about one result."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    """The delivery had its final outcome, or this attempt was counted; or its task handles the event no more."""
    SKIPPED = "skipped"
    """The instance had ended."""
    HELD = "held"
    """The instance is FAILED; the delivery is called again when the instance continues."""
    CONFLICT = "conflict"
    """A place that it read or wrote was written since: call again with the current context."""
    WAIT = "wait"
    """Another delivery has the instance's turn: commit this result a little later."""
