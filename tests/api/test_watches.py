"""WatchWorkflow: every entry once and in order, from any sequence number, to the end that always comes."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from support.running_api import Api, history, refusal
from support.scripted_engine import failure, reply, task
from support.waiting import eventually

from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_api.workflows import watches
from waystation_domain.operations import Operation
from waystation_domain.outcomes import Completion

DONE = reply(end=Completion({"paid": 10}))


async def started(api: Api, name: str = "w-1") -> str:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    return name


def watch(api: Api, name: str = "w-1", from_sequence: int = 0) -> Any:
    return api.workflows.WatchWorkflow(
        pb.WatchWorkflowRequest(workflow_instance_id=name, from_sequence=from_sequence)
    )


async def to_the_end(call: Any) -> list[Any]:
    """The entries until the stream ends OK."""
    entries = []
    while (response := await call.read()) is not grpc.aio.EOF:
        if response.HasField("history_entry"):
            entries.append(response.history_entry)
    return entries


async def test_a_watch_sees_each_entry_as_it_comes_and_ends_with_the_instance(api: Api) -> None:
    name = await started(api)
    call = watch(api)
    first = await call.read()
    assert (first.history_entry.sequence, first.history_entry.action) == (1, "start")
    await api.engine.handle(name, "workflow.started", reply("a"))
    second = await call.read()
    assert (second.history_entry.sequence, second.history_entry.version) == (2, 2)
    assert second.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    await api.engine.handle(name, "a", DONE)
    third = await call.read()
    assert third.status == WorkflowStatus.WORKFLOW_STATUS_COMPLETED
    # The end itself is handled too: the stream waits for it.
    await api.engine.handle(name, "workflow.completed", reply(), by=task("archive"))
    rest = await to_the_end(call)
    assert [entry.processed_by for entry in rest] == ["archive"]
    assert await call.code() == grpc.StatusCode.OK
    seen = [*(response.history_entry for response in (first, second, third)), *rest]
    assert seen == await history(api)


async def test_a_watch_begins_and_continues_at_the_requested_entry(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", DONE)
    await api.engine.handle(name, "workflow.completed", None)
    whole = await history(api)
    for first in range(len(whole) + 3):
        assert await to_the_end(watch(api, from_sequence=first)) == whole[max(first, 1) - 1 :]


async def test_a_failed_workflow_ends_a_watch_though_its_dead_letter_is_open(api: Api) -> None:
    name = await started(api)
    call = watch(api)
    await api.engine.handle(name, "workflow.started", reply("a", "b"))
    await api.engine.handle(name, "a", failure("BAD", permanent=True))
    await api.engine.handle(name, "workflow.failed", None)
    # `b` is taken over and held: only an operator moves it.
    await api.engine.handle(name, "b", reply(), by=task("other"))
    entries = await to_the_end(call)
    failed = WorkflowStatus.WORKFLOW_STATUS_FAILED
    assert failed in {entry.status for entry in entries}
    ((letter),) = (
        await api.dead_letters.ListDeadLetters(letters_pb.ListDeadLettersRequest())
    ).dead_letters
    await api.dead_letters.RetryDeadLetter(
        letters_pb.RetryDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
    )
    # It goes on, and so does who watches from there.
    call = watch(api, from_sequence=entries[-1].sequence + 1)
    revived = await call.read()
    assert revived.history_entry.action == "dead_letter_retried"
    assert revived.status == WorkflowStatus.WORKFLOW_STATUS_ACTIVE
    call.cancel()


async def test_a_quiet_stream_beats(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watches.HEARTBEAT_SECONDS == 15
    monkeypatch.setattr(watches, "HEARTBEAT_SECONDS", 0.05)
    await started(api)
    before = len(asyncio.all_tasks())
    call = watch(api)
    await call.read()
    for _ in range(3):
        beat = await call.read()
        assert (beat.heartbeat.version, beat.status) == (1, WorkflowStatus.WORKFLOW_STATUS_ACTIVE)
    call.cancel()
    await eventually(tasks, until=lambda now: now <= before, what="nobody to be at work for it")


async def tasks() -> int:
    return len(asyncio.all_tasks())


async def test_many_watch_and_a_slow_reader_delays_nobody(api: Api) -> None:
    name = await started(api)
    slow = watch(api)
    await slow.read()
    # More than a stream's window takes, and than one portion.
    blob = "x" * 4_000
    at = "workflow.started"
    for number in range(120):
        change = [Operation(f"/n{number % 10}", "set", f"{number}{blob}")]
        await api.engine.handle(name, at, reply("step", change=change))
        at = "step"
    calls = [watch(api) for _ in range(30)]
    firsts = [(await call.read()).history_entry for call in calls]
    await api.engine.handle(name, at, DONE)
    await api.engine.handle(name, "workflow.completed", None)
    whole = await history(api)
    async with asyncio.timeout(30):
        for first, rest in zip(firsts, await asyncio.gather(*map(to_the_end, calls)), strict=True):
            entries = [first, *rest]
            assert [entry.sequence for entry in entries] == [entry.sequence for entry in whole]
        assert len(await to_the_end(slow)) == len(whole) - 1


async def test_a_stopping_server_ends_streams_so_that_they_go_on_elsewhere(serve: Any) -> None:
    first, second = await serve(), await serve()
    name = await started(first)
    call = watch(first)
    seen = [(await call.read()).history_entry.sequence]
    await first.server.stop()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "from_sequence 2" in (caught.value.details() or "")
    await second.engine.handle(name, "workflow.started", DONE)
    await second.engine.handle(name, "workflow.completed", None)
    seen += [entry.sequence for entry in await to_the_end(watch(second, from_sequence=2))]
    assert seen == [1, 2, 3]


async def test_what_can_not_be_watched_is_refused(api: Api) -> None:
    unknown = await refusal(watch(api, "nobody").read())
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "WORKFLOW_NOT_FOUND")
    negative = await refusal(watch(api, from_sequence=-1).read())
    assert (negative.reason, negative.fields) == ("INVALID_FIELD", ("from_sequence",))
