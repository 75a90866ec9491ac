"""Deliveries that failed permanently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from waystation.v1.dead_letter_pb2 import DEAD_LETTER_STATE_OPEN, DeadLetter, DeadLetterGroup
from waystation.v1.dead_letter_service_pb2 import (
    CountDeadLettersResponse,
    DiscardDeadLetterResponse,
    RetryDeadLetterResponse,
)
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render import names
from waystation_cli.render.message_json import as_dict, pretty
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import (
    WIDE,
    advised,
    age,
    cut_last_column,
    error_text,
    plain,
    quoted,
    shortened,
    stdout,
    table,
    when,
)


def print_dead_letters(letters: Sequence[DeadLetter], more: bool) -> None:
    """One line for each, with its cause, and how to go on."""
    out = stdout()
    if not letters:
        out.print("No dead letters.")
        return
    out.print(letter_table(letters))
    if more:
        print_more(out, len(letters))
    out.print(
        "waystation dead-letters retry ID [--payload '{...}'] retries one; discard ID discards one.",
        style="dim",
    )
    if any(letter.state == DEAD_LETTER_STATE_OPEN and not letter.retryable for letter in letters):
        out.print(
            "(ended): the workflow is COMPLETED or CANCELLED; such a dead letter can only be discarded.",
            style="dim",
        )


def letter_table(letters: Sequence[DeadLetter]) -> Table:
    """One line for each; ids stay whole, and a narrow terminal has fewer columns."""
    out = stdout()
    wide = out.width >= WIDE
    more = ("EVENT", "ATTEMPTS") if wide else ()
    # Of a list of open ones it says nothing.
    state = ("STATE",) if wide or any(_state(letter) != "OPEN" for letter in letters) else ()
    rows = table("DEAD LETTER", "WORKFLOW", "TASK", *more, "SINCE", *state, "CAUSE")
    rows.columns[0].no_wrap = True
    for letter in letters:
        facts = (plain(letter.event.event_type), str(letter.attempts)) if wide else ()
        rows.add_row(
            plain(letter.dead_letter_id),
            plain(letter.workflow_instance_id),
            plain(letter.task_id),
            *facts,
            age(letter.created_at),
            *([_state(letter)] if state else []),
            Text(shortened(cause(letter)), style="red"),
        )
    cut_last_column(rows, out)
    return rows


def _state(letter: DeadLetter) -> str:
    ended = letter.state == DEAD_LETTER_STATE_OPEN and not letter.retryable
    return names.dead_letter_state(letter.state) + (" (ended)" if ended else "")


def advice(letter: DeadLetter) -> str:
    """The command that goes on with an open one."""
    if letter.retryable:
        return "retry: " + advised(f"waystation dead-letters retry {letter.dead_letter_id}")
    return "its workflow has ended, so it can only be discarded: " + advised(
        f"waystation dead-letters discard {letter.dead_letter_id}"
    )


def print_dead_letter(letter: DeadLetter) -> None:
    """All of one."""
    out = stdout()
    out.print(
        Text.assemble(
            (plain(letter.dead_letter_id), "bold"), f" {names.dead_letter_state(letter.state)}"
        )
    )
    facts = table("", "")
    facts.show_header = False
    facts.add_row("workflow", plain(f"{letter.workflow_instance_id} ({letter.workflow_type})"))
    facts.add_row("task", plain(letter.task_id))
    facts.add_row("event", plain(f"{letter.event.event_type} {letter.event.event_id}"))
    facts.add_row("attempts", str(letter.attempts))
    facts.add_row("since", f"{when(letter.created_at)} ({age(letter.created_at)})")
    if letter.HasField("resolved_at"):
        facts.add_row("resolved", f"{when(letter.resolved_at)} ({age(letter.resolved_at)})")
    out.print(facts)
    out.print()
    out.print(quoted(error_text(letter.error)), style="red", soft_wrap=True)
    if letter.error.metadata.fields:
        out.print(pretty(as_dict(letter.error.metadata)), soft_wrap=True)
    out.print()
    out.print("Payload", style="bold")
    out.print(pretty(as_dict(letter.event.payload)), soft_wrap=True)
    if letter.state == DEAD_LETTER_STATE_OPEN:
        out.print()
        out.print(plain(advice(letter)), style="dim", soft_wrap=True)
        if letter.retryable:
            edit = advised(f"waystation dead-letters edit {letter.dead_letter_id}")
            out.print(plain(f"edit the payload, then retry: {edit}"), style="dim", soft_wrap=True)


def print_lines(lines: Iterable[Text]) -> None:
    """Lines of a difference."""
    stdout().print(Text("\n").join(lines), soft_wrap=True)


def cause(letter: DeadLetter) -> str:
    """The last error: its code, its reason where it has one, its message."""
    error = letter.error
    return plain(": ".join(part for part in (error.reason or error.code, error.message) if part))


def print_retried(response: RetryDeadLetterResponse) -> None:
    """Tells which one, and how its workflow stands."""
    _print_one(f"Tries {response.dead_letter.dead_letter_id} again", response.context)


def print_discarded(response: DiscardDeadLetterResponse) -> None:
    """Tells which one, and how its workflow stands."""
    _print_one(f"Discarded {response.dead_letter.dead_letter_id}", response.context)


def print_counts(counted: CountDeadLettersResponse, states: str = "open") -> None:
    """Tells which ones a command about many means, by task and reason."""
    out = stdout()
    most = "more than " if counted.more else ""
    noun = f"{states} dead letter{'' if counted.count == 1 else 's'}"
    of = "1 workflow" if counted.workflows == 1 else f"{counted.workflows} workflows"
    out.print(f"{most}{counted.count} {noun} of {of}")
    if not counted.groups:
        return
    out.print(group_table(counted.groups[:_MOST_GROUPS]))
    more = len(counted.groups) - _MOST_GROUPS + counted.groups_left_out
    if more > 0:
        out.print(f"... and {more} more kinds", style="dim")
    left = counted.count - counted.retryable
    if left and states == "open":
        out.print(f"{left} of them can only be discarded: {_ENDED}.", style="yellow")


def group_table(groups: Sequence[DeadLetterGroup]) -> Table:
    """One line for each kind."""
    rows = table("COUNT", "TASK", "REASON", "WORKFLOWS", "RETRYABLE", "FIRST", "LAST")
    for group in groups:
        rows.add_row(
            str(group.count),
            plain(group.task_id),
            Text(plain(group.reason), style="red"),
            str(group.workflows),
            str(group.retryable),
            age(group.first_created_at),
            age(group.last_created_at),
        )
    return rows


_MOST_GROUPS = 20
"""In front of a question."""

_ENDED = "their workflows are COMPLETED or CANCELLED"


def print_many_retried(number: int, left: int) -> None:
    """Tells how many, and how many stay."""
    out = stdout()
    out.print(f"Tries {_deliveries(number)} again")
    if left:
        out.print(f"{left} stay: {_ENDED}. `discard` with the same options discards them.")


def print_many_discarded(number: int) -> None:
    """Tells how many."""
    stdout().print(f"Discarded {_deliveries(number)}")


def _print_one(what: str, context: WorkflowContext) -> None:
    status = names.status(context.status)
    stdout().print(plain(f"{what}; {context.workflow_instance_id} is {status}"))


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
