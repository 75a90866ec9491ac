"""What becomes of workflows, counted from the commits of this process."""

from __future__ import annotations

from collections.abc import Sequence

from waystation_core.metrics.definitions import DEAD_LETTERS, DURATION, ENDED, STARTED
from waystation_core.metrics.meters import Meters
from waystation_core.ports.store import RegistrySnapshot
from waystation_domain.actions import Start
from waystation_domain.commit import InstanceCommit


class WorkflowMeter:
    """An Observer that counts."""

    def __init__(self, meters: Meters) -> None:
        self._started = meters.counter(STARTED)
        self._ended = meters.counter(ENDED)
        self._durations = meters.histogram(DURATION)
        self._dead_letters = meters.counter(DEAD_LETTERS)

    def started(self, starts: Sequence[Start]) -> None:
        """See Observer."""
        for start in starts:
            instance = start.instance
            self._started.of(instance.namespace, instance.workflow_type).inc()

    def committed(self, commits: Sequence[InstanceCommit]) -> None:
        """See Observer."""
        for commit in commits:
            after = commit.after
            if commit.before.status.is_open and not after.status.is_open:
                labels = (after.namespace, after.workflow_type, after.status.name)
                self._ended.of(*labels).inc()
                if after.created_at is not None and after.completed_at is not None:
                    lasted = (after.completed_at - after.created_at).total_seconds()
                    self._durations.of(*labels).observe(lasted)
            for letter in commit.dead_letters:
                self._dead_letters.of(after.namespace, letter.task_id).inc()

    def registry_changed(self, snapshot: RegistrySnapshot) -> None:
        """See Observer."""
