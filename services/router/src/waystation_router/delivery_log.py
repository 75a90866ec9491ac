"""One line of log for each delivery, while they are few: at a thousand a second the lines would cost more
than they are worth. Failures and repeated results always have their line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from waystation_domain.failures import is_last
from waystation_domain.outcomes import AttemptError, Cut, Reply, Verdict
from waystation_router.ledger import DeliveryCall, Handling

log = structlog.get_logger(__name__)

LINES_EACH_SECOND = 20


class FewLines:
    """The rule itself, for one log: whether there is room for a line in this second."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        """`tell` gets, at the end of a second with too many, how many there were and how many of them had no
        line."""
        self._tell = tell
        self._lines = 0
        self._left_out = 0
        self._second: asyncio.TimerHandle | None = None

    def has_room(self) -> bool:
        """Counts one line, and returns whether to write it."""
        if self._second is None:
            self._second = asyncio.get_running_loop().call_later(1.0, self.end_second)
        if self._lines >= LINES_EACH_SECOND:
            self._left_out += 1
            return False
        self._lines += 1
        return True

    def end_second(self) -> None:
        """Tells what was left out, and begins again."""
        if self._left_out:
            self._tell(self._lines + self._left_out, self._left_out)
        self._lines = self._left_out = 0
        if self._second is not None:
            self._second.cancel()
        self._second = None


class DeliveryLog:
    """Writes them. Lines that are left out of a second are counted in a line at its end."""

    def __init__(self) -> None:
        self.few = FewLines(self._tell_left_out)

    def concluded(self, handling: Handling, call: DeliveryCall, verdict: Verdict) -> None:
        """A result was committed, or was committed before."""
        worked = call.result is not None and isinstance(call.result.outcome, Reply)
        if verdict is Verdict.APPLIED and worked and not self.few.has_room():
            return
        log.info(
            "delivery",
            event_id=handling.event_id,
            event_type=handling.event.event_type,
            task_id=call.task.task_id,
            workflow_instance_id=handling.state.instance.workflow_instance_id,
            attempt=call.attempt,
            verdict=verdict.value,
        )

    def _tell_left_out(self, applied: int, left_out: int) -> None:
        log.info("deliveries", applied=applied, without_line=left_out)


def log_failure(
    handling: Handling, call: DeliveryCall, failed: AttemptError | Cut, address: str
) -> None:
    """A line for it; a warning with what to do where no attempt follows."""
    name = handling.state.instance.workflow_instance_id
    facts = {
        "workflow_instance_id": name,
        "event_id": handling.event_id,
        "task_id": call.task.task_id,
        "attempt": call.attempt,
        "of": call.task.retry.max_attempts,
        "reason": failed.reason if isinstance(failed, AttemptError) else "CALL_CUT",
        "endpoint": address,
    }
    if isinstance(failed, AttemptError) and is_last(failed, call.attempt, call.task):
        log.warning("attempt_failed", **facts, last=True, see=f"waystation explain {name}")
    else:
        log.info("attempt_failed", **facts)
