"""Specs of registered tasks, with every default filled in when they are read."""

from __future__ import annotations

import math

from waystation.v1 import handler_pb2, operation_pb2
from waystation_conversion.times import seconds_from_proto, set_duration
from waystation_conversion.unexpected import refuses_unexpected
from waystation_domain import limits, reserved, topics
from waystation_domain.errors import InvalidField, WorkflowTypesRequired
from waystation_domain.model import OnFailure
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec

_DEFAULTS = RetryPolicy()


@refuses_unexpected("task")
def task_spec_from_proto(
    message: handler_pb2.TaskSpec, service_name: str, field: str = "task"
) -> TaskSpec:
    """A spec within its limits; raises one of InvalidArgument's kinds, naming the field."""
    task_id = reserved.check_new_task_id(message.task_id, f"{field}.task_id")
    if not message.event_types:
        raise InvalidField(
            f"{field}.event_types is empty; give the event types that {task_id} handles.",
            field=f"{field}.event_types",
        )
    if not message.workflow_types:
        raise WorkflowTypesRequired(
            f"{field}.workflow_types is empty; give the workflow types whose events {task_id} "
            "receives, or * for all.",
            field=f"{field}.workflow_types",
            task_id=task_id,
        )
    for name in ("event_types", "workflow_types", "may_emit"):
        limits.check_number_of_names(
            len(getattr(message, name)), f"{field}.{name}", "Use patterns."
        )
    for pattern in message.event_types:
        topics.check_pattern(pattern, f"{field}.event_types")
    for workflow_type in message.workflow_types:
        if workflow_type != topics.ONE_WORD:
            reserved.check_name(workflow_type, f"{field}.workflow_types")
    for event_type in message.may_emit:
        topics.check_pattern(event_type, f"{field}.may_emit")
    if message.on_failure not in (0, 1, 2):
        raise InvalidField(
            f"{field}.on_failure {message.on_failure} is not known to this release. Use FAIL_WORKFLOW or CONTINUE.",
            field=f"{field}.on_failure",
        )
    if message.catch_up not in (0, 1, 2):
        raise InvalidField(
            f"{field}.catch_up {message.catch_up} is not known to this release. Use ON or OFF.",
            field=f"{field}.catch_up",
        )
    defaults = TaskSpec(task_id, service_name, (), ())
    return TaskSpec(
        task_id=task_id,
        service_name=service_name,
        event_types=tuple(dict.fromkeys(message.event_types)),
        workflow_types=tuple(dict.fromkeys(message.workflow_types)),
        timeout=_seconds(message, "timeout", field, defaults.timeout, least=0.001),
        retry=_retry(message, field),
        max_in_flight=_whole(
            message.max_in_flight, f"{field}.max_in_flight", defaults.max_in_flight, 100_000
        ),
        on_failure=OnFailure(message.on_failure or OnFailure.FAIL_WORKFLOW),
        catch_up=message.catch_up != handler_pb2.CATCH_UP_OFF,
        history_entries=_whole(
            message.history_entries, f"{field}.history_entries", 0, limits.MAX_HISTORY_ENTRIES
        ),
        batching=message.batching,
        replayable=message.replayable,
        may_emit=tuple(message.may_emit),
        reads=_paths(message.reads, f"{field}.reads") if message.HasField("reads") else None,
        writes=_paths(message.writes, f"{field}.writes") if message.HasField("writes") else None,
    )


def _retry(message: handler_pb2.TaskSpec, field: str) -> RetryPolicy:
    multiplier = message.backoff_multiplier or _DEFAULTS.multiplier
    if not 1 <= multiplier <= 100:
        raise _out_of_range(f"{field}.backoff_multiplier", "1-100", f"{_DEFAULTS.multiplier:g}")
    jitter = _DEFAULTS.jitter
    if message.HasField("backoff_jitter"):
        jitter = message.backoff_jitter
        if math.isnan(jitter) or not 0 <= jitter <= 1:
            raise _out_of_range(f"{field}.backoff_jitter", "0-1", f"{_DEFAULTS.jitter:g}")
    return RetryPolicy(
        max_attempts=_whole(
            message.max_attempts, f"{field}.max_attempts", _DEFAULTS.max_attempts, 1_000
        ),
        initial_backoff=_seconds(message, "initial_backoff", field, _DEFAULTS.initial_backoff),
        multiplier=multiplier,
        max_backoff=_seconds(message, "max_backoff", field, _DEFAULTS.max_backoff),
        jitter=jitter,
    )


def _seconds(
    message: handler_pb2.TaskSpec, name: str, field: str, default: float, *, least: float = 0.0
) -> float:
    if not message.HasField(name):
        return default
    return seconds_from_proto(
        getattr(message, name), f"{field}.{name}", least=least, most=limits.MAX_CALL_SECONDS
    )


def _whole(value: int, field: str, default: int, most: int) -> int:
    if not value:
        return default
    if not 1 <= value <= most:
        raise _out_of_range(field, f"1-{most}", str(default))
    return value


def _out_of_range(field: str, expected: str, default: str) -> InvalidField:
    return InvalidField(
        f"{field} must be {expected}. Correct it, or omit it for {default}.", field=field
    )


def _paths(message: operation_pb2.PathSet, field: str) -> tuple[str, ...]:
    limits.check_number_of_names(len(message.paths), field, "Use patterns.")
    for path in message.paths:
        limits.check_path(path)
    return tuple(message.paths)


def task_spec_to_proto(
    spec: TaskSpec, into: handler_pb2.TaskSpec | None = None
) -> handler_pb2.TaskSpec:
    """A spec with all defaults."""
    message = handler_pb2.TaskSpec() if into is None else into
    message.task_id = spec.task_id
    message.event_types.extend(spec.event_types)
    message.workflow_types.extend(spec.workflow_types)
    set_duration(message.timeout, spec.timeout)
    message.max_attempts = spec.retry.max_attempts
    set_duration(message.initial_backoff, spec.retry.initial_backoff)
    message.backoff_multiplier = spec.retry.multiplier
    set_duration(message.max_backoff, spec.retry.max_backoff)
    message.backoff_jitter = spec.retry.jitter
    message.max_in_flight = spec.max_in_flight
    message.on_failure = int(spec.on_failure)  # type: ignore[assignment]
    message.catch_up = handler_pb2.CATCH_UP_ON if spec.catch_up else handler_pb2.CATCH_UP_OFF
    message.history_entries = spec.history_entries
    message.batching = spec.batching
    message.replayable = spec.replayable
    message.may_emit.extend(spec.may_emit)
    if spec.reads is not None:
        message.reads.paths.extend(spec.reads)
        message.reads.SetInParent()
    if spec.writes is not None:
        message.writes.paths.extend(spec.writes)
        message.writes.SetInParent()
    return message
