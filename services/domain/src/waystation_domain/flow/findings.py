"""Findings, and the look-ups that the rules share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum

from waystation_domain import topics
from waystation_domain.flow.graph import Flow
from waystation_domain.flow.paths import Paths

ENOUGH = 20
"""After so many calls, a task that declares nothing has shown what it raises; after so many instances, a task
that was never called is reported."""

_ALIKE = 0.85
"""Two names with a higher share of equal characters may be one name, misspelt."""
_LONGER = 3
"""How many characters longer one of them may be: comparing costs much more than this check."""


class Severity(IntEnum):
    INFO = 1
    WARNING = 2
    ERROR = 3


class Rule(IntEnum):
    """Numbers are those of the contract."""

    EMITTED_UNHANDLED = 1
    AWAITED_NEVER_EMITTED = 2
    TWO_WRITERS = 3
    NO_ENDPOINT = 4
    START_UNHANDLED = 5
    NEVER_REACHED = 6
    UNDECLARED = 7
    CYCLE = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, or may be."""

    severity: Severity
    rule: Rule
    workflow_types: tuple[str, ...]
    subjects: tuple[str, ...]
    message: str
    remedy: str
    suggestion: str = ""
    paths: tuple[str, ...] = ()


class View:
    """A flow with the look-ups that rules need."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.type = flow.workflow_type
        self.tasks = {task.task_id: task for task in flow.tasks}
        self.registered = {task.task_id: task.spec for task in flow.tasks if task.spec is not None}
        self.is_named = any(self.type in spec.workflow_types for spec in self.registered.values())
        """Whether a task handles this type by its exact name."""
        self.raisers: dict[str, list[str]] = {}
        self.declared_handlers: dict[str, list[str]] = {}
        self.handlers_seen: dict[str, list[str]] = {}
        for raised in flow.raises:
            self.raisers.setdefault(raised.event_type, []).append(raised.raised_by)
        for handling in flow.handlings:
            if handling.origin.declares:
                self.declared_handlers.setdefault(handling.event_type, []).append(handling.task_id)
            if handling.origin.saw:
                self.handlers_seen.setdefault(handling.event_type, []).append(handling.task_id)
        self.paths = Paths(flow)

    def raised_by_tasks(self, event_type: str) -> list[str]:
        """The registered tasks that raise it."""
        return [by for by in self.raisers.get(event_type, ()) if by in self.registered]

    def handles(self, event_type: str) -> bool:
        """Whether a registered task handles it."""
        return bool(self.declared_handlers.get(event_type))

    def emits(self, pattern: str) -> bool:
        """Whether anybody raises a type that matches the pattern."""
        return any(topics.overlaps(pattern, name) for name in self.raisers)

    def silent(self) -> list[str]:
        """Tasks whose raised events are not known: they declare nothing, and too few calls were observed."""
        return [
            task.task_id
            for task in self.flow.tasks
            if task.spec is not None and not task.spec.may_emit and task.succeeded < ENOUGH
        ]


def alike(name: str, names: Iterable[str]) -> str:
    """The most similar one of these names; empty if none is similar."""
    near = {other for other in names if other != name and abs(len(other) - len(name)) <= _LONGER}
    close = get_close_matches(name, sorted(near), n=1, cutoff=_ALIKE)
    return close[0] if close else ""


def did_you_mean(suggestion: str) -> str:
    """The end of a message with a suggestion."""
    return f"; did you mean `{suggestion}`?" if suggestion else ""


def names(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
