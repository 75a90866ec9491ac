"""Events with something to write, until they are committed. An instance is in one batch at a time; what is
submitted meanwhile waits here for the next one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from waystation_router.ledger import Handling, Ledger
from waystation_router.portions import Portion

BATCH = 200
"""Instances in one batch."""


class CommitQueue:
    """First in, first out, as far as their instances are free."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: OrderedDict[str, Handling] = OrderedDict()
        self._busy: set[int] = set()
        self._committing: set[str] = set()
        self._filled = asyncio.Event()
        self._closing = False

    def __len__(self) -> int:
        return len(self._waiting)

    def has(self, handling: Handling) -> bool:
        """Whether something of this event is about to be written, so that its state is not known."""
        return handling.event_id in self._waiting or handling.event_id in self._committing

    def put(self, handling: Handling) -> None:
        # It replaces one that was closed while it was queued: nothing more is written of that.
        self._waiting[handling.event_id] = handling
        self._filled.set()

    def close(self) -> None:
        """Nothing more will be submitted."""
        self._closing = True
        self._filled.set()

    async def take(self) -> list[Portion]:
        """What is queued, as soon as there is something. Empty once all is taken, and the queue was closed."""
        while True:
            if portions := self._portions():
                return portions
            if self._closing and not self._waiting:
                self._filled.set()
                return []
            self._filled.clear()
            await self._filled.wait()

    def free(self, portion: Portion) -> None:
        """Another batch may have the instance."""
        self._busy.discard(portion.state.instance.key)
        self._committing.difference_update(handling.event_id for handling in portion.handlings)
        if self._waiting:
            self._filled.set()

    def _portions(self) -> list[Portion]:
        """What is queued, by instance; instances of the other worker are left for later."""
        portions: dict[int, Portion] = {}
        taken: list[str] = []
        for event_id, handling in self._waiting.items():
            key = handling.state.instance.key
            if key in self._busy:
                continue
            if not handling.has_something_to_write:
                # A commit that was under way when it was submitted wrote all of it.
                taken.append(event_id)
                if self._ledger.handlings.get(event_id) is handling:
                    handling.release_messages()
                    self._ledger.close(handling)
                continue
            portion = portions.get(key)
            if portion is None:
                if len(portions) >= BATCH:
                    break
                portion = portions[key] = Portion(handling.state, [])
            portion.handlings.append(handling)
            taken.append(event_id)
        for event_id in taken:
            del self._waiting[event_id]
        for portion in portions.values():
            self._committing.update(handling.event_id for handling in portion.handlings)
        self._busy.update(portions)
        return list(portions.values())
