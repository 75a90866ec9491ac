"""What is asked of people, of several workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.text import Text

from waystation.v1.wait_pb2 import WorkflowWait
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render.message_json import as_dict
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import advised, age, plain, quoted, stdout, when


class Question(NamedTuple):
    """A wait with its workflow."""

    context: WorkflowContext
    wait: WorkflowWait


def of_workflows(workflows: Sequence[WorkflowContext]) -> list[Question]:
    """All questions, the oldest first."""
    asked = [Question(context, wait) for context in workflows for wait in context.waits]
    return sorted(asked, key=lambda each: (each.wait.since.seconds, each.wait.since.nanos))


def as_documents(asked: Sequence[Question]) -> list[dict[str, Any]]:
    """The same for scripts."""
    return [
        {
            "workflow_instance_id": each.context.workflow_instance_id,
            "workflow_type": each.context.workflow_type,
            "wait": as_dict(each.wait),
        }
        for each in asked
    ]


def print_questions(asked: Sequence[Question], more: bool) -> None:
    """Each with how long it has been open and how to answer."""
    out = stdout()
    if not asked:
        out.print("Nothing is asked of anybody.")
        return
    for context, wait in asked:
        line = Text.assemble(
            (plain(context.workflow_instance_id), "bold"), plain(f" ({context.workflow_type})")
        )
        line.append(f" {age(wait.since)}", style="dim")
        if wait.HasField("deadline"):
            line.append(f", until {when(wait.deadline)}", style="yellow")
        out.print(line)
        out.print(quoted(wait.message, f"  {wait.task_id} asks: "), soft_wrap=True)
        which = f" --wait-id {wait.wait_id}" if len(context.waits) > 1 else ""
        out.print(
            plain(
                "  answer: " + advised(f"waystation input {context.workflow_instance_id}{which}")
            ),
            style="dim",
            soft_wrap=True,
        )
    if more:
        print_more(out, len(asked))
