"""What a router measures: how long events wait for their tasks, what calls and commits take, what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from waystation_core.metrics import definitions
from waystation_core.metrics.meters import Meters
from waystation_domain.failures import is_last
from waystation_domain.model import Timer
from waystation_domain.outcomes import AttemptError, CallResult, Cut, Pending, Verdict
from waystation_router.ledger import DeliveryCall, Handling
from waystation_router.store_clock import StoreClock


class RouterMeters:
    """Counts for one router. Its methods are called in the event loop and take some microseconds."""

    def __init__(self, meters: Meters, clock: StoreClock) -> None:
        self._clock = clock
        self._waits = meters.histogram(definitions.DELIVERY_WAIT)
        self._calls = meters.histogram(definitions.TASK_CALL)
        self._deliveries = meters.counter(definitions.DELIVERIES)
        self._failures = meters.counter(definitions.TASK_FAILURES)
        self._commits = meters.histogram(definitions.COMMIT)
        self._batches = meters.histogram(definitions.COMMIT_BATCH)
        self._lags = meters.histogram(definitions.TIMER_LAG)

    def called(self, handling: Handling, call: DeliveryCall) -> None:
        """A task is called now. Only the first call of a delivery tells how long its event waited: later ones wait
        for their backoff, or for a person."""
        event = handling.event
        if call.attempt > 1 or call.edit or event.created_at is None:
            return
        if (now := self._clock.now()) is None:
            return
        since, path = event.created_at, "direct"
        if event.deliver_at is not None and event.deliver_at > since:
            since, path = event.deliver_at, "delayed"
        waited = max((now - since).total_seconds(), 0.0)
        self._waits.of(call.task.namespace, call.task.task_id, path).observe(waited)

    def answered(self, result: CallResult) -> None:
        """A call has ended."""
        task, outcome = result.task, result.outcome
        name = "succeeded"
        if isinstance(outcome, AttemptError):
            name = "failed"
            self._failures.of(task.namespace, task.task_id, outcome.code).inc()
        elif isinstance(outcome, Cut):
            name = "cut"
            self._failures.of(task.namespace, task.task_id, "CUT").inc()
        elif isinstance(outcome, Pending):
            name = "pending"
        seconds = (result.duration_us or 0) / 1e6
        self._calls.of(task.namespace, task.task_id, name).observe(seconds)

    def concluded(self, call: DeliveryCall, verdict: Verdict) -> None:
        """Something was decided about a result."""
        name, task = verdict.value, call.task
        if verdict is Verdict.APPLIED and call.result is not None:
            outcome = call.result.outcome
            if isinstance(outcome, AttemptError):
                last = is_last(outcome, call.attempt, task)
                name = "failed_final" if last else "failed_retried"
            elif isinstance(outcome, Cut):
                last = outcome.alone and call.attempt >= task.retry.max_attempts
                name = "failed_final" if last else "failed_retried"
        self._deliveries.of(task.namespace, task.task_id, name).inc()

    def committed_batch(self, seconds: float, instances: int) -> None:
        """A batch was written."""
        self._commits.of("batch").observe(seconds)
        self._batches.of().observe(instances)

    def committed_locked(self, seconds: float) -> None:
        """One instance was written under its lock."""
        self._commits.of("locked").observe(seconds)

    def timers_taken(self, claimed: Mapping[int, Sequence[Timer]]) -> None:
        """These timers were due and are fired now."""
        if (now := self._clock.now()) is None:
            return
        for timer in _all(claimed):
            if timer.due_at is not None:
                late = max((now - timer.due_at).total_seconds(), 0.0)
                self._lags.of(timer.kind.name).observe(late)


def _all(claimed: Mapping[int, Sequence[Timer]]) -> Iterable[Timer]:
    return (timer for timers in claimed.values() for timer in timers)
