"""The contract's enums in the words of people."""

from __future__ import annotations

import re

from google.protobuf.descriptor import EnumDescriptor

from waystation.v1.blocker_pb2 import BlockerKind
from waystation.v1.dead_letter_pb2 import DeadLetterState
from waystation.v1.event_pb2 import EventState
from waystation.v1.flow_pb2 import FlowRule, FlowSeverity
from waystation.v1.handler_pb2 import RegistrationKind
from waystation.v1.history_pb2 import HistoryResult
from waystation.v1.replay_pb2 import ReplayOutcome
from waystation.v1.status_pb2 import WorkflowStatus

_STYLES = {
    "ACTIVE": "cyan",
    "WAITING_FOR_INPUT": "yellow",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "magenta",
    "SUCCESS": "green",
    "SKIPPED": "dim",
    "UNHANDLED": "yellow",
    "SETTLED": "dim",
    "PENDING": "cyan",
    "DEAD_LETTER": "red",
    "NO_LIVE_ENDPOINT": "red",
    "RETRYING": "yellow",
    "HELD": "yellow",
    "IDLE": "yellow",
}


def prefix(enum: EnumDescriptor) -> str:
    """What the contract puts before each of its names: WORKFLOW_STATUS_."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.name).upper() + "_"


def of_enum(enum: EnumDescriptor, value: int) -> str | int:
    """The value's name without that prefix; the number itself where this release knows none."""
    known = enum.values_by_number.get(value)
    return value if known is None else str(known.name).removeprefix(prefix(enum))


def status(value: int) -> str:
    return str(of_enum(WorkflowStatus.DESCRIPTOR, value))


def result(value: int) -> str:
    return str(of_enum(HistoryResult.DESCRIPTOR, value))


def event_state(value: int) -> str:
    return str(of_enum(EventState.DESCRIPTOR, value))


def blocker(value: int) -> str:
    return str(of_enum(BlockerKind.DESCRIPTOR, value))


def dead_letter_state(value: int) -> str:
    return str(of_enum(DeadLetterState.DESCRIPTOR, value))


def replay_outcome(value: int) -> str:
    return str(of_enum(ReplayOutcome.DESCRIPTOR, value))


def registration(value: int) -> str:
    return str(of_enum(RegistrationKind.DESCRIPTOR, value))


def flow_severity(value: int) -> str:
    return str(of_enum(FlowSeverity.DESCRIPTOR, value))


def flow_rule(value: int) -> str:
    return str(of_enum(FlowRule.DESCRIPTOR, value))


def style(word: str) -> str:
    """The colour of one of these words; none for those that need no eye."""
    return _STYLES.get(word, "")
