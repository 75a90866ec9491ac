"""Tasks that one endpoint gets nothing of for a while: it does not host them after all, or had no room to
begin them. Pure: time is what the caller says it is."""

from __future__ import annotations

SHORTAGE_SECONDS = 15.0
"""How long it is told of an endpoint that it had no room."""


class TaskPauses:
    """Of one endpoint. Times are seconds of one clock."""

    __slots__ = ("_short", "_until")

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._short: tuple[float, str] | None = None

    def pause(self, task_id: str, until: float) -> None:
        """Nothing of the task is sent before then."""
        self._until[task_id] = until

    def admits(self, task_id: str, now: float) -> bool:
        """Whether a call of the task may be sent."""
        return self._until.get(task_id, now) <= now

    def had_no_room(self, now: float, why: str) -> None:
        """A call was not begun; `why` is the endpoint's word."""
        self._short = (now, why)

    def shortage(self, now: float) -> tuple[float, str] | None:
        """When a call was not begun last, and why; None when that is long ago."""
        if self._short is None or now - self._short[0] > SHORTAGE_SECONDS:
            return None
        return self._short

    def forget(self) -> None:
        """Another process may be there."""
        self._until.clear()
        self._short = None
