"""Pending deliveries: the calls of DeliveryCompletionService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1 import result_pb2
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of, request_id_of
from waystation_worker.result import TaskResult
from waystation_worker.times import DAY, Span, span
from waystation_worker.values import Model, write_struct


async def complete(
    connection: Connection, completion_token: str, result: TaskResult, request_id: str | None
) -> None:
    if not isinstance(result, TaskResult):
        raise TypeError(f"result must be a TaskResult, not {type(result).__name__}")
    request = message_of(
        pb.CompleteDeliveryRequest,
        namespace=connection.namespace,
        completion_token=completion_token,
        result=result._message(),
        request_id=request_id_of(request_id),
    )
    await connection.call(connection.completions.CompleteDelivery, request)


async def fail(
    connection: Connection,
    completion_token: str,
    failure: result_pb2.TaskFailure,
    request_id: str | None,
) -> None:
    request = message_of(
        pb.FailDeliveryRequest,
        namespace=connection.namespace,
        completion_token=completion_token,
        failure=failure,
        request_id=request_id_of(request_id),
    )
    await connection.call(connection.completions.FailDelivery, request)


async def extend(
    connection: Connection, completion_token: str, extension: Span, request_id: str | None
) -> datetime:
    """Returns the new deadline."""
    request = message_of(
        pb.ExtendDeliveryRequest,
        namespace=connection.namespace,
        completion_token=completion_token,
        request_id=request_id_of(request_id),
    )
    request.extension.FromTimedelta(span(extension, "extension", DAY))
    response = await connection.call(connection.completions.ExtendDelivery, request)
    deadline: datetime = response.deadline.ToDatetime(tzinfo=UTC)
    return deadline


def task_failure(
    reason: str,
    message: str,
    permanent: bool,
    retry_after: Span | None,
    metadata: Mapping[str, Any] | Model | None,
) -> result_pb2.TaskFailure:
    """The failure as a message of the contract. Raises TypeError or ValueError for a time out of
    range and for metadata that is not valid JSON."""
    failure = message_of(
        result_pb2.TaskFailure, reason=reason, message=message or reason, permanent=permanent
    )
    if retry_after is not None:
        failure.retry_after.FromTimedelta(span(retry_after, "retry_after", DAY))
    if metadata is not None:
        write_struct(metadata, failure.metadata, "metadata")
    return failure
