"""A broker that the engine cannot stand on is refused in words, when it is met."""

from __future__ import annotations

import pytest
from pika.exceptions import ChannelClosedByBroker
from support.old_rabbitmq import ABLE, greets_as
from support.waiting import eventually

from waystation_core.broker import broker_faults, open_broker
from waystation_core.broker.connection import describe
from waystation_core.broker.fitness import LEAST_CONSUMER_TIMEOUT_SECONDS, faults_of
from waystation_core.store.connections import STATEMENT_TIMEOUT_SECONDS
from waystation_router import sweeper


async def test_the_broker_of_this_machine_is_fit(amqp_url: str) -> None:
    assert await broker_faults(amqp_url, role="router") == []


@pytest.mark.parametrize(
    ("product", "version", "fit"),
    [
        ("RabbitMQ", "3.9.29", False),
        ("RabbitMQ", "3.10.0", True),
        ("RabbitMQ", "3.13.7", True),
        ("RabbitMQ", "4.1.0-rc.1", True),
        ("RabbitMQ", "unknown", True),
        ("LavinMQ", "2.0.0", True),
    ],
)
def test_only_what_is_known_to_be_too_old_is(product: str, version: str, fit: bool) -> None:
    said = {"product": product, "version": version, "capabilities": ABLE}
    assert (faults_of(said) == []) is fit


async def test_all_faults_of_a_broker_are_reported_and_no_secret_is() -> None:
    with greets_as("3.8.2", publisher_confirms=False) as url:
        faults = await broker_faults(url, role="router")
        assert len(faults) == 2
        assert "RabbitMQ has version 3.8.2; it must be 3.10 or newer" in faults[0]
        assert "publisher confirms" in faults[1]
        # One that turns up later is no reason to end: it is said for as long as it is there.
        broker = open_broker(url, role="router")
        try:

            async def said() -> str:
                return broker.status().last_error or ""

            await eventually(said, until=lambda text: "3.8.2" in text)
            assert not broker.status().ready
        finally:
            await broker.close()
        assert "hunter2" not in "".join([*faults, str(broker.status())])


async def test_what_can_not_be_asked_has_no_faults_and_costs_no_time() -> None:
    assert await broker_faults("amqp://u:p@127.0.0.1:1/", role="router") == []
    assert await broker_faults("memory://", role="router") == []
    assert await broker_faults("", role="router") == []
    (fault,) = await broker_faults("amqp://u:p@mq/?heartbeat=often", role="router")
    assert fault.startswith("WAYSTATION_BROKER_URL")


@pytest.mark.parametrize(("milliseconds", "told"), [(300, True), (1_800_000, False)])
def test_a_consumer_timeout_that_is_too_short_is_reported_with_what_to_do(
    milliseconds: int, told: bool
) -> None:
    said = describe(
        ChannelClosedByBroker(
            406,
            "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value "
            f"used: {milliseconds} ms. This timeout value can be configured, see consumers doc "
            "guide to learn more",
        )
    )
    assert ("set it to 60 s at least" in said) is told


def test_a_message_is_held_far_shorter_than_the_least_consumer_timeout() -> None:
    # Until its call gets a lease: the hold, the next look, and a commit that fails and is made again.
    held = sweeper.ACK_HOLD + sweeper.HOLDS_EVERY + 4 * STATEMENT_TIMEOUT_SECONDS
    assert held < LEAST_CONSUMER_TIMEOUT_SECONDS / 2
