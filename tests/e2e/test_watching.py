"""Watching through the death of the server that is watched through, in both forms."""

import asyncio

import pytest
from support.moody import Moody
from support.stories import read_story
from support.system import System
from support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


async def test_watches_go_on_after_the_server_died_and_miss_nothing(
    system: System, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moody = Moody(system, tmp_path_factory.mktemp("moody"))
    moody.start()
    async with system.client() as client:
        started = await client.start("long", {"seconds": 4})
        seen: list[list[int]] = [[] for _ in range(5)]

        async def watch(sequences: list[int]) -> str:
            async for entry in client.watch(started.id):
                sequences.append(entry.sequence)
            return entry.status

        watches = [asyncio.ensure_future(watch(sequences)) for sequences in seen]

        async def begun() -> bool:
            return all(seen)

        await eventually(begun, what="the first entry everywhere")
        await asyncio.to_thread(system.kill_the_api)
        async with asyncio.timeout(120):
            assert await asyncio.gather(*watches) == ["COMPLETED"] * 5
        story = await read_story(client, started.id)
    entries = list(range(1, len(story.entries) + 1))
    assert seen == [entries] * 5
