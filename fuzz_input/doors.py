"""The doors, and how a generated input goes through each of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson
import pika
import pika.exceptions
from google.protobuf import message_factory

from fuzz_input import oracle
from fuzz_input.handler import STREAM, UNARY, start_id
from fuzz_input.values import HOSTS, POINTERS, TEXTS, TOKENS, Filler, uuid_text
from fuzz_input.wire import spoiled
from waystation.v1 import (
    dead_letter_service_pb2,
    delivery_completion_service_pb2,
    handler_registry_service_pb2,
    system_service_pb2,
)
from waystation.v1 import workflow_service_pb2 as workflow_pb

SERVICES = (
    workflow_pb.DESCRIPTOR,
    handler_registry_service_pb2.DESCRIPTOR,
    dead_letter_service_pb2.DESCRIPTOR,
    delivery_completion_service_pb2.DESCRIPTOR,
    system_service_pb2.DESCRIPTOR,
)
WAITING = frozenset({"RunWorkflow", "WaitWorkflow", "WatchWorkflow", "ReplayWorkflow"})
"""They may take as long as their callers like."""
PATIENCE = 60.0
WATCH_SECONDS = 0.3
EXCHANGES = ("waystation.events", "waystation.notices")


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with one input."""

    number: int
    door: str
    problem: str
    data: bytes


