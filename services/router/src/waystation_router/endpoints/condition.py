"""The condition of one endpoint: whether calls may be sent to it now, or soon, and if not, why.

It must be connected, its circuit closed or due for a probe, and the task not paused. `changed` is called when
that may have changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from waystation_domain.retry_policy import steady_delay
from waystation_domain.task_spec import TaskSpec
from waystation_router.endpoints.circuit import Circuit
from waystation_router.endpoints.connection import Connection
from waystation_router.endpoints.task_pauses import TaskPauses

SHORTEST_OPEN = 0.2
LONGEST_OPEN = 30.0
"""Bounds of the time that a circuit stays open before a probe, in seconds."""
REFUSED_SECONDS = 5.0
"""An endpoint that does not know this router gets one call in this time."""
_TIMER_SLACK = 0.02
"""A timer may fire a moment early."""

_log = structlog.get_logger(__name__)


class EndpointCondition:
    """The condition of one endpoint, from its connection and the outcomes of its calls."""

    def __init__(
        self,
        connection: Connection,
        tasks: Callable[[], Sequence[TaskSpec]],
        changed: Callable[[], None],
    ) -> None:
        """`tasks`: those that the endpoint declares now."""
        self._connection = connection
        self._tasks = tasks
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._pauses = TaskPauses()
        self._circuit = Circuit(self._open_seconds)
        self._last_fault = ""
        self._refusal: tuple[float, str] | None = None
        """Since when it refuses this router's calls, and its message."""
        self._refusals = 0
        self._not_asked_until = float("-inf")

    def usable(self, task_id: str) -> bool:
        """Whether a call of this task could be sent now."""
        now = self._loop.time()
        return (
            self._connection.up
            and now >= self._not_asked_until
            and self._circuit.admits(now)
            and self._pauses.admits(task_id, now)
        )

    def may_recover(self, by: float) -> bool:
        """Whether it is likely to be usable by then, by the loop's clock."""
        if by < self._not_asked_until:
            return False
        if not self._circuit.is_open:
            return self._connection.may_recover
        return (self._circuit.probing or self._circuit.admits(by)) and (
            self._connection.up or self._connection.may_recover
        )

    @property
    def reachable(self) -> bool:
        """Whether it is connected and healthy, takes this router's calls, and its circuit is closed."""
        return self._connection.up and self._refusal is None and not self._circuit.is_open

    @property
    def refuses_router(self) -> bool:
        """Whether it did not accept this router's last call, because of who called."""
        return self._refusal is not None

    @property
    def state(self) -> str:
        """In one word: `ok`, `circuit_open`, `refusing` or `unreachable`."""
        if not self._connection.up:
            return "unreachable"
        if self._refusal is not None:
            return "refusing"
        return "circuit_open" if self._circuit.is_open else "ok"

    @property
    def trouble(self) -> str:
        """What is wrong with it, for people; empty if nothing is."""
        if self._connection.up and self._refusal is not None:
            since, why = self._refusal
            return f"it refuses the calls of this router since {self._clock(since)}: {why}"
        opened_at = self._circuit.opened_at
        if not self._connection.up or opened_at is None:
            short = self._pauses.shortage(self._loop.time())
            shortage = f"at {self._clock(short[0])}: {short[1]}" if short is not None else ""
            return self._connection.last_error or shortage
        return (
            f"circuit open since {self._clock(opened_at)} after {self._circuit.faults} consecutive "
            f"faults, the last: {self._last_fault}; next probe at {self._clock(self._circuit.probe_at)}"
        )

    # --- what calls show -------------------------------------------------------------------------

    def renewed(self) -> None:
        """There may be another process: the past of the old one does not count."""
        self._pauses.forget()
        if self._refusal is not None:
            self._accepted()
        self._circuit = Circuit(self._open_seconds)

    def sent(self, task_id: str) -> None:
        """A call was sent."""
        if self._refusal is not None:
            self._ask_later()
            # A refusal comes at once, an answer when the task is done.
            self._loop.call_at(self._not_asked_until, self._not_refused, self._refusals)
        if self._circuit.is_open:
            _log.info("endpoint_probed", endpoint=self._connection.name, task_id=task_id)
            self._circuit.sent(self._loop.time())
            self._wake_for_probe()

    def answered(self) -> None:
        """The endpoint took a call and answered."""
        if self._refusal is not None:
            self._accepted()
        self._close_circuit()

    def failed(self, what: str, sent_at: float) -> None:
        """A call that was sent then failed, and it is the endpoint's fault."""
        self._last_fault = what
        if not self._circuit.failed(self._loop.time(), sent_at):
            return
        _log.warning("circuit_open", endpoint=self._connection.name, faults=self._circuit.faults)
        self._loop.call_soon(self._changed)
        self._wake_for_probe()

    def refused_caller(self, why: str) -> None:
        """The endpoint began nothing because it does not know this router; `why` is its message."""
        since = self._loop.time()
        if self._refusal is None:
            _log.error("calls_refused_by_endpoint", endpoint=self._connection.name, why=why)
            self._loop.call_soon(self._changed)
        else:
            since = self._refusal[0]
        self._refusal = (since, why)
        self._refusals += 1
        self._ask_later()
        self._close_circuit()

    def had_no_room(self, why: str) -> None:
        """The endpoint did not begin a call; `why` is its message."""
        self._pauses.had_no_room(self._loop.time(), why)
        self.answered()

    def pause_task(self, task_id: str, seconds: float) -> None:
        """Sends no calls of the task for so many seconds."""
        self._pauses.pause(task_id, self._loop.time() + seconds)
        self._loop.call_later(seconds + _TIMER_SLACK, self._changed)

    def _close_circuit(self) -> None:
        if self._circuit.answered():
            _log.info("circuit_closed", endpoint=self._connection.name)
            self._loop.call_soon(self._changed)

    def _not_refused(self, refusals: int) -> None:
        if self._refusal is not None and refusals == self._refusals:
            self._accepted()

    def _accepted(self) -> None:
        self._refusal = None
        self._not_asked_until = float("-inf")
        _log.info("calls_accepted_again", endpoint=self._connection.name)
        self._loop.call_soon(self._changed)

    def _ask_later(self) -> None:
        self._not_asked_until = self._loop.time() + REFUSED_SECONDS
        self._loop.call_at(self._not_asked_until + _TIMER_SLACK, self._changed)

    def _wake_for_probe(self) -> None:
        """Calls `changed` when a probe may be sent."""
        self._loop.call_at(self._circuit.probe_at + _TIMER_SLACK, self._changed)

    def _open_seconds(self, opening: int) -> float:
        """How long the circuit stays open: the shortest backoff that its tasks have after so many failures.
        So it delays no retry by more than that retry's own backoff, even without another endpoint."""
        waits = (steady_delay(opening, task.retry) for task in self._tasks())
        return max(min(LONGEST_OPEN, *waits), SHORTEST_OPEN)

    def _clock(self, at: float) -> str:
        """A time of the loop's clock, for people."""
        when = datetime.now(UTC) + timedelta(seconds=at - self._loop.time())
        return when.strftime("%H:%M:%SZ")
