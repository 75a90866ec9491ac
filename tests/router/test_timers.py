"""A timer fires where it is due under its instance's lock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from router import given

from waystation_core.domain.commit import InstanceCommit
from waystation_core.domain.draft import Rules
from waystation_core.domain.model import Status, Timer, TimerKind, Wait
from waystation_core.ports.store import NothingDue
from waystation_router.ledger import Ledger
from waystation_router.timers import Timers

NOW = datetime.now(UTC)
DUE = Timer(TimerKind.WAIT, "w-1", due_at=NOW - timedelta(seconds=1))
LATER = Timer(TimerKind.WAIT, "w-1", due_at=NOW + timedelta(hours=1))
INSTANCE = replace(
    given.INSTANCE,
    status=Status.WAITING_FOR_INPUT,
    unsettled=0,
    waits=(Wait("w-1", "ask", "?", NOW.isoformat()),),
    timers=1,
)


class Store:
    """One instance, with these timers standing when its lock is there; then nothing is due."""

    def __init__(self, *standing: Timer) -> None:
        self.standing = list(standing)
        self.written: list[InstanceCommit] = []
        self.locks = 0

    async def timers_due(self) -> bool:
        return True

    @asynccontextmanager
    async def locked(self, *, due_but: list[int]) -> AsyncIterator[Any]:
        async def timers() -> list[Timer]:
            return self.standing

        async def write(commit: InstanceCommit) -> None:
            self.written.append(commit)

        self.locks += 1
        if self.locks > 1:
            raise NothingDue
        yield SimpleNamespace(instance=INSTANCE, generation=0, now=NOW, timers=timers, write=write)


@pytest.mark.parametrize(
    ("standing", "fires"),
    [
        ([DUE], True),
        # Another router was quicker.
        ([], False),
        # The wait was answered, and the task asks the same again: with an hour of its own.
        ([LATER], False),
    ],
)
async def test_what_fires_is_what_is_due_under_the_lock(standing: list[Timer], fires: bool) -> None:
    store = Store(*standing)
    relay = SimpleNamespace(committed=lambda commits: None)
    registry = SimpleNamespace(generation=0)
    timers = Timers(Ledger(), cast(Any, store), cast(Any, registry), cast(Any, relay), Rules())
    await timers.turn()
    (commit,) = store.written
    assert [event.event_type for event in commit.raised] == (
        ["user.input.timed_out"] if fires else []
    )
