"""The router's lease: one row, renewed in database time, that covers all deliveries it has in call.

A router may break another's lease only after it has itself renewed without a gap for a whole period: after an
outage of the database every router first gets the chance to renew. The lease is renewed every third of it; a
renewal without an answer within a quarter is not waited for: there is time for a second one, on another
connection, before the lease lapses. So one slow statement, or one dead connection, has no effect, however
short the lease is.

Its pool is renewed with it. A pool that lapsed has to be joined again, and others may have taken its event
types: then the router must stop.
"""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Callable, Sequence
from os import getpid

import structlog

from waystation_core.background import BackgroundLoop, Retries, run_loop, step, wait_before
from waystation_core.ports.broker import DEFAULT_POOL
from waystation_core.ports.store import EngineStore, RouterReport
from waystation_domain.errors import StoreUnavailable
from waystation_domain.pools import Pool, PoolRefused

log = structlog.get_logger(__name__)

# In parts of the lease. From the last renewal to the end of the second try that follows it these are
# 1/3 + 1/4 + 1/12 + 1/4, less than all of it.
RENEWED_EVERY = 1 / 3
PATIENCE = 1 / 4
PAUSE_AT_MOST = 1 / 12
AT_ONCE = 2
"""Renewals under way: each holds a connection, and a database that is away answers no third one."""


class Lease:
    """Renews from `start` to `stop`; knows the existing pools and routers."""

    def __init__(
        self,
        store: EngineStore,
        router_id: str,
        pool: Pool,
        seconds: float,
        report: Callable[[], RouterReport],
        on_pools: Callable[[Sequence[Pool]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._store = store
        self._router_id = router_id
        self._pool = pool
        self.seconds = seconds
        self._report = report
        self._on_pools = on_pools
        self._on_lost = on_lost
        self.refused: PoolRefused | None = None
        """Why it stopped renewing: its pool lapsed and cannot be joined again."""
        self._renewed_since: float | None = None
        self._renewed_at = -math.inf
        self._task: BackgroundLoop | None = None
        self._renewals: set[asyncio.Task[None]] = set()
        """Renewals without an answer yet."""
        self._retries = Retries("lease_not_renewed")

    @property
    def is_held(self) -> bool:
        """Whether no other router can have broken it, by this process's own clock."""
        return time.monotonic() - self._renewed_at < self.seconds

    @property
    def may_break_others(self) -> bool:
        """Whether it was renewed without a gap for a whole lease: others had the chance, too."""
        return (
            self.is_held
            and self._renewed_since is not None
            and self._renewed_at - self._renewed_since >= self.seconds
        )

    async def join(self) -> None:
        """Joins the pool, before anything is consumed. Raises PoolRefused."""
        if self._pool.name != DEFAULT_POOL:
            await self._store.join_pool(self._pool, self.seconds)

    def start(self) -> None:
        self._task = run_loop("lease", self._run, ends=True)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await self._task.wait()
        # A renewal that arrives after the router has left would bring its row back.
        for renewal in self._renewals:
            renewal.cancel()
        await asyncio.gather(*self._renewals, return_exceptions=True)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._try()
                self._retries.over()
                failures = 0
            except StoreUnavailable as error:
                self._retries.failed(error)
                self._renewed_since = None
                failures += 1
            except PoolRefused as error:
                log.error("pool_refused", pool=self._pool.name, error=str(error))
                self.refused = error
                return
            except Exception:
                log.exception("lease_renewal_failed")
                self._renewed_since = None
                failures += 1
            if failures:
                pause = min(wait_before(failures), self.seconds * PAUSE_AT_MOST)
            else:
                pause = self._renewed_at + self.seconds * RENEWED_EVERY - time.monotonic()
            await asyncio.sleep(max(pause, 0.0))

    async def _try(self) -> None:
        """One more renewal, or the answer of an earlier one. Raises StoreUnavailable, also if none is
        answered in time, and PoolRefused."""
        if len(self._renewals) < AT_ONCE:
            self._renewals.add(step(self._renew()))
        # It is not cancelled: the driver would wait for the database again, to cancel the query.
        answered, self._renewals = await asyncio.wait(
            self._renewals,
            timeout=self.seconds * PATIENCE,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not answered:
            raise StoreUnavailable("The database has not renewed the router's lease in time.")
        for error in [renewal.exception() for renewal in answered]:
            if error is not None:
                raise error

    async def _renew(self) -> None:
        # It counts from the request: the answer may take long.
        now = time.monotonic()
        heartbeat = await self._store.heartbeat(
            self._router_id,
            self._pool.name,
            f"{socket.gethostname()}:{getpid()}",
            self.seconds,
            self._report(),
            self._pool.bindings,
        )
        if not heartbeat.in_pool:
            await self.join()
        self._on_pools(heartbeat.pools)
        if not heartbeat.held:
            self._on_lost()
        if (
            not heartbeat.held
            or now - self._renewed_at > self.seconds
            or self._renewed_since is None
        ):
            # From the answer on: the database may have answered nobody before.
            self._renewed_since = time.monotonic()
        self._renewed_at = max(self._renewed_at, now)
