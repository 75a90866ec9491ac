"""What the faults of RabbitMQ and Postgres have in common."""

import asyncio
from collections.abc import Callable

from chaos.faults.world import Bite, Hold
from localservers.postgres import PostgresServer
from localservers.rabbitmq import RabbitMQServer


async def gone(
    server: PostgresServer | RabbitMQServer, end: Callable[[], None], hold: Hold
) -> Bite:
    """Ended in this way, away for a while, and started again."""
    pid = server.pid
    await asyncio.to_thread(end)
    await hold()
    await asyncio.to_thread(server.start)
    return Bite(server.pid != pid, {"pid": pid, "then": server.pid})
