"""What a router does with messages when something is wrong with it."""

import asyncio
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from router.given import INSTANCE
from support.registries import only
from support.waiting import eventually

from waystation_core.ports.store import Loaded
from waystation_domain.commit import EventFacts
from waystation_domain.model import Event, Status
from waystation_router.admission import Admission
from waystation_router.flood_window import FloodWindow
from waystation_router.intake import LOADS_AT_ONCE, LOADS_OF_AN_EVENT, Intake
from waystation_router.ledger import Ledger


class Queue:
    """Hands out one message, again whenever it has been acked, until it was twice."""

    def __init__(self) -> None:
        self.acked: list[Any] = []
        self.given = 0
        self.next = asyncio.Event()
        self.next.set()

    async def take(self, most: int) -> list[Any]:
        if len(self.acked) == 2:
            return []
        await self.next.wait()
        self.next.clear()
        self.given += 1
        event = SimpleNamespace(
            event_id="e-1",
            workflow_instance_id="w-1",
            workflow_type="split",
            version=1,
            namespace="default",
        )
        announcement = SimpleNamespace(events=(event,))
        return [SimpleNamespace(token=self.given, announcement=announcement, redelivered=False)]

    def ack(self, tokens: list[Any]) -> None:
        self.acked += tokens
        self.next.set()


async def test_a_fault_in_taking_events_in_hand_keeps_none_of_them() -> None:
    """The outbox has them: announced again they are loaded again, and the window is not full of them."""

    class Store:
        loads = 0

        async def load(self, event_ids: list[str]) -> Loaded:
            self.loads += 1
            if self.loads == 1:
                raise RuntimeError("a fault of ours")
            return Loaded({}, {}, {})

    store, queue = Store(), Queue()
    nothing = cast(Any, None)
    intake = Intake(Ledger(), cast(Any, store), nothing, FloodWindow(100))
    async with asyncio.timeout(10):
        await intake.run(cast(Any, queue))
    assert queue.acked[:2] == [1, 2]
    assert store.loads >= 2


def _stored(event_id: str, key: int) -> Loaded:
    event = Event(event_id, "asked", {}, "client", version=1)
    instance = replace(INSTANCE, key=key, workflow_instance_id=f"w-{key}")
    return Loaded(
        {event_id: (event, key)}, {key: instance}, {event_id: EventFacts(True, announcements=1)}
    )


class OneBatch:
    """Hands out some events at once, a message each, and nothing after them."""

    buffered = 0

    def __init__(self, event_ids: list[str]) -> None:
        self.acked: list[Any] = []
        self.left = [
            SimpleNamespace(
                token=event_id,
                announcement=SimpleNamespace(
                    events=(
                        SimpleNamespace(
                            event_id=event_id,
                            workflow_instance_id="w-1",
                            workflow_type="split",
                            version=1,
                            namespace="default",
                        ),
                    )
                ),
                redelivered=False,
            )
            for event_id in event_ids
        ]

    async def take(self, most: int) -> list[Any]:
        taken, self.left = self.left, []
        return taken

    def ack(self, tokens: list[Any]) -> None:
        self.acked += tokens


async def _take_in(
    store: Any, queue: OneBatch, resolve: Any, ledger: Ledger | None = None
) -> list[str]:
    """Lets the router take the batch in; the events that were handed on."""
    submitted: list[str] = []
    registries = only(SimpleNamespace(resolve=resolve, generation=1))
    admission = Admission(
        registries, cast(Any, None), lambda handling: submitted.append(handling.event_id)
    )
    intake = Intake(ledger or Ledger(), store, admission, FloodWindow(100))
    async with asyncio.timeout(10):
        await intake.run(cast(Any, queue))
    await asyncio.sleep(0)
    return submitted


async def test_one_event_that_cannot_be_loaded_keeps_no_other_of_its_batch() -> None:
    class Store:
        async def load(self, event_ids: list[str]) -> Loaded:
            if "x" in event_ids:
                raise RuntimeError('invalid input syntax for type uuid: "x"')
            merged = Loaded({}, {}, {})
            for event_id in event_ids:
                one = _stored(event_id, int(event_id[-1]))
                merged.events.update(one.events)
                merged.instances.update(one.instances)
                merged.facts.update(one.facts)
            return merged

    queue = OneBatch(["e-1", "x", "e-2", "e-3"])
    submitted = await _take_in(Store(), queue, lambda *_: ())
    assert submitted == ["e-1", "e-2", "e-3"]
    # What is handed on is acknowledged once it is committed.
    assert queue.acked == ["x"]


