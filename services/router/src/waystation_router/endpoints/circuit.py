"""When an endpoint that keeps failing is avoided, and when it is tried again.

Faults of the endpoint count: a call that was cut off, one without an answer in time, UNAVAILABLE. Every other
answer shows that the endpoint works, a failure too, and closes the circuit. An endpoint without a connection
is not called anyway, and UNIMPLEMENTED has a rule of its own.

There is one circuit for an endpoint, not one for each of its tasks: if one task hangs while others answer, it
is that task's fault, and its retries follow its own policy. Calls that were in flight together fail for the
same reason, so those sent before the last fault count with it. An open circuit admits one call after each
wait: the probe. If it has no answer, the next one follows after the same wait.

Pure: the caller passes the time.
"""

from __future__ import annotations

from collections.abc import Callable

FAULTS_TO_OPEN = 3


class Circuit:
    """The circuit of one endpoint. Times are seconds of one clock; `wait` returns how long it stays open
    before a probe, by how many times in a row it has opened."""

    __slots__ = ("_last_fault", "_openings", "_wait", "faults", "opened_at", "probe_at", "probing")

    def __init__(self, wait: Callable[[int], float]) -> None:
        self.faults = 0
        """In a row."""
        self.opened_at: float | None = None
        """None: it is closed."""
        self.probe_at = 0.0
        """While it is open: when the next call may be sent."""
        self.probing = False
        """While it is open: whether a probe was sent since it opened last."""
        self._wait = wait
        self._openings = 0
        self._last_fault = float("-inf")

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def admits(self, now: float) -> bool:
        """Whether a call may be sent now."""
        return self.opened_at is None or now >= self.probe_at

    def sent(self, now: float) -> None:
        """A call was sent: through an open circuit it is the probe."""
        if self.is_open:
            self.probing = True
            self.probe_at = now + self._wait(self._openings)

    def answered(self) -> bool:
        """The endpoint answered. Returns whether that closes the circuit."""
        was_open = self.is_open
        self.faults = self._openings = 0
        self.opened_at = None
        self.probing = False
        return was_open

    def failed(self, now: float, sent_at: float) -> bool:
        """A call sent then failed. Returns whether that opens the circuit, or keeps it open for longer."""
        if sent_at < self._last_fault:
            return False
        self._last_fault = now
        self.faults += 1
        if self.faults < FAULTS_TO_OPEN:
            return False
        if self.opened_at is None:
            self.opened_at = now
        self._openings += 1
        self.probing = False
        self.probe_at = now + self._wait(self._openings)
        return True
