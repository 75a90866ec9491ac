"""Stored specs of tasks: JSON of every field, so that a later release's default does not change earlier
registrations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from waystation_domain.model import JsonObject, OnFailure
from waystation_domain.retry_policy import RetryPolicy
from waystation_domain.task_spec import TaskSpec

_TUPLES = ("event_types", "workflow_types", "may_emit", "reads", "writes")


def to_json(spec: TaskSpec) -> JsonObject:
    """Without the namespace, which is a column of its own."""
    stored = asdict(spec)
    del stored["namespace"]
    return stored


def from_json(stored: JsonObject, namespace: str) -> TaskSpec:
    """The inverse of `to_json`; an unknown field of a later release is left out."""
    known: dict[str, Any] = {
        name: value for name, value in stored.items() if name in TaskSpec.__dataclass_fields__
    }
    for name in _TUPLES:
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    known["retry"] = RetryPolicy(**known["retry"])
    known["on_failure"] = OnFailure(known["on_failure"])
    known["namespace"] = namespace
    return TaskSpec(**known)
