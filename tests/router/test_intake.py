"""What a router does with messages when something is wrong with it."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

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
