"""What is wrong with the flow of events through tasks, or may be.

A finding is an error where workflows stand still because of it, a warning where something is
probably wrong, and for information where it may well be meant. What nobody declared and too little
was seen of is never held to be absent.
"""

from __future__ import annotations

from collections.abc import Sequence

from waystation_domain.flow import event_rules, task_rules
from waystation_domain.flow.findings import Finding, View
from waystation_domain.flow.graph import Flow
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import serves

MAX_FINDINGS = 1_000


def lint(flows: Sequence[Flow]) -> list[Finding]:
    """Everything found, the most severe first, else ordered by rule and subject."""
    views = [View(flow) for flow in flows]
    found: list[Finding] = []
    for view in views:
        found += event_rules.start_unhandled(view, views)
        found += event_rules.emitted_unhandled(view, views)
        found += task_rules.two_writers(view)
        found += task_rules.cycles(view)
    for spec, own in _by_task(views):
        awaited = list(event_rules.awaited(spec, own))
        found += awaited
        found += task_rules.no_endpoint(spec, own)
        found += task_rules.undeclared(spec, own)
        if len(awaited) < len(spec.event_types):
            found += task_rules.never_reached(spec, own)
    return sorted(
        found,
        key=lambda one: (-one.severity, one.rule, one.subjects, one.workflow_types, one.message),
    )


def _by_task(views: Sequence[View]) -> list[tuple[TaskSpec, list[View]]]:
    """Each registered task with the flows that it is part of, once."""
    specs: dict[str, TaskSpec] = {}
    for view in views:
        specs |= view.registered
    return [
        (spec, [view for view in views if serves(spec, view.type)])
        for _, spec in sorted(specs.items())
    ]
