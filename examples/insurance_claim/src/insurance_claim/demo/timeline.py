"""The story of one workflow as a tree: an event, what its tasks made of it, what those raised."""

from collections import defaultdict
from datetime import datetime, timedelta

from rich.text import Text
from rich.tree import Tree

from waystation.v1 import history_pb2
from waystation_worker import EventWithState, HistoryEntry, Workflow

_RESULTS = {
    history_pb2.HISTORY_RESULT_SUCCESS: ("done", "green"),
    history_pb2.HISTORY_RESULT_FAILED: ("failed", "red"),
    history_pb2.HISTORY_RESULT_SKIPPED: ("skipped", "dim"),
    history_pb2.HISTORY_RESULT_UNHANDLED: ("no task handles it", "yellow"),
}


def draw_timeline(
    workflow: Workflow, history: list[HistoryEntry], events: list[EventWithState]
) -> Tree:
    """Gives the tree of an instance; history and events oldest first."""
    tree = Tree(Text.assemble((workflow.id, "bold"), f"  {workflow.status}"))
    entries: dict[str, list[history_pb2.HistoryEntry]] = defaultdict(list)
    raised_by: dict[str, int] = {}
    results: dict[tuple[str | None, str], int] = {}
    for entry in (each.message for each in history):
        entries[entry.event_id].append(entry)
        results[entry.event_id, entry.processed_by] = entry.sequence
        # What ends a group is raised by the system, but stands under what opened the group.
        for event_id in entry.raised_event_ids if entry.action != "fan_in" else ():
            raised_by[event_id] = entry.sequence
    branches: dict[int, Tree] = {}
    for event in events:
        # Oldest first: whatever raised this event has its branch already.
        opener = results.get((event.causation_id, event.raised_by), 0)
        parent = branches.get(raised_by.get(event.event_id, opener), tree)
        milliseconds = _milliseconds(workflow.created_at, event.created_at)
        branch = parent.add(
            Text.assemble(
                (event.event_type, "bold cyan"),
                (f"  +{milliseconds:,} ms", "dim"),
            )
        )
        for entry in entries[event.event_id]:
            branches[entry.sequence] = branch.add(_line(entry))
    return tree


def _line(entry: history_pb2.HistoryEntry) -> Text:
    line = Text(f"#{entry.sequence} ", style="dim")
    if entry.action:
        line.append(f"{entry.action.replace('_', ' ')} by {entry.processed_by}", style="not dim")
        return line
    word, style = _RESULTS.get(entry.result, ("?", ""))
    line.append(entry.processed_by, style="not dim")
    line.append(f" {word}", style=f"not dim {style}")
    if entry.duration.ToNanoseconds():
        line.append(f"  {entry.duration.ToNanoseconds() / 1e6:.1f} ms")
    if entry.attempt > 1:
        line.append(f"  attempt {entry.attempt}")
    if entry.base_version and entry.version != entry.base_version + 1:
        # Others committed meanwhile; this result touched nothing of theirs.
        line.append(f"  from version {entry.base_version}")
    if entry.change:
        line.append(f"  {len(entry.change)} change{'s' if len(entry.change) > 1 else ''}")
    if entry.wait_id:
        line.append("  asks a person", style="not dim yellow")
    if entry.HasField("error"):
        line.append(f"  {entry.error.reason}: {entry.error.message}", style="red")
    return line


def _milliseconds(start: datetime | None, end: datetime | None) -> int:
    return round((end - start) / timedelta(milliseconds=1)) if start and end else 0
