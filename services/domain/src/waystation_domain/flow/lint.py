"""Finds what is wrong with the flow of events through tasks, or may be.

A finding is an error if workflows stop because of it, a warning if something is probably wrong, and
information if it may be intended. What is not declared and was not observed often enough is never reported as
missing.
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
    """All findings, the most severe first, then ordered by rule and subject."""
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
    """Each registered task once, with the flows that it is part of."""
    specs: dict[str, TaskSpec] = {}
    for view in views:
        specs |= view.registered
    return [
        (spec, [view for view in views if serves(spec, view.type)])
        for _, spec in sorted(specs.items())
    ]
