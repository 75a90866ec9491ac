"""A workflow type that floods beside others has a window, and leaves some places of each task to them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from router.given import INSTANCE, NO_REGISTRY, meters_of
from router.whole import task

from waystation_core.ids import new_id
from waystation_core.ports.broker import AnnouncedEvent, Announcement, Received
from waystation_core.ports.store import Loaded
from waystation_core.relay.fair_levels import OTHERS_SECONDS, UNNOTICED
from waystation_domain.commit import EventFacts
from waystation_domain.model import Event, Status
from waystation_domain.pools import Pool
from waystation_router.attempt_spans import NoSpans
from waystation_router.calls import Calls
from waystation_router.flood_line import FloodLine
from waystation_router.flood_window import COUNTS_SECONDS, SMALLEST, FloodWindow
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.places import KEPT_FREE
from waystation_router.pools import PoolsSeen

MANY = int(2 * UNNOTICED)


def flooded(largest: int = 100, *, others: int = 1, now: float = 0.0) -> FloodWindow:
    """A window after many events of one type and a few of others."""
    window = FloodWindow(largest)
    for _ in range(MANY):
        window.count("flood", now)
    for number in range(others):
        window.count(f"quiet-{number}", now)
    return window


def slow(window: FloodWindow, commits: int = 200) -> None:
    """Commits that take ten times as long as they must."""
    window.committed(0.001)
    for _ in range(commits):
        window.committed(0.01)


def room(window: FloodWindow, now: float = 0.0) -> int:
    """How many more may enter; they do."""
    entered = 0
    while window.has_room(now):
        window.enter(new_id(), now)
        entered += 1
    return entered


# --- the window ----------------------------------------------------------------------------


def test_only_a_flood_beside_others_has_a_window() -> None:
    window = flooded(others=0)
    assert not window.is_for("flood")
    window.count("quiet", 0.0)
    assert window.is_for("flood")
    assert not window.is_for("quiet")
    assert not window.is_for("never seen")


def test_others_are_there_for_a_moment_after_their_last_event() -> None:
    """However many they had: a type that comes after another is not slowed down for it."""
    window = FloodWindow(100)
    for _ in range(100 * MANY):
        window.count("before", 0.0)
    for _ in range(200 * MANY):
        window.count("flood", 1.0)
    assert window.is_for("flood")
    window.count("flood", OTHERS_SECONDS)
    assert window.is_for("flood")
    window.count("flood", OTHERS_SECONDS + 0.1)
    assert not window.is_for("flood")
    window.count("quiet", OTHERS_SECONDS + 0.2)
    assert window.is_for("flood")


def test_the_window_shrinks_while_commits_are_slow_and_grows_when_they_are_not() -> None:
    window = FloodWindow(100)
    slow(window)
    assert window.size == SMALLEST
    for _ in range(200):
        window.committed(0.001)
    assert window.size == SMALLEST, "nothing waits for more"
    window.is_full = True
    for _ in range(1_000):
        window.committed(0.001)
    assert window.size == 100


def test_what_was_possible_long_ago_is_no_measure() -> None:
    """A database that is slower for good does not leave the window small for good."""
    window = FloodWindow(100)
    slow(window)
    window.is_full = True
    for _ in range(3_000):
        window.committed(0.01)
    assert window.size == 100


def test_room_is_what_is_not_in_work() -> None:
    window = flooded()
    slow(window)
    assert room(window) == SMALLEST
    window.enter("more", 0.0, events=5)
    window.leave("more")
    window.leave("never entered")
    assert room(window) == 0
    # Those are in calls that last.
    later = 2 * COUNTS_SECONDS
    assert window.has_room(later)
    window.enter("many at once", later, events=SMALLEST)
    assert not window.has_room(later)
    window.leave("many at once")
    assert room(window, later) == SMALLEST


# --- the line ------------------------------------------------------------------------------


class Line:
    """A line before a window of four, and what was taken out of it."""

    def __init__(self) -> None:
        self.window = flooded(now=time.monotonic())
        slow(self.window)
        self.taken: list[str] = []
        self.grew = asyncio.Event()
        self.line = FloodLine(self.window, self._take)

    def passed(self, *names: str) -> list[str]:
        return _names(self.line.pass_on([_message(name) for name in names]))

    def acknowledged(self, name: str) -> None:
        self.line.acknowledged((name, 0))

    async def goes_on(self) -> None:
        """Until more was taken out of it."""
        async with asyncio.timeout(10):
            await self.grew.wait()
        self.grew.clear()

    def _take(self, received: Sequence[Received]) -> None:
        self.taken += _names(received)
        self.grew.set()


def _message(name: str) -> Received:
    workflow_type = name.rstrip("0123456789")
    event = AnnouncedEvent(
        event_id=new_id(), workflow_instance_id=name, workflow_type=workflow_type, version=1
    )
    return Received(Announcement("asked", 100, (event,)), redelivered=False, token=(name, 0))


def _names(received: Sequence[Received]) -> list[str]:
    return [one.announcement.events[0].workflow_instance_id for one in received]


FLOOD = [f"flood{number}" for number in range(10)]


async def test_a_flood_waits_for_room_and_others_pass() -> None:
    line = Line()
    assert line.passed(*FLOOD, "quiet0") == [*FLOOD[:4], "quiet0"]
    assert len(line.line) == 6
    line.acknowledged("flood1")
    line.acknowledged("flood2")
    assert line.passed("flood10", "quiet1") == ["quiet1"], "who came first enters first"
    line.acknowledged("quiet0")
    await line.goes_on()
    assert line.taken == FLOOD[4:6]


async def test_calls_that_last_make_room() -> None:
    """Nothing is acknowledged: only time passes."""
    line = Line()
    line.passed(*FLOOD)
    while line.taken != FLOOD[4:]:
        await line.goes_on()
    assert len(line.line) == 0


async def test_what_waits_enters_once_the_flood_is_none() -> None:
    line = Line()
    line.passed(*FLOOD)
    for number in range(3 * MANY):
        line.window.count(f"other-{number}", time.monotonic())
    line.acknowledged("flood0")
    await line.goes_on()
    assert line.taken == FLOOD[4:]


async def test_nothing_enters_a_router_that_stops() -> None:
    line = Line()
    line.passed(*FLOOD)
    line.line.close()
    for name in FLOOD[:4]:
        line.acknowledged(name)
    await asyncio.sleep(0)
    assert (len(line.line), line.taken) == (0, [])


# --- places --------------------------------------------------------------------------------


class Places:
    """Calls of one task by a type that floods and one that does not."""

    def __init__(self, max_in_flight: int) -> None:
        self.ledger = Ledger()
        self.flood = {"flood"}
        self.called: list[Any] = []
        self.task = task(max_in_flight=max_in_flight)
        self.calls = Calls(
            self.ledger,
            cast(Any, None),
            cast(Any, self),
            PoolsSeen(Pool("default", routers=1)),
            NO_REGISTRY,
            lambda handling: None,
            floods=lambda workflow_type, namespace: workflow_type in self.flood,
            meters=meters_of(self.ledger),
            spans=NoSpans(),
        )

    def call(self, *_: Any, **__: Any) -> Any:
        """Of the directory of endpoints: a call that ends when it is cancelled."""
        outcome = asyncio.get_running_loop().create_future()
        self.called.append(outcome)
        return cast(Any, _Call(outcome))

    def begin(self, workflow_type: str, number: int = 1) -> int:
        """How many of so many deliveries are called at once."""
        before = len(self.called)
        for _ in range(number):
            handling = self._handling(workflow_type)
            call = handling.calls[self.task.task_id] = DeliveryCall(self.task)
            self.calls.start(handling, call)
        return len(self.called) - before

    async def end(self, which: int) -> int:
        """Ends a call; how many others begin by that."""
        before = len(self.called)
        self.called[which].cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(self.called) - before

    def _handling(self, workflow_type: str) -> Handling:
        instance = replace(INSTANCE, workflow_type=workflow_type)
        self.ledger.learn(Loaded({}, {instance.key: instance}, {}))
        event = Event(new_id(), "asked", {}, "client", version=1)
        state = self.ledger.state(instance.key)
        state.instance = instance
        return self.ledger.open(event, state, EventFacts(True), instance.revision)


class _Call:
    def __init__(self, outcome: asyncio.Future[Any]) -> None:
        self.outcome = outcome


async def test_a_flood_leaves_places_to_others() -> None:
    places = Places(2 * KEPT_FREE)
    assert places.begin("flood", 20) == 14
    assert places.begin("quiet", 3) == 2
    assert await places.end(0) == 1, "the quiet one that waits"
    assert await places.end(15) == 0, "what was kept free is free again"
    assert await places.end(1) == 0
    assert await places.end(2) == 1


async def test_a_flood_alone_has_all_places() -> None:
    places = Places(KEPT_FREE)
    places.flood.clear()
    assert places.begin("flood", 20) == KEPT_FREE


@pytest.mark.parametrize("number", [1, KEPT_FREE - 1])
async def test_of_a_few_places_none_is_kept_free(number: int) -> None:
    assert Places(number).begin("flood", 20) == number


async def test_however_many_wait_for_a_place_of_an_instance_that_ended_nothing_is_called() -> None:
    """Each gives its place to the next one at once: a place that is given back twice would let in too many."""
    places = Places(1)
    places.flood.clear()
    assert places.begin("quiet", 1_000) == 1
    (state,) = {handling.state for handling in places.ledger.handlings.values()}
    state.instance = replace(state.instance, status=Status.CANCELLED)
    assert await places.end(0) == 0
    assert (places.calls.places.taken, places.calls.places.free(places.task)) == (0, 1)
    outcomes = [handling.calls[places.task.task_id] for handling in state.handlings]
    assert all(call.row is not None and call.result is None for call in outcomes)
