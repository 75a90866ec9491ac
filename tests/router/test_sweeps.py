"""Sweeps side by side: one that is slow or fails holds up no other, and a backlog flows as places allow."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.registries import only
from support.waiting import eventually

from waystation_domain.errors import StoreUnavailable
from waystation_domain.pools import EVERY_TYPE
from waystation_domain.task_spec import TaskKey, TaskSpec
from waystation_router import sweeper as sweeping
from waystation_router.claims import MOST_UNCOMMITTED, Claims
from waystation_router.sweeper import Sweeper

TASK = TaskSpec("score", "claims", ("asked",), ("claim",), max_in_flight=10)
OTHER = TaskSpec("other", "claims", ("told",), ("claim",), max_in_flight=10)

SWEEPS = (
    "claim_deliveries",
    "claim_suspects",
    "claim_due_events",
    "note_lost",
    "make_lost_due",
    "claim_starving_events",
    "wake_parked",
    "claim_overdue",
    "end_lapsed_pools",
    "break_leases",
    "claim_timers",
)


ANSWERS: dict[str, Any] = {
    "make_lost_due": None,
    "wake_parked": {},
    "break_leases": SimpleNamespace(deliveries=0, events=0, more=False),
}


async def wait_until(condition: Callable[[], bool]) -> None:
    async def look() -> bool:
        return condition()

    await eventually(look)


class Store:
    """Counts what sweeps ask for; each may have a behaviour of its own, and finds nothing else."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.does: dict[str, Callable[..., Awaitable[Any]]] = {}

    def __getattr__(self, name: str) -> Any:
        async def ask(*given: Any, **named: Any) -> Any:
            asked = "claim_suspects" if named.get("suspects") else name
            self.asked[asked] += 1
            if asked in self.does:
                return await self.does[asked](*given, **named)
            return ANSWERS.get(name, [])

        return ask


class Places:
    """A task's calls, as far as sweeps see them."""

    def __init__(self, free: int) -> None:
        self.left = free
        self.freed = asyncio.Event()

    def free(self, task: TaskSpec) -> int:
        return self.left

    def room(self, tasks: Sequence[TaskSpec]) -> int:
        return sum(self.free(task) for task in tasks)

    def waiting(self) -> list[Any]:
        return []

    def become_free(self, number: int) -> None:
        self.left += number
        self.freed.set()


@asynccontextmanager
async def sweeper(
    store: Store,
    places: Places,
    depth: Callable[[], int | None] = lambda: 0,
    hands: dict[str, Any] | None = None,
    tasks: Sequence[TaskSpec] = (TASK,),
    behind: int = 0,
) -> AsyncIterator[Sweeper]:
    async def depth_of(pool: str) -> int | None:
        return depth()

    async def timers() -> bool:
        return bool(await store.claim_timers(1))

    @asynccontextmanager
    async def alone() -> AsyncIterator[None]:
        yield

    committer = SimpleNamespace(results_committed=0, behind=behind)
    both: dict[str, Any] = {
        "calls": SimpleNamespace(places=places),
        "pools": SimpleNamespace(now=SimpleNamespace(called=EVERY_TYPE, announced=EVERY_TYPE)),
        "ledger": SimpleNamespace(handlings=hands if hands is not None else {}),
        "committer": committer,
        "lease": SimpleNamespace(is_held=True, may_break_others=True, seconds=10.0),
    }
    claims = Claims(
        router_id="r-1",
        store=cast(Any, store),
        registries=only(SimpleNamespace(live_tasks=lambda: tasks)),
        endpoints=cast(
            Any,
            SimpleNamespace(live_tasks=lambda: {task.key for task in tasks}, alone=alone),
        ),
        in_doubt=asyncio.Event(),
        **both,
    )
    fakes: dict[str, Any] = {
        "broker": SimpleNamespace(
            status=lambda: SimpleNamespace(connected=True, blocked=False), depth=depth_of
        ),
        "relay": None,
        "timers": SimpleNamespace(turn=timers),
    }
    one = Sweeper(
        router_id="r-1",
        pool="default",
        prefetch=100,
        store=cast(Any, store),
        claims=claims,
        **both,
        **fakes,
    )
    one.messages_lost("a test says so")
    one.start()
    yield one
    await one.stop()


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in vars(sweeping):
        if name.endswith("_EVERY"):
            monkeypatch.setattr(sweeping, name, 0.005)


