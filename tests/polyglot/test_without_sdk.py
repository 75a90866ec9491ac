"""A handler service's whole life, and a client's, in each language that docs/without-sdk has a page for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from support.identity_vectors import FILE, vectors
from support.polyglot import Language, Program
from support.system import Embedded, logged
from support.waiting import eventually

from localservers.processes import ChildProcess
from waystation.v1 import (
    dead_letter_pb2,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    handler_pb2,
    handler_registry_service_pb2,
    handler_registry_service_pb2_grpc,
    history_pb2,
    task_handler_service_pb2,
    task_handler_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

PARCEL = {"weight": 2, "to": "Ada"}
HELD_SECONDS = 60
"""How long a task that is to be cancelled would take; its timeout is shorter."""
HELD_AT_END = 5
"""Seconds that a call goes on after the signal."""

CHECKS = Path(__file__).parent / "checks"
SIGNATURE_CHECKS: Mapping[str, tuple[str, str, str]] = {
    # The check, its place beside the program, and how it is run there.
    "go": ("go.txt", "signatures_test.go", "go test -count=1 -run TestVectors -v ."),
    "typescript": ("typescript.txt", "signatures.mjs", "node signatures.mjs"),
    "java": (
        "java.txt",
        "Vectors.java",
        "javac -cp 'target/classes:target/lib/*' -d target/classes Vectors.java"
        " && java -cp 'target/classes:target/lib/*' parcels.Vectors",
    ),
}


class Observer:
    """What is seen of a handler service from outside, and what an operator may do to it."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._registry = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(self._channel)
        self._workflows = workflow_service_pb2_grpc.WorkflowServiceStub(self._channel)
        self._letters = dead_letter_service_pb2_grpc.DeadLetterServiceStub(self._channel)

    async def __aenter__(self) -> Observer:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def handlers(self) -> list[handler_pb2.Handler]:
        request = handler_registry_service_pb2.ListHandlersRequest(
            service_name="parcels", with_tasks=True
        )
        return list((await self._registry.ListHandlers(request, timeout=10)).handlers)

    async def forget(self, handler_id: str) -> None:
        """As the end of its lease does."""
        request = handler_registry_service_pb2.UnregisterHandlerRequest(handler_id=handler_id)
        await self._registry.UnregisterHandler(request, timeout=10)

    async def attempts(
        self, workflow_instance_id: str, task_id: str
    ) -> list[history_pb2.HistoryEntry]:
        """The entries of a task's attempts, of a workflow that has ended."""
        request = workflow_service_pb2.WatchWorkflowRequest(
            workflow_instance_id=workflow_instance_id
        )
        return [
            message.history_entry
            async for message in self._workflows.WatchWorkflow(request, timeout=20)
            if message.history_entry.processed_by == task_id
        ]

    async def letter(self, workflow_instance_id: str) -> dead_letter_pb2.DeadLetter:
        """The one dead letter of a workflow."""
        request = dead_letter_service_pb2.ListDeadLettersRequest()
        request.filter.workflow_instance_ids.append(workflow_instance_id)
        (letter,) = (await self._letters.ListDeadLetters(request, timeout=10)).dead_letters
        return letter


