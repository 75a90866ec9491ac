"""Where the timeline hangs what the system did: under what it follows from."""

from waystation.v1.event_pb2 import EventWithState, WorkflowEvent
from waystation.v1.history_pb2 import (
    HISTORY_RESULT_SKIPPED,
    HISTORY_RESULT_SUCCESS,
    HistoryEntry,
)
from waystation_cli.render.timeline import entry_line, timeline
from waystation_cli.render.tree import Node


def entry(sequence: int, event_id: str, by: str, **more: object) -> HistoryEntry:
    """An entry of history that went well."""
    result = HISTORY_RESULT_SUCCESS
    fields = {"sequence": sequence, "event_id": event_id, "processed_by": by, "result": result}
    return HistoryEntry(**fields, **more)  # type: ignore[arg-type]


def drawn(node: Node) -> list[object]:
    """The tree as nested lists: an entry by its first words, an event by its type."""
    first, *rest = node.line.plain.split()
    words = [first, *rest[:2]] if first.startswith("#") else rest[:1]
    return [" ".join(words), *map(drawn, node.children)]


def test_the_end_of_a_group_and_of_a_wait_stand_under_the_results_that_opened_them() -> None:
    events = [
        EventWithState(
            event=WorkflowEvent(event_id=name, event_type=name, causation_id=cause, raised_by=by)
        )
        for name, cause, by in (
            ("started", "", "client"),
            ("checked", "started", "split"),
            ("joined", "started", "split"),
            ("late", "joined", "system"),
        )
    ]
    history = [
        entry(1, "started", "split", raised_event_ids=["checked"]),
        entry(2, "started", "other"),
        entry(3, "checked", "check"),
        entry(4, "joined", "system", action="fan_in", raised_event_ids=["joined"]),
        entry(5, "joined", "ask", opened_wait_ids=["v", "w"]),
        entry(
            6, "late", "system", action="input_timed_out", wait_id="w", raised_event_ids=["late"]
        ),
    ]
    [started] = drawn(timeline(history, events))[1:]
    assert started == [
        "started",
        [
            "#1 split SUCCESS",
            ["checked", ["#3 check SUCCESS"]],
            ["#4 fan in", ["joined", ["#5 ask SUCCESS", ["#6 input timed", ["late"]]]]],
        ],
        ["#2 other SUCCESS"],
    ]


def test_a_discard_is_not_shown_as_a_result_of_a_task() -> None:
    discarded = HistoryEntry(
        sequence=7,
        processed_by="decide",
        attempt=2,
        result=HISTORY_RESULT_SKIPPED,
        action="dead_letter_discarded",
    )
    assert entry_line(discarded).plain == "#7 dead letter discarded by client (decide)"
    discarded.principal = "anonymous"
    assert entry_line(discarded).plain == "#7 dead letter discarded by client (decide)"
    discarded.principal = "token:ada"
    assert entry_line(discarded).plain == "#7 dead letter discarded by token:ada (decide)"
