"""The client's part for tasks that answered `pending`: ends them, from whatever process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1 import result_pb2
from waystation_worker.connection import Connection
from waystation_worker.result import TaskResult
from waystation_worker.timing import DAY, Span, span
from waystation_worker.values import write_struct


class Completing(Connection):
    """Calls by idempotency key. Each raises DeliveryNotFound when no delivery with this key is pending:
    it was completed, failed or timed out, or never was; and WorkflowEnded."""

    async def complete_task(
        self, idempotency_key: str, result: TaskResult, *, request_id: str | None = None
    ) -> None:
        """Gives the result of a task that answered `pending`."""
        request = pb.CompleteDeliveryRequest(
            namespace=self._namespace,
            idempotency_key=idempotency_key,
            response=result._answer(),
            request_id=request_id or str(uuid.uuid4()),
        )
        await self._call(self._completion.CompleteDelivery, request)

    async def fail_task(
        self,
        idempotency_key: str,
        reason: str,
        message: str = "",
        *,
        permanent: bool = False,
        retry_after: Span | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        """Fails the attempt of a task that answered `pending`.

        It is tried again by policy, or after `retry_after` (at most 24 h); `permanent` means never,
        as Reject does. `metadata` (JSON) is kept with the attempt.
        """
        request = pb.FailDeliveryRequest(
            namespace=self._namespace,
            idempotency_key=idempotency_key,
            failure=task_failure(reason, message, permanent, retry_after, metadata),
            request_id=request_id or str(uuid.uuid4()),
        )
        await self._call(self._completion.FailDelivery, request)

    async def extend_task(
        self, idempotency_key: str, extension: Span, *, request_id: str | None = None
    ) -> datetime:
        """Says that a task that answered `pending` is still being worked on; gives the time at which
        its attempt fails now, `extension` (at most 24 h) from now."""
        request = pb.ExtendDeliveryRequest(
            namespace=self._namespace,
            idempotency_key=idempotency_key,
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
    """The failure as the contract carries it. Raises TypeError or ValueError for a time outside its
    range and for metadata that JSON can't hold."""
    failure = result_pb2.TaskFailure(reason=reason, message=message or reason, permanent=permanent)
    if retry_after is not None:
        failure.retry_after.FromTimedelta(span(retry_after, "retry_after", DAY))
    if metadata is not None:
        write_struct(metadata, failure.metadata, "metadata")
    return failure
