"""One line of log for each delivery, while they are few: at a thousand a second the lines would cost more
than they are worth. Failures and repeated results always have their line."""

from __future__ import annotations

import structlog

from waystation_core.log_limit import LogLimit
from waystation_core.tracing.trace_context import TRACEPARENT, log_fields, parse
from waystation_domain.failures import is_last
from waystation_domain.outcomes import AttemptError, Cut, Reply, Verdict
from waystation_router.ledger import DeliveryCall, Handling

log = structlog.get_logger(__name__)


class DeliveryLog:
    """Writes them. Lines that are left out of a second are counted in a line at its end."""

    def __init__(self) -> None:
        self.few = LogLimit(self._tell_left_out)

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
            **_trace(handling, call),
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
        **_trace(handling, call),
    }
    if isinstance(failed, AttemptError) and is_last(failed, call.attempt, call.task):
        log.warning("attempt_failed", **facts, last=True, see=f"waystation explain {name}")
    else:
        log.info("attempt_failed", **facts)


def _trace(handling: Handling, call: DeliveryCall) -> dict[str, str]:
    """That of the call, or else of who raised its event."""
    metadata = handling.event.metadata
    if call.trace is None and metadata:
        return log_fields(parse(metadata.get(TRACEPARENT)))
    return log_fields(call.trace)
