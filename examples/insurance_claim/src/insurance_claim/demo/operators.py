"""What an operator does about dead letters, over the generated stubs: the SDK's Client has no such calls."""

from typing import Any

import grpc

from waystation.v1 import dead_letter_pb2, dead_letter_service_pb2, dead_letter_service_pb2_grpc


class Operator:
    """Looks after dead letters through one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel)

    async def dead_letter_of(self, instance_id: str) -> dead_letter_pb2.DeadLetter | None:
        """Gives the newest open dead letter of an instance, or None."""
        request = dead_letter_service_pb2.ListDeadLettersRequest(page_size=1)
        request.filter.workflow_instance_ids.append(instance_id)
        answer: dead_letter_service_pb2.ListDeadLettersResponse
        answer = await self._stub.ListDeadLetters(request, timeout=10)
        return answer.dead_letters[0] if answer.dead_letters else None

    async def retry(self, dead_letter_id: str, payload: dict[str, Any]) -> None:
        """Has a dead letter tried again with this payload instead of its own."""
        request = dead_letter_service_pb2.RetryDeadLetterRequest(
            dead_letter_id=dead_letter_id, request_id=f"rescue-{dead_letter_id}"
        )
        request.payload.update(payload)
        await self._stub.RetryDeadLetter(request, timeout=10)
