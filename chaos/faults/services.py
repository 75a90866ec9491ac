"""Faults of handler services: a registration that lapses, a task that kills its process."""

import asyncio
import signal
import time

from chaos.faults.world import Bite, Hold, Params, World
from chaos.folder import read_folder
from chaos.system import registered_ports

_SEEN_SECONDS = 60.0
_LOOKS = 60
_CALLS_OF_A_RUNAWAY = 50


async def lose_registration(world: World, params: Params, hold: Hold) -> Bite:
    """The endpoint is stopped until its lease has ended; then it comes back."""
    name = params["name"]
    port = world.system.port(name)
    world.system.signal(name, signal.SIGSTOP)
    lost = False
    try:
        await hold()
        end = time.monotonic() + _SEEN_SECONDS
        while not lost and time.monotonic() < end:
            ports = await asyncio.to_thread(registered_ports, world.system.client_addresses[0])
            # None at all: the API cannot be asked now.
            lost = bool(ports) and port not in ports
            await asyncio.sleep(0.3)
    finally:
        world.system.signal(name, signal.SIGCONT)
    return Bite(lost, {"unregistered": lost})


async def poison_that_kills(world: World, params: Params, hold: Hold) -> Bite:
    """A workflow with a task that kills the process it runs in."""
    began = time.time()
    world.control.write(do="kill")
    await hold()
    end = time.monotonic() + _SEEN_SECONDS
    while True:
        deaths = await asyncio.to_thread(_kills, world, began)
        if deaths or time.monotonic() > end:
            return Bite(deaths > 0, {"deaths": deaths})
        await asyncio.sleep(0.5)


async def runaway(world: World, params: Params, hold: Hold) -> Bite:
    """A workflow that raises events without end."""
    began = time.time()
    world.control.write(do="run-away")
    await hold()
    for _ in range(_LOOKS):
        calls = await asyncio.to_thread(_calls, world, began, "run_on")
        if calls >= _CALLS_OF_A_RUNAWAY:
            break
        await asyncio.sleep(1)
    return Bite(calls >= _CALLS_OF_A_RUNAWAY, {"calls": calls})


def _calls(world: World, since: float, task: str) -> int:
    return sum(
        line["task"] == task and line["at"] >= since for line in read_folder(world.folder.ledger)
    )


def _kills(world: World, since: float) -> int:
    return sum(
        line["answer"] == "kills" and line["at"] >= since
        for line in read_folder(world.folder.ledger)
    )
