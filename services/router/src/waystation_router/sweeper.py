"""What brings back everything that is off the fast way: events whose announcement may be lost,
deliveries that are due, parked ones whose endpoint is there, suspects, and what dead routers had.

Every router sweeps; the store's claims keep them out of each other's way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from waystation_core.domain.errors import StoreUnavailable
from waystation_core.ports.broker import Broker
from waystation_core.ports.store import EngineStore
from waystation_core.relay.announcing import Relay
from waystation_router.calls import Calls
from waystation_router.claims import Claims
from waystation_router.committer import Committer
from waystation_router.ledger import Ledger
from waystation_router.pools import PoolsSeen
from waystation_router.timers import LOOK_EVERY, Timers

log = structlog.get_logger(__name__)

DELIVERIES_EVERY = 0.2
EVENTS_EVERY = 1.0
PARKED_EVERY = 2.0
OVERDUE_EVERY = 0.5
LAPSED_EVERY = 1.0
STARVING_AFTER = 5.0
EVENTS_AT_ONCE = 500
MOST_IN_QUEUE = 2_000
"""Nothing is announced again while the queue holds more: it would only grow."""
ACK_HOLD = 2.0
"""How long a message may stay unacknowledged for a call; then the call gets a lease."""
HOLDS_EVERY = 0.25


class Sweeper:
    """Runs its loops from `start` to `stop`."""

    def __init__(
        self,
        *,
        pool: str,
        pools: PoolsSeen,
        prefetch: int,
        ledger: Ledger,
        store: EngineStore,
        broker: Broker,
        relay: Relay,
        claims: Claims,
        calls: Calls,
        committer: Committer,
        timers: Timers,
    ) -> None:
        self._pool = pool
        self._pools = pools
        self._prefetch = prefetch
        self._ledger = ledger
        self._store = store
        self._broker = broker
        self._relay = relay
        self._claims = claims
        self._calls = calls
        self._committer = committer
        self._timers = timers
        self._lost: tuple[str, float] | None = None
        self._settled_before = 0
        self._wake_deliveries = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._loops = [
            asyncio.ensure_future(self._every(seconds, turn))
            for seconds, turn in (
                (DELIVERIES_EVERY, self._deliveries),
                (DELIVERIES_EVERY, self._claims.suspects),
                (EVENTS_EVERY, self._events),
                (EVENTS_EVERY, self._starving),
                (PARKED_EVERY, self._parked),
                (OVERDUE_EVERY, self._claims.overdue),
                (LAPSED_EVERY, self._lapsed),
                (LOOK_EVERY, self._timers.turn),
                (HOLDS_EVERY, self._holds),
            )
        ]

    async def stop(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def messages_lost(self, reason: str) -> None:
        """The broker may have lost what was announced so far: it becomes due with the next turn."""
        self._lost = (reason, time.monotonic())

    def endpoints_changed(self) -> None:
        """Deliveries may have been waiting for what is there now."""
        self._wake_deliveries.set()

    async def _every(self, seconds: float, turn: Callable[[], Awaitable[bool]]) -> None:
        """Takes turns until cancelled; the next one at once where a turn says there is more."""
        while True:
            more = False
            try:
                more = await turn()
            except StoreUnavailable as error:
                log.warning("sweep_postponed", sweep=turn.__name__, error=str(error.__cause__))
                await asyncio.sleep(1.0)
            except Exception:
                log.exception("sweep_failed", sweep=turn.__name__)
                await asyncio.sleep(1.0)
            if not more:
                await asyncio.sleep(seconds)

    # --- deliveries off the fast way -------------------------------------------------------

    async def _deliveries(self) -> bool:
        if self._wake_deliveries.is_set():
            self._wake_deliveries.clear()
            await self._wake_parked(all=True)
        return await self._claims.deliveries()

    async def _parked(self) -> bool:
        """Wakes deliveries whose endpoint, or place, is there."""
        await self._wake_parked(all=False)
        return False

    async def _wake_parked(self, *, all: bool) -> None:
        free = [task.task_id for task in self._claims.callable_tasks()]
        if free:
            await self._store.wake_parked(free, self._pools.now.called, all=all)

    async def _holds(self) -> bool:
        """Gives leases to calls that last, so that their messages can be acked."""
        now = time.monotonic()
        holding = [
            handling
            for handling in self._ledger.handlings.values()
            if handling.messages and handling.facts.in_outbox and handling.calls
        ]
        crowded = len(holding) > self._prefetch // 2
        holding.sort(key=lambda handling: handling.messages[0].since)
        waiting = {id(call): (handling, call) for handling, call in self._calls.waiting()}
        for at, handling in enumerate(holding):
            old = now - handling.messages[0].since >= ACK_HOLD
            if not old and not (crowded and at < len(holding) - self._prefetch // 2):
                break
            for call in list(handling.calls.values()):
                if id(call) in waiting:
                    self._calls.park(*waiting[id(call)])
            handling.holds = True
            self._committer.submit(handling)
        for handling, call in self._calls.waiting():
            if handling.event.expires_at is not None and not handling.facts.in_outbox:
                # It was leased before it came into the line, and under a lease it does not expire.
                self._calls.park(handling, call)
        return False

    # --- events ----------------------------------------------------------------------------

    async def _events(self) -> bool:
        """Announces due events of this pool again, no faster than its queue drains: a pool that is
        stuck keeps no other one's events from being announced."""
        status = self._broker.status()
        if not status.connected or status.blocked:
            return False
        if (lost := self._lost) is not None:
            reason, at = lost
            due = await self._store.make_lost_due(time.monotonic() - at)
            # Else it is asked again with the next turn. A loss told meanwhile stays, too.
            if due is not None:
                log.warning("messages_lost", reason=reason, events_due=due)
                if self._lost is lost:
                    self._lost = None
        depth = await self._broker.depth(self._pool)
        if depth is None or depth > MOST_IN_QUEUE:
            return False
        due_events = await self._store.claim_due_events(EVENTS_AT_ONCE, self._pools.now.announced)
        if not due_events:
            return False
        log.info("announced_again", events=len(due_events))
        taken = await self._relay.announce_due(due_events)
        return taken and len(due_events) == EVENTS_AT_ONCE

    async def _lapsed(self) -> bool:
        """Brings back what the queues of pools held that nobody came back to."""
        for pool, due in (await self._store.end_lapsed_pools()).items():
            log.warning("pool_lapsed", pool=pool, events_due=due)
        return False

    async def _starving(self) -> bool:
        """Announces what has waited long once more at the highest level, at most a tenth of what
        was settled lately, so that every level keeps a tenth. And one at the least: where little
        happens, what waits was perhaps never announced, because its process died first."""
        settled = self._committer.results_committed
        share, self._settled_before = (settled - self._settled_before) // 10, settled
        if self._broker.status().connected:
            starving = await self._store.claim_starving_events(
                max(share, 1), STARVING_AFTER, self._pools.now.announced
            )
            if starving:
                await self._relay.announce_due(starving)
        return False
