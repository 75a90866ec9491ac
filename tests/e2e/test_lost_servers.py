"""RabbitMQ loses everything, Postgres crashes: work is delayed, never lost."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from e2e.conftest import StartParts
from support.claims import ClaimFile, check_claims, start_claims
from support.databases import migrated
from support.system import CLAIMS

from localservers.postgres import PostgresServer
from localservers.rabbitmq import RabbitMQServer
from waystation_worker import Client

pytestmark = pytest.mark.timeout(420)

QUEUE = "waystation.router.default"


@pytest.fixture
def own_rabbitmq(rabbitmq: RabbitMQServer) -> Iterator[RabbitMQServer]:
    """A node that may lose its data. Asks for the run's own first, which knows what to say where
    RabbitMQ is missing."""
    with RabbitMQServer() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that may crash."""
    with PostgresServer() as server:
        yield server


async def test_a_purged_queue_a_deleted_queue_and_a_broker_without_its_data_lose_no_workflow(
    start_parts: StartParts, own_rabbitmq: RabbitMQServer
) -> None:
    # So few in a router's hands that the others are in the queue.
    parts = start_parts(broker=own_rabbitmq.amqp_url, WAYSTATION_ROUTER_PREFETCH="5")
    parts.start_handlers(*CLAIMS)
    queue = f"queues/{quote('/', safe='')}/{QUEUE}"

    async def page(path: str, method: str = "GET", body: object = None) -> Any:
        return await asyncio.to_thread(own_rabbitmq.api, path, method=method, body=body)

    async with parts.client() as client:
        started = await start_claims(client, 100)
        for router in parts.routers:
            router.send(signal.SIGSTOP)
        started |= await start_claims(client, 100)
        peek = {"count": 500, "ackmode": "ack_requeue_true", "encoding": "auto"}
        assert len(await page(f"{queue}/get", "POST", peek)) >= 10
        await page(f"{queue}/contents", "DELETE")
        await page(queue, "DELETE")
        await asyncio.to_thread(own_rabbitmq.restart, wipe=True)
        for router in parts.routers:
            router.send(signal.SIGCONT)
        await check_claims(client, started, within=90)


async def test_a_postgres_that_crashes_under_load_loses_nothing_that_was_answered(
    start_parts: StartParts, own_postgres: PostgresServer, chaos: bool
) -> None:
    parts = start_parts(database=own_postgres.fresh_database(migrated))
    parts.start_handlers(*CLAIMS)
    async with parts.client() as client:
        for _ in range(4 if chaos else 2):
            starting = asyncio.ensure_future(_start_through_outages(client, 60))
            await asyncio.wait({starting}, timeout=1.0)
            await asyncio.to_thread(own_postgres.restart, "immediate")
            await check_claims(client, await starting, within=120)


async def _start_through_outages(client: Client, count: int) -> dict[str, ClaimFile]:
    return await start_claims(client, count, at_once=10)
