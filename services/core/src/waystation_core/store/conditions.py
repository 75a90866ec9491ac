"""Conditions of lists: put together from constants of the store; values travel as parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from waystation_core.ports.store import DeadLetterFilter

LETTERS = (
    "dead_letters l JOIN events e ON e.event_id = l.event_id "
    "JOIN workflow_instances i ON i.key = l.instance_key"
)
"""What `letter_conditions` speaks of."""


class Conditions:
    """All of them must hold; as text it is the condition of a WHERE."""

    def __init__(self, **parameters: Any) -> None:
        self._parts: list[str] = []
        self.parameters: dict[str, Any] = parameters

    def add(self, condition: str, **parameters: Any) -> None:
        self._parts.append(condition)
        self.parameters.update(parameters)

    def add_times(self, column: str, after: datetime | None, before: datetime | None) -> None:
        if after is not None:
            self.add(f"{column} >= %(created_after)s", created_after=after)
        if before is not None:
            self.add(f"{column} < %(created_before)s", created_before=before)

    @property
    def clause(self) -> str:
        """With its WHERE; nothing where there is no condition."""
        return f"WHERE {self}" if self._parts else ""

    def __str__(self) -> str:
        return " AND ".join(self._parts)


def letter_conditions(filter: DeadLetterFilter, namespace: str) -> Conditions:
    """Which dead letters a filter means."""
    where = Conditions(namespace=namespace, states=[int(state) for state in filter.states])
    where.add("(i.namespace = %(namespace)s) IS TRUE AND l.state = ANY(%(states)s)")
    for column, value in (
        ("i.workflow_instance_id", filter.workflow_instance_id),
        ("i.workflow_type", filter.workflow_type),
        ("l.task_id", filter.task_id),
        ("e.event_type", filter.event_type),
        ("l.error->>'reason'", filter.reason),
    ):
        if value:
            name = f"p{len(where.parameters)}"
            where.add(f"{column} = %({name})s", **{name: value})
    where.add_times("l.created_at", filter.created_after, filter.created_before)
    return where
