"""The broker's witness: a queue of its own that sees every announcement, and a publisher for tests."""

import collections
import json
import random
import threading
import time
from typing import Any

import pika
import pika.exceptions

from chaos.folder import Lines

_EXCHANGE = "waystation.events"
# What no other pool takes goes there: all of it, in a run with the default pool only. A queue at
# the exchange of events itself would take the messages away from that pool.
_SEEN_AT = "waystation.unrouted"
_FORGED = "chaos-forged"
_REMEMBERED = 2000
_PAUSE_SECONDS = 0.5


class BrokerWitness:
    """Notes the ids of all announced events while the broker is there; reconnects by itself."""

    def __init__(self, amqp_url: str, lines: Lines) -> None:
        self._parameters = pika.URLParameters(amqp_url)
        self._lines = lines
        self._recent: collections.deque[tuple[str, bytes]] = collections.deque(maxlen=_REMEMBERED)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker witness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stopping.set()
        self._thread.join(10)

    def recent(self) -> list[tuple[str, bytes]]:
        """Routing keys and bodies of the latest announcements, oldest first."""
        return list(self._recent)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(_PAUSE_SECONDS)

    def _listen(self) -> None:
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, _SEEN_AT)
            for method, properties, body in channel.consume(
                queue, auto_ack=True, inactivity_timeout=0.5
            ):
                if self._stopping.is_set():
                    return
                if method is not None and _FORGED not in (properties.headers or {}):
                    self._note(method.routing_key, body)
        finally:
            if connection.is_open:
                connection.close()

    def _note(self, routing_key: str, body: bytes) -> None:
        self._recent.append((routing_key, body))
        self._lines.write(events=[event["id"] for event in json.loads(body)["events"]])


def publish(amqp_url: str, messages: list[tuple[str, bytes, dict[str, Any]]]) -> int:
    """Publishes as a program would that is not part of Waystation: routing key, body and properties of each;
    how many these were. They carry a mark that the witness knows."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        channel = connection.channel()
        for routing_key, body, properties in messages:
            headers = {**properties.get("headers", {}), _FORGED: True}
            channel.basic_publish(
                _EXCHANGE,
                routing_key,
                body,
                pika.BasicProperties(**{**properties, "headers": headers}),
            )
        return len(messages)
    finally:
        connection.close()


def purge(amqp_url: str, queue: str) -> int:
    """Empties a queue; how many messages it held."""
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    try:
        return int(connection.channel().queue_purge(queue).method.message_count)
    finally:
        connection.close()


def garbage(pick: random.Random) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Messages that no announcement looks like, and some that nearly do."""
    known = {
        "id": "018f0000-0000-7000-8000-000000000001",
        "type": "step.work",
        "instance": "nobody",
        "workflow_type": "chaos",
        "version": 1,
    }
    bodies: list[bytes] = [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[]",
        b'{"events": []}',
        b'{"events": [',
        b'{"events": ' + b"[" * 2000,
        b"x" * 200_000,
        json.dumps({"events": [known]}).encode(),
        json.dumps({"events": [{**known, "id": "x"}]}).encode(),
        json.dumps({"events": [{**known, "version": 2**40}]}).encode(),
        json.dumps({"events": [{**known, "type": "a"}, {**known, "type": "b"}]}).encode(),
        json.dumps({"events": [{**known, "namespace": "stranger"}]}).encode(),
    ]
    forms: list[dict[str, Any]] = [
        {},
        {"content_type": "text/plain"},
        {"content_type": "application/json", "content_encoding": "gzip"},
        {"content_type": "application/json", "priority": 255},
        {"headers": {"x-death": [{"count": 99}], "traceparent": "00-\n"}},
    ]
    return [
        (pick.choice(("step.work", "nobody.knows", "x" * 255)), body, form)
        for body in bodies
        for form in forms
    ]