async def test_an_event_that_fails_on_its_way_into_hand_lets_go_of_its_message() -> None:
    class Store:
        async def load(self, event_ids: list[str]) -> Loaded:
            assert event_ids == ["e-1"]
            return _stored("e-1", 1)

    def resolve(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    queue = OneBatch(["e-1"])
    submitted = await _take_in(Store(), queue, resolve)
    assert submitted == []
    assert queue.acked == ["e-1"]


async def test_what_enters_behind_a_flood_is_loaded_by_no_more_loads_than_anything_else() -> None:
    """The database hangs, and time alone makes room in the window: a few events each time."""

    class Store:
        loads = 0

        async def load(self, event_ids: list[str]) -> Loaded:
            self.loads += 1
            await asyncio.Event().wait()
            raise AssertionError

    class Silent(OneBatch):
        async def take(self, most: int) -> list[Any]:
            return await super().take(most) or await asyncio.Event().wait() or []

    window, store = FloodWindow(100), Store()
    window.committed(0.001)
    for _ in range(200):
        window.committed(0.01)
        window.count("split", time.monotonic())
    window.count("another", time.monotonic())
    intake = Intake(Ledger(), cast(Any, store), cast(Any, None), window)
    queue = Silent([f"e-{number}" for number in range(40)])
    running = asyncio.create_task(intake.run(cast(Any, queue)))

    async def all_entered() -> bool:
        return store.loads > 0 and intake.buffered == 0

    await eventually(all_entered, what="the flood to enter")
    assert store.loads <= LOADS_AT_ONCE
    for task in (running, *intake._tasks):
        task.cancel()
    await asyncio.gather(running, *intake._tasks, return_exceptions=True)


class MovingStore:
    """Says of one event that it is in the outbox, and then `happens` before the answer is there; what is
    loaded after that says that the event is settled."""

    def __init__(self) -> None:
        self.happens: Any = None
        self.loads = 0

    async def load(self, event_ids: list[str]) -> Loaded:
        self.loads += 1
        found = _stored("e-1", 1)
        if self.loads == 1:
            self.happens()
            return found
        return Loaded(
            found.events, {1: replace(found.instances[1], revision=5)}, {"e-1": EventFacts(False)}
        )


@pytest.mark.parametrize("ended", [False, True], ids=["open", "ended"])
async def test_an_event_that_was_handled_here_while_it_was_loaded_is_not_handled_again(
    ended: bool,
) -> None:
    """A claim had it called, and its commit concluded, before an older load came back."""
    store, ledger = MovingStore(), Ledger()

    def handled() -> None:
        event, _ = _stored("e-1", 1).events["e-1"]
        status = Status.COMPLETED if ended else Status.ACTIVE
        instance = replace(INSTANCE, workflow_instance_id="w-1", revision=5, status=status)
        ledger.learn(Loaded({"e-1": (event, 1)}, {1: instance}, {"e-1": EventFacts(False)}))
        ledger.close(ledger.open(event, ledger.state(1), EventFacts(False), 5))

    store.happens = handled
    queue = OneBatch(["e-1"])
    submitted = await _take_in(store, queue, lambda *_: (), ledger)
    assert (submitted, queue.acked, store.loads) == ([], ["e-1"], 2)


async def test_an_event_whose_instance_another_moved_while_it_was_loaded_is_loaded_again() -> None:
    store, ledger = MovingStore(), Ledger()

    def moved() -> None:
        instance = replace(INSTANCE, workflow_instance_id="w-1", revision=5)
        ledger.learn(Loaded({}, {1: instance}, {}))

    store.happens = moved
    queue = OneBatch(["e-1"])
    submitted = await _take_in(store, queue, lambda *_: (), ledger)
    assert (submitted, queue.acked, store.loads) == ([], ["e-1"], 2)


async def test_an_event_that_moves_during_every_load_is_left_to_its_outbox_row() -> None:
    ledger = Ledger()

    class Store:
        loads = 0

        async def load(self, event_ids: list[str]) -> Loaded:
            self.loads += 1
            newer = replace(_stored("e-1", 1).instances[1], revision=10 + self.loads)
            ledger.learn(Loaded({}, {1: newer}, {}))
            return _stored("e-1", 1)

    store, queue = Store(), OneBatch(["e-1"])
    submitted = await _take_in(store, queue, lambda *_: (), ledger)
    assert (submitted, queue.acked, store.loads) == ([], ["e-1"], LOADS_OF_AN_EVENT)
