"""Faults of processes: killed, stopped for a while, ended in good order one after the other."""

import asyncio
import signal
from pathlib import Path

from chaos.faults.world import Bite, Hold, Params, World

_STOP_SECONDS = 25.0


async def kill(world: World, params: Params, hold: Hold) -> Bite:
    """SIGKILL for one process; another one takes its place."""
    name = params["name"]
    pid = await world.system.kill(name)
    await hold()
    await world.system.fill(name)
    await world.system.wait_ready(name)
    return Bite(world.system.pid(name) != pid, {"pid": pid, "then": world.system.pid(name)})


async def kill_service(world: World, params: Params, hold: Hold) -> Bite:
    """SIGKILL for every endpoint of a service; they come back together."""
    names = params["names"]
    pids = {name: await world.system.kill(name) for name in names}
    await hold()
    for name in names:
        await world.system.fill(name)
    for name in names:
        await world.system.wait_ready(name)
    replaced = all(world.system.pid(name) != pid for name, pid in pids.items())
    return Bite(replaced, {"killed": pids})


async def pause(world: World, params: Params, hold: Hold) -> Bite:
    """SIGSTOP, and SIGCONT after a while: longer than its lease, or not."""
    name = params["name"]
    pid = world.system.pid(name)
    world.system.signal(name, signal.SIGSTOP)
    try:
        await hold()
        state = _state(pid)
    finally:
        world.system.signal(name, signal.SIGCONT)
    return Bite(state == "T", {"pid": pid, "state": state})


async def roll(world: World, params: Params, hold: Hold) -> Bite:
    """SIGTERM for all processes of a kind, one after the other, each replaced before the next."""
    codes = {}
    for name in [name for name in world.system.names if name.startswith(params["kind"])]:
        codes[name] = await world.system.terminate(name, _STOP_SECONDS)
        await world.system.fill(name)
        await world.system.wait_ready(name)
    await hold()
    # One that had to be killed, or ended with an error, has not ended in good order.
    return Bite(bool(codes), {"codes": codes, "all_in_order": not any(codes.values())})


async def kill_everything(world: World, params: Params, hold: Hold) -> Bite:
    """SIGKILL for every process, Postgres and RabbitMQ too; all of it starts again."""
    system = world.system
    names = system.names
    pids = [await system.kill(name) for name in names]
    await asyncio.to_thread(system.postgres.kill)
    await asyncio.to_thread(system.rabbitmq.kill)
    await hold()
    await asyncio.gather(
        asyncio.to_thread(system.postgres.start), asyncio.to_thread(system.rabbitmq.start)
    )
    for name in names:
        await system.fill(name)
    for name in names:
        await system.wait_ready(name)
    return Bite(True, {"killed": len(pids) + 2})


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"
