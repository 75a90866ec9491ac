"""What the SDK makes of enums that have grown since: a word that says so, and never an exception."""

from __future__ import annotations

from support.later import later

from waystation.v1 import event_pb2, history_pb2, task_handler_service_pb2, workflow_pb2
from waystation_worker import HandlerService, TaskContext
from waystation_worker.workflows import to_event_entry, to_history_entry, to_workflow


def test_a_client_reads_what_it_does_not_know() -> None:
    entry = later(history_pb2.HistoryEntry(sequence=1, action="something_new"))
    context = later(workflow_pb2.WorkflowContext(version=1))
    workflow = to_workflow(context, outcome=99)
    assert (workflow.status, workflow.outcome) == ("UNKNOWN_99", "UNKNOWN_99")
    read = to_history_entry(entry)
    assert (read.result, read.status, read.action) == ("UNKNOWN_99", "UNKNOWN_99", "something_new")
    # An unknown status is an open instance.
    assert not read.ended
    assert to_event_entry(later(event_pb2.EventWithState())).state == "UNKNOWN_99"


async def test_a_task_is_called_anyway() -> None:
    """And fields that it does not know are left out, as nothing that it must know comes unasked."""
    service = HandlerService("claims")
    seen: list[object] = []

    @service.task(events=["a"], workflow_types=["*"], history_entries=1)
    def look(ctx: TaskContext) -> None:
        seen.extend([ctx.status, [entry.result for entry in ctx.history]])

    request = later(
        task_handler_service_pb2.HandleEventRequest(
            task_id="look",
            attempt=1,
            event={"event_type": "a"},
            context={"version": 1},
            history=[{"sequence": 1}],
        )
    )
    newer = request.SerializeToString() + b"\xf8\x3f\x01"
    read = task_handler_service_pb2.HandleEventRequest.FromString(newer)
    answer = await service.answer(read)
    assert not answer.HasField("failure")
    assert seen == ["UNKNOWN_99", [99]]