@dataclass(slots=True)
class Tally:
    """What came of all inputs."""

    sent: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def blame(self, fault: Fault) -> None:
        """Told at once: a run may be long."""
        self.faults.append(fault)
        print(
            f"FAULT input {fault.number}, {fault.door}: {fault.problem}\n"
            f"  {len(fault.data)} bytes: {fault.data[:400].hex()}",
            flush=True,
        )

    def count(self, door: str, answer: str) -> None:
        self.sent[door] = self.sent.get(door, 0) + 1
        self.answers[answer] = self.answers.get(answer, 0) + 1


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC of the contract."""

    path: str
    name: str
    request: Any
    streams: bool


def methods() -> list[Method]:
    """Every RPC that the API serves, as the contract has them."""
    return [
        Method(
            f"/{service.full_name}/{method.name}",
            method.name,
            message_factory.GetMessageClass(method.input_type),
            method.server_streaming,
        )
        for file in SERVICES
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def known_values(instance_ids: list[str]) -> dict[str, Callable[[random.Random], str]]:
    """Values that lead further than to the first check, by the name of their field."""

    def instance(rng: random.Random) -> str:
        return rng.choice(instance_ids) if instance_ids else "w-1"

    def key(rng: random.Random) -> str:
        return f"{uuid_text(rng)}:{rng.choice(('fuzz_task', 'a:b', 'a:edit-1', ''))}"

    return {
        "namespace": lambda rng: rng.choice(("", "", "", "default", "acme")),
        "workflow_instance_id": instance,
        "new_workflow_instance_id": lambda rng: f"fork-{rng.randrange(10**9)}",
        # Of a type that nobody handles, so that starts are cheap and never meet the canary.
        "workflow_type": lambda rng: rng.choice(("fuzzed", "fuzzed", "other")),
        "workflow_types": lambda rng: rng.choice(("fuzzed_too", "other_too", "a b", "")),
        "event_type": lambda rng: rng.choice(("a.b", "claim.processed", "workflow.completed")),
        "task_id": lambda rng: rng.choice(("fuzz_task", "a:b", "other_task")),
        "service_name": lambda rng: rng.choice(("fuzz_a", "fuzz_b")),
        "host": lambda rng: rng.choice(HOSTS),
        "path": lambda rng: rng.choice(POINTERS),
        "answer_path": lambda rng: rng.choice(POINTERS),
        "paths": lambda rng: rng.choice(POINTERS),
        "page_token": lambda rng: rng.choice((*TOKENS, forged_token(rng))),
        "request_id": lambda rng: rng.choice((f"r-{rng.randrange(10**9)}", "r-1", "")),
        "idempotency_key": key,
        "handler_id": uuid_text,
        "dead_letter_id": uuid_text,
    }


def forged_token(rng: random.Random) -> str:
    """Something like a page token."""
    body = orjson.dumps([rng.choice((1, -1, 1.5, None, "x", "0001-01-01T00:00:00", []))])
    return base64.urlsafe_b64encode(rng.randbytes(8) + body).decode().rstrip("=")


class Doors:
    """Sends inputs by their numbers."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        filler: Filler,
        rng_of: Callable[[int], random.Random],
        *,
        ports: tuple[int, int],
        amqp_url: str,
    ) -> None:
        self._channel = channel
        self._filler = filler
        self._rng_of = rng_of
        self._ports = ports
        self._amqp_url = amqp_url
        self._methods = methods()
        self._publisher: Any = None
        self._publishing = asyncio.Lock()
        self.tally = Tally()

    async def send(self, number: int) -> None:
        """One input through the door that its number leads to."""
        rng = self._rng_of(number)
        chance = rng.random()
        if chance < 0.80:
            await self._call(number, rng)
        elif chance < 0.90:
            await self._answer(number, rng)
        elif chance < 0.99:
            await self._publish(number, rng)
        else:
            await self._knock(number, rng)

    # --- gRPC ------------------------------------------------------------------------------------

    async def _call(self, number: int, rng: random.Random) -> None:
        method = self._methods[rng.randrange(len(self._methods))]
        request = method.request()
        self._filler.fill(request, rng)
        data = spoiled(request.SerializeToString(), rng)
        try:
            if method.streams:
                await self._watch(number, method, data)
            else:
                seconds = 2.0 if method.name in WAITING else PATIENCE
                ask: Any = self._channel.unary_unary(method.path)
                await ask(data, timeout=seconds)
            answer = "OK"
        except grpc.aio.AioRpcError as error:
            answer = error.code().name
            slow = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and method.name in WAITING
            problem = None if slow else oracle.fault_of(error)
            if problem is not None:
                self.tally.blame(Fault(number, method.name, problem, data))
        self.tally.count(method.name, answer)

    async def _watch(self, number: int, method: Method, data: bytes) -> None:
        """Answers of one request on a stream; both sides of RunWorkflows stream, which is the same on the wire."""
        watch: Any = self._channel.unary_stream(method.path)
        call = watch(data, timeout=PATIENCE)
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                async for message in call:
                    if method.name != "RunWorkflows":
                        break
                    for result in workflow_pb.RunWorkflowsResponse.FromString(message).results:
                        problem = oracle.fault_of_item(result.error)
                        if problem is not None:
                            self.tally.blame(Fault(number, method.name, problem, data))
        except TimeoutError:
            pass
        finally:
            call.cancel()

    # --- answers of handlers ---------------------------------------------------------------------

    async def _answer(self, number: int, rng: random.Random) -> None:
        kind = rng.choice((UNARY, STREAM))
        request = workflow_pb.StartWorkflowRequest(
            workflow_type=kind, workflow_instance_id=start_id(number)
        )
        start: Any = self._channel.unary_unary(
            "/waystation.v1.WorkflowService/StartWorkflow",
            request_serializer=workflow_pb.StartWorkflowRequest.SerializeToString,
        )
        try:
            await start(request, timeout=PATIENCE)
            answer = "OK"
        except grpc.aio.AioRpcError as error:
            # The input is the answer of its handler: a busy system may refuse the start itself.
            answer = error.code().name
            problem = oracle.fault_of(error)
            if problem is not None:
                self.tally.blame(Fault(number, kind, problem, b""))
        self.tally.count(kind, answer)

    # --- AMQP ------------------------------------------------------------------------------------

    async def _publish(self, number: int, rng: random.Random) -> None:
        body = message_body(rng)
        properties = message_properties(rng)
        exchange = rng.choice((*EXCHANGES, ""))
        key = "waystation.router.default" if not exchange else rng.choice(("a.b", "", "#"))
        async with self._publishing:
            try:
                await asyncio.to_thread(self._send_message, exchange, key, body, properties)
            except (ValueError, AssertionError, UnicodeError, OverflowError):
                # The client's library refused to write it.
                self.tally.count("AMQP", "not written")
                return
        self.tally.count("AMQP", "OK")

    def _send_message(self, exchange: str, key: str, body: bytes, properties: Any) -> None:
        if self._publisher is None or not self._publisher.is_open:
            connection = pika.BlockingConnection(pika.URLParameters(self._amqp_url))
            self._publisher = connection.channel()
        self._publisher.basic_publish(exchange, key, body, properties)

    # --- ports -----------------------------------------------------------------------------------

    async def _knock(self, number: int, rng: random.Random) -> None:
        """Something else than gRPC on a port; whatever comes of it, the port serves afterwards."""
        port = rng.choice(self._ports)
        kind = rng.choice(("http1", "tls", "noise", "preface", "half"))
        try:
            async with asyncio.timeout(5):
                if kind == "tls":
                    context = ssl.create_default_context()
                    await asyncio.open_connection("127.0.0.1", port, ssl=context)
                else:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(greeting(kind, rng))
                    await writer.drain()
                    if kind != "half":
                        await reader.read(1_000)
                    writer.close()
        except (OSError, TimeoutError):
            pass
        self.tally.count(f"port: {kind}", "closed")

    def close(self) -> None:
        """Hangs up."""
        if self._publisher is not None and self._publisher.is_open:
            # After minutes in which nobody published, RabbitMQ has hung up itself.
            with contextlib.suppress(pika.exceptions.AMQPError):
                self._publisher.connection.close()


