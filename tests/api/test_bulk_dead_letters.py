"""RetryDeadLetters and DiscardDeadLetters: all that match, once, counted, whatever breaks off."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest
from psycopg import AsyncConnection
from support.running_api import Api, refusal
from support.scripted_engine import failure, reply, task
from support.waiting import eventually

from waystation.v1 import dead_letter_pb2, event_pb2, workflow_service_pb2
from waystation.v1 import dead_letter_service_pb2 as pb
from waystation.v1.dead_letter_pb2 import DeadLetterState
from waystation.v1.status_pb2 import WorkflowStatus
from waystation_api.dead_letters import bulk, portions
from waystation_core.relay.relay import Relay
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import OnFailure
from waystation_domain.outcomes import WaitRequest

CONTINUE = task(on_failure=OnFailure.CONTINUE)


async def started(api: Api, name: str, workflow_type: str = "t") -> str:
    await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(
            workflow_type=workflow_type, workflow_instance_id=name
        )
    )
    return name


async def failed(
    api: Api, name: str, *, reason: str = "BAD", by: Any = None, workflow_type: str = "t"
) -> Any:
    """A workflow whose first event is dead-lettered; the dead letter."""
    await started(api, name, workflow_type)
    outcome = failure(reason, permanent=True)
    await api.engine.handle(name, "workflow.started", outcome, by=by or task())
    return (await open_dead_letters(api))[0]


async def open_dead_letters(api: Api, **fields: Any) -> list[Any]:
    request = pb.ListDeadLettersRequest(
        filter=dead_letter_pb2.DeadLetterFilter(**fields), page_size=1000
    )
    return list((await api.dead_letters.ListDeadLetters(request)).dead_letters)


def target(**fields: Any) -> Any:
    """A filter of these fields; all, where there are none."""
    if not fields:
        return {"all": dead_letter_pb2.AllOpenDeadLetters()}
    return {"filter": dead_letter_pb2.DeadLetterFilter(**fields)}


async def retry(api: Api, request_id: str = "", **fields: Any) -> int:
    request = pb.RetryDeadLettersRequest(request_id=request_id or str(uuid4()), **target(**fields))
    return int((await api.dead_letters.RetryDeadLetters(request)).retried)


async def discard(api: Api, request_id: str = "", **fields: Any) -> int:
    request = pb.DiscardDeadLettersRequest(
        request_id=request_id or str(uuid4()), **target(**fields)
    )
    return int((await api.dead_letters.DiscardDeadLetters(request)).discarded)


async def execute(database_url: str, statement: str) -> None:
    async with await AsyncConnection.connect(database_url, autocommit=True) as connection:
        assert (await connection.execute(statement)).rowcount == 1


async def status(api: Api, name: str) -> str:
    answer = await api.workflows.GetWorkflow(
        workflow_service_pb2.GetWorkflowRequest(workflow_instance_id=name)
    )
    return WorkflowStatus.Name(answer.context.status).removeprefix("WORKFLOW_STATUS_")


async def test_every_field_of_the_filter_counts_and_all_must_hold(api: Api) -> None:
    first = await failed(api, "w-1")
    await failed(api, "w-2", reason="OTHER")
    await failed(api, "w-3", by=task("other"))
    last = await failed(api, "w-4", workflow_type="u")
    for nothing in (
        {"workflow_instance_ids": ["w-9"]},
        {"event_types": ["b"]},
        {"reasons": ["OTHER"], "task_ids": ["other"]},
        {"created_before": first.created_at},
    ):
        assert await retry(api, **nothing) == 0
    for some, of in (
        ({"workflow_instance_ids": ["w-1", "w-9", "w-3", "w-1"]}, ["w-3", "w-1"]),
        ({"workflow_types": ["u", "no"]}, ["w-4"]),
        ({"task_ids": ["other", "claim_validator"]}, ["w-4", "w-3", "w-2", "w-1"]),
        ({"event_types": ["b", "workflow.started"]}, ["w-4", "w-3", "w-2", "w-1"]),
        ({"reasons": ["OTHER", "NONE"], "workflow_instance_ids": ["w-1", "w-2"]}, ["w-2"]),
    ):
        found = await open_dead_letters(api, **some)
        assert [letter.workflow_instance_id for letter in found] == of
    assert len(await open_dead_letters(api)) == 4
    assert await retry(api, reasons=["OTHER"]) == 1
    assert await discard(api, task_ids=["other"]) == 1
    assert await retry(api, workflow_types=["u"], created_after=last.created_at) == 1
    assert await retry(api, workflow_instance_ids=["w-1"], event_types=["workflow.started"]) == 1
    assert await open_dead_letters(api) == []
    assert [await status(api, f"w-{n}") for n in (1, 2, 3, 4)] == [
        "ACTIVE",
        "ACTIVE",
        "FAILED",
        "ACTIVE",
    ]


@pytest.mark.parametrize("at_once", [10, 0], ids=["with others", "under its lock"])
async def test_several_of_one_workflow_go_together_with_what_they_held(
    api: Api, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(portions, "_LETTERS_OF_EACH", at_once)
    for name in ("w-1", "w-2"):
        await started(api, name)
        await api.engine.handle(name, "workflow.started", reply("a", "b", "c", "d"))
        await api.engine.handle(name, "a", failure(permanent=True), by=CONTINUE)
        await api.engine.handle(name, "b", failure(permanent=True))
        await api.engine.handle(name, "c", failure(permanent=True), by=CONTINUE)
        # Taken over and held.
        await api.engine.handle(name, "d", reply(), by=task("other"))
    assert await retry(api, workflow_instance_ids=["w-1"]) == len(await open_dead_letters(api)) > 1
    assert await status(api, "w-1") == "ACTIVE"
    letters = len(await open_dead_letters(api, workflow_instance_ids=["w-2"]))
    assert await discard(api) == letters
    page = await api.workflows.ListEvents(
        workflow_service_pb2.ListEventsRequest(workflow_instance_id="w-2")
    )
    states = {
        entry.event.event_type: event_pb2.EventState.Name(entry.state)[12:] for entry in page.events
    }
    assert states["d"] == "SKIPPED"
    assert await status(api, "w-2") == "FAILED"
    # Each is told, the last one with that nothing is left.
    told = [e for e in page.events if e.event.event_type == "workflow.dead_letter.discarded"]
    assert [e.event.payload["open_dead_letters"] for e in told] == [*reversed(range(letters))]
    assert {e.event.payload["reason"] for e in told} == {"NO_LUCK"}
    assert {e.state for e in told} == {event_pb2.EVENT_STATE_UNHANDLED}


async def test_a_repeated_request_has_one_effect_and_the_same_answer(api: Api) -> None:
    for number in range(3):
        await failed(api, f"w-{number}")
    assert await retry(api, "r-1") == 3
    # They fail again: new dead letters, which the same request does not mean.
    for number in range(3):
        await api.engine.handle(f"w-{number}", "workflow.started", failure(permanent=True))
    assert await retry(api, "r-1") == 3
    assert len(await open_dead_letters(api)) == 3
    other = pb.RetryDeadLettersRequest(request_id="r-1", **target(task_ids=["x"]))
    reused = await refusal(api.dead_letters.RetryDeadLetters(other))
    assert reused.reason == "REQUEST_ID_REUSED"
    # Scope is RPC and id.
    assert await discard(api, "r-1") == 3


async def test_an_interrupted_request_is_continued_and_counted_as_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "_PORTIONS_AT_ONCE", 1)
    for number in range(8):
        await failed(api, f"w-{number}")
    store = api.store.engine
    commit = store.commit
    portions: list[int] = []

    def gone(*args: Any, **more: Any) -> Any:
        raise StoreUnavailable("gone for a while")

    async def breaks(batch: Any, **more: Any) -> Any:
        portions.append(len(batch))
        return await commit(batch, **more) if len(portions) < 3 else gone()

    with monkeypatch.context() as patch:
        patch.setattr(store, "commit", breaks)
        patch.setattr(store, "locked", gone)
        patch.setattr(store, "probe", gone)
        request = pb.RetryDeadLettersRequest(all={}, request_id="r-1")
        assert (await refusal(api.dead_letters.RetryDeadLetters(request))).reason == (
            "STORE_UNAVAILABLE"
        )
    # Not the fourth one, too: nobody was served.
    assert portions == [2, 2, 2]
    assert len(await open_dead_letters(api)) == 4
    # One of those that were retried fails again meanwhile.
    await api.engine.handle("w-0", "workflow.started", failure(permanent=True))
    assert await retry(api, "r-1") == 8
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-0"]


async def test_a_client_that_goes_away_ends_the_work(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 1)
    for number in range(4):
        await failed(api, f"w-{number}")
    reached, ended = asyncio.Event(), asyncio.Event()
    begun: list[Any] = []

    async def is_idle(batch: Any, **more: Any) -> Any:
        begun.append(batch)
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(api.store.engine, "commit", is_idle)
        call = api.dead_letters.RetryDeadLetters(
            pb.RetryDeadLettersRequest(all={}, request_id="r-1")
        )
        waiting = asyncio.ensure_future(call)
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await ended.wait()
    assert len(begun) <= bulk._PORTIONS_AT_ONCE
    assert await retry(api, "r-1") == 4


async def test_many_go_in_one_transaction_under_no_lock(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await failed(api, f"w-{number}")
    commit = api.store.engine.commit
    batches: list[list[str]] = []

    async def seen(batch: Any, **more: Any) -> Any:
        batches.append([one.after.workflow_instance_id for one in batch])
        return await commit(batch, **more)

    def locked(**how: Any) -> Any:
        raise AssertionError("nothing is to be locked")

    monkeypatch.setattr(api.store.engine, "commit", seen)
    monkeypatch.setattr(api.store.engine, "locked", locked)
    assert await retry(api) == 5
    assert batches == [[f"w-{number}" for number in range(5)]]


async def test_several_portions_at_a_time_count_right(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 2)
    for number in range(7):
        await failed(api, f"w-{number}")
    commit = api.store.engine.commit
    both = asyncio.Barrier(2)

    async def overlaps(batch: Any, **more: Any) -> Any:
        # The fourth portion is the one of w-6, and there are four.
        await both.wait()
        return await commit(batch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(api.store.engine, "commit", overlaps)
        assert await retry(api, "r-1") == 7
    assert await retry(api, "r-1") == 7
    assert await open_dead_letters(api) == []


@pytest.mark.parametrize("fault", ["can't be written", "can't be read"])
async def test_one_that_cant_be_retried_delays_no_other(
    api: Api, database_url: str, fault: str
) -> None:
    for number in range(5):
        await failed(api, f"w-{number}")
    if fault == "can't be written":
        # What is in the place of the entry that is to tell of the retry.
        copied = (
            "INSERT INTO history (instance_key, sequence, event_id, event_type, processed_by, "
            "result, attempt, base_version, will_retry, status) SELECT h.instance_key, i.version + 1, h.event_id, h.event_type, "
            "h.processed_by, h.result, h.attempt, h.base_version, h.will_retry, h.status FROM history h JOIN workflow_instances i ON "
            "i.key = h.instance_key WHERE i.workflow_instance_id = 'w-1' AND h.sequence = 1"
        )
        undone = (
            "DELETE FROM history h USING workflow_instances i "
            "WHERE i.key = h.instance_key AND h.sequence > i.version"
        )
    else:
        letter = (await open_dead_letters(api, workflow_instance_ids=["w-1"]))[0].dead_letter_id
        copied, undone = (
            f"UPDATE dead_letters SET on_failure = {value} WHERE dead_letter_id = '{letter}'"
            for value in (9, 1)
        )
    await execute(database_url, copied)
    request = pb.RetryDeadLettersRequest(all={}, request_id="r-1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.dead_letters.RetryDeadLetters(request)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    await execute(database_url, undone)
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-1"]
    assert await retry(api, "r-1") == 5
    assert await open_dead_letters(api) == []


async def test_a_locked_one_is_waited_for_when_the_others_are_done(api: Api) -> None:
    for number in range(4):
        await failed(api, f"w-{number}")

    async def left() -> list[str]:
        return [letter.workflow_instance_id for letter in await open_dead_letters(api)]

    async with api.store.engine.locked(workflow_instance_id="w-1"):
        retrying = asyncio.ensure_future(retry(api, "r-1"))
        await eventually(left, until=lambda names: names == ["w-1"])
        assert not retrying.done()
    assert await retrying == 4
    assert await left() == []


async def test_one_that_is_locked_for_too_long_is_set_aside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 1)
    monkeypatch.setattr(bulk, "_PORTIONS_AT_ONCE", 1)
    monkeypatch.setattr(bulk, "_TRIES", 1)
    for number in range(3):
        await failed(api, f"w-{number}")
    async with api.store.engine.locked(workflow_instance_id="w-0"):
        request = pb.RetryDeadLettersRequest(all={}, request_id="r-1")
        refused = await refusal(api.dead_letters.RetryDeadLetters(request))
    assert refused.reason == "STORE_UNAVAILABLE"
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-0"]
    assert await retry(api, "r-1") == 3


async def test_an_instance_that_changed_since_it_was_read_is_decided_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await failed(api, f"w-{number}", by=CONTINUE)
    commit = api.store.engine.commit

    async def somebody_is_faster(batch: Any, **more: Any) -> Any:
        # w-1 is cancelled, so that its letter stays.
        await api.workflows.CancelWorkflow(
            workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id="w-1")
        )
        return await commit(batch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(api.store.engine, "commit", somebody_is_faster)
        assert await retry(api, "r-1") == 2
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-1"]


async def test_what_retrying_raises_is_announced(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the retry of a single one: a workflow that had asked something asks again."""
    announced: list[tuple[str, str]] = []
    committed = Relay.committed

    def seen(self: Relay, commits: Any) -> None:
        announced.extend(
            (one.after.workflow_instance_id, event.event_type)
            for one in commits
            for event in one.raised
        )
        committed(self, commits)

    for name in ("w-1", "w-2"):
        await started(api, name)
        asks = reply("a", waits=(WaitRequest("approval"),))
        await api.engine.handle(name, "workflow.started", asks)
        await api.engine.handle(name, "a", failure(permanent=True))
    monkeypatch.setattr(Relay, "committed", seen)
    assert await retry(api) == 2
    assert announced == [(name, "workflow.waiting_for_input") for name in ("w-1", "w-2")]
    assert {await status(api, name) for name in ("w-1", "w-2")} == {"WAITING_FOR_INPUT"}


