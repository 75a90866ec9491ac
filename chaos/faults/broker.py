"""Faults of RabbitMQ: gone, killed, emptied, wiped, alarmed, and messages from elsewhere."""

import asyncio
import contextlib
import random
import signal
import time
import urllib.error
from typing import Any

import pika.exceptions

from chaos.announced import garbage, publish, purge
from chaos.faults.servers import gone
from chaos.faults.world import Bite, Hold, Params, World
from localservers.processes import ProcessFailed

QUEUE = "waystation.router.default"
_BACK_SECONDS = 60.0
_LATEST = 40
_STILL_SECONDS = 8.0


async def stop(world: World, params: Params, hold: Hold) -> Bite:
    """Stopped in good order, and started again."""
    return await gone(world.system.rabbitmq, world.system.rabbitmq.stop_server, hold)


async def kill(world: World, params: Params, hold: Hold) -> Bite:
    """SIGKILL, and started again."""
    return await gone(world.system.rabbitmq, world.system.rabbitmq.kill, hold)


async def lose_data(world: World, params: Params, hold: Hold) -> Bite:
    """Killed, and started again as a new node: no queue, no exchange, no message is left."""
    server = world.system.rabbitmq
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.wipe)
    await hold()
    await asyncio.to_thread(server.start)
    consumers = await _until_consumed(world)
    return Bite(consumers > 0, {"consumers_again": consumers})


async def delete_queue(world: World, params: Params, hold: Hold) -> Bite:
    """The routers' queue is deleted with what it holds."""
    before = await asyncio.to_thread(_queue, world)
    try:
        await asyncio.to_thread(world.system.rabbitmq.api, f"queues/%2F/{QUEUE}", method="DELETE")
        deleted = True
    except urllib.error.HTTPError:
        deleted = False
    await hold()
    consumers = await _until_consumed(world)
    evidence = {
        "deleted": deleted,
        "messages": before.get("messages", 0),
        "consumers_again": consumers,
    }
    return Bite(deleted and consumers > 0, evidence)


async def purge_queue(world: World, params: Params, hold: Hold) -> Bite:
    """What was not acknowledged is returned to the queue, and the queue emptied, until it held
    something. Routers would take it at once, so they are stopped meanwhile."""
    lost = 0
    url = world.system.rabbitmq.amqp_url
    routers = [name for name in world.system.names if name.startswith("router-")]
    for name in routers:
        world.system.signal(name, signal.SIGSTOP)
    try:
        await asyncio.to_thread(_ctl, world, "close_all_connections", "chaos")
        end = time.monotonic() + _STILL_SECONDS
        while not lost and time.monotonic() < end:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                lost += await asyncio.to_thread(purge, url, QUEUE)
            await asyncio.sleep(0.2)
    finally:
        for name in routers:
            world.system.signal(name, signal.SIGCONT)
    await hold()
    return Bite(lost > 0, {"messages": lost})


async def close_connections(world: World, params: Params, hold: Hold) -> Bite:
    """Every connection is closed by the broker."""
    # The management API would show them some seconds later.
    listed = await asyncio.to_thread(world.system.rabbitmq.ctl, "list_connections", "pid")
    before = len(listed.splitlines())
    await asyncio.to_thread(_ctl, world, "close_all_connections", "chaos")
    await hold()
    consumers = await _until_consumed(world)
    return Bite(before > 0 and consumers > 0, {"closed": before, "consumers_again": consumers})


async def alarm(world: World, params: Params, hold: Hold) -> Bite:
    """The memory alarm: publishers are no longer read."""
    await asyncio.to_thread(_ctl, world, "set_vm_memory_high_watermark", "0.0000001")
    try:
        await hold()
        nodes = await asyncio.to_thread(world.system.rabbitmq.api, "nodes")
        raised = any(node.get("mem_alarm") for node in nodes)
    finally:
        await asyncio.to_thread(_ctl, world, "set_vm_memory_high_watermark", "0.4")
    return Bite(raised, {"mem_alarm": raised})


async def duplicate(world: World, params: Params, hold: Hold) -> Bite:
    """The latest announcements are published again, several times and out of order."""
    pick = random.Random(params["seed"])
    sent = 0
    url = world.system.rabbitmq.amqp_url
    for _ in range(params["rounds"]):
        recent = world.witness.recent()[-_LATEST:]
        messages: list[tuple[str, bytes, dict[str, Any]]] = [
            (key, body, {"content_type": "application/json", "priority": pick.randrange(10)})
            for key, body in recent
        ] * params["copies"]
        pick.shuffle(messages)
        sent += await asyncio.to_thread(publish, url, messages)
        await asyncio.sleep(1)
    await hold()
    return Bite(sent > 0, {"published": sent})


async def publish_garbage(world: World, params: Params, hold: Hold) -> Bite:
    """Messages that are no announcements, among those that are."""
    pick = random.Random(params["seed"])
    url = world.system.rabbitmq.amqp_url
    sent = await asyncio.to_thread(publish, url, garbage(pick))
    await hold()
    return Bite(sent > 0, {"published": sent})


def _ctl(world: World, *args: str) -> None:
    try:
        world.system.rabbitmq.ctl(*args)
    except ProcessFailed as fault:
        raise RuntimeError(str(fault)) from fault


def _queue(world: World) -> dict[str, Any]:
    try:
        found: dict[str, Any] = world.system.rabbitmq.api(f"queues/%2F/{QUEUE}")
    except (urllib.error.URLError, OSError):
        return {}
    return found


async def _until_consumed(world: World) -> int:
    """How many consume the routers' queue again; 0 after a minute without any."""
    end = time.monotonic() + _BACK_SECONDS
    while time.monotonic() < end:
        consumers = int((await asyncio.to_thread(_queue, world)).get("consumers", 0))
        if consumers:
            return consumers
        await asyncio.sleep(0.3)
    return 0
