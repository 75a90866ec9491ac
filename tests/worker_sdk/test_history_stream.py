"""Client.watch: the whole history once, whatever happens to the stream meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from worker_sdk.fakes import FakeWaystation, Refusal

from waystation.v1 import history_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation_worker import Client, Unavailable, WorkflowNotFound, history_stream


@pytest.fixture
async def client(waystation: FakeWaystation) -> Any:
    async with Client(waystation.address, retry_for=2) as client:
        yield client


def entry(sequence: int, status: int = 1, **fields: Any) -> pb.WatchWorkflowResponse:
    response = pb.WatchWorkflowResponse(status=status)
    response.history_entry.CopyFrom(
        history_pb2.HistoryEntry(
            sequence=sequence, event_type="a", processed_by="t", result=1, status=status, **fields
        )
    )
    return response


BEAT = pb.WatchWorkflowResponse(heartbeat=pb.WatchHeartbeat(version=1))


async def seen(client: Client, **options: Any) -> list[int]:
    return [entry.sequence async for entry in client.watch("claim-7", **options)]


async def test_entries_are_values(waystation: FakeWaystation, client: Client) -> None:
    failed = entry(2, attempt=1, will_retry=True, raised_event_ids=["e-2"])
    failed.history_entry.result = history_pb2.HISTORY_RESULT_FAILED
    failed.history_entry.error.reason = "NO_PLATE"
    failed.history_entry.error.message = "which one?"
    failed.history_entry.duration.nanos = 250_000_000
    waystation.next("WatchWorkflow", [entry(1, action="start"), BEAT, failed, entry(3, status=3)])
    first, second, third = [each async for each in client.watch("claim-7")]
    assert (first.action, first.result, first.status, first.ended) == (
        "start",
        "SUCCESS",
        "ACTIVE",
        False,
    )
    assert (second.result, second.error, second.will_retry, second.duration) == (
        "FAILED",
        "NO_PLATE: which one?",
        True,
        0.25,
    )
    assert second.raised_event_ids == ("e-2",)
    assert (third.status, third.ended) == ("COMPLETED", True)


async def test_a_broken_stream_is_continued_where_it_broke(
    waystation: FakeWaystation, client: Client
) -> None:
    stops, cut = Refusal("UNAVAILABLE", message="stops"), Refusal("CANCELLED", message="cut")
    waystation.next(
        "WatchWorkflow",
        [entry(5), entry(6), stops],
        [stops],
        [BEAT, entry(7), cut],
        [entry(8, status=3)],
    )
    assert await seen(client, from_sequence=5) == [5, 6, 7, 8]
    asked = [request.from_sequence for request in waystation.requests("WatchWorkflow")]
    assert asked == [5, 7, 7, 8]


async def test_a_silent_stream_is_given_up_for_another(
    waystation: FakeWaystation, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_stream, "_SILENCE_SECONDS", 0.2)
    never = asyncio.Event()
    waystation.next("WatchWorkflow", [entry(1), never], [entry(2, status=3)])
    assert await seen(client) == [1, 2]
    waystation.next("WatchWorkflow", [never])
    with pytest.raises(Unavailable, match="nothing was received"):
        await seen(client)
    never.set()


async def test_refusals_and_a_server_that_stays_away_end_it(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.next("WatchWorkflow", Refusal("NOT_FOUND", "WORKFLOW_NOT_FOUND"))
    with pytest.raises(WorkflowNotFound):
        await seen(client)
    assert len(waystation.calls) == 1
    waystation.usual["WatchWorkflow"] = lambda _: [Refusal("UNAVAILABLE")]
    async with Client(waystation.address, retry_for=0.3) as impatient:
        with pytest.raises(Unavailable):
            await seen(impatient)
