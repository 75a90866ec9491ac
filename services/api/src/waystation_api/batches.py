"""Batches that form under load: what arrives while a batch is under way goes into the next one. A single item
is not delayed; under load one statement has many items."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from waystation_core.background import BackgroundLoop, run_loop
from waystation_core.fair_queue import FairQueue
from waystation_core.ports.store import WriteRefused
from waystation_domain.errors import StoreUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Held(Generic[Item, Answer]):
    item: Item
    size_bytes: int
    future: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """Processes items in batches; answers are in the order of the items."""

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        limit: int,
        workers: int,
        most_held: float = math.inf,
        most_bytes: float = math.inf,
    ) -> None:
        """A batch has at most `limit` items; `workers` batches are under way at once. At most `most_held`
        items of `most_bytes` in all are held until they have their answers."""
        self._carry_out = carry_out
        self._limit = limit
        self._free = workers
        self._most_held = most_held
        self._most_bytes = most_bytes
        self._held = 0
        self._held_bytes = 0
        self._waiting: FairQueue[_Held[Item, Answer]] = FairQueue()
        self._under_way: set[BackgroundLoop] = set()

    async def __call__(self, item: Item, size_bytes: int = 0, line: str = "") -> Answer:
        """The answer to one item. Queues are served in turn. An item whose caller is cancelled is still
        processed. Raises StoreUnavailable if there is no room for it."""
        if self._held and (
            self._held >= self._most_held or self._held_bytes + size_bytes > self._most_bytes
        ):
            raise StoreUnavailable(
                f"{self._held} requests already wait for the database; retry the request "
                "in a moment.",
                waiting=str(self._held),
            )
        self._held += 1
        self._held_bytes += size_bytes
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(line, _Held(item, size_bytes, future))
        if self._free:
            self._free -= 1
            # Otherwise its callers would wait for ever.
            task = run_loop("batches", self._work, again=False, ends=True)
            self._under_way.add(task)
            task.task.add_done_callback(lambda _: self._under_way.discard(task))
        return await future

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._under_way:
            await asyncio.wait({kept.task for kept in self._under_way})

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch: list[_Held[Item, Answer]] = []
                while self._waiting and len(batch) < self._limit:
                    batch.append(self._waiting.pop())
                try:
                    await self._answer(batch)
                finally:
                    self._held -= len(batch)
                    self._held_bytes -= sum(held.size_bytes for held in batch)
        finally:
            self._free += 1

    async def _answer(self, batch: Sequence[_Held[Item, Answer]]) -> None:
        try:
            answers = await self._carry_out([held.item for held in batch])
        except WriteRefused as refused:
            if len(batch) == 1:
                _fail(batch, refused)
                return
            # One of them cannot be written; the others must not fail with it.
            for one in batch:
                await self._answer([one])
        except Exception as error:
            _fail(batch, error)
        else:
            for held, answer in zip(batch, answers, strict=True):
                if not held.future.done():
                    held.future.set_result(answer)


def _fail(batch: Sequence[_Held[Item, Answer]], error: Exception) -> None:
    for held in batch:
        if not held.future.done():
            held.future.set_exception(error)
