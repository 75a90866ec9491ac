"""What changes while one looks at it: a workflow as it grows, the installation as it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.text import Text

from waystation.v1.blocker_pb2 import BLOCKER_KIND_WAITING_FOR_INPUT as ASKS
from waystation.v1.dead_letter_pb2 import DeadLetter
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.handler_pb2 import Handler
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.system_service_pb2 import GetSystemStatusResponse
from waystation.v1.workflow_service_pb2 import ExplainWorkflowResponse
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import endpoints, names, overview
from waystation_cli.render.explanation import alike
from waystation_cli.render.text import (
    WIDE,
    addressed,
    advised,
    age,
    clock,
    length,
    localized,
    plain,
    span,
    stdout,
    table,
    zone,
)
from waystation_cli.render.timeline import entry_line, timeline
from waystation_cli.render.tree import folded, lines

# Endpoints and dead letters that are looked at; their own commands have all.
MOST_ROWS = 100


class WorkflowView:
    """A workflow as it grows: a heading with the time so far, the end of its tree, as much of it as the
    terminal is high, and what it waits for now."""

    def __init__(self, workflow_instance_id: str) -> None:
        self._id = workflow_instance_id
        self._history: Sequence[HistoryEntry] = ()
        self._drawn: list[Text] = []
        self._now: list[Text] = []
        self._idle = False
        self.note = ""
        """Something to tell about the connection."""

    def show(
        self,
        history: Sequence[HistoryEntry],
        events: Sequence[EventWithState],
        explained: ExplainWorkflowResponse,
    ) -> None:
        """Redraws the tree, and what it waits for."""
        self._history = history
        dead = [each.event_id for each in explained.blockers if each.dead_letter_id]
        self._drawn = list(lines(folded(timeline(history, events, dead), _FOLDED)))[1:]
        self._now = list(_waited_for(explained))
        self._idle = explained.context.HasField("idle")

    def whole(self) -> list[Text]:
        """All of it, to stay on the screen."""
        return [self._heading(), *self._drawn, *self._now]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = [_cut(line) for line in self._now]
        room = max((options.height or console.height) - 3 - len(now), 1)
        yield self._heading()
        left_out = len(self._drawn) - room
        if left_out > 0:
            yield Text(
                addressed(
                    f"(the first {left_out + 1} lines stand in `waystation show {self._id}`)"
                ),
                style="dim",
            )
            room -= 1
        yield from (_cut(line) for line in self._drawn[len(self._drawn) - room :] if room > 0)
        yield from now
        if self.note:
            yield Text(plain(self.note), style="yellow")

    def _heading(self) -> Text:
        if not self._history:
            return Text(plain(self._id), style="bold")
        first, last = self._history[0], self._history[-1]
        word = names.status(last.status)
        heading = Text.assemble((plain(self._id), "bold"), " ", (word, names.style(word)))
        if self._idle:
            heading.append(" (idle)", style="yellow")
        if first.sequence == 1:
            began = first.processed_at.ToDatetime(UTC)
            heading.append(f" {span((datetime.now(UTC) - began).total_seconds())}", style="dim")
        heading.append(f" (times in {zone()})", style="dim")
        return heading


# More equal branches than that are one line.
_FOLDED = 6

_MOST_BLOCKERS = 5


def _waited_for(explained: ExplainWorkflowResponse) -> Iterator[Text]:
    """What is running for how long and where, what is asked and how to answer, why it is idle."""
    # What is asked of people comes first; all else is in the server's order.
    kinds = sorted(alike(explained.blockers), key=lambda kind: kind[0].kind != ASKS)
    for blocker, number in kinds[:_MOST_BLOCKERS]:
        kind = names.blocker(blocker.kind)
        line = Text.assemble((kind, names.style(kind)), plain(f" {localized(blocker.message)}"))
        if blocker.HasField("since"):
            line.append(f" ({age(blocker.since)})", style="dim")
        if blocker.service_name and kind == "IN_CALL":
            where = f"{blocker.service_name} {blocker.endpoint}".rstrip()
            line.append(plain(f" at {where}"), style="dim")
        if number > 1:
            line.append(f" ({number} of these)", style="dim")
        yield line
        if kind in _NEEDS_SOMEBODY and blocker.remedy:
            yield Text(plain(f"  {addressed(localized(blocker.remedy))}"))
    more = sum(number for _, number in kinds[_MOST_BLOCKERS:]) + explained.blockers_left_out
    if more > 0:
        yield Text(
            addressed(
                f"... and {more} more: `waystation explain {explained.context.workflow_instance_id}` lists them"
            ),
            style="dim",
        )


_NEEDS_SOMEBODY = ("WAITING_FOR_INPUT", "IDLE", "NO_LIVE_ENDPOINT", "DEAD_LETTER", "NO_ROUTER")


def _cut(line: Text) -> Text:
    cut = line.copy()
    cut.no_wrap, cut.overflow = True, "ellipsis"
    return cut


def print_entry(entry: HistoryEntry) -> None:
    """One line for an entry, at once, for terminals that nothing can be drawn on again."""
    word = names.status(entry.status)
    line = Text.assemble(
        f"{clock(entry.processed_at)} {zone()} ", plain(entry.event_type), " ", entry_line(entry)
    )
    if entry.raised_event_ids and not entry.action:
        line.append(f" raised {len(entry.raised_event_ids)}")
    print(f"{line.plain} [{word}]", flush=True)


def print_whole(view: WorkflowView) -> None:
    """The whole of it, to stay."""
    stdout().print(Text("\n").join(view.whole()), soft_wrap=True)


def print_interrupted(sequence: int) -> None:
    """Tells on stderr that the stream broke and where it goes on."""
    print(f"The connection was lost; continuing with #{sequence}.", file=sys.stderr, flush=True)


@dataclass
class TopView:
    """The installation at one moment, as much of it as the terminal is high: what is left out is counted.

    Keys: `s` sorts endpoints and dead letters otherwise, `f` shows only what needs somebody."""

    status: GetSystemStatusResponse
    handlers: Sequence[Handler]
    letters: Sequence[DeadLetter]
    address: str
    rate: float | None
    of_ended: int = 0
    """Dead letters whose workflows have ended."""
    by_load: bool = False
    only_trouble: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fixed = self._head()
        handlers, letters = self._handlers(), self._letters()
        # The bottom line, a blank line and two lines before each of the two lists.
        room = max((options.height or console.height) - len(fixed) - 7, 2)
        for_letters = min(len(letters), max(room // 2, room - len(handlers)))
        for_handlers = min(len(handlers), room - for_letters)
        yield from fixed
        yield from _section(
            "endpoint", self.status.handlers, handlers[:for_handlers], _ENDPOINTS, _endpoint_row
        )
        yield from _section(
            "dead letter",
            self.status.dead_letters,
            letters[:for_letters],
            _LETTERS,
            _letter_row,
            shrinks=True,
            note=_nobody(self.of_ended),
        )
        order = "by load, then newest" if self.by_load else "by name, then newest"
        shown = "only what needs somebody" if self.only_trouble else "all"
        yield Text(f"s sort ({order})  f filter ({shown})  q quit", style="reverse dim")

    def _head(self) -> list[Text]:
        status = self.status
        rate = "results/s: measuring" if self.rate is None else f"{self.rate:.1f} results/s"
        broker = "connected" if status.broker_connected else "NOT CONNECTED"
        if status.broker_blocked:
            broker = "BLOCKED"
        counts = [
            Text(f"{status.workflows_by_status[word]} {word}", style=names.style(word))
            for word in sorted(status.workflows_by_status)
        ]
        counts.append(
            Text(f"{status.idle_workflows} IDLE", style="yellow" * bool(status.idle_workflows))
        )
        routers = len(status.routers) + status.routers_left_out
        in_call = sum(router.calls_in_flight for router in status.routers)
        ready = sum(queue.messages_ready for queue in status.queues)
        lines = [
            Text.assemble(
                (plain(f"Waystation {status.server_version} at {self.address}"), "bold"),
                f"  {rate}",
            ),
            Text("  ").join(counts),
            Text.assemble(
                (f"{routers} router{'' if routers == 1 else 's'}", "" if routers else "red"),
                f", {in_call} in call, {ready} ready in queues, {status.outbox_size} in the outbox",
            ),
            Text.assemble(
                (f"broker {broker}", "" if broker == "connected" else "red"),
                f", {status.deliveries} deliveries off the fast path",
            ),
        ]
        if status.HasField("oldest_unsettled_event_age"):
            lines.append(
                Text(
                    plain(
                        f"oldest unsettled event {length(status.oldest_unsettled_event_age)}: "
                        + advised(
                            f"waystation explain {status.oldest_unsettled_workflow_instance_id}"
                        )
                    )
                )
            )
        return [_cut(line) for line in lines]

    def _handlers(self) -> list[Handler]:
        found = [
            each
            for each in self.handlers
            if not self.only_trouble or each.last_error or not each.reachable
        ]
        if self.by_load:
            return sorted(found, key=lambda each: -each.calls_in_flight)
        return sorted(found, key=lambda each: (each.service_name, each.host, each.port))

    def _letters(self) -> list[DeadLetter]:
        return [each for each in self.letters if each.retryable or not self.only_trouble]


_ENDPOINTS = ("SERVICE", "ENDPOINT", "REACHABLE", "IN CALL", "LEASE LEFT")
_LETTERS = ("SINCE", "WORKFLOW", "TASK", "CAUSE")

R = TypeVar("R")


def _section(
    what: str,
    number: int,
    shown: Sequence[R],
    columns: Sequence[str],
    row: Callable[[R], Sequence[str | Text]],
    shrinks: bool = False,
    note: str = "",
) -> RenderResult:
    """`shrinks`: the last column has texts of any length."""
    yield Text("")
    yield _title(what, number, len(shown), note)
    if shown:
        rows = table(*columns)
        for column in rows.columns:
            # A line each: what is cut off here has commands of its own.
            column.no_wrap, column.overflow = True, "ellipsis"
        for each in shown:
            rows.add_row(*row(each))
        # The first to shrink; its texts don't wrap by themselves, so that it stays a line.
        rows.columns[-1].no_wrap = not shrinks
        yield rows


def _nobody(of_ended: int) -> str:
    """What the number of dead letters would not say: how many of them need nobody."""
    return f" ({of_ended} of ended workflows, to discard only)" if of_ended else ""


def _title(what: str, number: int, shown: int, note: str = "") -> Text:
    """How many there are, and how many of them are not shown."""
    left = max(number - shown, 0)
    cut = f", {left} not shown" if left else ""
    return Text(f"{number} {what}{'' if number == 1 else 's'}{note}{cut}", style="bold")


def _endpoint_row(handler: Handler) -> Sequence[str | Text]:
    return (
        plain(f"{handler.service_name} {handler.service_version}".strip()),
        plain(endpoints.endpoint(handler)),
        endpoints.reachable(handler),
        str(handler.calls_in_flight),
        length(handler.lease_remaining) if handler.HasField("lease_remaining") else "static",
    )


def _letter_row(letter: DeadLetter) -> Sequence[str | Text]:
    return (
        age(letter.created_at),
        plain(letter.workflow_instance_id),
        plain(letter.task_id),
        Text(dead_letters_view.cause(letter), style="red", no_wrap=True, overflow="ellipsis"),
    )


def print_look(
    status: GetSystemStatusResponse,
    handlers: Sequence[Handler],
    letters: Sequence[DeadLetter],
    address: str,
    of_ended: int,
) -> None:
    """The same once, for pipes: with all the columns."""
    out = stdout()
    parts = overview.status_view(status, address, wide=out.width >= WIDE)
    found = dead_letters_view.letter_table(letters)
    for what, number, shown, rows, note in (
        ("endpoint", status.handlers, handlers, endpoints.endpoint_table(handlers), ""),
        ("dead letter", status.dead_letters, letters, found, _nobody(of_ended)),
    ):
        parts += ["", _title(what, number, len(shown), note)]
        if shown:
            parts.append(rows)
    out.print(Group(*parts))
