"""What only RabbitMQ can show: garbage, returns, broken connections, and what a person sees."""

import asyncio
import base64
import os
import socket
import struct
from typing import Any

import pika
import pytest
from broker.announcing import announce, announcement, event_id, ids, take, tokens
from broker.conftest import Opened
from support.waiting import eventually

from localservers.rabbitmq import RabbitMQServer
from waystation_core.broker import open_broker
from waystation_core.ports.broker import (
    MAX_BODY_BYTES,
    AnnounceOutcome,
    Broker,
    DeadLetterCopy,
    Notice,
)

QUEUE = "waystation.router.default"
DEAD_LETTERS = "waystation.dead-letters"
E_1 = event_id("e-1")
GOOD = (
    b'{"events":[{"id":"%s","type":"a","instance":"w-1","workflow_type":"t","version":1}]}'
    % E_1.encode()
)


class RawHeader(pika.BasicProperties):  # type: ignore[misc]  # pika is untyped
    """One header, of a value that pika itself would not write."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self._value = value

    def encode(self) -> list[bytes]:
        table = b"\x01x" + self._value
        return [struct.pack(">HI", self.FLAG_HEADERS, len(table)) + table]


class Page:
    """The management page's HTTP API on the virtual host of a test."""

    def __init__(self, server: RabbitMQServer, amqp_url: str) -> None:
        self._server = server
        self._amqp_url = amqp_url
        self.vhost = amqp_url.rsplit("/", 1)[1]

    async def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        full = path.format(vhost=self.vhost)
        return await asyncio.to_thread(self._server.api, full, method=method, body=body)

    async def publish(self, body: bytes, **properties: object) -> None:
        answer = await self.ask(
            "exchanges/{vhost}/waystation.events/publish",
            "POST",
            {
                "properties": properties,
                "routing_key": "anything",
                "payload": base64.b64encode(body).decode(),
                "payload_encoding": "base64",
            },
        )
        assert answer == {"routed": True}

    def publish_raw(self, body: bytes, value: bytes) -> None:
        """With a header of that value, as AMQP has it on the wire."""
        connection = pika.BlockingConnection(pika.URLParameters(self._amqp_url))
        connection.channel().basic_publish("waystation.events", "anything", body, RawHeader(value))
        connection.close()

    async def messages(self, queue: str, count: int = 1) -> list[Any]:
        """So many messages of a queue, peeked at; waits until they are there."""
        body = {"count": 50, "ackmode": "ack_requeue_true", "encoding": "auto"}

        async def look() -> list[Any]:
            found: list[Any] = await self.ask(f"queues/{{vhost}}/{queue}/get", "POST", body)
            return found

        return await eventually(look, until=lambda seen: len(seen) >= count, what="messages")


@pytest.fixture
def page(rabbitmq: RabbitMQServer, amqp_url: str) -> Page:
    return Page(rabbitmq, amqp_url)


async def reconnected(broker: Broker, times: int, seconds: float) -> None:
    async def look() -> bool:
        status = broker.status()
        return status.ready and status.counters.reconnects >= times

    await eventually(look, timeout=seconds, what="the connections to be rebuilt")


class Losses:
    """What a broker has told of lost messages, without the one of its first start."""

    def __init__(self, broker: Broker) -> None:
        self._told: list[str] = []
        broker.on_messages_lost(self._told.append)

    async def look(self) -> list[str]:
        return self._told

    async def first(self) -> str:
        return (await eventually(self.look, what="being told"))[0]

    async def forget_the_start(self) -> None:
        await self.first()
        self._told.clear()


