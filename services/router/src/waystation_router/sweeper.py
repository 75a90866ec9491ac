"""Brings back everything that is not on the fast path: events whose announcement may be lost, due and parked
deliveries, suspects, and what dead routers had; and deletes what has expired.

Every router sweeps; the store's claims keep them out of each other's way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from waystation_core.background import BackgroundLoop, Retries, run_loop, wait_before
from waystation_core.ports.broker import Broker
from waystation_core.ports.store import EngineStore
from waystation_core.relay.relay import Relay
from waystation_domain.errors import StoreUnavailable
from waystation_domain.task_spec import TaskKey
from waystation_router.calls import Calls
from waystation_router.claims import Claims
from waystation_router.committer import Committer
from waystation_router.lease import Lease
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
STARVING_AT_ONCE = 10
"""Events announced once more in a turn if they are probably in no queue and in no router's hands."""
SHORT_QUEUE = 10
LOST_EVERY = 1.0
LEASES_EVERY = 1.0
REQUESTS_EVERY = 600.0
REQUESTS_AT_ONCE = 5_000
EVENTS_AT_ONCE = 500
# Portions of sweeps that may find hundreds of thousands of rows. One takes some 0.1 s, far below the
# statement timeout even on a machine that is twenty times slower.
WOKEN_AT_ONCE = 2_000
"""Of all tasks together: as many as are claimed within some seconds."""
BROKEN_AT_ONCE = 2_000
LOST_AT_ONCE = 5_000
GATHERED_FOR = 0.01
"""Seconds in which more places may become free before deliveries are claimed: one claim for many."""
MAX_IN_QUEUE = 2_000
"""Nothing is announced again while the queue holds more: it would only grow."""
ACK_HOLD = 2.0
"""Seconds that a message may stay unacknowledged for a call; then the call gets a lease."""
HOLDS_EVERY = 0.25
LONGEST_PAUSE = 30.0
"""Between two tries of a sweep that fails without an outage."""


