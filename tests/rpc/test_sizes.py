"""No message that a server sends is above 4 MiB: the worst that the limits let through, encoded.

What is stored is made as large as the engine takes it, and one byte or value more is refused; so a limit that is
raised without looking at this promise fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from domain.world import World
from google.protobuf.message import Message
from support.largest import numbers, worst
from support.scripted_engine import reply, task

from waystation.v1 import (
    blocker_pb2,
    dead_letter_service_pb2,
    replay_pb2,
    task_handler_service_pb2,
    workflow_service_pb2,
)
from waystation_api.explanation.explain import MAX_BLOCKERS
from waystation_api.workflows import replay_report
from waystation_conversion import (
    add_history,
    context_to_proto,
    dead_letter_to_proto,
    entry_to_proto,
    error_to_proto,
    event_to_proto,
    reply_from_proto,
    set_timestamp,
)
from waystation_conversion.sizes import json_size
from waystation_core.ports.store import DeadLetterFact, StoredEntry
from waystation_domain import limits, operations
from waystation_domain.commit import HistoryEntry
from waystation_domain.details import Cancelled
from waystation_domain.differences import Difference
from waystation_domain.errors import ContextTooLarge
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import (
    Branch,
    DeadLetterState,
    Event,
    Failure,
    Instance,
    OnFailure,
    Result,
    Status,
    Wait,
)
from waystation_domain.operations import Operation, to_json
from waystation_domain.outcomes import AttemptError, Patch, Reply, WaitRequest
from waystation_domain.replays import Comparison, EventDifference, Recorded

NOW = datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)
NAME = "n" * 200
EVENT_ID = "01a20000-0000-7000-8000-000000000001"
TEXT = "m" * 100_000
METADATA = {f"{at:02}": "m" * 126 for at in range(32)}


DATA = worst()
DETAILS = worst(limits.MAX_DETAILS_BYTES)
ERROR = AttemptError(NAME, NAME, TEXT, metadata=DETAILS).to_json(json_size)


def questions(form_bytes: int) -> tuple[WaitRequest, ...]:
    """As many as may be open, with as many values in their forms."""
    form = worst(form_bytes, limits.MAX_NODES // limits.MAX_OPEN_WAITS)
    return tuple(
        WaitRequest("m" * limits.MAX_TEXT_BYTES, f"{at:0200}", form, timeout=1.0)
        for at in range(limits.MAX_OPEN_WAITS)
    )


def waiting(form_bytes: int) -> World:
    """An instance after an answer that asks them."""
    world = World()
    world.handle(world.first, task(NAME), reply(waits=questions(form_bytes)))
    return world


def _json(waits: tuple[Wait, ...]) -> bytes:
    return orjson.dumps([wait.to_json() for wait in waits])


SPARE = limits.MAX_WAITS_BYTES - len(_json(waiting(2_000).instance.waits))
FORM_BYTES = 2_000 + SPARE // limits.MAX_OPEN_WAITS
WAITS = waiting(FORM_BYTES).instance.waits


def test_questions_and_changes_are_bounded_together() -> None:
    assert len(WAITS) == limits.MAX_OPEN_WAITS
    too_large = waiting(FORM_BYTES + 1).history[-1]
    assert too_large.error is not None
    assert (too_large.error["reason"], too_large.error["permanent"]) == ("CONTEXT_TOO_LARGE", True)
    assert too_large.error["metadata"]["limit_bytes"] == str(limits.MAX_WAITS_BYTES)
    world = World()
    forms = [replace(one, input_schema=numbers(100)) for one in questions(2_000)]
    world.handle(world.first, task(), reply(waits=tuple(forms)))
    error = world.history[-1].error
    assert error is not None
    assert (error["reason"], error["metadata"]["limit"]) == ("CONTEXT_TOO_LARGE", "10000")

    change = largest_change()
    operations.check_size(change, json_size)
    with pytest.raises(ContextTooLarge):
        operations.check_size(
            [replace(change[0], path=change[0].path + "x"), *change[1:]], json_size
        )


def largest_change() -> list[Operation]:
    """10,000 operations with 50,000 values, as large as one entry takes them."""
    change = [
        Operation(f"/{at:x}", "set", [7] * (limits.MAX_NODES_OF_MESSAGE // 10_000 - 1))
        for at in range(limits.MAX_OPERATIONS)
    ]
    spare = limits.MAX_CHANGE_BYTES - len(orjson.dumps([to_json(each) for each in change]))
    return [replace(change[0], path=change[0].path + "p" * spare), *change[1:]]


def test_a_patch_that_names_too_much_is_refused_before_it_is_made(world: World) -> None:
    """Each place has the names of all containers around it: 1 MiB of patch could be gigabytes."""
    key = "k" * 2_000
    world.handle(world.first, task(), reply(change=[Operation(f"/{key}", "set", {})]))
    event = world.publish("more")
    patch = Patch({key: numbers(9_000)})
    world.handle(event, task(), replace(reply(), change=patch), base=1)
    error = world.history[-1].error
    assert error is not None
    assert (error["reason"], error["metadata"]["field"]) == ("CONTEXT_TOO_LARGE", "data_patch")


@pytest.fixture
def world() -> World:
    return World()


def instance(**more: Any) -> Instance:
    """As large as it can be, whatever its status."""
    return Instance(
        **{
            "key": 1,
            "workflow_instance_id": NAME,
            "workflow_type": NAME,
            "status": Status.FAILED,
            "version": 10_000,
            "revision": 1,
            "data": DATA,
            "unsettled": 1,
            "dead_letters": 1,
            "event_count": 1,
            "correlation_id": NAME,
            "created_at": NOW,
            "updated_at": NOW,
            "completed_at": NOW,
            "deadline": NOW,
            "idle_since": NOW,
            "idle": Idle(EVENT_ID, NAME, NAME, Ending.NEWS_OF_DISCARD, (NAME,), NAME),
            **more,
        }
    )


INSTANCES = {
    # Only a FAILED one has kept its questions, and only a COMPLETED one has an output.
    "failed": instance(
        waits=WAITS, failure=Failure(NAME, "m" * limits.MAX_TEXT_BYTES, NAME, EVENT_ID, DETAILS)
    ),
    "waiting": instance(status=Status.WAITING_FOR_INPUT, waits=WAITS),
    "completed": instance(status=Status.COMPLETED, output=DATA),
}
EVENT = Event(
    EVENT_ID,
    NAME,
    DATA,
    NAME,
    10_000,
    causation_id=EVENT_ID,
    priority=255,
    correlation_id=NAME,
    schema_version="\N{SNOWMAN}" * limits.MAX_SHORT_TEXT,
    metadata=METADATA,
    created_at=NOW,
    deliver_at=NOW,
    expires_at=NOW,
    branch=Branch(EVENT_ID, 999),
)


def entry(sequence: int = 10_000, **more: Any) -> StoredEntry:
    return StoredEntry(
        HistoryEntry(
            **{
                "sequence": sequence,
                "event_id": EVENT_ID,
                "event_type": NAME,
                "processed_by": NAME,
                "result": Result.SUCCESS,
                "status": Status.FAILED,
                "attempt": 1_000,
                "base_version": 10_000,
                "will_retry": True,
                "duration_us": 10**12,
                "raised": (EVENT_ID,) * (limits.MAX_EVENTS_PER_ANSWER + 1),
                "service_name": NAME,
                "service_version": NAME,
                "endpoint": NAME,
                "detail": Cancelled("m" * limits.MAX_TEXT_BYTES),
                "effects": {"waits": [{"wait_id": NAME}]},
                **more,
            }
        ),
        NOW,
        NOW,
    )


ENTRIES = {
    "operations": entry(change=[to_json(each) for each in largest_change()]),
    "replacement": entry(change=[to_json(Operation("", "set", DATA))]),
    "failed": entry(error=ERROR),
}


def letter() -> DeadLetterFact:
    return DeadLetterFact(
        EVENT_ID,
        EVENT,
        NAME,
        NAME,
        NAME,
        1_000,
        ERROR,
        OnFailure.CONTINUE,
        DeadLetterState.RETRIED,
        NOW,
        NOW,
        True,
    )


def blocker() -> blocker_pb2.Blocker:
    """One that asks as much as can be asked, or tells an error as long as there is."""
    message = blocker_pb2.Blocker(
        kind=blocker_pb2.BLOCKER_KIND_WAITING_FOR_INPUT,
        message=f"{NAME} asks: {'m' * limits.MAX_TEXT_BYTES}",
        remedy="m" * 1_000 + NAME * 2,
        event_id=EVENT_ID,
        event_type=NAME,
        task_id=NAME,
        service_name=NAME,
        wait_id=NAME,
        dead_letter_id=EVENT_ID,
        attempts=1_000,
        group_id=EVENT_ID,
        pool=NAME,
    )
    error_to_proto({**ERROR, "metadata": None}, message.last_error)
    return message


def request(of: Instance, entries: int) -> task_handler_service_pb2.HandleEventRequest:
    message = task_handler_service_pb2.HandleEventRequest(
        event=event_to_proto(EVENT, NAME),
        context=context_to_proto(of),
        task_id=NAME,
        attempt=1_000,
        idempotency_key="k" * 500,
        completion_token="t" * 1_000,
    )
    set_timestamp(message.deadline, NOW)
    add_history(message, [entry(of.version - at, raised=()) for at in range(entries)])
    return message


def replayed() -> replay_pb2.ReplayStep:
    event = replace(EVENT, payload={})
    old, new = instance(), instance(data={**DATA, "text": "y" * len(DATA["text"])})
    recorded = Recorded(ENTRIES["failed"].entry, event, (event,) * 1_001, old, new)
    recorded = replace(recorded, entry=replace(recorded.entry, result=Result.FAILED))
    step = replay_report.begin(recorded)
    small = Difference("/" + "p" * 100, "old", "new")
    replay_report.fill_step(
        step,
        Comparison(
            same=False,
            event_types=(NAME,) * 1_001,
            data=(Difference("", old.data, new.data), *(small,) * 500),
            instance=(Difference("/output", DATA, DATA), *(small,) * 500),
            events=tuple(EventDifference(NAME, at, at, (small,) * 500) for at in range(1_001)),
            error=AttemptError(NAME, NAME, TEXT, metadata=DETAILS),
        ),
    )
    replay_report.skip(step, replay_pb2.REPLAY_SKIP_REASON_PENDING, TEXT)
    return step


PAGE = "t" * 100
MESSAGES: dict[str, Callable[[], Message]] = {
    **{
        f"HandleEventsRequest, {name}": lambda of=of: task_handler_service_pb2.HandleEventsRequest(
            items=[request(of, 1_000)]
        )
        for name, of in INSTANCES.items()
    },
    **{
        f"RunWorkflowResponse, {name}": lambda of=of: workflow_service_pb2.RunWorkflowResponse(
            context=context_to_proto(of), outcome=1, created=True, task_ids=[NAME] * 1_000
        )
        for name, of in INSTANCES.items()
    },
    **{
        f"WatchWorkflowResponse, {name}": lambda of=of: workflow_service_pb2.WatchWorkflowResponse(
            history_entry=entry_to_proto(of), status=4
        )
        for name, of in ENTRIES.items()
    },
    "ExplainWorkflowResponse": lambda: workflow_service_pb2.ExplainWorkflowResponse(
        context=context_to_proto(INSTANCES["failed"], with_data=False),
        summary="m" * 50_000,
        blockers=[blocker()] * MAX_BLOCKERS,
    ),
    "RetryDeadLetterResponse": lambda: dead_letter_service_pb2.RetryDeadLetterResponse(
        dead_letter=dead_letter_to_proto(letter()), context=context_to_proto(INSTANCES["failed"])
    ),
    "ReplayWorkflowResponse": lambda: workflow_service_pb2.ReplayWorkflowResponse(
        steps=[replayed()], next_from_sequence=10_000
    ),
    # The first entry of a page is there however large it is; others only within the bound of pages.
    "ListEventsResponse": lambda: workflow_service_pb2.ListEventsResponse(
        events=[{"event": event_to_proto(EVENT, NAME), "state": 1}], next_page_token=PAGE
    ),
    "ListHistoryResponse": lambda: workflow_service_pb2.ListHistoryResponse(
        entries=[entry_to_proto(ENTRIES["operations"])], next_page_token=PAGE
    ),
    "ListDeadLettersResponse": lambda: dead_letter_service_pb2.ListDeadLettersResponse(
        dead_letters=[dead_letter_to_proto(letter())], next_page_token=PAGE
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_worst_message_fits_into_what_grpc_receives(name: str) -> None:
    size = MESSAGES[name]().ByteSize()
    assert 0 < size <= limits.MAX_MESSAGE_BYTES


def test_history_takes_what_room_there_is_and_says_what_it_left_out() -> None:
    for of in (instance(data={}, version=2_000), INSTANCES["failed"]):
        message = request(of, 1_000)
        sent = len(message.history)
        left = limits.MAX_HISTORY_BYTES - sum(each.ByteSize() for each in message.history)
        left = min(left, limits.MAX_MESSAGE_BYTES - message.ByteSize())
        assert 0 <= left < 20_000
        assert [each.sequence for each in message.history] == list(
            range(of.version - sent + 1, of.version + 1)
        )
        assert message.history_left_out == of.version - sent > 0
    small = instance(data={}, version=3)
    few = request(small, 3)
    assert ([each.sequence for each in few.history], few.history_left_out) == ([1, 2, 3], 0)


def test_the_texts_of_a_failure_are_bounded_when_they_are_read() -> None:
    response = task_handler_service_pb2.HandleEventResponse()
    response.result.fail.reason = "BROKEN"
    response.result.fail.details.update(DETAILS)
    assert isinstance(reply_from_proto(response), Reply)
    response.result.fail.details.update(worst(limits.MAX_DETAILS_BYTES + 1))
    refused = reply_from_proto(response)
    assert isinstance(refused, AttemptError)
    assert (refused.reason, refused.permanent) == ("PAYLOAD_TOO_LARGE", True)
    response.failure.metadata.update(DETAILS)
    kept = reply_from_proto(response)
    response.failure.metadata.update(worst(limits.MAX_DETAILS_BYTES + 1))
    left_out = reply_from_proto(response)
    assert isinstance(kept, AttemptError)
    assert isinstance(left_out, AttemptError)
    assert (kept.metadata == DETAILS, list(left_out.metadata or {})) == (True, ["left_out"])


def test_the_texts_of_a_failure_are_cut_on_every_path() -> None:
    stored = AttemptError("A", "B", "\N{SNOWMAN}" * 5_000, metadata=worst(65_537, 10)).to_json(
        json_size
    )
    assert len(stored["message"].encode()) == 4_095
    assert stored["metadata"] == {"left_out": "65,537 bytes as JSON; the limit is 64 KiB"}
    assert (
        AttemptError("A", "B", "m" * 4_096, metadata=DETAILS).to_json(json_size)["metadata"]
        == DETAILS
    )
