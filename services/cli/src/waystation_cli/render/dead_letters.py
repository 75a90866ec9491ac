"""Deliveries that failed permanently."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.dead_letter_service_pb2 import DiscardDeadLetterResponse, RetryDeadLetterResponse
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation_cli.render import names
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import age, plain, stdout, table


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


def letter_table(letters: Sequence[DeadLetter]) -> Table:
    """One line for each."""
    rows = table("DEAD LETTER", "WORKFLOW", "TASK", "EVENT", "ATTEMPTS", "SINCE", "STATE", "CAUSE")
    for letter in letters:
        rows.add_row(
            plain(letter.dead_letter_id),
            plain(letter.workflow_instance_id),
            plain(letter.task_id),
            plain(letter.event.event_type),
            str(letter.attempts),
            age(letter.created_at),
            names.dead_letter_state(letter.state),
            Text(cause(letter), style="red"),
        )
    return rows


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


def print_many_retried(number: int) -> None:
    """Tells how many."""
    stdout().print(f"Tries {_deliveries(number)} again")


def print_many_discarded(number: int) -> None:
    """Tells how many."""
    stdout().print(f"Discarded {_deliveries(number)}")


def _print_one(what: str, context: WorkflowContext) -> None:
    status = names.status(context.status)
    stdout().print(plain(f"{what}; {context.workflow_instance_id} is {status}"))


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
