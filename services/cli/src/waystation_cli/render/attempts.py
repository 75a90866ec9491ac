"""The attempts of a workflow: when each began and how long it took, as bars, and what the timeline cuts short.

Which task, which attempt and how it ended stand in the timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from rich.console import Console
from rich.text import Text

from waystation.v1.history_pb2 import HistoryEntry
from waystation_cli.render import names
from waystation_cli.render.text import NOTHING, WIDE, clock, error_text, plain, quoted, span, table

# Nobody reads more, and a table of ten thousand rows takes long to lay out.
_MOST = 200

_BAR = 40
"""Columns of the whole time."""

_IN_TREE = 200
"""Characters of a message that the timeline shows."""


def print_attempts(out: Console, history: Sequence[HistoryEntry]) -> None:
    """Bars where there is room for them, then the messages."""
    calls = [entry for entry in history if entry.attempt and not entry.action]
    if calls and out.width >= WIDE:
        _print_bars(out, history[0], calls)
    _print_messages(out, calls)


def _print_bars(out: Console, first: HistoryEntry, calls: Sequence[HistoryEntry]) -> None:
    out.print()
    out.print("Attempts", style="bold")
    if len(calls) > _MOST:
        out.print(f"(the last {_MOST} of {len(calls)}; --json shows all)", style="dim")
    shown = calls[-_MOST:]
    # Cut or not, all bars are on one scale: that of the whole history.
    begins = min(_moment(first), *(map(_began, calls)))
    whole = max(max(map(_moment, calls)) - begins, 0.001)
    rows = table("#", "TASK", "ENDPOINT", "AFTER", "TOOK", "")
    for column in rows.columns[:1] + rows.columns[3:]:
        column.no_wrap = True
    for entry in shown:
        start = _began(entry) - begins
        took = _took(entry)
        rows.add_row(
            str(entry.sequence),
            plain(entry.processed_by),
            plain(" ".join(filter(None, (entry.service_name, entry.endpoint)))) or NOTHING,
            span(start),
            span(took) if entry.HasField("duration") else NOTHING,
            Text(bar(start / whole, took / whole), style=names.style(names.result(entry.result))),
        )
    out.print(rows)


def bar(start: float, share: float) -> str:
    """A part of the whole: where it begins, and as long as it is, but never nothing."""
    first = min(int(start * _BAR), _BAR - 1)
    length = max(round(share * _BAR), 1)
    return " " * first + "━" * min(length, _BAR - first)


def _moment(entry: HistoryEntry) -> float:
    return entry.processed_at.ToDatetime(UTC).timestamp()


def _began(entry: HistoryEntry) -> float:
    # The result is written after the call.
    return _moment(entry) - _took(entry)


def _took(entry: HistoryEntry) -> float:
    return entry.duration.ToTimedelta().total_seconds()


def _print_messages(out: Console, calls: Sequence[HistoryEntry]) -> None:
    """Each once: a task that fails five times says five times the same. Of a delivery that waits, when it is tried
    again."""
    last = {(entry.event_id, entry.processed_by): entry for entry in calls}
    told: list[str] = []
    for entry in last.values():
        said = error_text(entry.error) if entry.HasField("error") else ""
        waits = entry.will_retry and entry.HasField("next_attempt_at")
        if len(said) <= _IN_TREE:
            said = ""
        if said or waits:
            when = f" is tried again at {clock(entry.next_attempt_at)}" if waits else ""
            head = f"#{entry.sequence} {entry.processed_by}{when}{': ' if said else ''}"
            told.append(quoted(said, head))
    if told:
        out.print()
        out.print("Messages", style="bold")
        for each in told[-_MOST:]:
            out.print(each, soft_wrap=True)
