"""Workflow instances as messages of the contract: what `GetWorkflow` answers, and `show --json` prints."""

from __future__ import annotations

from datetime import datetime

from waystation.v1 import wait_pb2, workflow_pb2
from waystation_conversion.structs import to_struct
from waystation_conversion.times import set_timestamp
from waystation_domain.model import Instance, Wait


def context_to_proto(
    instance: Instance,
    *,
    with_data: bool = True,
    into: workflow_pb2.WorkflowContext | None = None,
) -> workflow_pb2.WorkflowContext:
    """Fills `into`, or a new message. Without `with_data`, as in lists, it has no data, no output, no
    input schemas and no details of a failure."""
    message = workflow_pb2.WorkflowContext() if into is None else into
    message.workflow_instance_id = instance.workflow_instance_id
    message.workflow_type = instance.workflow_type
    message.status = int(instance.status)  # type: ignore[assignment]
    message.version = instance.version
    message.namespace = instance.namespace
    if with_data:
        to_struct(instance.data, message.data)
        if instance.output is not None:
            to_struct(instance.output, message.output)
    set_timestamp(message.created_at, instance.created_at)
    set_timestamp(message.updated_at, instance.updated_at)
    if instance.completed_at is not None:
        set_timestamp(message.completed_at, instance.completed_at)
    if instance.deadline is not None:
        set_timestamp(message.deadline, instance.deadline)
    if instance.correlation_id is not None:
        message.correlation_id = instance.correlation_id
    for wait in instance.waits:
        _wait_to_proto(wait, message.waits.add(), with_schema=with_data)
    failure = instance.failure
    if failure is not None:
        target = message.failure
        target.reason = failure.reason
        target.message = failure.message
        target.task_id = failure.task_id
        target.event_id = failure.event_id
        if with_data and failure.details is not None:
            to_struct(failure.details, target.details)
    if instance.idle is not None:
        set_timestamp(message.idle.since, instance.idle_since)
        message.idle.event_id = instance.idle.event_id
        message.idle.event_type = instance.idle.event_type
        message.idle.raised_by = instance.idle.raised_by
        message.idle.message = instance.idle.message
    return message


def _wait_to_proto(wait: Wait, message: wait_pb2.WorkflowWait, *, with_schema: bool) -> None:
    message.wait_id = wait.wait_id
    message.task_id = wait.task_id
    message.message = wait.message
    set_timestamp(message.since, datetime.fromisoformat(wait.since))
    if with_schema and wait.input_schema is not None:
        to_struct(wait.input_schema, message.input_schema)
    message.answer_path = wait.answer_path or ""
    if wait.deadline is not None:
        set_timestamp(message.deadline, datetime.fromisoformat(wait.deadline))