async def test_a_workflow_from_start_to_end(
    language: Language, program: Program, system: Embedded, handler: ChildProcess
) -> None:
    parcel = f"{language.name}-parcel"
    async with Observer(system.address) as observer:
        (registered,) = await observer.handlers()
    assert {task.task_id for task in registered.tasks} == {
        "price", "pack", "label", "book", "ask", "hand_over"
    }  # fmt: skip
    assert registered.kind == handler_pb2.REGISTRATION_KIND_LEASED
    data = json.dumps({**PARCEL, "carrier": "busy"})
    started = program.client(system.address, "start", parcel, data)
    assert started == f"started {parcel}; next: price\n"
    # The carrier is busy at first, then answers later.
    asked = program.client(system.address, "wait", parcel)
    assert asked == "WAITING_FOR_INPUT WAITING_FOR_INPUT\nhandover: May a neighbour take it?\n"
    program.client(system.address, "answer", parcel, "handover", '{"neighbour": true}')
    done = program.client(system.address, "wait", parcel).splitlines()
    assert done[0] == "DONE COMPLETED"
    output = json.loads(done[1])
    assert output.pop("tracking").startswith("T-")
    assert output == {"handed_to": "a neighbour", "price": 9}
    async with Observer(system.address) as observer:
        busy, booked = await observer.attempts(parcel, "book")
    assert (busy.result, busy.error.reason) == (history_pb2.HISTORY_RESULT_FAILED, "CARRIER_BUSY")
    assert booked.result == history_pb2.HISTORY_RESULT_SUCCESS
    # RetryInfo's second, not the task's backoff of 0.2 s.
    pause = busy.next_attempt_at.ToDatetime() - busy.processed_at.ToDatetime()
    assert pause > timedelta(seconds=0.7)
    # Where HandleEvents is not served, the calls of `label` come by HandleEvent without a word.
    assert "batching_not_served" not in system.engine[-1].output()


@pytest.mark.parametrize(
    ("task", "change", "attempts", "reason", "message"),
    [
        ("price", {"weight": "much"}, 1, "WEIGHT_MISSING", "data.weight must be a number"),
        ("price", {"weight": 1001}, 1, "TOO_HEAVY", "no carrier takes it"),
        ("price", {"zone": 3}, 2, "INTERNAL", "."),
        ("label", {"to": None}, 1, "ADDRESS_MISSING", "data.to must be a string"),
    ],
    ids=["failure", "status", "panic", "item"],
)
async def test_what_fails_stands_in_the_dead_letters_with_its_cause(
    language: Language,
    program: Program,
    system: Embedded,
    handler: ChildProcess,
    task: str,
    change: dict[str, object],
    attempts: int,
    reason: str,
    message: str,
) -> None:
    parcel = f"{language.name}-{reason}"
    program.client(system.address, "start", parcel, json.dumps({**PARCEL, **change}))
    told = program.client(system.address, "wait", parcel)
    assert told.startswith("DONE FAILED\n")
    assert f"\n{reason}: " in told
    async with Observer(system.address) as observer:
        letter = await observer.letter(parcel)
    assert (letter.task_id, letter.attempts, letter.error.reason) == (task, attempts, reason)
    assert re.search(message, letter.error.message)
    assert letter.error.permanent is (attempts == 1)
    if reason == "TOO_HEAVY":
        assert dict(letter.error.metadata.items()) == {"limit": "1000"}
    assert handler.running


async def test_a_large_context_arrives(system: Embedded, handler: ChildProcess) -> None:
    note = "n" * 1_000_000
    async with system.client() as client:
        # Data and the payload of the first event, nearly 1 MiB each.
        parcel = await client.start("parcel", {**PARCEL, "note": note}, payload={"note": note})
        assert (await client.wait(parcel.id, timeout=60)).outcome == "WAITING_FOR_INPUT"
        assert await client.cancel(parcel.id)


@pytest.mark.parametrize("task", ["pack", "label"])
async def test_a_cancelled_call_is_given_up(
    system: Embedded, handler: ChildProcess, task: str
) -> None:
    async with system.client() as client:
        parcel = await client.start("parcel", {**PARCEL, f"{task}_seconds": HELD_SECONDS})
        await logged(handler, f"{parcel.id}: {task} begins")
        await client.cancel(parcel.id)
        # Well before its timeout of 20 s would have told it.
        await logged(handler, f"{parcel.id}: {task} gave up", timeout=15)
    assert handler.running


