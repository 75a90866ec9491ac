"""What the agent and its tools agree on: which tools there are, and how a call is asked and
answered."""

from typing import Any

from waystation_worker import NewEvent, TaskContext

WORKFLOW_TYPE = "research"

TOOLS = {
    "search": "finds the text of the library that fits some words best",
    "calculator": "works out an expression of numbers, + - * / ** and brackets",
    "notes": "reads one of the researcher's own notes, by its name: visit, todo",
    "phone": "rings somebody up: harbour office, museum; not everybody answers",
}
"""The tools by name, in words that a model can choose by."""


def requested(tool: str) -> str:
    """The type of the event that asks for a call of this tool."""
    return f"tool.{tool}.requested"


def call_event(place: str, tool: str, input: str) -> NewEvent:
    """The event that asks for one call. `place` is where its result goes in `data.findings`."""
    return NewEvent(requested(tool), {"place": place, "input": input})


def put_result(ctx: TaskContext, result: str) -> None:
    """Stores what a tool found. Each call has a place of its own, so tools that finish at the same
    moment are in nobody's way."""
    finding: Any = ctx.data["findings"][ctx.event.payload["place"]]
    finding["result"] = result
