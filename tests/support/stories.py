"""What must be true of every instance's history, whatever happened on the way."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from waystation.v1 import history_pb2, operation_pb2
from waystation_conversion.structs import from_value
from waystation_domain.operations import Operation, apply
from waystation_worker import Client

SUCCESS = history_pb2.HISTORY_RESULT_SUCCESS
Entry = history_pb2.HistoryEntry


@dataclass(frozen=True)
class Story:
    """An instance's history, and the data that it made."""

    entries: list[Entry]
    data: dict[str, Any]


async def history_of(client: Client, workflow_instance_id: str) -> list[Entry]:
    """The entries as messages, oldest first."""
    return [entry.message async for entry in client.history(workflow_instance_id)]


async def read_story(client: Client, workflow_instance_id: str) -> Story:
    """The instance with its history, having checked what holds for all: numbered without gaps,
    every result in effect once, and folding the changes gives the data at the end and half way."""
    workflow = await client.get(workflow_instance_id)
    entries = [
        entry.message
        async for entry in client.history(workflow_instance_id, to_sequence=workflow.version)
    ]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    assert workflow.version == len(entries)
    assert twice_in_effect(entries) == []
    assert fold(entries) == workflow.data
    middle = (len(entries) + 1) // 2
    assert (
        fold(entries[:middle]) == (await client.get(workflow_instance_id, at_sequence=middle)).data
    )
    return Story(entries, workflow.data)


def twice_in_effect(entries: Any) -> list[tuple[str, str]]:
    """(event, task) of final outcomes that history has more than once, and events raised twice."""
    outcomes = Counter(
        (entry.event_id, entry.processed_by)
        for entry in entries
        if entry.processed_by and entry.result == SUCCESS and not entry.action
    )
    raised = Counter(
        ("raised", event_id) for entry in entries for event_id in entry.raised_event_ids
    )
    return [which for which, count in (outcomes + raised).items() if count > 1]


def fold(entries: Any) -> dict[str, Any]:
    """The data that these entries' changes make, from the start."""
    data: dict[str, Any] = {}
    for entry in entries:
        data = apply(data, [_operation(change) for change in entry.change])
    return data


async def raised_types(client: Client, workflow_instance_id: str) -> Counter[str]:
    """How many events of each type were raised in the instance."""
    return Counter([event.event_type async for event in client.events(workflow_instance_id)])


def told(entries: list[Entry]) -> str:
    """The history in lines, for failures of tests."""
    return "\n".join(
        f"  {e.sequence:3} {e.event_type} {e.event_id[-4:]} {e.processed_by or e.action}"
        f" attempt {e.attempt} result {e.result} base {e.base_version} {e.note}"
        f" changed {[change.path for change in e.change]} raised"
        f" {[event_id[-4:] for event_id in e.raised_event_ids]}"
        f" at {e.processed_at.ToDatetime():%H:%M:%S.%f} {e.endpoint}"
        for e in entries
    )


def attempts(story: Story, task_id: str) -> list[Entry]:
    """The entries of one task, oldest first."""
    return [e for e in story.entries if e.processed_by == task_id]


def _operation(message: operation_pb2.Operation) -> Operation:
    kind = message.WhichOneof("kind")
    value = getattr(message, kind)
    if kind in ("set", "append", "add_to_set"):
        value = from_value(value)
    return Operation(message.path, kind, None if kind == "remove" else value)
