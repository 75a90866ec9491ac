"""What an operator does besides waiting: looks at dead letters, retries and discards them."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from waystation.v1 import dead_letter_pb2, dead_letter_service_pb2, dead_letter_service_pb2_grpc


class Operator:
    """The dead letters of the engine at an address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def dead_letters(self, workflow_instance_id: str) -> list[dead_letter_pb2.DeadLetter]:
        """The instance's dead letters, resolved ones included."""
        return await self._listed(
            workflow_instance_id, dead_letter_pb2.DeadLetterState.values()[1:]
        )

    async def open_dead_letters(
        self, workflow_instance_id: str
    ) -> list[dead_letter_pb2.DeadLetter]:
        """Those that nobody has retried or discarded."""
        return await self._listed(workflow_instance_id, [dead_letter_pb2.DEAD_LETTER_STATE_OPEN])

    async def retry(self, dead_letter_id: str, payload: Mapping[str, Any] | None = None) -> None:
        """Retries one, with an edited payload where one is given."""
        request = dead_letter_service_pb2.RetryDeadLetterRequest(
            dead_letter_id=dead_letter_id, request_id=str(uuid.uuid4())
        )
        if payload is not None:
            request.payload.update(payload)
        answer = await self._call("RetryDeadLetter", request)
        assert answer.dead_letter.state == dead_letter_pb2.DEAD_LETTER_STATE_RETRIED

    async def discard(self, dead_letter_id: str) -> None:
        """Gives one up."""
        request = dead_letter_service_pb2.DiscardDeadLetterRequest(
            dead_letter_id=dead_letter_id, request_id=str(uuid.uuid4())
        )
        answer = await self._call("DiscardDeadLetter", request)
        assert answer.dead_letter.state == dead_letter_pb2.DEAD_LETTER_STATE_DISCARDED

    async def _listed(
        self, workflow_instance_id: str, states: Iterable[dead_letter_pb2.DeadLetterState.ValueType]
    ) -> list[dead_letter_pb2.DeadLetter]:
        request = dead_letter_service_pb2.ListDeadLettersRequest()
        request.filter.workflow_instance_ids.append(workflow_instance_id)
        request.filter.states.extend(states)
        return list((await self._call("ListDeadLetters", request)).dead_letters)

    async def _call(self, method: str, request: Any) -> Any:
        async with grpc.aio.insecure_channel(self._address) as channel:
            stub = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)
            return await getattr(stub, method)(request, timeout=15)
