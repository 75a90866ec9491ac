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


NAMED_INSTANCES = """CROSS JOIN LATERAL (
    SELECT * FROM workflow_instances
    WHERE namespace = %(namespace)s AND workflow_instance_id = w.id OFFSET 0
) i"""
"""The instances whose ids are `w.id`, each looked up by itself (OFFSET 0 keeps it so): while there
are no statistics the planner believes that a namespace has few instances, and reads all of it."""


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
    add_instances(where, filter)
    for column, values in (
        ("i.workflow_type", filter.workflow_types),
        ("l.task_id", filter.task_ids),
        ("e.event_type", filter.event_types),
        ("l.error->>'reason'", filter.reasons),
    ):
        if values:
            name = f"p{len(where.parameters)}"
            where.add(f"{column} = ANY(%({name})s::text[])", **{name: list(values)})
    where.add_times("l.created_at", filter.created_after, filter.created_before)
    return where


def add_instances(where: Conditions, filter: DeadLetterFilter) -> None:
    """Only the letters `l` of the instances that a filter names; `namespace` is among the parameters."""
    if filter.workflow_instance_ids:
        # Their keys first: by them the letters have an index, however many others there are.
        where.add(
            "l.instance_key = ANY(ARRAY(SELECT i.key FROM unnest(%(instances)s::text[]) AS w(id) "
            f"{NAMED_INSTANCES}))",
            instances=list(filter.workflow_instance_ids),
        )
