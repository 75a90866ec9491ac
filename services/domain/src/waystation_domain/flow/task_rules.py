"""Rules about tasks: unreachable ones, undeclared behaviour, and conflicting writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from waystation_domain import lifecycle, pointers
from waystation_domain.conflicts import Write, Written
from waystation_domain.flow.findings import ENOUGH, Finding, Rule, Severity, View, names
from waystation_domain.flow.graph import FlowTask, may_emit
from waystation_domain.task_spec import TaskSpec


def no_endpoint(spec: TaskSpec, views: Sequence[View]) -> Iterable[Finding]:
    """Tasks without a live endpoint."""
    if any(view.tasks[spec.task_id].live for view in views):
        return
    yield Finding(
        Severity.WARNING,
        Rule.NO_ENDPOINT,
        tuple(view.type for view in views),
        (spec.task_id,),
        f"{spec.task_id} is registered, but no live endpoint of {spec.service_name} declares it; "
        "its deliveries wait",
        f"Start {spec.service_name}, or retire the task if it was removed permanently.",
    )


def undeclared(spec: TaskSpec, views: Sequence[View]) -> Iterable[Finding]:
    """What a task was observed to do although its declarations leave it out."""
    types = tuple(view.type for view in views)
    if spec.may_emit:
        strange = sorted(
            {
                raised.event_type
                for view in views
                for raised in view.flow.raises
                if raised.raised_by == spec.task_id
                and not may_emit(spec, raised.event_type)
                and not lifecycle.is_reserved(raised.event_type)
            }
        )
        if strange:
            yield Finding(
                Severity.WARNING,
                Rule.UNDECLARED,
                types,
                (spec.task_id, *strange),
                f"{spec.task_id} raised {names([f'`{name}`' for name in strange])}, which its "
                "may_emit does not declare",
                f"Add it to the may_emit of {spec.task_id}, or stop raising it.",
            )
    if spec.writes is not None:
        paths = sorted(
            {
                path
                for view in views
                for (path, _), _ in view.tasks[spec.task_id].writes
                if not any(pointers.lies_in(path, declared) for declared in spec.writes)
            }
        )
        if paths:
            yield Finding(
                Severity.WARNING,
                Rule.UNDECLARED,
                types,
                (spec.task_id,),
                f"{spec.task_id} wrote {names([_place(path) for path in paths])}, which its "
                "writes do not declare",
                f"Add it to the writes of {spec.task_id}, or stop writing it.",
                paths=tuple(paths),
            )


def never_reached(spec: TaskSpec, views: Sequence[View]) -> Iterable[Finding]:
    """Tasks that no event leads to, or that were never called although many instances were examined."""
    seen = any(spec.task_id in by for view in views for by in view.handlers_seen.values())
    if seen:
        return
    types = tuple(view.type for view in views)
    looked_at = sum(view.flow.instances for view in views)
    if not any(view.paths.reached(spec.task_id) for view in views):
        if any(view.silent() for view in views):
            return
        yield Finding(
            Severity.INFO,
            Rule.NEVER_REACHED,
            types,
            (spec.task_id,),
            f"no chain of events from a start or a client leads to {spec.task_id}",
            "Raise an event that it handles from a task that is reached. Ignore this if clients "
            "publish it.",
        )
    elif looked_at >= ENOUGH:
        yield Finding(
            Severity.INFO,
            Rule.NEVER_REACHED,
            types,
            (spec.task_id,),
            f"{spec.task_id} was not called in {looked_at} sampled instances",
            "Check that its events are raised: `waystation graph`.",
        )


def two_writers(view: View) -> Iterable[Finding]:
    """Pairs of tasks that write places that touch."""
    writers = [
        (task, writes)
        for task in view.flow.tasks
        if task.spec is not None and (writes := _writes(task, task.spec, view.type))
    ]
    for (one, ours), (other, theirs) in combinations(writers, 2):
        paths = _collisions(ours, theirs)
        if not paths:
            continue
        parallel, why = _parallel(view, one.task_id, other.task_id)
        places = names([_place(path) for path in paths])
        yield Finding(
            Severity.WARNING if parallel else Severity.INFO,
            Rule.TWO_WRITERS,
            (view.type,),
            (one.task_id, other.task_id),
            f"{one.task_id} and {other.task_id} both write {places} in workflows of type "
            f"{view.type}; {why}",
            "Let each write its own path, or use operations that commute (increment, append, "
            "add_to_set, maximum)."
            if parallel
            else "Ignore this if the later one is meant to overwrite the earlier one.",
            paths=tuple(paths),
        )


def _writes(task: FlowTask, spec: TaskSpec, workflow_type: str) -> list[Write]:
    """What it was observed to write, and what else it declares, whose kind of operation is not known."""
    seen = [write for write, _ in task.writes]
    # A task of all workflow types declares what it writes in some of them.
    is_here = workflow_type in spec.workflow_types or task.succeeded > 0
    declared = (spec.writes or ()) if is_here else ()
    return seen + [
        (path, "")
        for path in declared
        if not any(pointers.touches(path, write) for write, _ in seen)
    ]


def _collisions(ours: Sequence[Write], theirs: Sequence[Write]) -> list[str]:
    """The places where writes of the two touch, by the conflict rule."""
    found = set()
    for these, those in ((ours, theirs), (theirs, ours)):
        written = Written(these)
        found |= {write[0] for write in those if written.conflicts_with((), [write])}
    return sorted(found)


def _parallel(view: View, one: str, other: str) -> tuple[bool, str]:
    """Whether the two may run at the same time, as far as the flow shows, and why."""
    shared = sorted(
        name for name, by in view.declared_handlers.items() if one in by and other in by
    )
    if shared:
        return True, f"both handle `{shared[0]}`, so they run at the same time"
    if view.paths.follows(other, one) or view.paths.follows(one, other):
        return False, "one follows from the other"
    if view.silent():
        return False, "whether one follows from the other is not known"
    return True, "neither follows from the other, so they may run at the same time"


def _place(path: str) -> str:
    return path or "all of the data"


def cycles(view: View) -> Iterable[Finding]:
    """Cycles of tasks without a way out."""
    for circle in view.paths.circles():
        ways_out = {
            raised.event_type
            for raised in view.flow.raises
            if raised.raised_by in circle
            and (
                raised.event_type in lifecycle.STATUS_OF_EVENT
                or raised.event_type == lifecycle.WAITING
                or not circle.issuperset(view.declared_handlers.get(raised.event_type, ()))
            )
        }
        if ways_out:
            continue
        tasks = tuple(sorted(circle))
        yield Finding(
            Severity.INFO,
            Rule.CYCLE,
            (view.type,),
            tasks,
            f"{names(tasks)} raise each other's events in workflows of type {view.type}, and no "
            "way out of the cycle was declared or seen"
            if len(tasks) > 1
            else f"{tasks[0]} raises events that it handles in workflows of type {view.type}, and no way "
            "out of the cycle was declared or seen",
            "Check that the cycle ends: a workflow may raise 10,000 events. Declare "
            "`workflow.completed` in the may_emit of the task that ends it.",
        )