async def test_the_same_request_twice_at_once_retries_each_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_LETTERS_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "_INSTANCES_AT_ONCE", 2)
    for number in range(3):
        name = await started(api, f"w-{number}")
        events = [f"e{each}" for each in range(5)]
        await api.engine.handle(name, "workflow.started", reply(*events))
        for event in events:
            await api.engine.handle(name, event, failure(permanent=True), by=CONTINUE)
    both = await asyncio.gather(retry(api, "r-1"), retry(api, "r-1"))
    assert max(both) == 15
    assert await retry(api, "r-1") == 15
    assert (
        len(await open_dead_letters(api, states=[DeadLetterState.DEAD_LETTER_STATE_RETRIED])) == 15
    )


async def test_those_of_workflows_that_ended_permanently_stay_until_discarded(api: Api) -> None:
    await failed(api, "w-1", by=CONTINUE)
    await api.workflows.CancelWorkflow(
        workflow_service_pb2.CancelWorkflowRequest(workflow_instance_id="w-1")
    )
    await failed(api, "w-2")
    assert await retry(api) == 1
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-1"]
    assert await discard(api) == 1


RETRIED = DeadLetterState.DEAD_LETTER_STATE_RETRIED
OPEN = DeadLetterState.DEAD_LETTER_STATE_OPEN

