"""More work than can be done: it is refused at a bound, with when to come again, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
import pytest
from support.registries import UNLIMITED
from support.running_api import Api, refusal
from support.scripted_store import Script, held, unavailable
from support.waiting import eventually

from waystation.v1.event_pb2 import NewEvent
from waystation.v1.workflow_service_pb2 import (
    CancelWorkflowRequest,
    GetWorkflowRequest,
    PublishEventRequest,
    StartWorkflowRequest,
)
from waystation_api.batches import Batcher
from waystation_api.workflows.backlog import Backlog
from waystation_api.workflows.starts import MOST_HELD, Starter, start_from_proto
from waystation_core.background import Contact
from waystation_core.ports.store import Started
from waystation_core.rpc.errors import status_of
from waystation_core.store.connections import open_pool
from waystation_core.store.engine import PostgresEngineStore
from waystation_domain.errors import BacklogFull, StoreUnavailable

Code = grpc.StatusCode


def start(**fields: Any) -> StartWorkflowRequest:
    return StartWorkflowRequest(**{"workflow_type": "insurance_claim", **fields})


def publish(instance: str = "w-1") -> PublishEventRequest:
    return PublishEventRequest(workflow_instance_id=instance, event=NewEvent(event_type="a"))


class NoRelay:
    def started(self, starts: Any) -> None: ...


class Counted:
    """A store of which only the backlog is asked."""

    def __init__(self) -> None:
        self.waiting = 0
        self.looks = 0

    async def backlog(self) -> int:
        self.looks += 1
        return self.waiting


async def test_a_full_backlog_refuses_new_work_until_it_has_drained(serve: Any) -> None:
    api: Api = await serve(WAYSTATION_MAX_BACKLOG="2")
    await api.workflows.StartWorkflow(start(workflow_instance_id="w-1"))
    await api.workflows.StartWorkflow(start(workflow_instance_id="w-2"))
    for call in (
        api.workflows.StartWorkflow(start()),
        api.workflows.PublishEvent(publish()),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (Code.RESOURCE_EXHAUSTED, "BACKLOG_FULL")
        assert refused.retry_seconds == 5
    # What is there already goes on.
    await api.workflows.CancelWorkflow(CancelWorkflowRequest(workflow_instance_id="w-2"))
    await api.workflows.GetWorkflow(GetWorkflowRequest(workflow_instance_id="w-1"))
    await api.engine.handle("w-1", "workflow.started", None)

    async def published() -> bool:
        try:
            await api.workflows.PublishEvent(publish())
        except grpc.aio.AioRpcError as error:
            if error.code() is not Code.RESOURCE_EXHAUSTED:
                raise
            return False
        return True

    await eventually(published, what="room for one more event")


async def test_between_two_looks_it_counts_what_it_admits() -> None:
    store = Counted()
    backlog = Backlog(cast(Any, store), 10)
    store.waiting = 7
    await backlog.look()
    with backlog.room():
        pass
    with backlog.room(), backlog.room(), pytest.raises(BacklogFull), backlog.room():
        pass
    # Two of them were written, and the third was found to be wrong; so one has room.
    store.waiting = 9
    await backlog.look()
    with pytest.raises(ValueError, match="wrong"), backlog.room():
        raise ValueError("wrong")
    with pytest.raises(BacklogFull), backlog.room():
        pass


async def test_it_looks_more_often_while_it_is_full() -> None:
    store = Counted()
    backlog = Backlog(cast(Any, store), 10)
    for _ in range(10):
        await backlog.turn()
    assert store.looks == 2
    store.waiting = 10
    await backlog.look()
    for _ in range(3):
        await backlog.turn()
    assert store.looks == 6


async def test_ten_thousand_starts_while_the_database_is_held(database_url: str) -> None:
    pool = open_pool(database_url, size=4, name="test")
    await pool.open()
    script = Script()
    gate = script.on("start", held())
    store = script.wrap(PostgresEngineStore(pool))
    starter = Starter(
        store, cast(Any, NoRelay()), Backlog(store, 1_000_000), Contact(store.probe), UNLIMITED
    )
    calls = [
        asyncio.ensure_future(starter.start(start_from_proto(start()), 100)) for _ in range(10_000)
    ]
    await gate.reached.wait()
    refused = [call for call in calls if call.done()]
    # One turn of the loop has begun them all, another has refused what is too many.
    while len(refused) < 10_000 - MOST_HELD:
        await asyncio.sleep(0)
        refused = [call for call in calls if call.done()]
    assert len(refused) == 10_000 - MOST_HELD
    errors = [call.exception() for call in refused]
    assert {type(error) for error in errors} == {StoreUnavailable}
    code, _, details = status_of(cast(StoreUnavailable, errors[0]))
    assert code is Code.UNAVAILABLE
    assert b"google.rpc.RetryInfo" in details
    gate.open()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [answer.instance for answer in answers if isinstance(answer, Started)]
    assert len(made) == MOST_HELD
    async with pool.connection() as connection:
        found = await connection.execute("SELECT workflow_instance_id FROM workflow_instances")
        rows = await found.fetchall()
    assert sorted(row[0] for row in rows) == sorted(one.workflow_instance_id for one in made)
    # There is room again.
    assert (await starter.start(start_from_proto(start()), 100)).created
    await starter.close()
    await pool.close()


async def test_large_items_take_more_of_the_room() -> None:
    gate = asyncio.Event()

    async def carry_out(items: Any) -> Any:
        await gate.wait()
        return items

    batcher: Batcher[int, int] = Batcher(
        carry_out, limit=1, workers=1, most_held=100, most_bytes=10
    )
    # One alone is taken, however large it is.
    first = asyncio.ensure_future(batcher(1, 11))
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="1 requests already wait"):
        await batcher(2, 1)
    gate.set()
    assert await first == 1
    assert await asyncio.gather(batcher(2, 5), batcher(3, 5)) == [2, 3]
    await batcher.close()


async def test_room_is_given_back_when_the_database_fails() -> None:
    script = Script()
    script.on("look", unavailable())

    class Failing:
        async def look(self, items: Any) -> Any:
            return items

    failing = script.wrap(Failing())
    batcher: Batcher[int, int] = Batcher(failing.look, limit=10, workers=1, most_held=1)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await batcher(1)
    script.heal()
    assert await batcher(1) == 1
    await batcher.close()