async def test_sigterm_takes_it_out_and_lets_calls_end(
    language: Language, system: Embedded, handler: ChildProcess
) -> None:
    async with system.client() as client, Observer(system.address) as observer:
        # One over HandleEvent, one over HandleEvents.
        packed = await client.start("parcel", {**PARCEL, "pack_seconds": HELD_AT_END})
        labelled = await client.start("parcel", {**PARCEL, "label_seconds": HELD_AT_END})
        await logged(handler, f"{packed.id}: pack begins")
        await logged(handler, f"{labelled.id}: label begins")
        handler.send(signal.SIGTERM)
        await eventually(observer.handlers, until=lambda known: not known)
        assert handler.running
        assert handler.wait(20) == language.ends_with
        for parcel, task in ((packed, "pack"), (labelled, "label")):
            await client.cancel(parcel.id)
            (once,) = await observer.attempts(parcel.id, task)
            assert once.result == history_pb2.HISTORY_RESULT_SUCCESS
    assert "unregistered" in handler.output()


async def test_a_service_that_the_engine_forgot_registers_again_with_the_time_of_its_start(
    system: Embedded, handler: ChildProcess
) -> None:
    async with Observer(system.address) as observer:
        (first,) = await observer.handlers()
        await observer.forget(first.handler_id)

        async def again() -> list[handler_pb2.Handler]:
            return await observer.handlers()

        (second,) = await eventually(again, timeout=30, what="the second registration")
    assert (second.host, second.port) == (first.host, first.port)
    assert second.began_at == first.began_at
    assert second.registered_at.ToDatetime() > first.registered_at.ToDatetime()


async def test_handler_and_client_outlive_the_engine(
    language: Language, program: Program, system: Embedded, handler: ChildProcess
) -> None:
    parcel = f"{language.name}-outlives"
    program.client(system.address, "start", parcel, json.dumps(PARCEL))
    program.client(system.address, "wait", parcel)
    with program.watch(system.address, parcel) as watching:
        watching.wait_for_output(" ask SUCCESS WAITING_FOR_INPUT")
        system.kill_the_api()
        program.client(system.address, "answer", parcel, "handover", "{}")
        assert watching.wait(60) == 0
        lines = watching.output().splitlines()
    told = [line for line in lines if re.match(r"\d+ ", line)]
    assert [int(line.split()[0]) for line in told] == list(range(1, len(told) + 1))
    assert told[-1].endswith("COMPLETED")
    done = program.client(system.address, "wait", parcel).splitlines()
    assert json.loads(done[1])["handed_to"] == "the door"


async def test_a_refusal_names_its_reason(
    language: Language, program: Program, system: Embedded
) -> None:
    refused = program.try_client(system.address, "answer", f"{language.name}-nobody", "w", "{}")
    assert refused.returncode == 1
    assert "WORKFLOW_NOT_FOUND" in refused.stdout


@pytest.mark.checks_signatures
def test_each_signature_is_judged_as_by_routers_and_all_others(
    language: Language, program: Program
) -> None:
    check, place, command = SIGNATURE_CHECKS[language.name]
    (program.folder / place).write_text((CHECKS / check).read_text())
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=program.folder,
        env={**os.environ, "VECTORS": str(FILE)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # One line for each vector that is judged otherwise.
    assert "WRONG" not in done.stdout, done.stdout
    assert f"judged {len(vectors())} vectors" in done.stdout, done.stdout + done.stderr


@pytest.mark.checks_signatures
async def test_a_call_without_signature_is_refused_and_says_why(
    system: Embedded, handler: ChildProcess
) -> None:
    async with grpc.aio.insecure_channel(system.address) as channel:
        registry = handler_registry_service_pb2_grpc.HandlerRegistryServiceStub(channel)
        request = handler_registry_service_pb2.ListHandlersRequest(service_name="parcels")
        (endpoint,) = (await registry.ListHandlers(request, timeout=10)).handlers
    async with grpc.aio.insecure_channel(f"127.0.0.1:{endpoint.port}") as channel:
        stub = task_handler_service_pb2_grpc.TaskHandlerServiceStub(channel)
        stream = stub.HandleEvents(timeout=10)
        for call in (
            stub.HandleEvent(
                task_handler_service_pb2.HandleEventRequest(task_id="price"), timeout=10
            ),
            stream.read(),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            trailing = dict(caught.value.trailing_metadata() or ())
            details = trailing["grpc-status-details-bin"]
            assert b"CALLER_NOT_IDENTIFIED" in bytes(details)  # type: ignore[arg-type]
