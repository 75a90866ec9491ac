"""The client's methods for pending deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1 import result_pb2
from waystation_worker.connection import Connection
from waystation_worker.result import TaskResult
from waystation_worker.times import DAY, Span, span
from waystation_worker.values import write_struct


class Completing(Connection):
    """Methods that take a completion token. Each raises DeliveryNotFound if the delivery is not
    pending (it was completed, failed or timed out), and WorkflowEnded. With the token of an attempt
    that timed out you can still complete an open delivery, but not fail or extend it."""

    async def complete_delivery(
        self, completion_token: str, result: TaskResult, *, request_id: str | None = None
    ) -> None:
        """Completes a pending delivery with its result."""
        request = pb.CompleteDeliveryRequest(
            namespace=self._namespace,
            completion_token=completion_token,
            result=result._message(),
            request_id=request_id or str(uuid.uuid4()),
        )
        await self._call(self._completion.CompleteDelivery, request)

    async def fail_delivery(
        self,
        completion_token: str,
        reason: str,
        message: str = "",
        *,
        permanent: bool = False,
        retry_after: Span | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        """Fails the attempt of a pending delivery.

        It is retried by the task's policy, or after `retry_after` (at most 24 h); `permanent` means
        no retry, like Reject. `metadata` (JSON) is stored with the attempt.
        """
        request = pb.FailDeliveryRequest(
            namespace=self._namespace,
            completion_token=completion_token,
            failure=task_failure(reason, message, permanent, retry_after, metadata),
            request_id=request_id or str(uuid.uuid4()),
        )
        await self._call(self._completion.FailDelivery, request)

    async def extend_delivery(
        self, completion_token: str, extension: Span, *, request_id: str | None = None
    ) -> datetime:
        """Sets the deadline of a pending delivery to `extension` (at most 24 h) from now; returns
        the new deadline."""
        request = pb.ExtendDeliveryRequest(
            namespace=self._namespace,
            completion_token=completion_token,
            request_id=request_id or str(uuid.uuid4()),
        )
        request.extension.FromTimedelta(span(extension, "extension", DAY))
        response = await self._call(self._completion.ExtendDelivery, request)
        deadline: datetime = response.deadline.ToDatetime(tzinfo=UTC)
        return deadline


def task_failure(
    reason: str,
    message: str,
    permanent: bool,
    retry_after: Span | None,
    metadata: Mapping[str, Any] | None,
) -> result_pb2.TaskFailure:
    """The failure as a message of the contract. Raises TypeError or ValueError for a time out of
    range and for metadata that is not valid JSON."""
    failure = result_pb2.TaskFailure(reason=reason, message=message or reason, permanent=permanent)
    if retry_after is not None:
        failure.retry_after.FromTimedelta(span(retry_after, "retry_after", DAY))
    if metadata is not None:
        write_struct(metadata, failure.metadata, "metadata")
    return failure
