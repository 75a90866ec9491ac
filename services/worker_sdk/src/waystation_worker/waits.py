"""Waits of a client: however long, in calls of at most a minute."""

from __future__ import annotations

import time
from datetime import timedelta

from waystation.v1 import workflow_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of
from waystation_worker.starts import NewWorkflow
from waystation_worker.times import Span, seconds_of
from waystation_worker.workflows import Workflow, to_workflow

_LONGEST_CALL_SECONDS = 60.0
_SLACK_SECONDS = 5.0
"""A call may last so much longer than the wait that it asks for."""


async def run(connection: Connection, new: NewWorkflow, timeout: Span | None) -> Workflow:
    """Starts an instance and waits for it."""
    end = _end(timeout)
    seconds = _call_seconds(end)
    request = message_of(
        pb.RunWorkflowRequest,
        start=new._message(connection.namespace),
        timeout=timedelta(seconds=seconds),
    )
    response = await connection.call_streamed(request, seconds + _SLACK_SECONDS)
    context, outcome = response.context, response.outcome
    if outcome == workflow_pb2.WAIT_OUTCOME_TIMED_OUT and not _is_over(end):
        waited = await _wait(connection, context.workflow_instance_id, end)
        context, outcome = waited.context, waited.outcome
    return to_workflow(
        context, outcome=outcome, created=response.created, task_ids=response.task_ids
    )


async def wait(connection: Connection, workflow_instance_id: str, timeout: Span | None) -> Workflow:
    """Waits for an instance."""
    response = await _wait(connection, workflow_instance_id, _end(timeout))
    return to_workflow(response.context, outcome=response.outcome)


async def _wait(
    connection: Connection, workflow_instance_id: str, end: float | None
) -> pb.WaitWorkflowResponse:
    while True:
        seconds = _call_seconds(end)
        request = message_of(
            pb.WaitWorkflowRequest,
            namespace=connection.namespace,
            workflow_instance_id=workflow_instance_id,
            timeout=timedelta(seconds=seconds),
        )
        response: pb.WaitWorkflowResponse = await connection.call_streamed(
            request, seconds + _SLACK_SECONDS
        )
        if response.outcome != workflow_pb2.WAIT_OUTCOME_TIMED_OUT or _is_over(end):
            return response


def _end(timeout: Span | None) -> float | None:
    return None if timeout is None else time.monotonic() + seconds_of(timeout, "timeout")


def _call_seconds(end: float | None) -> float:
    if end is None:
        return _LONGEST_CALL_SECONDS
    return min(_LONGEST_CALL_SECONDS, max(0.0, end - time.monotonic()))


def _is_over(end: float | None) -> bool:
    return end is not None and time.monotonic() >= end
