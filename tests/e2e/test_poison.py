"""A task that kills its process is dead-lettered, and its neighbours are not."""

import asyncio
from pathlib import Path

import pytest
from support.moody import Moody
from support.operators import Operator
from support.stories import read_story
from support.system import System

pytestmark = pytest.mark.timeout(240)


async def test_poison_is_dead_lettered_and_its_neighbours_lose_no_attempt(
    system: System, tmp_path: Path
) -> None:
    moody = Moody(system, tmp_path)
    running = moody.start(2)
    async with system.client() as client:
        neighbours = [await client.start("neighbour", {"wanted": 15}) for _ in range(6)]
        poison = await client.start("poison")
        failed = asyncio.ensure_future(client.wait(poison.id, timeout=150))
        while not failed.done():
            # As a supervisor would.
            for process in [process for process in running if not process.running]:
                running.remove(process)
                system.handlers.remove(process)
                running += await asyncio.to_thread(moody.start)
            await asyncio.wait({failed}, timeout=0.1)
        assert failed.result().status == "FAILED"
        (letter,) = await Operator(system.address).open_dead_letters(poison.id)
        assert (letter.task_id, letter.attempts) == ("poison", 2)
        # The first death costs no attempt, and nothing is called without effect.
        assert len(moody.seen(poison.id)) == 3
        for neighbour in neighbours:
            done = await client.wait(neighbour.id, timeout=60)
            assert (done.status, done.output) == ("COMPLETED", {"steps": 15})
            assert await Operator(system.address).dead_letters(neighbour.id) == []
            await read_story(client, neighbour.id)
