"""Waits in this router for an instance's turn: results that were computed while another delivery had the
turn, and deliveries that lost a conflict.

One delivery has the turn at a time. When it ends, the waiting results are submitted together, and then the
delivery that lost longest ago asks for the turn. So a contending delivery is called once to lose and once to
win, however many there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from waystation_router.ledger import DeliveryCall, Handling, InstanceState

FIRST_LOOK_AFTER = 0.02
LAST_LOOK_AFTER = 0.5
"""Seconds between checks of a turn whose end this router is not notified of: its delivery is in another
router's hands, or its time has passed. They double."""


class _Waiting:
    """What waits for the end of one instance's turn."""

    __slots__ = ("line", "look", "look_after", "results")

    def __init__(self) -> None:
        self.results: dict[str, Handling] = {}
        self.line: deque[tuple[Handling, DeliveryCall]] = deque()
        self.look: asyncio.TimerHandle | None = None
        self.look_after = FIRST_LOOK_AFTER

    def forget_look(self) -> None:
        if self.look is not None:
            self.look.cancel()
            self.look = None


class Turns:
    """Keeps what waits, by instance. `submit` gets what can be committed."""

    def __init__(self, submit: Callable[[Handling], None]) -> None:
        self._submit = submit
        self._waiting: dict[int, _Waiting] = {}

    def result_waits(self, handling: Handling) -> None:
        """Keeps a result that arrived while another delivery had the turn."""
        self._of(handling).results[handling.event_id] = handling

    def lost(self, handling: Handling, call: DeliveryCall) -> None:
        """Keeps a delivery that is called again once it has the turn."""
        self._of(handling).line.append((handling, call))

    def not_taken(self, handling: Handling, call: DeliveryCall) -> None:
        """Keeps a delivery that asked for the turn while another had it: it stays first."""
        self._of(handling).line.appendleft((handling, call))

    def are_wanted(self, state: InstanceState) -> bool:
        """Whether some delivery of the instance has the turn, or waits for it: a delivery that loses now
        would lose again."""
        waiting = self._waiting.get(state.instance.key)
        return state.instance.turn is not None or (waiting is not None and bool(waiting.line))

    def look(self, state: InstanceState, *, refused: bool) -> None:
        """Releases what waits, if the turn is over; called after each commit of the instance. `refused`: a
        part of the commit had to wait, so the turn is not over."""
        waiting = self._waiting.get(state.instance.key)
        if waiting is None:
            return
        if not refused and state.instance.turn is None:
            self._release(waiting)
        if not waiting.results and not waiting.line:
            waiting.forget_look()
            del self._waiting[state.instance.key]
        elif waiting.look is None:
            waiting.look = asyncio.get_running_loop().call_later(
                waiting.look_after, self._ask, state.instance.key, waiting
            )
            waiting.look_after = min(LAST_LOOK_AFTER, 2 * waiting.look_after)

    def _of(self, handling: Handling) -> _Waiting:
        return self._waiting.setdefault(handling.state.instance.key, _Waiting())

    def _ask(self, key: int, waiting: _Waiting) -> None:
        """Submits one that waits; the outcome shows whether the turn is over."""
        waiting.look = None
        if not (self._next_result(waiting) or self._next_in_line(waiting) or waiting.line):
            del self._waiting[key]

    def _release(self, waiting: _Waiting) -> None:
        waiting.forget_look()
        waiting.look_after = FIRST_LOOK_AFTER
        while self._next_result(waiting):
            pass
        self._next_in_line(waiting)

    def _next_result(self, waiting: _Waiting) -> bool:
        while waiting.results:
            handling = waiting.results.pop(next(iter(waiting.results)))
            # Without those committed meanwhile, with another result of their event.
            if any(call.has_outcome for call in handling.calls.values()):
                self._submit(handling)
                return True
        return False

    def _next_in_line(self, waiting: _Waiting) -> bool:
        while waiting.line and waiting.line[0][0].wants_turn is None:
            handling, call = waiting.line.popleft()
            if handling.calls.get(call.task.task_id) is call:
                handling.wants_turn = call.task
                self._submit(handling)
                return True
        return False
