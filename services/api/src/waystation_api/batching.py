"""Batches that form by themselves: what comes while a batch is under way goes into the next one.

A single item pays no delay; under load one statement carries many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from waystation_core.ports.store import WriteRefused
from waystation_core.running import Kept, keep

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Carries items out in batches; answers come in the order of the items."""

    def __init__(
        self,
        carry_out: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        limit: int,
        workers: int,
    ) -> None:
        self._carry_out = carry_out
        self._limit = limit
        self._free = workers
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._under_way: set[Kept] = set()

    async def __call__(self, item: Item) -> Answer:
        """The answer to one item. A caller that goes away takes nothing back."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._free:
            self._free -= 1
            # What waits for it would wait for ever.
            task = keep("batches", self._work, again=False, ends=True)
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
                batch = self._waiting[: self._limit]
                del self._waiting[: self._limit]
                await self._answer(batch)
        finally:
            self._free += 1

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._carry_out([item for item, _ in batch])
        except WriteRefused as refused:
            if len(batch) == 1:
                _fail(batch, refused)
                return
            # One of them can't be written; the others must not suffer for it.
            for one in batch:
                await self._answer([one])
        except Exception as error:
            _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
