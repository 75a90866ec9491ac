"""The test kit: tasks and workflows without a server and without a network.

    run_task     one task, one event: what it answered, as an Answer
    TestEngine   workflows of several tasks in memory, with duplicates, conflicts, retries and a
                 clock that the test moves
    pytest_plugin  fixtures, for those who have pytest

Imitates the engine's rules in small, and says NotModelled where it does not. Must not import any
other part of the house, and pytest only in `pytest_plugin`.
"""

from waystation_worker.testing.answers import (
    Answer,
    Asked,
    Failed,
    Failing,
    FannedOut,
    NotModelled,
    Pending,
    Raised,
)
from waystation_worker.testing.calling import SentEvent, run_task
from waystation_worker.testing.changes import Change
from waystation_worker.testing.engine import TestEngine
from waystation_worker.testing.records import DeadLetter, Entry, PendingTask
from waystation_worker.testing.run import Stuck, WorkflowRun

__all__ = [
    "Answer",
    "Asked",
    "Change",
    "DeadLetter",
    "Entry",
    "Failed",
    "Failing",
    "FannedOut",
    "NotModelled",
    "Pending",
    "PendingTask",
    "Raised",
    "SentEvent",
    "Stuck",
    "TestEngine",
    "WorkflowRun",
    "run_task",
]