def greeting(kind: str, rng: random.Random) -> bytes:
    """The first bytes on a connection."""
    if kind == "http1":
        return b"GET / HTTP/1.1\r\nHost: " + rng.randbytes(20).hex().encode() + b"\r\n\r\n"
    if kind == "noise":
        return rng.randbytes(rng.choice((1, 100, 10_000)))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    if kind == "half":
        return preface[: rng.randrange(1, len(preface))]
    length = rng.choice((0, 10, 16_384, 2**24 - 1))
    return preface + length.to_bytes(3, "big") + rng.randbytes(6) + rng.randbytes(min(length, 500))


def message_body(rng: random.Random) -> bytes:
    """The body of an AMQP message: nearly an announcement, or not at all."""
    if rng.random() < 0.2:
        return rng.randbytes(rng.choice((0, 1, 100, 70_000)))
    event: dict[str, Any] = {
        "id": uuid_text(rng),
        "type": "a.b",
        "instance": "w-1",
        "workflow_type": "fuzzed",
        "version": rng.choice((1, 0, -1, 2**31, 2**63, 1.5, True, "1", None)),
    }
    for name in list(event):
        if rng.random() < 0.15:
            event[name] = rng.choice((*TEXTS, None, 7, [], {}, {"a": []}))
        elif rng.random() < 0.05:
            del event[name]
    if rng.random() < 0.3:
        event["namespace"] = rng.choice(TEXTS)
    kind = rng.choice(("events", "events", "events", "notices", ""))
    document = {kind: [event] * rng.choice((0, 1, 1, 1, 2, 50, 51))}
    if kind == "notices":
        document = {kind: [{"status": rng.choice((1, 5, -1)), "idle": 1, **event}]}
    return spoiled(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS), rng)[:1_000_000]


def message_properties(rng: random.Random) -> pika.BasicProperties:
    """Properties of an AMQP message; nearly all are left out, mostly."""

    def some(*values: Any) -> Any:
        return rng.choice(values) if rng.random() < 0.3 else None

    short = [text for text in TEXTS if len(text.encode()) < 250]
    return pika.BasicProperties(
        content_type=some("application/json", "text/plain", "\N{GRINNING FACE}", ""),
        content_encoding=some("gzip", "utf-8", ""),
        priority=some(0, 9, 10, 255),
        correlation_id=some(*short),
        message_id=some(*short),
        type=some(*short),
        timestamp=some(0, 2**63 - 1, 2**64 - 1),
        headers=some(
            {"traceparent": rng.choice(TEXTS)},
            {"x-death": [{"count": 10**9}], "attempt": -1},
            {"a": 2**63 - 1, "c": None, "d": b"\xff\xfe"},
        ),
    )