async def hang(*given: Any, **named: Any) -> None:
    await asyncio.Event().wait()


async def fail(*given: Any, **named: Any) -> None:
    raise StoreUnavailable("canceling statement due to statement timeout")


async def break_down(*given: Any, **named: Any) -> None:
    raise RuntimeError("a fault of ours")


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("fault", [hang, fail, break_down])
@pytest.mark.parametrize("faulty", SWEEPS)
async def test_a_sweep_that_is_slow_or_fails_delays_no_other(
    faulty: str, fault: Callable[..., Awaitable[None]]
) -> None:
    store = Store()
    store.does[faulty] = fault
    # A loss is noted before it is brought back: these two are one sweep.
    others = set(SWEEPS) - {faulty, "note_lost"}
    if faulty == "note_lost":
        others.remove("make_lost_due")
    async with sweeper(store, Places(10)):
        await wait_until(lambda: all(store.asked[name] >= 3 for name in others))


async def test_more_is_claimed_as_soon_as_places_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a fifth of a second later: a task of ten places would handle fifty in a second at most."""
    monkeypatch.setattr(sweeping, "DELIVERIES_EVERY", 3600.0)
    store, places = Store(), Places(10)
    taken: list[int] = []

    async def claim(router_id: str, limit: int, *given: Any, **named: Any) -> Sequence[None]:
        return [None] * limit

    async def take(claimed: Sequence[None], *given: Any) -> list[Any]:
        if claimed:
            taken.append(len(claimed))
            places.left -= len(claimed)
        return []

    store.does["claim_deliveries"] = claim
    monkeypatch.setattr(Claims, "_take_in_hand", lambda self, *given: take(*given))
    async with sweeper(store, places):
        await wait_until(lambda: taken == [10])
        places.become_free(3)
        await wait_until(lambda: taken == [10, 3])
        places.become_free(10)
        await wait_until(lambda: taken == [10, 3, 10])


async def test_a_stock_that_is_used_up_is_made_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parked deliveries become READY in portions; the next one comes when the last one is claimed."""
    for name in ("DELIVERIES_EVERY", "PARKED_EVERY"):
        monkeypatch.setattr(sweeping, name, 3600.0)
    monkeypatch.setattr(sweeping, "WOKEN_AT_ONCE", 4)
    store = Store()
    parked, ready, claimed = 10, 0, 0

    async def wake(tasks: Sequence[TaskKey], limit: int, *given: Any, **named: Any) -> Any:
        nonlocal parked, ready
        woken = min(limit, parked)
        parked, ready = parked - woken, ready + woken
        return {TASK.key: woken} if woken else {}

    async def claim(*given: Any, **named: Any) -> Sequence[None]:
        nonlocal ready, claimed
        claimed, ready, found = claimed + ready, 0, ready
        return [None] * found

    async def take(claimed: Sequence[None], *given: Any) -> list[Any]:
        return []

    store.does |= {"wake_parked": wake, "claim_deliveries": claim}
    monkeypatch.setattr(Claims, "_take_in_hand", lambda self, *given: take(*given))
    async with sweeper(store, Places(100)):
        await wait_until(lambda: claimed == 10)
    assert store.asked["wake_parked"] == 3


@pytest.mark.usefixtures("_soon")
async def test_what_waits_is_announced_whatever_its_level_while_the_queue_is_short() -> None:
    store, asked = Store(), []
    depths: list[int | None] = [None, sweeping.SHORT_QUEUE + 1, sweeping.SHORT_QUEUE]
    hands: dict[str, Any] = {}

    async def starving(limit: int, *given: Any, at_any_level: bool) -> list[Any]:
        asked.append((limit, at_any_level))
        if len(asked) == 3:
            # Half of what it may have from the queue, and one more.
            hands.update({str(n): SimpleNamespace(messages=()) for n in range(51)})
        return []

    store.does["claim_starving_events"] = starving
    places = Places(0)
    async with sweeper(store, places, lambda: depths[min(len(asked), 2)], hands):
        await wait_until(lambda: len(asked) >= 4)
    few, many = (1, False), (sweeping.STARVING_AT_ONCE, True)
    assert asked[:4] == [few, few, many, few]


