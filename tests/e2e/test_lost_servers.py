"""RabbitMQ loses everything or loses patience, Postgres crashes: work is delayed, never lost."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc.aio
import pika
import pika.exceptions
import pytest
from e2e.conftest import StartParts
from support.claims import ClaimFile, check_claims, start_claims
from support.databases import migrated
from support.moody import Moody
from support.system import CLAIMS
from support.waiting import eventually

from localservers.postgres import PostgresServer
from localservers.rabbitmq import RabbitMQServer
from waystation.v1 import system_service_pb2_grpc
from waystation.v1.system_service_pb2 import GetSystemStatusRequest
from waystation_worker import Client

pytestmark = pytest.mark.timeout(420)

QUEUE = "waystation.router.default"


@pytest.fixture(scope="module")
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
        started = await start_claims(client, 40)
        for router in parts.routers:
            router.send(signal.SIGSTOP)
        # Few at once: starts of one moment share a message.
        started |= await start_claims(client, 40, at_once=2)
        peek = {"count": 500, "ackmode": "ack_requeue_true", "encoding": "auto"}
        assert len(await page(f"{queue}/get", "POST", peek)) >= 10
        await page(f"{queue}/contents", "DELETE")
        await page(queue, "DELETE")
        await asyncio.to_thread(own_rabbitmq.restart, wipe=True)
        for router in parts.routers:
            router.send(signal.SIGCONT)
        await check_claims(client, started, within=90)


async def test_an_alarm_of_rabbitmq_is_told_and_what_waited_for_its_end_goes_on(
    start_parts: StartParts, own_rabbitmq: RabbitMQServer
) -> None:
    parts = start_parts(broker=own_rabbitmq.fresh_vhost(), routers=1)
    parts.start_handlers(*CLAIMS)
    async with parts.client() as client:
        await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0")
        try:
            started = await start_claims(client, 5)
            name = next(iter(started))

            async def remedies() -> list[str]:
                return [blocker.remedy for blocker in (await client.explain(name)).blockers]

            await eventually(
                remedies,
                until=lambda told: any("memory or disk alarm" in remedy for remedy in told),
                what="explain to name the alarm",
            )
            async with grpc.aio.insecure_channel(parts.address) as channel:
                stub: Any = system_service_pb2_grpc.SystemServiceStub(channel)
                status = await stub.GetSystemStatus(GetSystemStatusRequest())
            assert status.broker_blocked
        finally:
            await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
        await check_claims(client, started, within=90)


async def test_a_call_may_last_longer_than_rabbitmq_waits_for_an_ack(
    start_parts: StartParts, own_rabbitmq: RabbitMQServer, tmp_path: Path
) -> None:
    """Its default is half an hour; here it is four seconds, looked at each second, and the call takes
    ten: as if a call took more than an hour on RabbitMQ's own settings."""
    impatience = "".join(
        f"ok = application:set_env(rabbit, {name}, {milliseconds}), "
        for name, milliseconds in (("consumer_timeout", 4000), ("channel_tick_interval", 1000))
    )
    await asyncio.to_thread(own_rabbitmq.ctl, "eval", f"{impatience}ok.")
    parts = start_parts(broker=own_rabbitmq.fresh_vhost(), routers=1)
    moody = Moody(parts, tmp_path)
    moody.start()
    async with parts.client() as client:
        started = await client.start("long", {"seconds": 10})
        # Whoever keeps a message for so long does lose its channel.
        closed = await asyncio.to_thread(_keeps_a_message, own_rabbitmq.amqp_url)
        assert "timeout" in closed
        done = await client.wait(started.id, timeout=60)
    assert (done.status, done.output) == ("COMPLETED", {"attempt": 1})
    assert len(moody.seen(done.id)) == 1
    assert "broker_connection_lost" not in parts.routers[0].output()
    assert "PRECONDITION_FAILED" not in parts.routers[0].output()


def _keeps_a_message(amqp_url: str) -> str:
    """Why RabbitMQ closed the channel of a consumer that did not ack."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", queue, b"kept")
    channel.basic_consume(queue, lambda *_: None)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        channel.start_consuming()
    connection.close()
    return str(caught.value.reply_text)


async def test_a_postgres_that_crashes_under_load_loses_nothing_that_was_answered(
    start_parts: StartParts, own_postgres: PostgresServer, long_form: bool
) -> None:
    parts = start_parts(database=own_postgres.fresh_database(migrated))
    parts.start_handlers(*CLAIMS)
    async with parts.client() as client:
        for _ in range(4 if long_form else 2):
            starting = asyncio.ensure_future(_start_through_outages(client, 40))
            await asyncio.wait({starting}, timeout=1.0)
            await asyncio.to_thread(own_postgres.restart, "immediate")
            await check_claims(client, await starting, within=120)


async def _start_through_outages(client: Client, count: int) -> dict[str, ClaimFile]:
    return await start_claims(client, count, at_once=10)
