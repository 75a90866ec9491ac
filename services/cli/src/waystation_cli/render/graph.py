"""The flow of events as a picture: the same nodes and edges as a Mermaid flowchart and as DOT.

Events are rounded, tasks are boxes, clients and the system are circles. An edge bears its counts;
it is red where something failed, and dashed where it was declared and not seen. The order of lines
is that of the contract's lists, which are ordered by name: two looks differ where the flow does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waystation.v1.flow_pb2 import (
    FLOW_ORIGIN_DECLARED,
    FlowEvent,
    FlowHandling,
    FlowRaise,
    FlowTask,
    WorkflowFlow,
)
from waystation_domain import lifecycle

_OUTSIDE = ("client", "system")

_MERMAID_SHAPES = {"event": ("([", "])"), "task": ("[", "]"), "outside": ("((", "))")}
_MERMAID_CLASSES = (
    "classDef unhandled stroke:#c00,color:#c00",
    "classDef absent stroke-dasharray:4 3,color:#888",
)
_MERMAID_FAILED = "stroke:#c00,color:#c00"

_DOT_SHAPES = {
    "event": 'shape=box, style="rounded"',
    "task": "shape=box",
    "outside": "shape=circle",
}
_DOT_STYLES = {
    "": "",
    "unhandled": ', color="#cc0000", fontcolor="#cc0000"',
    "absent": ', style="dashed", fontcolor="#888888"',
}


@dataclass(frozen=True, slots=True)
class _Node:
    id: str
    shape: str
    label: tuple[str, ...]
    look: str = ""


@dataclass(frozen=True, slots=True)
class _Edge:
    start: str
    end: str
    label: str
    dashed: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class _Picture:
    title: str
    nodes: list[_Node]
    edges: list[_Edge]


def mermaid(flows: Sequence[WorkflowFlow]) -> str:
    """A Mermaid flowchart with a box for each workflow type."""
    lines = ["flowchart LR"]
    failed = []
    number = 0
    for at, flow in enumerate(flows, 1):
        picture = _picture(flow, at)
        lines.append(f"  subgraph f{at} [{_mermaid_text(picture.title)}]")
        for node in picture.nodes:
            left, right = _MERMAID_SHAPES[node.shape]
            label = _mermaid_text(*node.label)
            look = f":::{node.look}" if node.look else ""
            lines.append(f"    {node.id}{left}{label}{right}{look}")
        for edge in picture.edges:
            arrow = "-.->" if edge.dashed else "-->"
            label = f"|{_mermaid_text(edge.label)}|" if edge.label else ""
            lines.append(f"    {edge.start} {arrow}{label} {edge.end}")
            if edge.failed:
                failed.append(str(number))
            number += 1
        lines.append("  end")
    lines += [f"  {each}" for each in _MERMAID_CLASSES]
    if failed:
        lines.append(f"  linkStyle {','.join(failed)} {_MERMAID_FAILED}")
    return "\n".join(lines) + "\n"


def dot(flows: Sequence[WorkflowFlow]) -> str:
    """A DOT digraph with a cluster for each workflow type."""
    lines = ["digraph waystation {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
    lines.append('  edge [fontname="sans-serif", fontsize=10];')
    for at, flow in enumerate(flows, 1):
        picture = _picture(flow, at)
        lines.append(f"  subgraph cluster_{at} {{")
        lines.append(f"    label={_dot_text(picture.title)};")
        for node in picture.nodes:
            shape = f"{_DOT_SHAPES[node.shape]}{_DOT_STYLES[node.look]}"
            lines.append(f"    {node.id} [label={_dot_text(*node.label)}, {shape}];")
        for edge in picture.edges:
            facts = [f"label={_dot_text(edge.label)}"] if edge.label else []
            if edge.dashed:
                facts.append('style="dashed"')
            if edge.failed:
                facts.append('color="#cc0000", fontcolor="#cc0000"')
            said = f" [{', '.join(facts)}]" if facts else ""
            lines.append(f"    {edge.start} -> {edge.end}{said};")
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


# --- what is drawn ---------------------------------------------------------------------------


def _picture(flow: WorkflowFlow, at: int) -> _Picture:
    tasks = {task.task_id: f"f{at}t{number}" for number, task in enumerate(flow.tasks, 1)}
    events = {event.event_type: f"f{at}e{number}" for number, event in enumerate(flow.events, 1)}
    outside = [
        name
        for name in _OUTSIDE
        if name not in tasks and any(raised.raised_by == name for raised in flow.raises)
    ]
    raisers = {name: f"f{at}{name}" for name in outside} | tasks
    nodes = [_Node(raisers[name], "outside", (name,)) for name in outside]
    nodes += [_event(event, events[event.event_type]) for event in flow.events]
    nodes += [_task(task, tasks[task.task_id]) for task in flow.tasks]
    # An edge whose end is left out of the answer can't be drawn.
    edges = [
        _raise(raised, raisers[raised.raised_by], events[raised.event_type])
        for raised in flow.raises
        if raised.raised_by in raisers and raised.event_type in events
    ]
    edges += [
        _handling(handling, events[handling.event_type], tasks[handling.task_id])
        for handling in flow.handlings
        if handling.event_type in events and handling.task_id in tasks
    ]
    instances = "1 instance" if flow.instances == 1 else f"{flow.instances} instances"
    return _Picture(f"{flow.workflow_type}: {instances}", nodes, edges)


def _event(event: FlowEvent, id: str) -> _Node:
    # Nearly every workflow ends with an event of the system that nobody wants.
    unhandled = 0 if event.event_type in lifecycle.NOTICES else event.unhandled
    counts = ", ".join(
        f"{number} {word}"
        for number, word in ((unhandled, "unhandled"), (event.skipped, "skipped"))
        if number
    )
    label = (event.event_type, counts) if counts else (event.event_type,)
    return _Node(id, "event", label, "unhandled" if unhandled else "")


def _task(task: FlowTask, id: str) -> _Node:
    if not task.HasField("spec"):
        return _Node(id, "task", (task.task_id, "not registered"), "absent")
    if not task.live:
        return _Node(id, "task", (task.task_id, "no endpoint"), "absent")
    return _Node(id, "task", (task.task_id,))


def _raise(raised: FlowRaise, start: str, end: str) -> _Edge:
    dashed = raised.origin == FLOW_ORIGIN_DECLARED
    return _Edge(start, end, "" if dashed else str(raised.count), dashed, failed=False)


def _handling(handling: FlowHandling, start: str, end: str) -> _Edge:
    dashed = handling.origin == FLOW_ORIGIN_DECLARED
    counts = [str(handling.succeeded)]
    counts += [
        f"{number} {word}"
        for number, word in (
            (handling.failed_attempts, "failed"),
            (handling.dead_letters, "dead-lettered"),
            (handling.skipped, "skipped"),
        )
        if number
    ]
    label = "" if dashed else ", ".join(counts)
    return _Edge(start, end, label, dashed, failed=handling.failed_attempts > 0)


# --- text ------------------------------------------------------------------------------------


def _mermaid_text(*lines: str) -> str:
    """Lines as one quoted label. Whatever could mean something to Mermaid or in HTML is an entity."""
    return '"' + "<br/>".join("".join(map(_entity, line)) for line in lines) + '"'


def _entity(character: str) -> str:
    if character.isalnum() or character in " ._:-,/*":
        return character
    return f"#{ord(character)};"


def _dot_text(*lines: str) -> str:
    """Lines as one quoted string."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