@pytest.mark.usefixtures("_soon")
async def test_what_was_parked_on_old_facts_is_woken_when_it_is_in_the_database() -> None:
    store = Store()
    asked: list[float | None] = []

    async def wake(*given: Any, parked_for: float | None) -> Any:
        asked.append(parked_for)
        return {}

    store.does["wake_parked"] = wake
    async with sweeper(store, Places(10)) as one:
        decided = time.monotonic()
        one.endpoints_changed()
        after_the_change = time.monotonic()
        await wait_until(lambda: asked[-1:] == [None] and len(set(asked)) > 1)
        one.parked(time.monotonic())
        asked.clear()
        await wait_until(lambda: len(asked) >= 2)
        assert set(asked) == {None}
        one.parked(decided)
        await wait_until(lambda: set(asked) != {None})
        # Such a look is no change of endpoints: what was decided before it, and after the change, stays.
        await wait_until(lambda: asked[-1:] == [None])
        asked.clear()
        one.parked(after_the_change)
        await wait_until(lambda: len(asked) >= 2)
        assert set(asked) == {None}


@pytest.mark.usefixtures("_soon")
async def test_what_was_parked_before_endpoints_changed_is_woken_until_none_is_left() -> None:
    store = Store()
    asked: list[float | None] = []
    left = sweeping.WOKEN_AT_ONCE + 1

    async def wake(
        tasks: Sequence[TaskKey], limit: int, *given: Any, parked_for: float | None
    ) -> Any:
        nonlocal left
        asked.append(parked_for)
        if parked_for is None:
            return {}
        woken = min(limit, left)
        left -= woken
        return {TASK.key: woken}

    store.does["wake_parked"] = wake
    async with sweeper(store, Places(10)) as one:
        await wait_until(lambda: asked[-1:] == [None] or left == 0)
        left = sweeping.WOKEN_AT_ONCE + 1
        one.endpoints_changed()
        await wait_until(lambda: left == 0)
        await wait_until(lambda: asked[-1] is None)


class PlacesOfOne(Places):
    """Places of TASK, while OTHER always has some."""

    def free(self, task: TaskSpec) -> int:
        return self.left if task is TASK else 10


async def test_a_task_that_has_no_place_when_parked_ones_are_woken_is_looked_at_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look at the others says nothing of it: what is left of it, and what was parked for some time before
    endpoints changed, is woken once it has a place."""
    monkeypatch.setattr(sweeping, "DELIVERIES_EVERY", 0.005)
    monkeypatch.setattr(sweeping, "PARKED_EVERY", 3600.0)
    monkeypatch.setattr(sweeping, "WOKEN_AT_ONCE", 4)
    store, places = Store(), PlacesOfOne(10)
    left, looks = 5, 0

    async def wake(
        tasks: Sequence[TaskKey], limit: int, *given: Any, parked_for: float | None
    ) -> Any:
        nonlocal left, looks
        looks += 1
        if TASK.key not in tasks or parked_for is None:
            return {}
        woken = min(limit, left)
        left -= woken
        # What was woken takes all places.
        places.left = 0
        return {TASK.key: woken} if woken else {}

    store.does["wake_parked"] = wake
    async with sweeper(store, places, tasks=(TASK, OTHER)) as one:
        await wait_until(lambda: left == 3)
        seen = looks
        one.parked(0.0)
        await wait_until(lambda: looks > seen)
        for still in (1, 0):
            places.become_free(10)
            await wait_until(lambda still=still: left == still)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("behind", [MOST_UNCOMMITTED, MOST_UNCOMMITTED + 1])
async def test_nothing_more_is_claimed_while_commits_are_far_behind(behind: int) -> None:
    """Where Postgres is slower than the tasks, what was called and not committed must not grow."""
    store = Store()
    async with sweeper(store, Places(10), behind=behind):
        await wait_until(lambda: store.asked["claim_timers"] >= 5)
    claims = store.asked["claim_deliveries"] + store.asked["wake_parked"]
    assert (claims > 0) == (behind <= MOST_UNCOMMITTED)
