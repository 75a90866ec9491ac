"""Refused calls on their way into the audit log, bounded: a flood of them is summarised.

They change nothing, so they are written afterwards, several in one statement, about a second later. What waits
when the process is killed is lost; the log says how many were lost otherwise.

Equal refusals (principal, method, code and reason) of ten seconds get one entry each for the first few, and
together one more for the rest, with their number. So a flood costs some memory and a few rows, however fast it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from waystation_core.ports.store import AuditEntry, AuditStore, WriteRefused

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 1.0
WINDOW_SECONDS = 10.0
OWN_ENTRIES = 5
"""Equal refusals in one window that get entries of their own."""
MOST_KINDS = 1_000
"""Different refusals in one window; further ones are counted together by their code."""
MOST_WAITING = 2_000
"""Entries that wait for the database; more are lost, and counted in the log."""
_AT_ONCE = 500


@dataclass(slots=True)
class _Window:
    ends: float
    own: int = 0
    first: AuditEntry | None = None
    """The first of those that are summarised."""
    more: int = 0


class Refusals:
    """Takes refusals, and writes them in the background by `turn`."""

    def __init__(self, store: AuditStore, now: Callable[[], float]) -> None:
        """`now`: seconds of a clock that only goes forward."""
        self._store = store
        self._now = now
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._waiting: deque[AuditEntry] = deque()
        self._lost = 0
        self._writing = asyncio.Lock()

    def add(self, entry: AuditEntry) -> None:
        """Takes one. Never waits, never fails."""
        kind: tuple[str, ...] = (entry.principal, entry.method, entry.code, entry.reason)
        window = self._windows.get(kind)
        if window is None and len(self._windows) >= MOST_KINDS:
            entry = AuditEntry(principal="", method="", code=entry.code)
            kind = (entry.code,)
            window = self._windows.setdefault(
                kind, _Window(self._now() + WINDOW_SECONDS, own=OWN_ENTRIES)
            )
        if window is None:
            window = self._windows[kind] = _Window(self._now() + WINDOW_SECONDS)
        if window.own < OWN_ENTRIES:
            window.own += 1
            self._wait(entry)
            return
        window.first = window.first or entry
        window.more += 1

    async def turn(self) -> None:
        """Writes what waits, and the summaries of windows that are over. Raises StoreUnavailable: it is kept for
        the next turn."""
        now = self._now()
        self._summarise([kind for kind, window in self._windows.items() if window.ends <= now])
        await self._write()

    async def close(self) -> None:
        """Writes everything, if the database takes it now."""
        self._summarise(list(self._windows))
        try:
            await self._write()
        except Exception as error:
            # Whatever it is, the server still has to stop.
            log.warning("audit_not_written", error=str(error))
            self._lost += sum(entry.calls for entry in self._waiting)
            self._waiting.clear()
            self._tell_lost()

    def _summarise(self, kinds: list[tuple[str, ...]]) -> None:
        for kind in kinds:
            window = self._windows.pop(kind)
            if window.first is not None:
                self._wait(replace(window.first, calls=window.more))

    def _wait(self, entry: AuditEntry) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(entry)
        else:
            self._lost += entry.calls

    async def _write(self) -> None:
        async with self._writing:
            while self._waiting:
                some = [self._waiting[at] for at in range(min(len(self._waiting), _AT_ONCE))]
                try:
                    await self._store.record(some)
                except WriteRefused:
                    # They would be refused for ever, and hold up all others.
                    log.exception("audit_entries_refused")
                    self._lost += sum(entry.calls for entry in some)
                for _ in some:
                    self._waiting.popleft()
            self._tell_lost()

    def _tell_lost(self) -> None:
        if self._lost:
            log.warning("audit_entries_lost", calls=self._lost)
            self._lost = 0
