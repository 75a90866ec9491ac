"""A task as its service declares it, with the defaults of everything that it leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from waystation_domain.model import DEFAULT_NAMESPACE, OnFailure
from waystation_domain.retry_policy import RetryPolicy

TaskKey: TypeAlias = tuple[str, str]
"""What a task is known by: its namespace and its id."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A registered task, with every default filled in."""

    task_id: str
    service_name: str
    event_types: tuple[str, ...]
    workflow_types: tuple[str, ...]
    timeout: float = 30.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_in_flight: int = 100
    on_failure: OnFailure = OnFailure.FAIL_WORKFLOW
    catch_up: bool = True
    history_entries: int = 0
    """How many of the newest history entries each call gets."""
    batching: bool = False
    replayable: bool = False
    may_emit: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    writes: tuple[str, ...] | None = None
    namespace: str = DEFAULT_NAMESPACE

    @property
    def key(self) -> TaskKey:
        return self.namespace, self.task_id
