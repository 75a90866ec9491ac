"""One program and its client: starts it, answers its questions, decides about its dead letters."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format

from chaos.operations import Operations
from chaos.programs import WORKFLOW_TYPE, Block, Program, event_type
from waystation.v1 import dead_letter_pb2, dead_letter_service_pb2, dead_letter_service_pb2_grpc
from waystation_worker import Client, NewEvent, TaskResult, Workflow, WorkflowEnded
from waystation_worker.channels import open_channel
from waystation_worker.errors import (
    NotFound,
    Unavailable,
    WaystationError,
    WrongState,
    from_rpc_error,
)

T = TypeVar("T")

_WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.5
_RETRY_SECONDS = 2.0


class Driver:
    """Drives programs through the APIs of one system, a client for each."""

    def __init__(self, addresses: list[str], operations: Operations, seed: int) -> None:
        self._clients = [Client(address, retry_for=_RETRY_SECONDS) for address in addresses]
        self._channels = [open_channel(address) for address in addresses]
        self._operations = operations
        self._pick = random.Random(f"driver {seed}")

    async def close(self) -> None:
        """Ends the connections."""
        for client in self._clients:
            await client.close()
        for channel in self._channels:
            await channel.close()

    async def play(self, program: Program) -> None:
        """Returns when the instance has ended as it should."""
        await self._start(program)
        beside = [asyncio.create_task(self._note(program, at)) for at in range(len(program.notes))]
        if program.cancel_after is not None:
            beside.append(asyncio.create_task(self._cancel(program)))
        try:
            await self._until_ended(program)
            await asyncio.gather(*beside)
        finally:
            for task in beside:
                task.cancel()
        if program.replay:
            await self._replay(program)
        if program.fork:
            await self._fork(program)

    async def _start(self, program: Program) -> None:
        request_id = f"start-{program.instance}"
        await self._insist(
            "start",
            program.instance,
            lambda client: client.start(
                WORKFLOW_TYPE,
                {"tokens": [], "joins": {}, "after": {}},
                payload={"blocks": program.blocks},
                workflow_instance_id=program.instance,
                priority=program.priority,
                workflow_timeout=program.deadline,
                request_id=request_id,
            ),
            request=request_id,
        )

    async def _until_ended(self, program: Program) -> None:
        answered: set[str] = set()
        while True:
            workflow = await self._insist(
                "wait",
                program.instance,
                lambda client: client.wait(program.instance, timeout=_WAIT_SECONDS),
            )
            if workflow.status == "FAILED" and await self._decide(program):
                continue
            if workflow.ended:
                return
            if workflow.outcome == "WAITING_FOR_INPUT":
                await self._answer(program, workflow, answered)
            if workflow.outcome != "TIMED_OUT":
                # Asked of a question that times out by itself, or of an idle instance.
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _answer(self, program: Program, workflow: Workflow, answered: set[str]) -> None:
        wanted = {block["id"] for block in _all(program.blocks) if block.get("answered")}
        for wait in workflow.waits:
            if wait.wait_id in wanted and wait.wait_id not in answered:
                await self._give_input(program, wait.wait_id)
                answered.add(wait.wait_id)

    async def _give_input(self, program: Program, wait_id: str) -> None:
        request_id = str(uuid.uuid4())
        await self._insist(
            "input",
            program.instance,
            lambda client: client.provide_input(
                program.instance, {"wait": wait_id}, wait_id=wait_id, request_id=request_id
            ),
            request=request_id,
            wait=wait_id,
        )

    async def _note(self, program: Program, at: int) -> None:
        await asyncio.sleep(program.notes[at])
        request_id = str(uuid.uuid4())
        note = f"{program.instance}.{at}"
        try:
            await self._insist(
                "publish",
                program.instance,
                lambda client: client.publish(
                    program.instance, "note", {"note": note}, request_id=request_id
                ),
                expected=("WORKFLOW_ENDED",),
                request=request_id,
                note=note,
            )
        except WorkflowEnded:
            return

    async def _cancel(self, program: Program) -> None:
        assert program.cancel_after is not None
        await asyncio.sleep(program.cancel_after)
        request_id = str(uuid.uuid4())
        try:
            await self._insist(
                "cancel",
                program.instance,
                lambda client: client.cancel(program.instance, "a race", request_id=request_id),
                expected=("WORKFLOW_ENDED",),
                request=request_id,
            )
        except WorkflowEnded:
            return

    async def _decide(self, program: Program) -> bool:
        """Retries the dead letter of a block that works once an operator has edited the event; whether there
        was one."""
        cures = {
            block["id"]: block["operator"] for block in program.blocks if block["do"] == "poison"
        }
        if not cures:
            return False
        for dead_letter in await self._open_letters(program.instance):
            payload: dict[str, Any] = _plain(dead_letter.event)
            operator = cures.get(payload["blocks"][0]["id"])
            request_id = f"{operator}-{dead_letter.dead_letter_id}"
            if operator == "retry":
                retry = dead_letter_service_pb2.RetryDeadLetterRequest(
                    dead_letter_id=dead_letter.dead_letter_id, request_id=request_id
                )
                retry.payload.update({**payload, "cured": True})
                await self._insist_raw("retry", program.instance, "RetryDeadLetter", retry)
                return True
            if operator == "discard":
                discard = dead_letter_service_pb2.DiscardDeadLetterRequest(
                    dead_letter_id=dead_letter.dead_letter_id, request_id=request_id
                )
                await self._insist_raw("discard", program.instance, "DiscardDeadLetter", discard)
        return False

    async def _open_letters(self, instance: str) -> list[dead_letter_pb2.DeadLetter]:
        request = dead_letter_service_pb2.ListDeadLettersRequest()
        request.filter.workflow_instance_ids.append(instance)
        answer = await self._insist_raw("letters", instance, "ListDeadLetters", request)
        return list(answer.dead_letters)

    async def _replay(self, program: Program) -> None:
        # A replay changes nothing, so one without an answer breaks no promise.
        try:
            await self._operations.record(
                "replay", program.instance, self._client().replay(program.instance, timeout=20)
            )
        except WaystationError:
            return

    async def _fork(self, program: Program) -> None:
        source = await self._insist(
            "get", program.instance, lambda client: client.get(program.instance)
        )
        fork = f"{program.instance}-fork"
        blocks: list[Block] = [{"do": "work", "id": "forked"}, {"do": "end", "id": "fork-end"}]
        await self._insist(
            "fork",
            fork,
            lambda client: client.fork(
                program.instance,
                source.version,
                new_id=fork,
                event=NewEvent("step.work", {"blocks": blocks}),
                request_id=f"fork-{fork}",
            ),
            request=f"fork-{fork}",
            source=program.instance,
        )
        await self._insist("wait", fork, lambda client: client.wait(fork, timeout=_WAIT_SECONDS))

    async def complete(self, pending: dict[str, Any], token: str) -> None:
        """Completes a task that answered `pending`, as its line in the ledger says."""
        request_id = str(uuid.uuid4())
        result = TaskResult()
        result.append("tokens", token)
        if pending["rest"]:
            result.emit(event_type(pending["rest"]), {"blocks": pending["rest"]})
        try:
            await self._insist(
                "complete",
                pending["instance"],
                lambda client: client.complete_delivery(
                    pending["completion_token"], result, request_id=request_id
                ),
                expected=("DELIVERY_NOT_FOUND", "WORKFLOW_ENDED"),
                request=request_id,
                token=token,
            )
        except (NotFound, WrongState):
            # Another attempt's result was there before, or the instance has ended.
            return

    def _client(self) -> Client:
        return self._pick.choice(self._clients)

    async def _insist(
        self,
        kind: str,
        instance: str,
        call: Callable[[Client], Awaitable[T]],
        *,
        expected: tuple[str, ...] = (),
        **more: Any,
    ) -> T:
        """Asks until there is an answer that is no outage, by the same request id; of the other
        API, where this one is not there."""
        at = self._pick.randrange(len(self._clients))
        while True:
            try:
                return await self._operations.record(
                    kind, instance, call(self._clients[at]), expected=expected, **more
                )
            except Unavailable:
                at = (at + 1) % len(self._clients)
                await asyncio.sleep(_PAUSE_SECONDS)
            except WaystationError as error:
                if not error.retryable and error.code not in ("INTERNAL", "UNKNOWN"):
                    raise
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _insist_raw(self, kind: str, instance: str, method: str, request: Any) -> Any:
        async def call(client: Client) -> Any:
            channel = self._channels[self._clients.index(client)]
            stub = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
            try:
                return await getattr(stub, method)(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from error

        return await self._insist(kind, instance, call, request=getattr(request, "request_id", ""))


def _all(blocks: list[Block]) -> list[Block]:
    """The blocks, and those in their branches."""
    found = []
    for block in blocks:
        found.append(block)
        for branch in block.get("branches", ()):
            found += _all(branch)
    return found


def _plain(event: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json_format.MessageToDict(event.payload)
    return payload
