"""What a person sees on RabbitMQ's management page while workflows run, through its HTTP API."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import StartParts
from support.moody import Moody
from support.waiting import eventually

from localservers.rabbitmq import RabbitMQServer

pytestmark = pytest.mark.timeout(180)


async def test_the_page_shows_names_bindings_connections_messages_and_dead_letters(
    start_parts: StartParts, rabbitmq: RabbitMQServer, amqp_url: str, tmp_path: Path
) -> None:
    parts = start_parts(routers=2)
    Moody(parts, tmp_path, tasks=["picky"]).start()
    vhost = amqp_url.rsplit("/", 1)[1]

    async def page(path: str, method: str = "GET", body: object = None) -> Any:
        return await asyncio.to_thread(rabbitmq.api, path, method=method, body=body)

    async def peek(queue: str) -> list[dict[str, Any]]:
        body = {"count": 10, "ackmode": "ack_requeue_true", "encoding": "auto"}
        found: list[dict[str, Any]] = await page(f"queues/{vhost}/{queue}/get", "POST", body)
        return found

    exchanges = {each["name"]: each["type"] for each in await page(f"exchanges/{vhost}")}
    assert exchanges["waystation.events"] == "topic"
    assert exchanges["waystation.unrouted"] == "fanout"
    assert exchanges["waystation.dead-letters"] == "fanout"
    bound = {(each["source"], each["destination"]) for each in await page(f"bindings/{vhost}")}
    assert ("waystation.unrouted", "waystation.router.default") in bound
    assert ("waystation.dead-letters", "waystation.dead-letters") in bound

    async def connections() -> list[str]:
        found = [each for each in await page("connections") if each.get("vhost") == vhost]
        return [each["client_properties"].get("connection_name", "") for each in found]

    names = await eventually(connections, until=lambda found: len(found) >= 8, timeout=30)
    pids = [process.pid for process in parts.routers]
    for pid in pids:
        assert any(
            name.startswith("waystation-router-default@") and f":{pid}" in name for name in names
        )
    assert any(name.startswith("waystation-api@") for name in names)

    async with parts.client() as client:
        failed = await client.run("picky", {"amount": "a lot"}, timeout=60)
        assert failed.status == "FAILED"
        copies = await eventually(lambda: peek("waystation.dead-letters"), timeout=30)
        body, headers = json.loads(copies[0]["payload"]), copies[0]["properties"]["headers"]
        told = json.dumps([body, headers])
        for fact in ("AMOUNT_MISSING", "picky", failed.id, "workflow.started"):
            assert fact in told

        # With no router left to take it, a message stays where a person can look at it.
        for router in parts.routers:
            await asyncio.to_thread(router.stop)
        started = await client.start(
            "picky", {"amount": 1, "secret": "not-for-the-page"}, priority=250
        )
        (message,) = await eventually(lambda: peek("waystation.router.default"), timeout=30)
    assert message["exchange"] == "waystation.events"
    assert message["routing_key"] == "workflow.started"
    properties = message["properties"]
    assert properties["type"] == "workflow.started"
    assert properties["priority"] == 9
    assert properties["message_id"]
    assert properties["timestamp"]
    # Transient: what is in the broker is a copy of what is in Postgres.
    assert properties.get("delivery_mode", 1) == 1
    assert "not-for-the-page" not in message["payload"]
    (event,) = json.loads(message["payload"])["events"]
    assert (event["type"], event["instance"]) == ("workflow.started", started.id)
    assert (event["workflow_type"], event["version"]) == ("picky", 1)
