"""One line of log for the end of each workflow, while they are few. One that failed always has its line."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from waystation_core.log_limit import LogLimit
from waystation_core.ports.store import RegistrySnapshot
from waystation_domain.actions import Start
from waystation_domain.commit import InstanceCommit
from waystation_domain.model import Instance, Status

log = structlog.get_logger(__name__)


class EndsLog:
    """An Observer that writes them. Lines that are left out of a second are counted in a line at its end."""

    def __init__(self) -> None:
        self.few = LogLimit(self._tell_left_out)

    def started(self, starts: Sequence[Start]) -> None:
        """See Observer."""

    def committed(self, commits: Sequence[InstanceCommit]) -> None:
        """See Observer."""
        for commit in commits:
            after = commit.after
            if not commit.before.status.is_open or after.status.is_open:
                continue
            if after.status is Status.FAILED or self.few.has_room():
                log.info("workflow_ended", **_facts(after))

    def registry_changed(self, snapshot: RegistrySnapshot) -> None:
        """See Observer."""

    def _tell_left_out(self, ended: int, left_out: int) -> None:
        log.info("workflows_ended", ended=ended, without_line=left_out)


def _facts(instance: Instance) -> dict[str, object]:
    lasted = None
    if instance.created_at is not None and instance.completed_at is not None:
        lasted = round((instance.completed_at - instance.created_at).total_seconds(), 3)
    return {
        "workflow_instance_id": instance.workflow_instance_id,
        "workflow_type": instance.workflow_type,
        "namespace": instance.namespace,
        "status": instance.status.name,
        "reason": instance.failure.reason if instance.failure is not None else "",
        "seconds": lasted,
        "raised_events": instance.event_count,
    }
