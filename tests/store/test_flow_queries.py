"""What history shows of the flow of events: counted in portions that leave nothing out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from store.instances import Engine, a_start, task
from store.reads import reads_of

from waystation_core.store import flow_queries
from waystation_domain.flow.graph import Observations
from waystation_domain.model import NewEvent, OnFailure, Result
from waystation_domain.operations import Operation
from waystation_domain.outcomes import AttemptError, Reply

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def every_portion(
    engine: Engine, *, workflow_type: str = "", limit: int = 100
) -> tuple[Observations, int]:
    """All portions as one, and how many there were."""
    seen, after, portions = Observations(), None, 0
    while True:
        looked = await engine.queries.flow(
            LONG_AGO, workflow_type=workflow_type, after=after, limit=limit
        )
        assert looked.seen.instances.total() <= limit
        seen.add(looked.seen)
        after, portions = looked.after, portions + 1
        if after is None:
            return seen, portions


async def some_claims(engine: Engine) -> None:
    """Three instances: two read well, one of them written by; the third fails twice permanently."""
    reader = task("reader")
    for number in range(2):
        _, event = await engine.started({"n": number})
        change = (Operation("/text", "set", "x"), Operation("/log", "append", number))
        big = (Operation("/scan", "set", str(number) + "scan" * 200_000),)
        answer = Reply((NewEvent("claim.read", {}),), change if number else big)
        commit = await engine.handle(event, reader, answer)
        await engine.handle(commit.raised[0], task("scorer"), Reply())
    instance, event = await engine.started()
    await engine.publish(instance.key, "poke")
    careless = task("reader", on_failure=OnFailure.CONTINUE)
    await engine.handle(event, careless, AttemptError("TASK_FAILURE", "A", "no"))
    broken = AttemptError("TASK_FAILURE", "A", "no", permanent=True)
    await engine.handle(event, careless, broken, attempt=2)


async def test_what_happened_is_counted_by_edge(each_engine: Engine) -> None:
    await some_claims(each_engine)
    seen, _ = await every_portion(each_engine)
    assert seen.instances == {"claim": 3}
    assert seen.raised == {
        ("claim", "client", "workflow.started"): 3,
        ("claim", "client", "poke"): 1,
        ("claim", "reader", "claim.read"): 2,
    }
    assert seen.handled == {
        ("claim", "workflow.started", "reader", Result.SUCCESS, False): 2,
        ("claim", "workflow.started", "reader", Result.FAILED, True): 1,
        ("claim", "workflow.started", "reader", Result.FAILED, False): 1,
        ("claim", "claim.read", "scorer", Result.SUCCESS, False): 2,
    }
    assert seen.written == {
        ("claim", "reader", "/text", "set"): 1,
        ("claim", "reader", "/log", "append"): 1,
        ("claim", "reader", "/scan", "set"): 1,
    }


async def test_large_changes_are_not_looked_into(each_engine: Engine) -> None:
    _, event = await each_engine.started()
    # Nothing that Postgres could compress.
    noise = "".join(chr(0x4E00 + (n * n * 7919 + n * 31) % 20_000) for n in range(40_000))
    await each_engine.handle(event, task("reader"), Reply((), (Operation("/a", "set", noise),)))
    seen, _ = await every_portion(each_engine)
    assert seen.handled.total() == 1
    assert not seen.written


async def test_portions_together_are_the_whole(
    each_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_claims(each_engine)
    await each_engine.rows("UPDATE workflow_instances SET workflow_type = 'car' WHERE key = 2")
    whole, portions = await every_portion(each_engine)
    assert portions == 1
    assert await every_portion(each_engine, limit=1) == (whole, 4)
    cars, portions = await every_portion(each_engine, workflow_type="car")
    assert (cars.instances, portions) == ({"car": 1}, 1)
    assert {of for of, *_ in cars.handled} == {"car"}
    monkeypatch.setattr(flow_queries, "_ROWS", 1)
    assert await every_portion(each_engine, workflow_type="car") == (cars, 4)
    monkeypatch.setattr(flow_queries, "_ENTRIES", 4)
    assert await every_portion(each_engine) == (whole, 3)


async def test_only_instances_since_a_time_and_of_a_namespace(each_engine: Engine) -> None:
    await each_engine.store.start([a_start("old"), a_start("new")])
    await each_engine.rows(
        "UPDATE workflow_instances SET created_at = now() - interval '2 days' "
        "WHERE workflow_instance_id = 'old'"
    )
    since = datetime.now(UTC) - timedelta(days=1)
    looked = await each_engine.queries.flow(since)
    assert (looked.seen.instances, looked.after) == ({"claim": 1}, None)
    looked = await each_engine.queries.flow(since, namespace="other")
    assert looked.seen == Observations()


async def test_a_portion_is_read_by_index_only(each_engine: Engine, each_database_url: str) -> None:
    await some_claims(each_engine)
    reads = await reads_of(each_engine, each_database_url, every_portion)
    for table in ("workflow_instances", "history", "events"):
        assert reads[table].rows > 0, table
        assert reads[table].whole == 0, table
