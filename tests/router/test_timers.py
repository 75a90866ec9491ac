"""A timer fires where it stands as it was claimed."""

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
from waystation_router.ledger import Ledger
from waystation_router.timers import Timers

NOW = datetime.now(UTC)
CLAIMED = Timer(TimerKind.WAIT, "w-1", due_at=NOW + timedelta(seconds=10))
INSTANCE = replace(
    given.INSTANCE,
    status=Status.WAITING_FOR_INPUT,
    unsettled=0,
    waits=(Wait("w-1", "ask", "?", NOW.isoformat()),),
    timers=1,
)


class Store:
    """One instance, with these timers standing when its lock is there."""

    def __init__(self, *standing: Timer) -> None:
        self.standing = list(standing)
        self.written: list[InstanceCommit] = []

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        return {1: [CLAIMED]}

    @asynccontextmanager
    async def locked(self, *, key: int) -> AsyncIterator[Any]:
        async def timers() -> list[Timer]:
            return self.standing

        async def write(commit: InstanceCommit) -> None:
            self.written.append(commit)

        yield SimpleNamespace(instance=INSTANCE, generation=0, now=NOW, timers=timers, write=write)


@pytest.mark.parametrize(
    ("standing", "fires"),
    [
        ([CLAIMED], True),
        # Another router was quicker.
        ([], False),
        # The wait was answered, and the task asks the same again: with an hour of its own.
        ([Timer(TimerKind.WAIT, "w-1", due_at=NOW + timedelta(hours=1))], False),
    ],
)
async def test_a_timer_that_was_set_anew_since_it_was_claimed_does_not_fire(
    standing: list[Timer], fires: bool
) -> None:
    store = Store(*standing)
    relay = SimpleNamespace(committed=lambda commits: None)
    registry = SimpleNamespace(generation=0)
    timers = Timers(Ledger(), cast(Any, store), cast(Any, registry), cast(Any, relay), Rules())
    await timers.turn()
    (commit,) = store.written
    assert [event.event_type for event in commit.raised] == (
        ["user.input.timed_out"] if fires else []
    )
