"""Keeps one session open: opens, prepares, watches, and opens again after a loss.

Whatever goes wrong with a session (the broker closes the channel, the socket breaks, a consumer is cancelled,
nothing answers), it is ended and everything is built again. That costs some 20 ms; a half-repaired channel
can lose its consumers unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
import tenacity

from waystation_core.background import run_loop
from waystation_core.broker.connection import Parameters, Session, SessionLostError
from waystation_core.ports.broker import BrokerCounters

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class PersistentSession:
    """One connection that should always exist, by its name. `prepare` gets each new session before anyone
    else and declares, consumes, asks for confirms; `on_lost` is called when a prepared session is lost;
    `on_change` when `session` or its being blocked changes."""

    def __init__(
        self,
        parameters: Parameters,
        name: str,
        *,
        prepare: Callable[[Session], Awaitable[None]],
        on_lost: Callable[[], None],
        on_change: Callable[[], None],
        counters: BrokerCounters,
    ) -> None:
        self.name = name
        self.session: Session | None = None
        self.last_error: str | None = None
        self._parameters = parameters
        self._prepare = prepare
        self._on_lost = on_lost
        self._on_change = on_change
        self._counters = counters
        self._generation = 0
        self._task = run_loop(f"link {name}", self._keep)

    @property
    def blocked(self) -> bool:
        return self.session is not None and self.session.blocked

    async def close(self) -> None:
        """Ends the session in order, and stops opening new ones. Idempotent."""
        self._task.cancel()
        await self._task.wait()

    async def _keep(self) -> None:
        while True:
            session = await self._open_until_it_opens()
            try:
                self.session, self.last_error = session, None
                _log.info("broker_connected", connection=self.name)
                self._on_change()
                reason = await asyncio.shield(session.lost)
            finally:
                self.session = None
                self._on_lost()
                self._on_change()
                await session.close()
            self._counters.reconnects += 1
            self.last_error = reason
            _log.warning("broker_connection_lost", connection=self.name, reason=reason)

    async def _open_until_it_opens(self) -> Session:
        attempts = tenacity.AsyncRetrying(
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)
            + tenacity.wait_random(0, FIRST_WAIT_SECONDS),
            # Whatever it was: a connection that is not opened again would look like a quiet broker.
            retry=tenacity.retry_if_exception_type(Exception),
            before_sleep=self._note_failure,
        )
        return await attempts(self._open)

    async def _open(self) -> Session:
        self._generation += 1
        session = Session(self._generation, self.name)
        try:
            await session.open(self._parameters, self._on_change)
            await self._prepare(session)
            if session.lost.done():
                raise SessionLostError(session.lost.result())
        except BaseException:
            await session.close()
            raise
        return session

    def _note_failure(self, state: tenacity.RetryCallState) -> None:
        failure = state.outcome.exception() if state.outcome else None
        expected = failure is None or isinstance(failure, SessionLostError)
        error = str(failure) if expected else repr(failure)
        # Only the first of each kind: RabbitMQ may be away for hours.
        if error != self.last_error:
            _log.warning("broker_not_reachable", connection=self.name, reason=error)
        self.last_error = error
        self._on_change()
