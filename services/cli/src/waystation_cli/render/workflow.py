"""One workflow as a whole: header, timeline, attempts, waits, dead letters, failure, output."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import names, outcomes
from waystation_cli.render.attempts import print_attempts
from waystation_cli.render.message_json import as_dict, pretty
from waystation_cli.render.text import (
    age,
    plain,
    span,
    stdout,
    table,
    when,
)
from waystation_cli.render.timeline import timeline
from waystation_cli.render.tree import lines


def print_workflow(
    context: WorkflowContext,
    history: Sequence[HistoryEntry],
    events: Sequence[EventWithState],
    dead_letters: Sequence[DeadLetter],
    with_data: bool,
) -> None:
    """Everything that a person asks about one workflow, the most wanted last."""
    out = stdout()
    _print_header(out, context, len(events))
    out.print()
    # Printed at once: a long history would take seconds line by line.
    out.print(
        Text("\n").join(
            lines(timeline(history, events, [each.event.event_id for each in dead_letters]))
        ),
        soft_wrap=True,
    )
    print_attempts(out, history)
    if context.HasField("idle"):
        _heading(out, "Idle")
        out.print(plain(context.idle.message), style="yellow")
    if context.waits:
        _heading(out, "Waits for input")
        outcomes.print_waits(out, context)
    if dead_letters:
        _heading(out, "Dead letters")
        for letter in dead_letters:
            out.print(plain(f"{letter.task_id} of {letter.event.event_type}"), end=" ")
            out.print(dead_letters_view.cause(letter), style="red")
            out.print(
                plain(f"  {dead_letters_view.advice(letter)}"),
                style="dim",
            )
    if with_data:
        _heading(out, "Data")
        out.print(pretty(as_dict(context.data)), soft_wrap=True)
    if context.HasField("failure") or context.HasField("output"):
        _heading(out, "Failure" if context.HasField("failure") else "Output")
        outcomes.print_end(out, context)


def _heading(out: Console, words: str) -> None:
    out.print()
    out.print(words, style="bold")


def _print_header(out: Console, context: WorkflowContext, events: int) -> None:
    word = names.status(context.status)
    out.print(
        Text.assemble(
            (plain(context.workflow_instance_id), "bold"),
            plain(f" ({context.workflow_type}) "),
            (word, names.style(word)),
        )
    )
    facts = table("", "")
    facts.show_header = False
    facts.add_row("started", f"{when(context.created_at)} ({age(context.created_at)})")
    if context.HasField("completed_at"):
        took = context.completed_at.ToDatetime() - context.created_at.ToDatetime()
        facts.add_row("ended", f"{when(context.completed_at)} (took {span(took.total_seconds())})")
    facts.add_row("version", f"{context.version}, {events} event{'' if events == 1 else 's'}")
    if context.correlation_id:
        facts.add_row("correlation", plain(context.correlation_id))
    out.print(facts)
