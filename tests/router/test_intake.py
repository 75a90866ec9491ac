"""What a router does with messages when something is wrong with it."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from router.given import INSTANCE

from waystation_core.domain.commit import EventFacts
from waystation_core.domain.model import Event
from waystation_core.ports.store import Loaded
from waystation_router.intake import Intake
from waystation_router.ledger import Ledger


class Queue:
    """Hands out one message, anew whenever it has been acked, until it was twice."""

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
        event = SimpleNamespace(event_id="e-1", workflow_instance_id="w-1", version=1)
        announcement = SimpleNamespace(events=(event,))
        return [SimpleNamespace(token=self.given, announcement=announcement, redelivered=False)]

    def ack(self, tokens: list[Any]) -> None:
        self.acked += tokens
        self.next.set()


async def test_a_fault_in_taking_events_in_hand_keeps_none_of_them() -> None:
    """The outbox has them: announced again they are loaded anew, and the window is not full of them."""

    class Store:
        loads = 0

        async def load(self, event_ids: list[str]) -> Loaded:
            self.loads += 1
            if self.loads == 1:
                raise RuntimeError("a fault of ours")
            return Loaded({}, {}, {})

    store, queue = Store(), Queue()
    nothing = cast(Any, None)
    intake = Intake(Ledger(), cast(Any, store), nothing, nothing, nothing)
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

    def __init__(self, event_ids: list[str]) -> None:
        self.acked: list[Any] = []
        self.left = [
            SimpleNamespace(
                token=event_id,
                announcement=SimpleNamespace(
                    events=(
                        SimpleNamespace(event_id=event_id, workflow_instance_id="w-1", version=1),
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


async def _take_in(store: Any, queue: OneBatch, resolve: Any) -> tuple[Intake, list[str]]:
    """Lets the router take the batch in; the events that were handed on."""
    submitted: list[str] = []
    committer = SimpleNamespace(submit=lambda handling: submitted.append(handling.event_id))
    registry = SimpleNamespace(resolve=resolve, generation=1)
    nothing = cast(Any, None)
    intake = Intake(Ledger(), store, cast(Any, registry), nothing, cast(Any, committer))
    async with asyncio.timeout(10):
        await intake.run(cast(Any, queue))
    await asyncio.sleep(0)
    return intake, submitted


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
    intake, submitted = await _take_in(Store(), queue, lambda *_: ())
    assert submitted == ["e-1", "e-2", "e-3"]
    # What is handed on is acknowledged once it is committed.
    assert queue.acked == ["x"]
    assert intake.failed_events == 1


async def test_an_event_that_fails_on_its_way_into_hand_lets_go_of_its_message() -> None:
    class Store:
        async def load(self, event_ids: list[str]) -> Loaded:
            assert event_ids == ["e-1"]
            return _stored("e-1", 1)

    def resolve(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    queue = OneBatch(["e-1"])
    intake, submitted = await _take_in(Store(), queue, resolve)
    assert submitted == []
    assert queue.acked == ["e-1"]
    assert intake.failed_events == 1
