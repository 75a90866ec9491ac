"""What changes while one looks at it: a workflow as it grows, the installation as it works."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.handler_pb2 import Handler
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.system_service_pb2 import GetSystemStatusResponse
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import endpoints, names, overview
from waystation_cli.render.text import clock, plain, span, stdout, table, zone
from waystation_cli.render.timeline import entry_line, timeline
from waystation_cli.render.tree import lines

# Of the endpoints and dead letters in one frame; their own commands have all.
MOST_ROWS = 8


class WorkflowView:
    """A workflow as it grows: a heading with the time so far, and the end of its tree, as much of
    it as the terminal is high."""

    def __init__(self, workflow_instance_id: str) -> None:
        self._id = workflow_instance_id
        self._history: Sequence[HistoryEntry] = ()
        self._drawn: list[Text] = []
        self.note = ""
        """Something to tell about the connection."""

    def show(self, history: Sequence[HistoryEntry], events: Sequence[EventWithState]) -> None:
        """Redraws the tree."""
        self._history = history
        self._drawn = list(lines(timeline(history, events)))[1:]
        for line in self._drawn:
            line.no_wrap, line.overflow = True, "ellipsis"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._heading()
        room = max((options.height or console.height) - 3, 1)
        yield from self._drawn[-room:]
        if self.note:
            yield Text(plain(self.note), style="yellow")

    def _heading(self) -> Text:
        if not self._history:
            return Text(plain(self._id), style="bold")
        first, last = self._history[0], self._history[-1]
        word = names.status(last.status)
        heading = Text.assemble((plain(self._id), "bold"), " ", (word, names.style(word)))
        if first.sequence == 1:
            began = first.processed_at.ToDatetime(UTC)
            heading.append(f" {span((datetime.now(UTC) - began).total_seconds())}", style="dim")
        return heading


def print_entry(entry: HistoryEntry) -> None:
    """One line for an entry, at once, for terminals that nothing can be drawn on again."""
    word = names.status(entry.status)
    line = Text.assemble(
        f"{clock(entry.processed_at)} {zone()} ", plain(entry.event_type), " ", entry_line(entry)
    )
    if entry.raised_event_ids and not entry.action:
        line.append(f" raised {len(entry.raised_event_ids)}")
    print(f"{line.plain} [{word}]", flush=True)


def print_tree(history: Sequence[HistoryEntry], events: Sequence[EventWithState]) -> None:
    """The whole tree, to stay."""
    drawn = list(lines(timeline(history, events)))[1:]
    stdout().print(Text("\n").join(drawn), soft_wrap=True)


def print_interrupted(sequence: int) -> None:
    """Tells on stderr that the stream broke and where it goes on."""
    print(f"The connection was lost; continuing with #{sequence}.", file=sys.stderr, flush=True)


def frame(
    status: GetSystemStatusResponse,
    handlers: Sequence[Handler],
    letters: Sequence[DeadLetter],
    address: str,
    results_per_second: float | None,
) -> RenderableType:
    """The installation at one moment: workflows by status, routers, queues, handlers, dead letters."""
    workflows = table(
        *(word.removeprefix("WORKFLOW_STATUS_") for word in _statuses(status)), "IDLE"
    )
    workflows.add_row(
        *(
            Text(str(status.workflows_by_status[word]), style=names.style(word))
            for word in _statuses(status)
        ),
        Text(str(status.idle_workflows), style="yellow" if status.idle_workflows else ""),
    )
    parts = overview.status_view(status, address)
    if results_per_second is not None:
        parts.append(Text(f"{results_per_second:.1f} results/s", style="bold"))
    parts += ["", workflows, "", *_rows("endpoint", status.handlers, handlers[:MOST_ROWS])]
    if handlers:
        parts.append(endpoints.endpoint_table(handlers[:MOST_ROWS]))
    parts += ["", *_rows("dead letter", status.dead_letters, letters[:MOST_ROWS])]
    if letters:
        parts.append(dead_letters_view.letter_table(letters[:MOST_ROWS]))
    return Group(*parts)


def _statuses(status: GetSystemStatusResponse) -> list[str]:
    return sorted(status.workflows_by_status)


def _rows(what: str, number: int, shown: Sequence[object]) -> list[RenderableType]:
    if not number and not shown:
        return [Text(f"no {what}s", style="dim")]
    cut = f", {len(shown)} of them here" if number > len(shown) else ""
    number = max(number, len(shown))
    return [Text(f"{number} {what}{'' if number == 1 else 's'}{cut}", style="bold")]
