"""The test kit: tasks and workflows without a server and without a network.

    run_task     one task, one event; returns an Answer
    TestEngine   workflows of several tasks in memory, with duplicates, conflicts, retries and a
                 clock that the test moves

Fixtures for pytest are in `waystation_worker.pytest_plugin`.

The kit uses the engine's own rules (`waystation_domain`) and reads answers like the engine
(`waystation_conversion`); the extra `testing` installs both. It must not import any other part of the
engine, nor pytest.
"""

try:
    import waystation_conversion  # noqa: F401 - only whether it is there
except ModuleNotFoundError as missing:
    if missing.name != "waystation_conversion":
        raise
    raise ModuleNotFoundError(
        "the test kit needs the engine's rules; run: pip install 'waystation-worker[testing]'",
        name=missing.name,
    ) from None

from waystation_worker.testing.answers import (
    Answer,
    Asked,
    Change,
    Failed,
    Failing,
    FannedOut,
    Pending,
    Raised,
)
from waystation_worker.testing.calls import run_task
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
    "Pending",
    "PendingTask",
    "Raised",
    "Stuck",
    "TestEngine",
    "WorkflowRun",
    "run_task",
]
