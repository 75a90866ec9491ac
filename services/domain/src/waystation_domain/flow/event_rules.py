"""Rules about events: raised and not handled, handled and not raised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from waystation_domain import lifecycle, topics
from waystation_domain.flow.findings import (
    ENOUGH,
    Finding,
    Rule,
    Severity,
    View,
    alike,
    did_you_mean,
    names,
)
from waystation_domain.flow.graph import FlowEvent
from waystation_domain.model import CLIENT
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import serves

_SYSTEM_EVENTS = (
    lifecycle.STARTED,
    *sorted(lifecycle.NOTICES),
    lifecycle.INPUT_PROVIDED,
    lifecycle.INPUT_TIMED_OUT,
)


def start_unhandled(view: View, views: Sequence[View]) -> Iterable[Finding]:
    """Workflow types whose `workflow.started` no task handles."""
    if view.handles(lifecycle.STARTED) or view.type == topics.ONE_WORD:
        return
    suggestion = ""
    if view.is_named:
        why = f"no task handles `workflow.started` of {view.type}"
        remedy = (
            "Register a task for workflow.started, unless published events drive these workflows."
        )
    else:
        suggestion = alike(view.type, (other.type for other in views if other.is_named))
        why = f"no task is registered for workflows of type {view.type}"
        remedy = (
            f"Start workflows of type {suggestion} instead, or register tasks for {view.type}."
            if suggestion
            else f"Register tasks for {view.type}, or find out who starts such workflows: "
            f"`waystation list --type {view.type}`."
        )
    severity = Severity.INFO
    if view.flow.instances:
        published = any(
            raised.raised_by == CLIENT and not lifecycle.is_reserved(raised.event_type)
            for raised in view.flow.raises
        )
        severity = Severity.WARNING if published else Severity.ERROR
        number = view.flow.instances
        why += f"; {number} instance{'' if number == 1 else 's'} of it started without a task"
    yield Finding(
        severity,
        Rule.START_UNHANDLED,
        (view.type,),
        (view.type,),
        why + did_you_mean(suggestion),
        remedy,
        suggestion,
    )


def emitted_unhandled(view: View, views: Sequence[View]) -> Iterable[Finding]:
    """Event types that are raised and that no registered task of the workflow type handles."""
    handled = [name for name in view.declared_handlers if not topics.is_pattern(name)]
    for event in view.flow.events:
        raisers = view.raisers.get(event.event_type)
        if not raisers or view.handles(event.event_type):
            continue
        if lifecycle.is_reserved(event.event_type):
            if event.event_type == lifecycle.INPUT_PROVIDED and event.unhandled:
                yield _input_unhandled(view, event)
            continue
        suggestion = alike(event.event_type, handled)
        by_tasks = view.raised_by_tasks(event.event_type)
        before = view.handlers_seen.get(event.event_type, [])
        message = (
            f"`{event.event_type}` is raised by {names(by_tasks or raisers)} in workflows of type "
            f"{view.type}, and no task handles it"
        )
        if event.unhandled:
            message += f"; {event.unhandled} settled as UNHANDLED"
        if before:
            message += f"; {names(before)} handled it before"
        yield Finding(
            _severity_of_unhandled(view, views, event, by_tasks, before),
            Rule.EMITTED_UNHANDLED,
            (view.type,),
            (event.event_type,),
            message + did_you_mean(suggestion),
            f"Raise `{suggestion}` instead, or register a task for `{event.event_type}`."
            if suggestion
            else f"Register a task for `{event.event_type}`, or stop raising it.",
            suggestion,
        )


def _severity_of_unhandled(
    view: View,
    views: Sequence[View],
    event: FlowEvent,
    by_tasks: Sequence[str],
    before: Sequence[str],
) -> Severity:
    if not by_tasks or before or topics.is_pattern(event.event_type):
        # An event of a client, one of an older release, or too little evidence.
        return Severity.WARNING
    if event.raised:
        return Severity.ERROR
    # Tasks declare it, but may raise it in other workflow types only.
    elsewhere = any(
        serves(view.registered[by], other.type) and other.handles(event.event_type)
        for by in by_tasks
        for other in views
        if other is not view
    )
    return Severity.INFO if elsewhere else Severity.ERROR


def _input_unhandled(view: View, event: FlowEvent) -> Finding:
    return Finding(
        Severity.WARNING,
        Rule.EMITTED_UNHANDLED,
        (view.type,),
        (event.event_type,),
        f"{event.unhandled} answers of people in workflows of type {view.type} were stored in "
        "the data, but no task handles `user.input.provided`",
        "Register a task for user.input.provided, so that the workflow continues after an answer.",
    )


def awaited(spec: TaskSpec, views: Sequence[View]) -> Iterable[Finding]:
    """Event types that a task handles and nobody raises in any of its flows."""
    silent = sorted({task_id for view in views for task_id in view.silent()})
    raised = sorted({name for view in views for name in view.raisers})
    for name in spec.event_types:
        if any(topics.matches(name, own) for own in _SYSTEM_EVENTS) or any(
            view.emits(name) for view in views
        ):
            continue
        suggestion = "" if topics.is_pattern(name) else alike(name, raised)
        known = (
            f"; the events of {names(silent)} are not known (no may_emit, fewer than "
            f"{ENOUGH} calls seen)"
            if silent
            else ""
        )
        yield Finding(
            Severity.WARNING if suggestion or not silent else Severity.INFO,
            Rule.AWAITED_NEVER_EMITTED,
            tuple(view.type for view in views),
            (name, spec.task_id),
            f"{spec.task_id} handles `{name}`, but no task declares it or was seen to raise it"
            f"{known}{did_you_mean(suggestion)}",
            f"Let {spec.task_id} handle `{suggestion}`, or raise `{name}`."
            if suggestion
            else f"Raise `{name}` in a task and declare it in its may_emit, or remove it from "
            f"{spec.task_id}. Ignore this if clients publish it.",
            suggestion,
        )
