"""The contract's enums in the words of people."""

from __future__ import annotations

from waystation.v1.blocker_pb2 import BlockerKind
from waystation.v1.dead_letter_pb2 import DeadLetterState
from waystation.v1.event_pb2 import EventState
from waystation.v1.handler_pb2 import RegistrationKind
from waystation.v1.history_pb2 import HistoryResult
from waystation.v1.replay_pb2 import ReplayOutcome
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_cli.render.text import name

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


def status(value: int) -> str:
    return name(WorkflowStatus, value, "WORKFLOW_STATUS_")


def result(value: int) -> str:
    return name(HistoryResult, value, "HISTORY_RESULT_")


def event_state(value: int) -> str:
    return name(EventState, value, "EVENT_STATE_")


def blocker(value: int) -> str:
    return name(BlockerKind, value, "BLOCKER_KIND_")


def dead_letter_state(value: int) -> str:
    return name(DeadLetterState, value, "DEAD_LETTER_STATE_")


def replay_outcome(value: int) -> str:
    return name(ReplayOutcome, value, "REPLAY_OUTCOME_")


def registration(value: int) -> str:
    return name(RegistrationKind, value, "REGISTRATION_KIND_")


def style(word: str) -> str:
    """The colour of one of these words; none for those that need no eye."""
    return _STYLES.get(word, "")
