"""A task as its service declares it, with the defaults of everything that it leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field

from waystation_domain.model import OnFailure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed delivery is retried. Seconds; `jitter` is a share of the wait."""

    max_attempts: int = 5
    initial_backoff: float = 1.0
    multiplier: float = 2.0
    max_backoff: float = 60.0
    jitter: float = 0.2


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
