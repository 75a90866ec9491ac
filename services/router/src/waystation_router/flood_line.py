"""Messages of a flood that wait until there is room for them in the flood's window; all others pass."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from waystation_core.ports.broker import Received, Token
from waystation_router.flood_window import FloodWindow

LOOK_SECONDS = 0.01
"""Between two looks for room that became free by time alone."""


class FloodLine:
    """First in, first out. `take` gets what had to wait, once it may enter."""

    def __init__(self, window: FloodWindow, take: Callable[[Sequence[Received]], object]) -> None:
        self._window = window
        self._take = take
        self._waiting: deque[Received] = deque()
        self._look: asyncio.TimerHandle | None = None
        self._advances_soon = False

    def __len__(self) -> int:
        return len(self._waiting)

    def pass_on(self, received: Sequence[Received]) -> list[Received]:
        """Those that may enter now; the others wait."""
        now = time.monotonic()
        entering = []
        for one in received:
            for event in one.announcement.events:
                self._window.count(event.workflow_type, now, event.namespace)
            if not self._window.is_for(*_type_of(one)) or (
                not self._waiting and self._has_entered(one, now)
            ):
                entering.append(one)
            else:
                self._waiting.append(one)
        self._look_later()
        return entering

    def acknowledged(self, token: Token) -> None:
        """A message leaves, and perhaps another may enter: after this turn of the event loop, as more may leave
        in it."""
        self._window.leave(token)
        if self._waiting and not self._advances_soon:
            self._advances_soon = True
            asyncio.get_running_loop().call_soon(self._advance)

    def close(self) -> None:
        """What waits goes back to the queue, as all that is not acknowledged does."""
        self._waiting.clear()

    def _has_entered(self, one: Received, now: float) -> bool:
        has_room = self._window.has_room(now)
        if has_room:
            self._window.enter(one.token, now, len(one.announcement.events))
        return has_room

    def _look_later(self) -> None:
        self._window.is_full = bool(self._waiting)
        if self._waiting and self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._looked)

    def _looked(self) -> None:
        self._look = None
        self._advance()

    def _advance(self) -> None:
        self._advances_soon = False
        now = time.monotonic()
        entering = []
        while self._waiting:
            first = self._waiting[0]
            if self._window.is_for(*_type_of(first)) and not self._has_entered(first, now):
                break
            entering.append(self._waiting.popleft())
        if entering:
            self._take(entering)
        self._look_later()


def _type_of(one: Received) -> tuple[str, str]:
    """The workflow type and the namespace of most of its events: they were raised together, nearly always."""
    first = one.announcement.events[0]
    return first.workflow_type, first.namespace
