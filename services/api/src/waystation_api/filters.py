"""Filters of requests: checked, and converted to those of the store.

In a list, a filter without a condition means everything. A command that changes something refuses it:
everything must be requested explicitly (`all`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import IntEnum
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from waystation.v1 import (
    audit_service_pb2,
    dead_letter_pb2,
    dead_letter_service_pb2,
    history_pb2,
    workflow_pb2,
)
from waystation_conversion import timestamp_from_proto
from waystation_core.ports.store import AuditFilter, DeadLetterFilter, HistoryFilter, WorkflowFilter
from waystation_domain import limits
from waystation_domain.errors import InvalidField
from waystation_domain.model import DeadLetterState, Result, Status

_pb = dead_letter_service_pb2

E = TypeVar("E", bound=IntEnum)

_LONGEST_OF_AUDIT = 300
"""Characters of a value in the audit log."""


def workflow_filter(message: workflow_pb2.WorkflowFilter) -> WorkflowFilter:
    """The instances of a list. Raises InvalidId, InvalidField."""
    return WorkflowFilter(
        workflow_types=_each(message.workflow_types, "workflow_types", limits.check_id),
        statuses=_known(message.statuses, Status, "filter.statuses"),
        idle=message.idle if message.HasField("idle") else None,
        created_after=_time(message, "created_after"),
        created_before=_time(message, "created_before"),
        correlation_ids=_each(message.correlation_ids, "correlation_ids", _check_correlation_id),
        id_prefix=limits.check_id(message.id_prefix, "filter.id_prefix")
        if message.id_prefix
        else "",
    )


def dead_letter_filter(message: dead_letter_pb2.DeadLetterFilter) -> DeadLetterFilter:
    """The dead letters of a list: open ones if no state is given. Raises InvalidId, InvalidEventType,
    InvalidField."""
    states = _known(message.states, DeadLetterState, "filter.states")
    return DeadLetterFilter(
        workflow_instance_ids=_each(
            message.workflow_instance_ids, "workflow_instance_ids", limits.check_id
        ),
        workflow_types=_each(message.workflow_types, "workflow_types", limits.check_id),
        task_ids=_each(message.task_ids, "task_ids", limits.check_task_id),
        event_types=_each(message.event_types, "event_types", limits.check_event_type),
        reasons=_each(message.reasons, "reasons", _check_reason),
        created_after=_time(message, "created_after"),
        created_before=_time(message, "created_before"),
        states=states or (DeadLetterState.OPEN,),
        id_prefix=_check_uuid_prefix(message.id_prefix),
    )


def audit_filter(
    message: audit_service_pb2.ListAuditRequest, namespaces: Sequence[str] | None
) -> AuditFilter:
    """The entries of a page of the audit log, of these namespaces. Raises InvalidField."""
    limits.check_number_of_names(len(message.methods), "methods", "Split them into several calls.")
    for value, field in (
        (message.principal, "principal"),
        (message.target, "target"),
        *((method, "methods") for method in message.methods),
    ):
        if len(value) > _LONGEST_OF_AUDIT or "\0" in value:
            raise InvalidField(
                f"{field} must have at most {_LONGEST_OF_AUDIT} characters, and no NUL.",
                field=field,
            )
    times = {
        field: timestamp_from_proto(getattr(message, field), field)
        if message.HasField(field)
        else None
        for field in ("from_time", "to_time")
    }
    return AuditFilter(
        namespaces=namespaces,
        principal=message.principal,
        methods=tuple(dict.fromkeys(message.methods)),
        target=message.target,
        denied=message.denied_only,
        **times,
    )


def history_filter(message: history_pb2.HistoryFilter) -> HistoryFilter:
    """The entries of history of a list. Raises InvalidId, InvalidEventType, InvalidField."""
    first, last = message.from_sequence, message.to_sequence
    for value, field in ((first, "from_sequence"), (last, "to_sequence")):
        if value < 0:
            raise InvalidField(
                f"filter.{field} {value} is negative; sequence numbers begin at 1. Omit it.",
                field=f"filter.{field}",
            )
    if last and first > last:
        raise InvalidField(
            f"filter.from_sequence {first} is after filter.to_sequence {last}; exchange them.",
            field="filter.from_sequence",
        )
    for names, field in (
        (message.task_ids, "task_ids"),
        (message.event_types, "event_types"),
        (message.actions, "actions"),
    ):
        limits.check_number_of_names(
            len(names), f"filter.{field}", "Split them into several calls."
        )
    for task_id in message.task_ids:
        limits.check_task_id(task_id, "filter.task_ids")
    for event_type in message.event_types:
        limits.check_event_type(event_type, "filter.event_types")
    for action in message.actions:
        limits.check_id(action, "filter.actions")
    return HistoryFilter(
        from_sequence=first or 1,
        to_sequence=last or None,
        processed_by=tuple(dict.fromkeys(message.task_ids)),
        event_types=tuple(dict.fromkeys(message.event_types)),
        results=_known(message.results, Result, "filter.results"),
        actions=tuple(dict.fromkeys(message.actions)),
    )


def history_view(value: int) -> bool:
    """Whether a list includes the changes of entries. Raises InvalidField."""
    if value not in (0, history_pb2.HISTORY_VIEW_BASIC, history_pb2.HISTORY_VIEW_FULL):
        raise InvalidField(
            f"view {value} is not known to this release. Use BASIC or FULL, or omit it for FULL.",
            field="view",
        )
    return value != history_pb2.HISTORY_VIEW_BASIC


def target_of(
    request: _pb.RetryDeadLettersRequest | _pb.DiscardDeadLettersRequest,
) -> DeadLetterFilter:
    """The open dead letters of a bulk command. Raises InvalidId, and InvalidField if it names none, or means
    all without `all`."""
    every = DeadLetterFilter()
    target = request.WhichOneof("target")
    if target == "all":
        return every
    if target is None:
        raise InvalidField(
            "target is missing: give a filter, or `all` for every open dead letter.",
            field="target",
        )
    filter = dead_letter_filter(request.filter)
    if filter.states != every.states:
        raise InvalidField(
            "filter.states may contain only OPEN here: retried and discarded dead letters cannot be changed. "
            "Omit it.",
            field="filter.states",
        )
    # `states` is no condition here, so the bytes of the filter do not count.
    if filter == every:
        raise InvalidField(
            "filter has no condition, which would match every open dead letter. Give a condition, or use "
            "`all` instead of `filter`.",
            field="filter",
        )
    return filter


def _each(values: Sequence[str], field: str, check: Callable[[str, str], str]) -> tuple[str, ...]:
    """Without duplicates. An empty value is refused: it is probably a variable that was not set."""
    place = f"filter.{field}"
    limits.check_number_of_names(len(values), place, "Split them into several calls.")
    return tuple(dict.fromkeys(check(value, place) for value in values))


def _check_reason(value: str, field: str) -> str:
    if not value:
        raise InvalidField(
            f"{field} contains an empty text, which is not a reason. Remove it.", field=field
        )
    return limits.check_text(value, field)


def _check_correlation_id(value: str, field: str) -> str:
    if value:
        return limits.check_text(value, field)
    raise InvalidField(
        f"{field} contains an empty text, which is not a correlation id. Remove it.", field=field
    )


def _check_uuid_prefix(value: str) -> str:
    digits = value.replace("-", "")
    if value and (not _HEXADECIMAL.fullmatch(digits) or len(value) > 36):
        raise InvalidField(
            "filter.id_prefix is not the beginning of a dead letter's id: 1-36 characters of [0-9a-f-].",
            field="filter.id_prefix",
        )
    return value


_HEXADECIMAL = re.compile("[0-9a-f]{1,32}")


def _known(values: Sequence[int], kind: type[E], field: str) -> tuple[E, ...]:
    """Without duplicates; neither UNSPECIFIED nor a number that only a later release knows."""
    limits.check_number_of_names(len(values), field, "Give each value once.")
    return tuple(_one_known(value, kind, field) for value in dict.fromkeys(values))


def _one_known(value: int, kind: type[E], field: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise InvalidField(
            f"{field} contains {value}, which is not known to this release. Use "
            f"{', '.join(each.name for each in kind)}.",
            field=field,
        ) from None


def _time(
    message: workflow_pb2.WorkflowFilter | dead_letter_pb2.DeadLetterFilter, field: str
) -> datetime | None:
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return timestamp_from_proto(value, f"filter.{field}")
