"""Messages per second through a private RabbitMQ: publish, confirm, consume, ack, in one process.

Usage: python bench/broker.py [messages]. Every message carries one event; batches as they come.
"""

import asyncio
import sys
import time

import uvloop

from localservers.rabbitmq import RabbitMQServer
from waystation_core.broker import open_broker
from waystation_core.ids import new_id
from waystation_core.ports.broker import AnnouncedEvent, Announcement, AnnounceOutcome

IN_A_BATCH = 50


async def through(url: str, messages: int) -> float:
    """Messages per second, from the first announcement to the last ack."""
    broker = open_broker(url, role="router")
    subscription = await broker.consume(prefetch=1000)
    await broker.wait_ready(10)

    async def announce() -> None:
        for _ in range(messages // IN_A_BATCH):
            batch = [
                Announcement("claim.filed", 100, (AnnouncedEvent(new_id(), "w-1", "claim", 1),))
                for _ in range(IN_A_BATCH)
            ]
            assert set(await broker.announce(batch)) == {AnnounceOutcome.CONFIRMED}

    async def consume() -> None:
        left = messages // IN_A_BATCH * IN_A_BATCH
        while left:
            taken = await subscription.take(200)
            subscription.ack([message.token for message in taken])
            left -= len(taken)

    began = time.perf_counter()
    await asyncio.gather(announce(), consume())
    rate = messages / (time.perf_counter() - began)
    await broker.close()
    return rate


if __name__ == "__main__":
    with RabbitMQServer() as server:
        count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
        print(f"{uvloop.run(through(server.amqp_url, count)):,.0f} messages/s")
