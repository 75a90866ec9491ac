"""Who is called again first, of the deliveries of an instance that lost a conflict.

All of those that lose against one commit would mostly lose against each other, too. So those go first whose last
results did not touch each other, and the others are called once those ahead of them have ended: a delivery is called
once to lose and once to win. What is known of the next result is what the last one read and wrote; if that was wrong,
the conflict rule finds it, as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from waystation_domain.conflicts import Write, Written
from waystation_domain.errors import ContextTooLarge
from waystation_domain.outcomes import Reply
from waystation_domain.replies import places_of
from waystation_router.ledger import DeliveryCall, Handling, InstanceState

PATIENCE = 2.0
"""How many times as long as its last call one that is ahead may take, before the next one is called beside it."""
LEAST_PATIENCE = 0.1
"""Seconds."""


@dataclass(slots=True, eq=False)
class _Loser:
    handling: Handling
    call: DeliveryCall
    reads: tuple[str, ...] | None
    writes: tuple[Write, ...]
    written: Written
    """The same writes, made once: each is compared with all that are ahead, after each commit."""
    seconds: float
    """How long its last call took."""

    @property
    def places(self) -> Hashable:
        """Whoever has the same ones conflicts with the same others."""
        return self.reads, self.writes

    @property
    def is_over(self) -> bool:
        return self.handling.calls.get(self.call.task.task_id) is not self.call

    def conflicts_with(self, other: _Loser) -> bool:
        """Whether one of them would lose again if the other one committed first."""
        return other.written.conflicts_with(self.reads, self.writes) or self.written.conflicts_with(
            other.reads, other.writes
        )


@dataclass(slots=True, eq=False)
class _Contest:
    """Of one instance."""

    ahead: list[_Loser] = field(default_factory=list)
    """Called again, and not committed yet."""
    line: list[_Loser] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Contests:
    """Keeps what lost, by instance. `call_again` gets what may go."""

    def __init__(self, call_again: Callable[[Handling, DeliveryCall], None]) -> None:
        self._call_again = call_again
        self._contests: dict[int, _Contest] = {}

    def lost(self, handling: Handling, call: DeliveryCall) -> None:
        """Keeps a delivery whose result lost, until `look` finds that it may go."""
        contest = self._contests.setdefault(handling.state.instance.key, _Contest())
        contest.ahead = [one for one in contest.ahead if one.call is not call]
        reads, writes = _places(handling, call)
        duration_us = call.result.duration_us if call.result is not None else None
        seconds = (duration_us or 0) / 1e6
        contest.line.append(_Loser(handling, call, reads, writes, Written(writes), seconds))

    def look(self, state: InstanceState) -> None:
        """Calls those that nobody is ahead of; after each commit of the instance."""
        contest = self._contests.get(state.instance.key)
        if contest is not None:
            self._look(state.instance.key, contest)

    def leave(self, state: InstanceState) -> list[tuple[Handling, DeliveryCall]]:
        """Those that wait: they are kept no longer."""
        contest = self._contests.pop(state.instance.key, None)
        if contest is None:
            return []
        _stop(contest)
        return [(one.handling, one.call) for one in contest.line if not one.is_over]

    def _look(self, key: int, contest: _Contest) -> None:
        contest.ahead = [one for one in contest.ahead if not one.is_over]
        line, contest.line = contest.line, []
        gone = []
        # Mostly many wait for one place: of each kind one is compared.
        waiting = set()
        for one in line:
            if one.is_over:
                continue
            if one.places in waiting or any(one.conflicts_with(other) for other in contest.ahead):
                waiting.add(one.places)
                contest.line.append(one)
            else:
                contest.ahead.append(one)
                gone.append(one)
        if gone:
            _stop(contest)
        if not contest.ahead:
            _stop(contest)
            del self._contests[key]
        elif contest.timer is None:
            patience = max(LEAST_PATIENCE, PATIENCE * max(one.seconds for one in contest.ahead))
            loop = asyncio.get_running_loop()
            contest.timer = loop.call_later(patience, self._lose_patience, key, contest)
        for one in gone:
            self._call_again(one.handling, one.call)

    def _lose_patience(self, key: int, contest: _Contest) -> None:
        """Nobody waits any longer for those that are ahead: they hang, or something else became of them."""
        contest.timer = None
        if self._contests.get(key) is contest:
            contest.ahead = []
            self._look(key, contest)


def _places(
    handling: Handling, call: DeliveryCall
) -> tuple[tuple[str, ...] | None, tuple[Write, ...]]:
    """What the result read (None: everything) and wrote."""
    if call.result is not None and isinstance(call.result.outcome, Reply):
        try:
            reads, writes = places_of(
                call.result, call.result.outcome, handling.state.instance.data
            )
        except ContextTooLarge:
            pass
        else:
            return None if reads is None else tuple(reads), tuple(writes)
    return None, (("", "set"),)


def _stop(contest: _Contest) -> None:
    if contest.timer is not None:
        contest.timer.cancel()
        contest.timer = None
