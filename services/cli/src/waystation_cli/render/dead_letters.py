"""Deliveries that failed for good."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.dead_letter_service_pb2 import DiscardDeadLetterResponse, RetryDeadLetterResponse
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
        "waystation dead-letters retry ID [--payload '{...}'] tries again; discard ID gives up.",
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


def print_retried(dead_letter_id: str | None, response: RetryDeadLetterResponse) -> None:
    """Tells which one, or how many."""
    what = dead_letter_id or _deliveries(response.retried)
    stdout().print(plain(f"Tries {what} again"))


def print_discarded(dead_letter_id: str | None, response: DiscardDeadLetterResponse) -> None:
    """Tells which one, or how many."""
    stdout().print(plain(f"Discarded {dead_letter_id or _deliveries(response.discarded)}"))


def _deliveries(number: int) -> str:
    return "1 delivery" if number == 1 else f"{number} deliveries"
