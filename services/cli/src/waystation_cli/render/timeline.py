"""The timeline of a workflow as a tree by causation: an event, the results of its tasks, the events
that those raised.

What clients did (start, input, publish, cancel) stands at the top; an input stands under the
result that asked for it, the end of a group under the result that opened it. Everything of the history and of the events is drawn exactly once, even
where one names a cause that is not there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from rich.text import Text

from waystation.v1.event_pb2 import (
    EVENT_STATE_PENDING,
    EVENT_STATE_UNHANDLED,
    EventWithState,
)
from waystation.v1.history_pb2 import (
    HISTORY_RESULT_FAILED,
    HISTORY_RESULT_SUCCESS,
    HISTORY_RESULT_UNHANDLED,
    HistoryEntry,
)
from waystation_cli.render import names
from waystation_cli.render.text import clock, length, plain, shortened, zone
from waystation_cli.render.tree import Node
from waystation_domain import lifecycle

_ABOUT_DEAD_LETTERS = ("dead_letter_retried", "dead_letter_discarded")
"""Actions that are shown with the delivery that they are about."""

_CLIENT = "client"
_NOBODY_KNOWN = "anonymous"
"""The principal of every caller of a server that asks for no credential."""


class _Branch(NamedTuple):
    node: Node
    event_id: str


def timeline(
    history: Sequence[HistoryEntry],
    events: Sequence[EventWithState],
    dead: Collection[str] = (),
) -> Node:
    """The tree of all entries and events; its root is a heading. `dead`: the events of open dead
    letters."""
    return _Timeline(history, events, dead).draw()


class _Timeline:
    def __init__(
        self,
        history: Sequence[HistoryEntry],
        events: Sequence[EventWithState],
        dead: Collection[str],
    ) -> None:
        self._history = history
        self._dead = frozenset(dead)
        self._events = {entry.event.event_id: entry for entry in events}
        self._results: dict[str, list[HistoryEntry]] = defaultdict(list)
        self._answers: dict[str, list[HistoryEntry]] = defaultdict(list)
        self._joins: dict[tuple[str, str], list[HistoryEntry]] = defaultdict(list)
        self._caused: dict[str, list[str]] = defaultdict(list)
        raised_by_entries = {event_id for entry in history for event_id in entry.raised_event_ids}
        opened = {wait_id for entry in history for wait_id in entry.opened_wait_ids}
        for entry in history:
            if entry.action in ("input", "input_timed_out") and entry.wait_id in opened:
                self._answers[entry.wait_id].append(entry)
            elif entry.action == "fan_in" and entry.event_id in self._events:
                then = self._events[entry.event_id].event
                self._joins[then.causation_id, then.raised_by].append(entry)
            elif not entry.action or (
                entry.action in _ABOUT_DEAD_LETTERS and entry.event_id in self._events
            ):
                self._results[entry.event_id].append(entry)
        for event in (entry.event for entry in events):
            # An event that no entry names as raised still stands under its cause.
            if event.causation_id and event.event_id not in raised_by_entries:
                self._caused[event.causation_id].append(event.event_id)
        self._drawn_entries: set[int] = set()
        self._drawn_events: set[str] = set()

    def draw(self) -> Node:
        root = Node(Text(f"Timeline (times in {zone()})", style="bold"))
        below_an_event = {id(e) for entries in self._results.values() for e in entries}
        below_a_result = {
            id(e) for entries in (*self._answers.values(), *self._joins.values()) for e in entries
        }
        for entry in self._history:
            if id(entry) not in below_an_event and id(entry) not in below_a_result:
                self._draw_from(root, entry)
        caused = {event_id for ids in self._caused.values() for event_id in ids}
        # First those that nothing there has caused, then whatever a broken cause left over.
        for event_id in [*(e for e in self._events if e not in caused), *self._events]:
            if event_id not in self._drawn_events:
                self._drain([self._event_branch(root, event_id)])
        for entry in self._history:
            self._draw_from(root, entry)
        return root

    def _draw_from(self, root: Node, entry: HistoryEntry) -> None:
        if entry.sequence not in self._drawn_entries:
            self._drain(self._add_entry(root, entry))

    def _drain(self, branches: list[_Branch]) -> None:
        # A stack instead of recursion: a chain may be thousands of events long.
        while branches:
            node, event_id = branches.pop()
            opened: list[_Branch] = []
            for entry in self._results.get(event_id, ()):
                if entry.sequence not in self._drawn_entries:
                    opened += self._add_entry(node, entry)
            for caused in self._caused.get(event_id, ()):
                if caused not in self._drawn_events:
                    opened.append(self._event_branch(node, caused))
            branches += opened

    def _add_entry(self, node: Node, entry: HistoryEntry) -> list[_Branch]:
        self._drawn_entries.add(entry.sequence)
        branch = node.add(entry_line(entry))
        raised = list(entry.raised_event_ids)
        if entry.action and entry.action not in _ABOUT_DEAD_LETTERS:
            # The event of a start, an input or a publish is the one that it raised.
            raised.insert(0, entry.event_id)
        branches = []
        for event_id in raised:
            if event_id in self._events and event_id not in self._drawn_events:
                branches.append(self._event_branch(branch, event_id))
        if not entry.action:
            followed = [
                *(
                    answer
                    for wait_id in entry.opened_wait_ids
                    for answer in self._answers.get(wait_id, ())
                ),
                *self._joins.get((entry.event_id, entry.processed_by), ()),
            ]
            for later in followed:
                # A failed attempt opened nothing.
                if (
                    entry.result == HISTORY_RESULT_SUCCESS
                    and later.sequence not in self._drawn_entries
                ):
                    branches += self._add_entry(branch, later)
        return branches

    def _event_branch(self, node: Node, event_id: str) -> _Branch:
        self._drawn_events.add(event_id)
        entry = self._events[event_id]
        drawn = node.add(_event_line(entry, event_id in self._dead))
        drawn.branch = plain(entry.event.event_type)
        drawn.state = self._state_of_branch(entry)
        return _Branch(drawn, event_id)

    def _state_of_branch(self, entry: EventWithState) -> str:
        results = self._results.get(entry.event.event_id, ())
        last = {result.processed_by: result for result in results if not result.action}
        gave_up = any(
            each.result == HISTORY_RESULT_FAILED and not each.will_retry for each in last.values()
        )
        if entry.event.event_id in self._dead or gave_up:
            return "failed"
        if entry.state == EVENT_STATE_PENDING:
            return "open"
        return "unhandled" if entry.state == EVENT_STATE_UNHANDLED else "done"


def _event_line(entry: EventWithState, dead: bool) -> Text:
    # A dead-lettered event counts as unsettled; nobody will handle it by himself.
    state = "DEAD_LETTER" if dead else names.event_state(entry.state)
    line = Text.assemble(
        (clock(entry.event.created_at) + " ", "dim"), (plain(entry.event.event_type), "bold")
    )
    needs_nobody = state == "UNHANDLED" and entry.event.event_type in lifecycle.NOTICES
    if state != "SETTLED" and not needs_nobody:
        line.append(f" [{state}]", style=names.style(state))
    return line


def _who(entry: HistoryEntry) -> str:
    """Who did what no task did: a client by its name, where the server knows names."""
    if entry.principal not in ("", _NOBODY_KNOWN):
        return entry.principal
    return _CLIENT if entry.action == "dead_letter_discarded" else entry.processed_by


def entry_line(entry: HistoryEntry) -> Text:
    """What one entry says: who did what, how it ended, how long it took."""
    line = Text.assemble((f"#{entry.sequence} ", "dim"))
    if (
        entry.action == "dead_letter_discarded"
    ):  # an entry of the task that was given up, which did nothing
        line.append(plain(f"dead letter discarded by {_who(entry)} ({entry.processed_by})"))
        return line
    if entry.action:
        line.append(plain(f"{entry.action.replace('_', ' ')} by {_who(entry)}"))
    elif entry.result == HISTORY_RESULT_UNHANDLED and entry.event_type in lifecycle.NOTICES:
        line.append("no task listens for it, as usual", style="dim")
    elif entry.result == HISTORY_RESULT_UNHANDLED:
        line.append("no task handles it", style="yellow")
    else:
        word = names.result(entry.result)
        line.append(plain(f"{entry.processed_by} "))
        line.append(word, style=names.style(word))
    if entry.attempt > 1 or entry.will_retry:
        line.append(f" attempt {entry.attempt}")
    if entry.HasField("duration"):
        line.append(f" {length(entry.duration)}", style="dim")
    if entry.HasField("error"):
        error = entry.error
        line.append(
            plain(shortened(f" {error.reason or error.code}: {error.message}")), style="red"
        )
    if entry.answered_by:
        line.append(plain(f" ({entry.answered_by})"))
    if entry.opened_wait_ids:
        asked = ", ".join(entry.opened_wait_ids)
        line.append(plain(f" asks for input ({asked})"), style="yellow")
    if entry.note:
        line.append(plain(f" ({entry.note})"), style="dim")
    return line
