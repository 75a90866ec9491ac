"""Local continuation: a router handles the events that its own commits raise itself, at once.

They are in its hands as if a message had brought them, without the way over the broker; what is promised is
the same. Their outbox rows bring them back if the router dies: by the lease that ends then, not by a message
that comes again. A call that lasts gets a lease, as it does where a message waits for it.

Only while nothing waits elsewhere that has a right to come first, or others could do it sooner. Otherwise
the events are announced, and the broker distributes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from waystation_core.ports.broker import Token
from waystation_domain.commit import EventFacts
from waystation_domain.model import Event, Instance
from waystation_router.flood_window import FloodWindow
from waystation_router.ledger import Handling, InstanceState, Ledger, Message
from waystation_router.pools import PoolsSeen
from waystation_router.portions import Portion

log = structlog.get_logger(__name__)

MOST_BUFFERED = 100
"""Messages that wait in this process: with more, the queue is served first. One load takes that many."""
MOST_OF_A_COMMIT = 8
"""Events of one commit. A wider fan-out is shared with the other routers of the pool."""
MORE_THAN_OTHERS = 1.25
CALLS_TO_SPARE = 16
"""A router with more calls than 1.25 times the pool's average, and 16, leaves events to the others."""


class Continuation:
    """Decides which events are handled here, and takes them in hand. `unacknowledged`: messages that this
    router holds; `buffered`: those of them that were not processed yet."""

    def __init__(
        self,
        *,
        enabled: bool,
        most_in_hand: int,
        window: FloodWindow,
        ledger: Ledger,
        pools: PoolsSeen,
        admit: Callable[[Handling], None],
        unacknowledged: Callable[[], int],
        buffered: Callable[[], int],
        calls_in_flight: Callable[[], int],
        has_places: Callable[[str, Instance], bool],
    ) -> None:
        """`has_places`: whether each task that handles an event of this type in that instance can be called here now."""
        self._enabled = enabled
        self._most_in_hand = most_in_hand
        self._window = window
        self._ledger = ledger
        self._pools = pools
        self._admit = admit
        self._unacknowledged = unacknowledged
        self._buffered = buffered
        self._calls_in_flight = calls_in_flight
        self._has_places = has_places
        self._in_hand: set[str] = set()
        self.events = 0
        """Number of events continued since the start."""

    def continue_with(self, portions: Sequence[Portion]) -> frozenset[str]:
        """Takes the events of these commits in hand, as far as the rules allow; returns their ids. All others
        must be announced."""
        taken: list[str] = []
        if self._enabled and self._is_not_busier_than_others():
            room = self._room()
            for portion in portions:
                raised = portion.commit.outbox_add if portion.commit is not None else ()
                if not raised or (len(raised) > MOST_OF_A_COMMIT and self._has_others()):
                    continue
                for event in raised:
                    if room <= len(taken):
                        break
                    if (
                        self._pools.now.is_own(event.event_type)
                        and self._is_called_at_once(event, portion.state)
                        and self._take(event, portion.state)
                    ):
                        taken.append(event.event_id)
        self.events += len(taken)
        return frozenset(taken)

    def stop(self) -> None:
        """From now on everything is announced."""
        self._enabled = False

    def left(self) -> list[str]:
        """Events in hand that are neither settled nor leased."""
        return sorted(self._in_hand)

    def _room(self) -> int:
        if self._buffered() > MOST_BUFFERED:
            return 0
        # While the window fills, messages wait in the queue, and higher levels may be among them.
        return self._most_in_hand - self._unacknowledged() - len(self._in_hand)

    def _has_others(self) -> bool:
        return self._pools.now.own.routers > 1

    def _is_called_at_once(self, event: Event, state: InstanceState) -> bool:
        """Whether no other router could call its tasks sooner: this one has a place for each."""
        return not self._has_others() or self._has_places(event.event_type, state.instance)

    def _is_not_busier_than_others(self) -> bool:
        if not self._has_others():
            return True
        own = self._pools.now.own
        return (
            self._calls_in_flight()
            <= MORE_THAN_OTHERS * own.calls_in_flight / own.routers + CALLS_TO_SPARE
        )

    def _take(self, event: Event, state: InstanceState) -> bool:
        event_id = event.event_id
        if event_id in self._ledger.handlings:
            # The commit was in doubt for so long that its event was announced meanwhile.
            return False
        handling = self._ledger.open(
            event, state, EventFacts(True, announcements=1), state.instance.revision
        )
        # Instead of a message; it is released once its event is settled or leased.
        handling.messages.append(Message((event_id, 0), 1, self._over))
        self._in_hand.add(event_id)
        of = state.instance
        now = time.monotonic()
        self._window.count(of.workflow_type, now, of.namespace)
        if self._window.is_for(of.workflow_type, of.namespace):
            # Even without room: a workflow that was let in goes on.
            self._window.enter((event_id, 0), now)
        try:
            self._admit(handling)
        except Exception:
            log.exception("event_not_continued", event_id=event_id)
            if not any(call.running or call.has_outcome for call in handling.calls.values()):
                handling.release_messages()
                self._ledger.close(handling)
                return False
        return True

    def _over(self, token: Token) -> None:
        self._in_hand.discard(str(token[0]))
        self._window.leave(token)
