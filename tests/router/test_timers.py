"""A timer fires where it stands as it was claimed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from router import given
from router.given import meters_of

from waystation_core.decisions import Decisions
from waystation_core.ports.store import Committed, Loaded
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.model import Event, Status, Timer, TimerKind, Wait
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


class Delayed:
    """Instances with a delayed event each, which is due; some move before they are committed."""

    def __init__(self, number: int, *, standing: int, moved: frozenset[int] = frozenset()) -> None:
        self.instances = {key: replace(INSTANCE, key=key, revision=7) for key in range(number)}
        self.events = {
            key: Event(f"01a20000-0000-7000-8000-00000000000{key}", "due", {}, "task", version=2)
            for key in self.instances
        }
        self.timers = {
            key: Timer(TimerKind.EVENT, event.event_id, due_at=NOW)
            for key, event in self.events.items()
        }
        self.standing = standing
        self.moved = moved
        self.batches: list[list[InstanceCommit]] = []
        self.locks: list[int] = []
        self.written: list[InstanceCommit] = []

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        return {key: [timer] for key, timer in self.timers.items()}

    async def load(self, event_ids: list[str]) -> Loaded:
        return Loaded(
            {event.event_id: (event, key) for key, event in self.events.items()},
            self.instances,
            {event_id: EventFacts(in_outbox=False) for event_id in event_ids},
            NOW,
        )

    async def timers_of_instances(self, keys: list[int]) -> dict[int, list[Timer]]:
        return {key: [self.timers[key]] for key in keys if key < self.standing}

    async def commit(self, batch: list[InstanceCommit], **_: Any) -> Committed:
        self.batches.append(batch)
        written = [commit for commit in batch if commit.before.key not in self.moved]
        self.written += written
        return Committed(frozenset(commit.before.key for commit in written))

    @asynccontextmanager
    async def locked(self, *, key: int, **_: Any) -> AsyncIterator[Any]:
        self.locks.append(key)

        async def timers() -> list[Timer]:
            return [self.timers[key]]

        async def event(event_id: str) -> Event:
            return self.events[key]

        async def facts_of(event_ids: list[str]) -> dict[str, EventFacts]:
            return {event_id: EventFacts(in_outbox=False) for event_id in event_ids}

        async def write(commit: InstanceCommit) -> None:
            self.written.append(commit)

        yield SimpleNamespace(
            instance=self.instances[key],
            log=(),
            generation=0,
            now=NOW,
            timers=timers,
            event=event,
            facts_of=facts_of,
            write=write,
        )


def timers_of(store: Any) -> Timers:
    relay = SimpleNamespace(committed=lambda commits: None)
    registries = Registries(cast(Any, None), look_every=1.0)
    decisions = Decisions(store, cast(Any, relay), registries, PROVIDERS, max_events=10)
    ledger = Ledger()
    return Timers(ledger, store, decisions, meters_of(ledger))


async def test_delayed_events_of_many_instances_are_announced_by_one_commit() -> None:
    """One by one, three hundred thousand that are due at once would take an hour."""
    store = Delayed(5, standing=5)
    await timers_of(store).turn()
    (batch,) = store.batches
    assert [[event.event_id for event in one.outbox_add] for one in batch] == [
        [event.event_id] for event in store.events.values()
    ]
    assert all(one.timers_remove for one in batch)
    assert store.locks == []


async def test_what_another_one_fired_meanwhile_is_not_announced_again() -> None:
    store = Delayed(5, standing=3)
    await timers_of(store).turn()
    assert [one.before.key for one in store.written] == [0, 1, 2]
    assert store.locks == []


async def test_an_instance_that_moved_meanwhile_is_fired_under_its_lock() -> None:
    store = Delayed(5, standing=5, moved=frozenset({1, 3}))
    await timers_of(store).turn()
    assert store.locks == [1, 3]
    assert sorted(one.before.key for one in store.written) == [0, 1, 2, 3, 4]
    assert all(len(one.outbox_add) == 1 for one in store.written)


class Store:
    """One instance, with these timers standing when its lock is there."""

    def __init__(self, *standing: Timer) -> None:
        self.standing = list(standing)
        self.written: list[InstanceCommit] = []

    async def claim_timers(self, limit: int) -> dict[int, list[Timer]]:
        return {1: [CLAIMED]}

    @asynccontextmanager
    async def locked(self, *, key: int, **_: Any) -> AsyncIterator[Any]:
        async def timers() -> list[Timer]:
            return self.standing

        async def write(commit: InstanceCommit) -> None:
            self.written.append(commit)

        yield SimpleNamespace(
            instance=INSTANCE, log=(), generation=0, now=NOW, timers=timers, write=write
        )


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
async def test_a_timer_that_was_set_again_since_it_was_claimed_does_not_fire(
    standing: list[Timer], fires: bool
) -> None:
    store = Store(*standing)
    await timers_of(store).turn()
    (commit,) = store.written
    assert [event.event_type for event in commit.raised] == (
        ["user.input.timed_out"] if fires else []
    )