@pytest.mark.parametrize(
    ("body", "properties", "reason"),
    [
        (b"", {}, "empty"),
        (b"\xff\xfe\x00", {}, "not JSON"),
        (GOOD[:-9], {}, "not JSON"),
        (b"[]", {}, "`events`"),
        (b'{"events":[]}', {}, "`events`"),
        (b'{"events":[7]}', {}, "`type`"),
        (GOOD.replace(E_1.encode(), b"x"), {}, "`id`"),
        (GOOD.replace(E_1.encode(), E_1.upper().encode()), {}, "`id`"),
        (GOOD.replace(b'"t"', b'"a t"'), {}, "`workflow_type`"),
        (GOOD.replace(b'"w-1"', b'{"$ne":1}'), {}, "`instance`"),
        (GOOD.replace(b":1}", b":true}"), {}, "int32"),
        (GOOD.replace(b":1}", b":2147483648}"), {}, "int32"),
        (GOOD, {"content_type": "text/plain"}, "content_type"),
        (GOOD, {"content_type": "application/json", "content_encoding": "gzip"}, "encoding"),
        (GOOD + b" " * MAX_BODY_BYTES, {}, "more than 65536"),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else None,
)
async def test_garbage_is_put_aside_with_its_reason_and_holds_nobody_up(
    open_amqp: Opened, page: Page, body: bytes, properties: dict[str, object], reason: str
) -> None:
    broker = open_amqp()
    subscription = await broker.consume(prefetch=1)
    assert await broker.wait_ready(10)

    await page.publish(body, **properties)
    await announce(broker, announcement("good"))

    assert ids(await take(subscription, 1)) == ["good"]
    (copy,) = await page.messages(DEAD_LETTERS)
    headers = copy["properties"]["headers"]
    assert headers["reason"] == "UNDECODABLE"
    assert reason in headers["message"]
    assert headers["bytes"] == len(body)
    assert broker.status().counters.undecodable == 1
    assert await broker.depth() == 0


async def test_a_header_that_the_client_library_cannot_read_is_put_aside_like_any_garbage(
    open_amqp: Opened, page: Page
) -> None:
    broker = open_amqp()
    subscription = await broker.consume(prefetch=1)
    assert await broker.wait_ready(10)

    beyond_the_year_9999 = b"T" + struct.pack(">Q", 2**62)
    await asyncio.to_thread(page.publish_raw, GOOD, beyond_the_year_9999)
    await announce(broker, announcement("good"))

    assert ids(await take(subscription, 1)) == ["good"]
    (copy,) = await page.messages(DEAD_LETTERS)
    assert "its properties can't be read" in copy["properties"]["headers"]["message"]
    assert await broker.depth() == 0


async def test_a_well_formed_message_published_by_hand_is_let_through(
    open_amqp: Opened, page: Page
) -> None:
    broker = open_amqp()
    subscription = await broker.consume(prefetch=1)
    assert await broker.wait_ready(10)
    await page.publish(GOOD)
    assert ids(await take(subscription, 1)) == ["e-1"]


async def test_a_person_can_read_what_goes_through(open_amqp: Opened, page: Page) -> None:
    api = open_amqp("api")
    await announce(api, announcement("e-1", priority=200))
    api.dead_letter(
        [DeadLetterCopy("e-2", "claim.filed", "w-2", "claim", "assess", 5, "INTERNAL", "no luck")]
    )

    (message,) = await page.messages(QUEUE)
    assert message["routing_key"] == "claim.processed"
    assert message["payload"] == (
        f'{{"events":[{{"id":"{E_1}","type":"claim.processed","instance":"w-1",'
        '"workflow_type":"claim","version":3}]}'
    )
    properties = message["properties"]
    assert properties.pop("message_id")
    assert properties.pop("timestamp")
    assert properties == {
        "type": "claim.processed",
        "priority": 7,
        "delivery_mode": 1,
        "content_type": "application/json",
    }
    (copy,) = await page.messages(DEAD_LETTERS)
    assert copy["properties"]["headers"] == {
        "reason": "INTERNAL",
        "message": "no luck",
        "task_id": "assess",
        "attempts": 5,
    }
    assert '"instance":"w-2"' in copy["payload"]


async def test_topology_and_names_are_those_of_the_design(open_amqp: Opened, page: Page) -> None:
    router, fraud, api = open_amqp("router"), open_amqp("router"), open_amqp("api")
    await router.consume(prefetch=5)
    await fraud.consume(pool="fraud", bindings=("fraud.#",), prefetch=5)
    api.subscribe_notices(lambda _batch: None)
    for broker in (router, fraud, api):
        assert await broker.wait_ready(10)

    exchanges = {
        each["name"]: (each["type"], each["arguments"])
        for each in await page.ask("exchanges/{vhost}")
        if each["name"].startswith("waystation")
    }
    assert exchanges == {
        "waystation.events": ("topic", {"alternate-exchange": "waystation.unrouted"}),
        "waystation.unrouted": ("fanout", {}),
        "waystation.dead-letters": ("fanout", {}),
        "waystation.notices": ("fanout", {}),
    }
    bindings = {
        (each["source"], each["routing_key"], each["destination"])
        for each in await page.ask("bindings/{vhost}")
        if each["source"] and not each["destination"].startswith("waystation.notices.")
    }
    assert bindings == {
        ("waystation.unrouted", "", QUEUE),
        ("waystation.events", "fraud.#", "waystation.router.fraud"),
        ("waystation.dead-letters", "", DEAD_LETTERS),
    }
    queues = {each["name"]: each["arguments"] for each in await page.ask("queues/{vhost}")}
    assert queues[QUEUE] == {"x-max-priority": 9}
    assert queues["waystation.router.fraud"] == {"x-max-priority": 9, "x-expires": 300_000}
    (notices,) = [queues[name] for name in queues if name.startswith("waystation.notices.")]
    assert notices == {"x-max-length": 10_000, "x-max-length-bytes": 64 * 1024 * 1024}
    assert queues[DEAD_LETTERS] == {"x-max-length": 10_000, "x-message-ttl": 604_800_000}

    here = f"{socket.gethostname()}:{os.getpid()}"

    async def names() -> set[str]:
        found = await page.ask("vhosts/{vhost}/connections")
        return {each.get("client_properties", {}).get("connection_name", "") for each in found}

    await eventually(
        names,
        until=lambda seen: (
            seen
            == {
                f"waystation-router-default@{here}",
                f"waystation-router-fraud@{here}",
                f"waystation-router@{here} announces",
                f"waystation-api@{here} announces",
                f"waystation-api@{here} notices",
            }
        ),
        what="the names of the connections",
    )

    async def tags() -> set[str]:
        return {each["consumer_tag"] for each in await page.ask("consumers/{vhost}")}

    consumers = {f"waystation-router-default@{here}", f"waystation-router-fraud@{here}"}
    await eventually(tags, until=lambda seen: consumers <= seen, what="the consumers' names")


async def test_a_message_that_no_queue_takes_is_returned_and_the_queue_comes_back(
    open_amqp: Opened, page: Page
) -> None:
    api = open_amqp("api")
    await announce(api, announcement("e-0"))
    await page.ask(f"queues/{{vhost}}/{QUEUE}", "DELETE")

    outcomes = await api.announce([announcement(f"e-{n}") for n in range(3)])

    assert outcomes[0] is AnnounceOutcome.RETURNED
    assert api.status().counters.returned >= 1

    async def announced() -> AnnounceOutcome:
        return (await api.announce([announcement("again")]))[0]

    await eventually(announced, until=lambda seen: seen is AnnounceOutcome.CONFIRMED)


async def test_a_queue_deleted_under_its_consumer_is_reported_and_consumed_again(
    open_amqp: Opened, page: Page
) -> None:
    broker, api = open_amqp(), open_amqp("api")
    losses = Losses(broker)
    subscription = await broker.consume(prefetch=1)
    await announce(api, *(announcement(f"lost-{n}") for n in range(3)))
    held = await take(subscription, 1)
    await losses.forget_the_start()

    await page.ask(f"queues/{{vhost}}/{QUEUE}", "DELETE")
    await reconnected(broker, times=1, seconds=5)

    assert "deleted" in await losses.first()
    subscription.ack(tokens(held))  # Stale: would be another message's by now.
    await announce(api, announcement("after"))
    assert ids(await take(subscription, 1)) == ["after"]


async def test_connections_closed_by_an_operator_are_rebuilt_within_seconds(
    rabbitmq: RabbitMQServer, open_amqp: Opened, page: Page
) -> None:
    router, api = open_amqp(), open_amqp("api")
    losses = Losses(router)
    heard: list[Notice] = []
    flows_again: list[bool] = []
    api.subscribe_notices(heard.extend, lambda: flows_again.append(True))
    subscription = await router.consume(prefetch=10)
    await announce(api, announcement("e-1"), announcement("e-2"))
    before = await take(subscription, 2)
    subscription.ack(tokens(before)[:1])
    await losses.forget_the_start()

    await asyncio.to_thread(
        rabbitmq.ctl, "close_all_connections", "--vhost", page.vhost, "operator's test"
    )
    await reconnected(router, times=2, seconds=5)
    await reconnected(api, times=2, seconds=5)

    (again,) = await take(subscription, 1)
    assert ids([again]) == ["e-2"]
    assert again.redelivered
    subscription.ack(tokens(before))  # Stale: dropped, e-2 stays held.
    subscription.ack(tokens([again]))
    assert flows_again == [True]
    router.notify([Notice("w-1", 2, 1)])

    async def hear() -> list[Notice]:
        return heard

    await eventually(hear, what="the notice")
    await subscription.close()
    assert await api.depth() == 0
    assert await losses.look() == []


async def test_a_broker_that_is_away_costs_no_time_and_shows_no_secret() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    broker = open_broker(f"amqp://user:hidden@127.0.0.1:{port}/", role="api")
    try:

        async def error() -> str | None:
            return broker.status().last_error

        assert "ConnectionRefused" in str(await eventually(error))
        async with asyncio.timeout(0.5):
            outcomes = await broker.announce([announcement("e-1")])
            broker.notify([Notice("w-1", 1, 1)])
            assert await broker.depth() is None
        assert outcomes == [AnnounceOutcome.UNCONFIRMED]
        assert not await broker.wait_ready(0.01)
        assert "hidden" not in repr(broker.status())
        assert f"127.0.0.1:{port}" in broker.status().target
    finally:
        await broker.close()


@pytest.mark.parametrize("url", ["", "http://x/", "amqp://u:hidden@h:port/", "memory:"])
async def test_a_wrong_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        open_broker(url, role="api")
    assert "hidden" not in str(refused.value)


async def test_an_alarm_blocks_announcing_for_a_bounded_time_and_nothing_else(
    rabbitmq: RabbitMQServer, open_amqp: Opened
) -> None:
    router, api = open_amqp(), open_amqp("api")
    subscription = await router.consume(prefetch=10)
    await announce(api, announcement("e-1"))
    assert await router.wait_ready(10)
    await asyncio.to_thread(rabbitmq.ctl, "set_vm_memory_high_watermark", "0")
    try:
        async with asyncio.timeout(7):
            while await api.announce([announcement("blocked")]) != [AnnounceOutcome.UNCONFIRMED]:
                pass
        assert api.status().blocked
        async with asyncio.timeout(0.5):
            outcomes = await api.announce([announcement("blocked")])
        assert outcomes == [AnnounceOutcome.UNCONFIRMED]
        subscription.ack(tokens(await take(subscription, 1)))
    finally:
        await asyncio.to_thread(rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
    assert await api.wait_ready(10)
    await announce(api, announcement("after"))


async def test_a_restarted_broker_is_found_again_and_its_losses_are_reported() -> None:
    with await asyncio.to_thread(RabbitMQServer) as server:
        router = open_broker(server.amqp_url, role="router")
        api = open_broker(server.amqp_url, role="api")
        losses = Losses(router)
        try:
            subscription = await router.consume(prefetch=1)
            for restarts, wipe in ((1, False), (2, True)):
                await announce(api, *(announcement(f"lost-{n}") for n in range(3)))
                held = await take(subscription, 1)
                await losses.forget_the_start()

                await asyncio.to_thread(server.restart, wipe=wipe)

                await reconnected(router, times=2 * restarts, seconds=10)
                await reconnected(api, times=restarts, seconds=10)
                assert "restarted" in await losses.first()
                subscription.ack(tokens(held))  # Stale.
                await announce(api, announcement("after"))
                after = await take(subscription, 1)
                assert ids(after) == ["after"]
                subscription.ack(tokens(after))
        finally:
            await api.close()
            await router.close()


async def test_a_message_that_the_broker_refuses_is_not_confirmed(
    open_amqp: Opened, page: Page
) -> None:
    api = open_amqp("api")
    await announce(api, announcement("e-0"))
    await page.ask(
        "queues/{vhost}/full",
        "PUT",
        {"arguments": {"x-max-length": 0, "x-overflow": "reject-publish"}},
    )
    await page.ask(
        "bindings/{vhost}/e/waystation.events/q/full", "POST", {"routing_key": "#", "arguments": {}}
    )

    assert await api.announce([announcement("refused")]) == [AnnounceOutcome.UNCONFIRMED]
