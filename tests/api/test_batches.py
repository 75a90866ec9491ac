"""Items that are carried out together, and what one of them can do to the others."""

import asyncio
from collections.abc import Sequence

import pytest

from waystation_api.batches import Batcher
from waystation_core.ports.store import WriteRefused


async def test_one_that_cannot_be_written_fails_alone() -> None:
    async def carry_out(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0)
        if 3 in items:
            raise WriteRefused("three")
        return [item * 10 for item in items]

    batcher: Batcher[int, int] = Batcher(carry_out, limit=10, workers=1)
    answers = await asyncio.gather(*(batcher(item) for item in range(6)), return_exceptions=True)
    assert isinstance(answers[3], WriteRefused)
    assert [answer for at, answer in enumerate(answers) if at != 3] == [0, 10, 20, 40, 50]
    await batcher.close()


async def test_what_is_no_refusal_fails_the_batch() -> None:
    async def carry_out(items: Sequence[int]) -> list[int]:
        raise RuntimeError("all of them")

    batcher: Batcher[int, int] = Batcher(carry_out, limit=10, workers=1)
    with pytest.raises(RuntimeError, match="all of them"):
        await batcher(1)


async def test_lines_are_served_in_turn() -> None:
    """A line of a thousand does not stand before a line of one."""
    batches: list[list[str]] = []

    async def carry_out(items: Sequence[str]) -> list[str]:
        batches.append(list(items))
        await asyncio.sleep(0)
        return list(items)

    batcher: Batcher[str, str] = Batcher(carry_out, limit=4, workers=1)
    calls = [batcher(f"long {number}", line="long") for number in range(9)]
    calls.append(batcher("short", line="short"))
    await asyncio.gather(*calls)
    assert batches[0] == ["long 0", "short", "long 1", "long 2"]
    assert [len(batch) for batch in batches] == [4, 4, 2]
