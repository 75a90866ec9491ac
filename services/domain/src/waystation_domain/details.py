"""What an entry of history records besides its change, as typed values that decisions may read. `notes`
writes texts for people from them, which nothing reads back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeAlias


class Action(StrEnum):
    """What a client or the system did, for entries that no task made."""

    START = "start"
    FORK = "fork"
    INPUT = "input"
    PUBLISH = "publish"
    CANCEL = "cancel"
    DEAD_LETTER_RETRIED = "dead_letter_retried"
    DEAD_LETTER_DISCARDED = "dead_letter_discarded"
    FAN_IN = "fan_in"
    INPUT_TIMED_OUT = "input_timed_out"
    DEADLINE = "deadline"


class SkipCause(StrEnum):
    """Why an event or a delivery was skipped."""

    EXPIRED = "expired"
    ENDED = "ended"
    """The workflow has ended."""
    STAYS_ENDED = "stays_ended"
    """The workflow has ended, and the dead letter whose retry could have continued it is resolved."""
    ANSWERED_LATE = "answered_late"
    """The task answered after the end of the workflow."""


@dataclass(frozen=True, slots=True)
class ForkedFrom:
    """FORK: the source instance, and the entry after which it was copied."""

    workflow_instance_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """INPUT and INPUT_TIMED_OUT: the wait that ended, and who answered it, if known."""

    wait_id: str
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class WaitsOpened:
    """Of an attempt: the waits that it opened."""

    wait_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """CANCEL: why, in the caller's words."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetterRetried:
    """DEAD_LETTER_RETRIED: the task of the delivery, and whether its payload was edited."""

    task_id: str
    edited: bool


@dataclass(frozen=True, slots=True)
class FannedIn:
    """FAN_IN: how many branches were settled, how many of them without a failure, and how many there are."""

    settled: int
    well: int
    size: int
    timed_out: bool
    """Whether the deadline fired it."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Of a SKIPPED result."""

    cause: SkipCause


Detail: TypeAlias = (
    ForkedFrom | WaitEnded | WaitsOpened | Cancelled | DeadLetterRetried | FannedIn | Skipped
)

_KINDS: dict[str, type[Detail]] = {
    "forked_from": ForkedFrom,
    "wait_ended": WaitEnded,
    "waits_opened": WaitsOpened,
    "cancelled": Cancelled,
    "letter_retried": DeadLetterRetried,
    "fanned_in": FannedIn,
    "skipped": Skipped,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(detail: Detail) -> dict[str, Any]:
    """The stored form."""
    return {"kind": _NAMES[type(detail)]} | {
        field.name: getattr(detail, field.name) for field in fields(detail)
    }


def from_json(stored: dict[str, Any]) -> Detail:
    """What `to_json` stored."""
    values = dict(stored)
    kind = _KINDS[values.pop("kind")]
    if kind is WaitsOpened:
        return WaitsOpened(tuple(values["wait_ids"]))
    if kind is Skipped:
        return Skipped(SkipCause(values["cause"]))
    return kind(**values)