UNCLEAR: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "target"),
    "an empty filter": ({"filter": {}}, "filter"),
    "a list of nothing": ({"filter": {"task_ids": [], "reasons": []}}, "filter"),
    "a variable that was not set": ({"filter": {"reasons": [""]}}, "filter.reasons"),
    "a state is no condition here": ({"filter": {"states": [OPEN]}}, "filter"),
    "resolved ones": ({"filter": {"task_ids": ["a"], "states": [RETRIED]}}, "filter.states"),
    "resolved ones too": (
        {"filter": {"task_ids": ["a"], "states": [OPEN, RETRIED]}},
        "filter.states",
    ),
    "no state": ({"filter": {"task_ids": ["a"], "states": [0]}}, "filter.states"),
    "a state of a later release": ({"filter": {"task_ids": ["a"], "states": [9]}}, "filter.states"),
}


@pytest.mark.parametrize("request_type", [pb.RetryDeadLettersRequest, pb.DiscardDeadLettersRequest])
@pytest.mark.parametrize("unclear", UNCLEAR)
async def test_a_bulk_command_means_all_only_where_it_says_all(
    api: Api, unclear: str, request_type: Any
) -> None:
    await failed(api, "w-1")
    fields, field = UNCLEAR[unclear]
    method = getattr(api.dead_letters, request_type.__name__.removesuffix("Request"))
    refused = await refusal(method(request_type(request_id="r-1", **fields)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert (refused.fields, refused.metadata["field"]) == ((field,), field)
    if field in ("filter", "target"):
        assert "`all`" in refused.message
    assert len(await open_dead_letters(api)) == 1
    # A refusal is not kept: the same request id does what it then says.
    await method(request_type(request_id="r-1", all={}))
    assert await open_dead_letters(api) == []


NAMED = {
    "workflow_instance_ids": "INVALID_ID",
    "workflow_types": "INVALID_ID",
    "task_ids": "INVALID_ID",
    "event_types": "INVALID_EVENT_TYPE",
    "reasons": "INVALID_FIELD",
}


@pytest.mark.parametrize("field", NAMED)
async def test_each_value_of_a_filter_is_one_and_there_are_no_more_than_a_thousand(
    api: Api, field: str
) -> None:
    for values, reason in (
        (["a", ""], NAMED[field]),
        (["a\0"], NAMED[field]),
        (["a"] * 1001, "INVALID_FIELD"),
    ):
        filter = dead_letter_pb2.DeadLetterFilter(**{field: values})  # type: ignore[arg-type]
        for call in (
            api.dead_letters.ListDeadLetters(pb.ListDeadLettersRequest(filter=filter)),
            api.dead_letters.DiscardDeadLetters(
                pb.DiscardDeadLettersRequest(filter=filter, request_id="r-1")
            ),
        ):
            refused = await refusal(call)
            assert (refused.reason, refused.fields) == (reason, (f"filter.{field}",))
    assert await open_dead_letters(api, **{field: ["a"] * 1000}) == []


async def test_a_filter_may_say_that_it_means_open_ones(api: Api) -> None:
    await failed(api, "w-1")
    await failed(api, "w-2", reason="OTHER")
    assert await retry(api, reasons=["OTHER"], states=[OPEN]) == 1
    assert [letter.workflow_instance_id for letter in await open_dead_letters(api)] == ["w-1"]


@pytest.mark.parametrize("request_id", ["", "a b"])
async def test_a_bulk_command_can_always_be_continued(api: Api, request_id: str) -> None:
    await failed(api, "w-1")
    for call in (
        api.dead_letters.RetryDeadLetters(
            pb.RetryDeadLettersRequest(all={}, request_id=request_id)
        ),
        api.dead_letters.DiscardDeadLetters(
            pb.DiscardDeadLettersRequest(all={}, request_id=request_id)
        ),
    ):
        refused = await refusal(call)
        assert (refused.reason, refused.fields) == ("INVALID_ID", ("request_id",))
    assert len(await open_dead_letters(api)) == 1


async def test_a_request_without_anything_is_told_what_it_is_about_first(api: Api) -> None:
    refused = await refusal(api.dead_letters.RetryDeadLetters(pb.RetryDeadLettersRequest()))
    assert (refused.reason, refused.metadata["field"]) == ("INVALID_FIELD", "target")
    refused = await refusal(api.dead_letters.RetryDeadLetters(pb.RetryDeadLettersRequest(all={})))
    assert refused.reason == "INVALID_ID"