class Sweeper:
    """Runs its loops from `start` to `stop`."""

    def __init__(
        self,
        *,
        router_id: str,
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
        lease: Lease,
    ) -> None:
        self._router_id = router_id
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
        self._lease = lease
        self._lost: tuple[str, float] | None = None
        self.leases_broken = 0
        """Deliveries taken over from dead routers."""
        self._settled_before = 0
        self._claims_wanted = asyncio.Event()
        """More deliveries may be due and can be claimed."""
        self._claims_exhausted = asyncio.Event()
        self._parked_remaining: set[TaskKey] = set()
        """Tasks of which the last turn left parked deliveries."""
        self._endpoints_changed = time.monotonic()
        """Deliveries parked before then for a fixed time may be woken early."""
        self._fully_woken: set[TaskKey] = set()
        """Tasks of which all those are woken."""
        self._last_change = 0.0
        """When endpoints changed last: later decisions knew of it."""
        self._loops: list[BackgroundLoop] = []
        self._leasing: BackgroundLoop | None = None

    def start(self) -> None:
        # Separate loops: a slow or failing one delays no other.
        self._loops = [
            self._keep(seconds, turn, wake)
            for seconds, turn, wake in (
                (DELIVERIES_EVERY, self._deliveries, self._claims_wanted),
                (DELIVERIES_EVERY, self._claims.suspects, None),
                (EVENTS_EVERY, self._events, None),
                (LOST_EVERY, self._losses, None),
                (EVENTS_EVERY, self._starving, None),
                (PARKED_EVERY, self._parked, self._claims_exhausted),
                (OVERDUE_EVERY, self._claims.overdue, None),
                (LAPSED_EVERY, self._lapsed, None),
                (LEASES_EVERY, self._leases, None),
                (LOOK_EVERY, self._timers.turn, None),
                (REQUESTS_EVERY, self._requests, None),
            )
        ]
        self._leasing = self._keep(HOLDS_EVERY, self._holds, None)

    async def stop(self) -> None:
        """Brings nothing back any more. Calls that last still get leases, until `stop_leasing`: or others would
        announce their events while this router waits for them."""
        await _end(self._loops)

    async def stop_leasing(self) -> None:
        """No call is waited for any more."""
        if self._leasing is not None:
            await _end([self._leasing])

    def messages_lost(self, reason: str) -> None:
        """The broker may have lost what was announced so far: it becomes due with the next turn."""
        self._lost = (reason, time.monotonic())

    def endpoints_changed(self) -> None:
        """Parked deliveries may have an endpoint now."""
        self._last_change = time.monotonic()
        self._wake_all_parked()

    def parked(self, since: float) -> None:
        """A delivery was parked for lack of an endpoint, as decided at `since`: if endpoints have changed
        after that, it was not in the database yet when the others were woken."""
        if since <= self._last_change:
            self._wake_all_parked()

    def _wake_all_parked(self) -> None:
        """Also those parked for a fixed time, up to now."""
        self._endpoints_changed = time.monotonic()
        self._fully_woken.clear()
        self._claims_exhausted.set()

    def _keep(
        self,
        seconds: float,
        turn: Callable[[], Awaitable[bool]],
        wake: asyncio.Event | None,
    ) -> BackgroundLoop:
        return run_loop(f"sweep {_name(turn)}", lambda: self._every(seconds, turn, wake))

    async def _every(
        self,
        seconds: float,
        turn: Callable[[], Awaitable[bool]],
        wake: asyncio.Event | None,
    ) -> None:
        """Takes turns until cancelled; the next one at once if a turn reports that there is more, or if
        `wake` is set."""
        wake = wake or asyncio.Event()
        retries, failures = Retries("sweep_postponed", sweep=_name(turn)), 0
        while True:
            more = False
            wake.clear()
            try:
                more = await turn()
                failures = 0
                retries.over()
            except StoreUnavailable as error:
                failures += 1
                retries.failed(error)
                await asyncio.sleep(wait_before(failures))
            except Exception:
                # A fault in one sweep must not end the others, nor the router.
                failures += 1
                log.exception("sweep_failed", sweep=_name(turn), times=failures)
                await asyncio.sleep(wait_before(failures, longest=LONGEST_PAUSE))
            if not more:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await wake.wait()

    # --- deliveries off the fast way -------------------------------------------------------

    async def _deliveries(self) -> bool:
        """Claims due deliveries of tasks that have a place and an endpoint."""
        if not self._claims.callable_tasks():
            return False
        if not await self._claims.deliveries():
            if any(task.key in self._parked_remaining for task in self._claims.callable_tasks()):
                self._claims_exhausted.set()
            return False
        if not self._claims.callable_tasks():
            # More may be due than there are places: look again when the next one is free.
            self._calls.places.freed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DELIVERIES_EVERY):
                    await self._calls.places.freed.wait()
                    await asyncio.sleep(GATHERED_FOR)
        return True

    async def _parked(self) -> bool:
        """Wakes parked deliveries whose tasks have an endpoint and a place: a stock of them, and more when it
        is used up. So they take turns with retries, and claims always find some."""
        changed = self._endpoints_changed
        free = {task.key for task in self._claims.callable_tasks()}
        if not free:
            return False
        of_each = max(WOKEN_AT_ONCE // len(free), 1)
        woken: dict[TaskKey, int] = {}
        for tasks, parked_for in (
            (free & self._fully_woken, None),
            (free - self._fully_woken, time.monotonic() - changed),
        ):
            if tasks:
                woken |= await self._store.wake_parked(
                    sorted(tasks), of_each, self._pools.now.called, parked_for=parked_for
                )
        done = {task for task in free if woken.get(task, 0) < of_each}
        # Tasks without a place or an endpoint now were not looked at.
        self._parked_remaining = (self._parked_remaining | free) - done
        if self._endpoints_changed is changed:
            self._fully_woken |= done
        if woken:
            self._claims_wanted.set()
        return False

    async def _holds(self) -> bool:
        """Leases deliveries of long calls, so that their messages can be acknowledged."""
        now = time.monotonic()
        holding = [
            handling
            for handling in self._ledger.handlings.values()
            if handling.messages and handling.facts.in_outbox and handling.calls
        ]
        crowded = len(holding) > self._prefetch // 2
        holding.sort(key=lambda handling: handling.messages[0].since)
        waiting = {id(call): (handling, call) for handling, call in self._calls.places.waiting()}
        for at, handling in enumerate(holding):
            old = now - handling.messages[0].since >= ACK_HOLD
            if not old and not (crowded and at < len(holding) - self._prefetch // 2):
                break
            for call in list(handling.calls.values()):
                if id(call) in waiting:
                    self._calls.park(*waiting[id(call)])
            handling.holds = True
            self._committer.submit(handling)
        for handling, call in self._calls.places.waiting():
            if handling.event.expires_at is not None and not handling.facts.in_outbox:
                # It was leased before it was queued, and a leased delivery does not expire.
                self._calls.park(handling, call)
        return False

    # --- events ----------------------------------------------------------------------------

    async def _events(self) -> bool:
        """Announces due events of this pool again, no faster than its queue drains: a stuck pool does not
        delay other pools' events."""
        status = self._broker.status()
        if not status.connected or status.blocked:
            return False
        depth = await self._broker.depth(self._pool)
        if depth is None or depth > MAX_IN_QUEUE:
            return False
        due_events = await self._store.claim_due_events(EVENTS_AT_ONCE, self._pools.now.announced)
        if not due_events:
            return False
        log.info("announced_again", events=len(due_events))
        taken = await self._relay.announce_due(due_events)
        return taken and len(due_events) == EVENTS_AT_ONCE

    async def _losses(self) -> bool:
        """Records what the broker lost, and brings back what any router has recorded as lost."""
        if (lost := self._lost) is not None:
            reason, at = lost
            await self._store.note_lost(time.monotonic() - at)
            # No alarm: an in-process broker begins empty, and RabbitMQ's loss has its own warning.
            log.info("messages_lost", reason=reason)
            # A loss reported meanwhile stays.
            if self._lost is lost:
                self._lost = None
        made_due = await self._store.make_lost_due(LOST_AT_ONCE)
        if made_due is None:
            return False
        log.info("lost_made_due", cause=made_due.cause, events=made_due.events)
        # Not at once if another cause is next, or none.
        return made_due.more

    async def _lapsed(self) -> bool:
        """Ends pools that no router joined in time; what their queues held is brought back."""
        for pool in await self._store.end_lapsed_pools():
            log.warning("pool_lapsed", pool=pool)
        return False

    async def _leases(self) -> bool:
        """Brings back what dead routers had, after they had the chance to renew."""
        if not self._lease.may_break_others:
            return False
        broken = await self._store.break_leases(
            self._router_id, self._lease.seconds, BROKEN_AT_ONCE
        )
        self.leases_broken += broken.deliveries
        if broken.deliveries or broken.events:
            log.warning(
                "leases_broken", deliveries=broken.deliveries, announced_again=broken.events
            )
        return broken.more

    async def _requests(self) -> bool:
        """Deletes old request ids."""
        return await self._store.forget_requests(REQUESTS_AT_ONCE) == REQUESTS_AT_ONCE

    async def _starving(self) -> bool:
        """Announces events that have waited long once more at the highest level: at most a tenth of the
        recently settled number, so that every level keeps a tenth, and at least one.

        If the queue is short and this router has little in hand, such an event is in neither. It was perhaps
        never announced: its process died first, or did not learn that it was committed. Then it is announced
        once more whatever its level; but not by a router that is behind: others may be, too, and would only
        get more work.
        """
        settled = self._committer.results_committed
        share, self._settled_before = (settled - self._settled_before) // 10, settled
        if not self._broker.status().connected:
            return False
        idle = len(self._ledger.handlings) <= self._prefetch // 2 and await self._queue_is_short()
        starving = await self._store.claim_starving_events(
            max(share, STARVING_AT_ONCE if idle else 1),
            STARVING_AFTER,
            self._pools.now.announced,
            at_any_level=idle,
        )
        if starving:
            await self._relay.announce_due(starving)
        return False

    async def _queue_is_short(self) -> bool:
        depth = await self._broker.depth(self._pool)
        return depth is not None and depth <= SHORT_QUEUE


async def _end(loops: Sequence[BackgroundLoop]) -> None:
    for loop in loops:
        loop.cancel()
    for loop in loops:
        await loop.wait()


def _name(turn: Callable[[], Awaitable[bool]]) -> str:
    owner, _, method = turn.__qualname__.rpartition(".")
    return owner.lower() if method == "turn" else method.removeprefix("_")
