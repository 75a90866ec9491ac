"""Compares what the database has leased to this router with what it has in hand, both ways.

The two can differ: the answer to a claim or to a commit was lost, a fault occurred between a claim and the
call, another router broke the lease meanwhile. Otherwise a delivery that is leased to a live router that does
not have it would wait until that router ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

import structlog

from waystation_core.background import Retries, wait_before
from waystation_core.ports.store import EngineStore, LeasedRow
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import DeliveryState
from waystation_router.calls import Calls
from waystation_router.claims import Claims
from waystation_router.committer import Committer
from waystation_router.ledger import UNKNOWN, DeliveryCall, Handling, Ledger

log = structlog.get_logger(__name__)

LOOK_EVERY = 2.0
AGAIN_AFTER = 0.2
"""Seconds until the next comparison if the last one was incomplete."""
PAGE = 500
ORPHANS_AT_ONCE = 50
"""Calls without a lease that one comparison handles: each is loaded with its instance."""


class Reconciler:
    """Compares periodically, and soon after `in_doubt` is set."""

    def __init__(
        self,
        *,
        router_id: str,
        ledger: Ledger,
        store: EngineStore,
        claims: Claims,
        calls: Calls,
        committer: Committer,
        in_doubt: asyncio.Event,
    ) -> None:
        self._router_id = router_id
        self._ledger = ledger
        self._store = store
        self._claims = claims
        self._calls = calls
        self._committer = committer
        self._in_doubt = in_doubt
        self._unclaimed: dict[LeasedRow, int] = {}
        """Rows in nobody's hands at the last comparison, with the number of claims begun by then."""

    async def run(self) -> None:
        """Compares until cancelled."""
        retries, failures = Retries("look_postponed"), 0
        while True:
            self._in_doubt.clear()
            try:
                pause = LOOK_EVERY if await self.look() else AGAIN_AFTER
                retries.over()
                failures = 0
            except StoreUnavailable as error:
                retries.failed(error)
                failures += 1
                pause = wait_before(failures)
            except Exception:
                log.exception("look_failed")
                pause = LOOK_EVERY
            await asyncio.sleep(AGAIN_AFTER)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._in_doubt.wait()

    async def look(self) -> bool:
        """One comparison; False: it is incomplete, as claims were under way."""
        expected = self._with_leases()
        leased: set[tuple[str, str]] = set()
        before, self._unclaimed = self._unclaimed, {}
        began_at: datetime | None = None
        last: LeasedRow | None = None
        while True:
            now, page = await self._store.leased(self._router_id, after=last, limit=PAGE)
            began_at = began_at or now
            self._ledger.clock.set(now)
            leased.update((row.event_id, row.task_id) for row in page)
            nobodys = [row for row in page if self._is_orphaned(row, before)]
            if nobodys:
                given_back = await self._store.give_back(self._router_id, nobodys)
                log.warning("leases_given_back", deliveries=given_back)
            if len(page) < PAGE:
                break
            last = page[-1]
        await self._park_orphans(
            [
                (one, call)
                for one, call in expected
                if (one.event_id, call.task.task_id) not in leased
            ]
        )
        if leased:
            # Leases that a claim under way may still deliver, and later ones, are not reported.
            open_since = [row.since for row in self._unclaimed if row.since is not None]
            await self._store.compared(self._router_id, min([began_at, *open_since]))
        return not self._unclaimed

    def _is_orphaned(self, row: LeasedRow, before: dict[LeasedRow, int]) -> bool:
        """Whether nothing here has it or can get it: every claim that had begun when it was first seen has
        ended."""
        handling = self._ledger.handlings.get(row.event_id)
        if handling is not None and (
            row.task_id in handling.calls or self._committer.has(handling)
        ):
            return False
        begun = before.get(row, self._claims.begun)
        if self._claims.have_ended(begun):
            return True
        self._unclaimed[row] = begun
        return False

    def _with_leases(self) -> list[tuple[Handling, DeliveryCall]]:
        """Calls that the database should have as leased to this router."""
        return [
            (handling, call)
            for handling in self._ledger.handlings.values()
            if not handling.facts.in_outbox and not self._committer.has(handling)
            for call in handling.calls.values()
            if self._is_in_hand(handling, call)
        ]

    def _is_in_hand(self, handling: Handling, call: DeliveryCall) -> bool:
        return (
            handling.calls.get(call.task.task_id) is call
            and not call.has_outcome
            and not self._committer.has(handling)
        )

    async def _park_orphans(self, orphans: list[tuple[Handling, DeliveryCall]]) -> None:
        """Calls whose lease this router has lost. With a final outcome the call is useless; any other may
        still count, but what is known of it does not."""
        orphans = [(one, call) for one, call in orphans if self._is_in_hand(one, call)]
        orphans = orphans[:ORPHANS_AT_ONCE]
        if not orphans:
            return
        loaded = await self._store.load([handling.event_id for handling, _ in orphans])
        for handling, call in orphans:
            facts = loaded.facts.get(handling.event_id)
            if facts is None or facts.in_outbox or not self._is_in_hand(handling, call):
                continue
            row = facts.deliveries.get(call.task.task_id)
            if row is not None and row.leased_by == self._router_id and row.edit == call.edit:
                continue
            over = row is None or row.edit != call.edit or row.state is DeliveryState.DEAD
            log.warning(
                "lease_lost",
                event_id=handling.event_id,
                task_id=call.task.task_id,
                call="given up" if over else "goes on",
            )
            handling.known = UNKNOWN
            self._calls.lease_lost(handling, call, is_over=over)
