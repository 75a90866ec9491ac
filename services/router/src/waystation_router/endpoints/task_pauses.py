"""Pauses of single tasks at one endpoint: it does not host the task after all, or had no room to begin a
call. Pure: the caller passes the time."""

from __future__ import annotations

SHORTAGE_SECONDS = 15.0
"""How long a shortage of room is reported."""


class TaskPauses:
    """The pauses of one endpoint. Times are seconds of one clock."""

    __slots__ = ("_short", "_until")

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._short: tuple[float, str] | None = None

    def pause(self, task_id: str, until: float) -> None:
        """Sends no calls of the task before then."""
        self._until[task_id] = until

    def admits(self, task_id: str, now: float) -> bool:
        """Whether a call of the task may be sent."""
        return self._until.get(task_id, now) <= now

    def had_no_room(self, now: float, why: str) -> None:
        """A call was not begun; `why` is the endpoint's message."""
        self._short = (now, why)

    def shortage(self, now: float) -> tuple[float, str] | None:
        """When a call was last not begun, and why; None if that is long ago."""
        if self._short is None or now - self._short[0] > SHORTAGE_SECONDS:
            return None
        return self._short

    def forget(self) -> None:
        """There may be another process now."""
        self._until.clear()
        self._short = None
