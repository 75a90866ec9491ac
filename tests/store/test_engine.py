"""Starting, loading and committing on a real Postgres: both forms of the commit rule."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from store.instances import ROUTER, Engine, a_start, task

from waystation_core.ports.store import RegistryMoved, WriteRefused
from waystation_domain import actions, dead_letters
from waystation_domain.commit import EventFacts
from waystation_domain.errors import DeadLetterResolved
from waystation_domain.model import (
    NewEvent,
    OnFailure,
    Result,
    Status,
)
from waystation_domain.operations import Operation
from waystation_domain.outcomes import (
    AttemptError,
    CallResult,
    Completion,
    Patch,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import EventTouch, apply_touch, take_turn

A, B = task("a"), task("b")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)
BUSY = AttemptError("UNAVAILABLE", "BUSY", "later")


def sets(**members: Any) -> Reply:
    return Reply(change=tuple(Operation(f"/{key}", "set", v) for key, v in members.items()))


# --- starting --------------------------------------------------------------------------------


async def test_a_start_is_an_instance_an_event_and_an_outbox_row(each_engine: Engine) -> None:
    start = a_start("w-1", {"n": 1}, priority=200, request_id="r")
    (answer,) = await each_engine.store.start([start])
    assert (answer.created, answer.same_content, answer.request_reused) == (True, True, False)
    loaded = await each_engine.store.load([start.event.event_id, a_start().event.event_id])
    event, key = loaded.events[start.event.event_id]
    assert replace(event, created_at=None) == start.event
    assert loaded.instances == {key: answer.instance}
    assert loaded.facts == {event.event_id: EventFacts(True, {}, 1)}
    (entry,) = (await each_engine.queries.history(key)).entries
    assert entry.entry == start.entry
    await each_engine.check([key])


async def test_a_batch_may_name_one_instance_or_request_twice(engine: Engine) -> None:
    batch = [
        a_start("w-1"),
        a_start("w-1"),
        a_start("w-1", digest=b"other"),
        a_start("w-2", request_id="r"),
        a_start("w-3", request_id="r"),
        a_start("w-4", request_id="r", digest=b"other"),
        a_start("w-5"),
        a_start("w-1", request_id="s"),
    ]
    answers = await engine.store.start(batch)
    assert [
        (one.instance.workflow_instance_id, one.created, one.same_content, one.request_reused)
        for one in answers
    ] == [
        ("w-1", True, True, False),
        ("w-1", False, True, False),
        ("w-1", False, False, False),
        ("w-2", True, True, False),
        ("w-2", False, True, False),
        ("w-2", False, False, True),
        ("w-5", True, True, False),
        ("w-1", False, True, False),
    ]
    assert len(await engine.rows("SELECT 1 FROM events")) == 3


async def test_of_starts_that_race_one_creates(engine: Engine) -> None:
    ids = [f"w-{n}" for n in range(20)]

    async def start_all(seed: int) -> list[bool]:
        order = random.Random(seed).sample(ids, len(ids))
        answers = await engine.store.start([a_start(one) for one in order])
        assert all(one.same_content for one in answers)
        return [one.created for one in answers]

    created = await asyncio.gather(*(start_all(seed) for seed in range(6)))
    assert sum(map(sum, created)) == len(ids)
    assert len(await engine.rows("SELECT 1 FROM outbox")) == len(ids)


# --- the first form --------------------------------------------------------------------------


async def test_what_was_decided_is_stored(engine: Engine) -> None:
    """One life through every kind of row; `handle` compares the copy after each commit."""
    instance, first = await engine.started({"n": 1})
    key = instance.key
    raising = Reply(
        (NewEvent("one", {"x": None}, priority=3, metadata={"m": "1"}, schema_version="v2"),),
        Patch({"n": None, "deep": {"er": [1, {}]}}),
    )
    commit = await engine.handle(first, A, raising)
    one = commit.raised[0]
    loaded = await engine.store.load([first.event_id, one.event_id])
    assert loaded.facts[first.event_id] == EventFacts(False)
    assert loaded.facts[one.event_id] == EventFacts(True, {}, 1)
    assert loaded.events[one.event_id][0] == one
    newest = await engine.store.newest_history(key, up_to=2, limit=1)
    entry = newest[0].entry
    assert [entry] == commit.entries
    assert await engine.store.newest_history(key, up_to=0, limit=1) == []
    assert (entry.duration_us, entry.result) == (1500, Result.SUCCESS)

    commit = await engine.handle(one, LENIENT, replace(BUSY, retry_after=30.0))
    row = (await engine.store.load([one.event_id])).facts[one.event_id].deliveries["lenient"]
    assert replace(row, due_in=30.0) == commit.deliveries_put[one.event_id, "lenient"]
    stored = (await engine.queries.history(key)).entries[-1]
    assert stored.next_attempt_at is not None
    assert (stored.next_attempt_at - stored.processed_at).total_seconds() == 30.0

    await engine.handle(one, LENIENT, BROKEN, attempt=2)
    await engine.handle(
        await engine.publish(key), A, Reply(waits=(WaitRequest("?", "w", {"a": 1}),))
    )
    async with engine.drafting(key) as (_, draft):
        actions.provide_input(draft, "w", {"answer": 5e-324})
    await engine.check_copy(draft.commit())
    two, three = await engine.publish(key), await engine.publish(key)
    async with engine.drafting(key, two.event_id) as (_, draft):
        take_turn(draft, EventTouch(two, (A,)), A, router_id=ROUTER)
    await engine.check_copy(draft.commit())
    await engine.handle(two, A, Reply())
    await engine.handle(three, B, BROKEN)
    await engine.check([key])
    await _retry_and_complete(engine, key)


async def _retry_and_complete(engine: Engine, key: int) -> None:
    """The instance is FAILED, with a dead letter of each kind; input waits to be handled."""
    letters = await engine.rows("SELECT dead_letter_id::text FROM dead_letters ORDER BY task_id")
    (waiting,) = await engine.rows(
        "SELECT o.event_id::text FROM outbox o JOIN events e ON e.event_id = o.event_id "
        "WHERE event_type = 'user.input.provided'"
    )
    async with engine.drafting(key, waiting[0]) as (locked, draft):
        event = await locked.event(waiting[0])
        assert event is not None
        apply_touch(draft, EventTouch(event, (A,)), router_id=ROUTER)
    async with engine.store.locked(key=key) as locked:
        assert [one.event_id for _, one in await locked.held()] == [waiting[0]]
    for letter_id, payload in zip(letters, ({"edited": True}, None), strict=True):
        async with engine.store.locked(key=key) as locked:
            letter = await locked.dead_letter(letter_id[0])
            held = await locked.held()
            facts = await locked.facts_of(
                [letter.event.event_id, *(event.event_id for _, event in held)]
            )
            draft = engine.draft(locked, facts)
            dead_letters.retry_dead_letter(draft, letter, payload, held)
            await locked.write(draft.commit())
            with pytest.raises(DeadLetterResolved) as resolved:
                await locked.dead_letter(letter_id[0])
            assert resolved.value.metadata["state"] == "RETRIED"
        await engine.check_copy(draft.commit())
    assert await engine.rows("SELECT count(*) FROM deliveries WHERE state = 1") == [(3,)]
    assert (await engine.instance(key)).status is Status.ACTIVE
    await engine.handle(await engine.publish(key), A, Reply(end=Completion()))
    await engine.check([key])


@pytest.mark.parametrize("rare", [False, True])
async def test_an_instance_that_moved_is_not_written_and_others_are(
    engine: Engine, rare: bool
) -> None:
    (moved, one), (other, two) = await engine.started(), await engine.started()
    reply = BROKEN if rare else sets(n=1)
    commits = [await engine.decide(event.event_id, A, reply) for event in (one, two)]
    await engine.publish(moved.key)
    before = await engine.everything()
    assert await engine.write(*commits) == {other.key}
    after = await engine.everything()
    for table, rows in before.items():
        mine = [row for row in rows if f'"{moved.workflow_instance_id}"' in row[0]]
        assert [row for row in after[table] if row in mine] == mine
    assert (await engine.instance(moved.key)).data == {}
    await engine.check([moved.key, other.key])


async def test_a_locked_instance_is_not_written_and_not_waited_for(engine: Engine) -> None:
    (busy, one), (other, two) = await engine.started(), await engine.started()
    commits = [await engine.decide(event.event_id, A, sets(n=1)) for event in (one, two)]
    async with engine.store.locked(key=busy.key):
        # Waiting would end only with this block.
        async with asyncio.timeout(5):
            assert await engine.write(*commits) == {other.key}
    assert await engine.write(commits[0]) == {busy.key}


async def test_a_commit_of_unknown_outcome_is_repeated_as_it_is(engine: Engine) -> None:
    instance, event = await engine.started()
    commit = await engine.decide(event.event_id, A, sets(n=1))
    assert await engine.write(commit) == {instance.key}
    before = await engine.everything()
    assert await engine.write(commit) == set()
    verdict = await engine.handle_locked(instance.key, event, A, sets(n=1), base=1)
    assert verdict is Verdict.DUPLICATE
    assert await engine.everything() == before


async def test_of_two_commits_at_once_one_is_written(engine: Engine) -> None:
    """Twenty instances, each decided twice from one version, both sent at the same moment."""
    started = [await engine.started() for _ in range(20)]
    batches = [
        [await engine.decide(event.event_id, by, sets(by=by.task_id)) for _, event in started]
        for by in (A, B)
    ]
    generation = await engine.generation()
    barrier = asyncio.Barrier(2)

    async def send(at: int) -> set[int]:
        await barrier.wait()
        return await engine.write(*batches[at], generation=generation)

    written = await asyncio.gather(send(0), send(1))
    assert not written[0] & written[1]
    for at, commits in enumerate(batches):
        for commit in commits:
            key = commit.before.key
            if key in written[at]:
                assert (await engine.instance(key)).data == commit.after.data
    await engine.check([instance.key for instance, _ in started])


async def test_what_rests_on_the_registry_is_written_only_at_its_generation(
    engine: Engine,
) -> None:
    instance, event = await engine.started()
    first_touch = await engine.decide(event.event_id, A, BUSY)
    generation = await engine.generation()
    await engine.rows("UPDATE registry SET generation = generation + 1")
    assert await engine.write(first_touch, generation=generation) == set()
    assert await engine.write(first_touch, generation=generation + 1) == {instance.key}
    later = await engine.decide(event.event_id, A, sets(n=1), attempt=2)
    assert await engine.write(later, generation=generation) == {instance.key}


async def test_the_locked_form_shows_that_the_registry_moved(engine: Engine) -> None:
    instance, event = await engine.started()
    before = await engine.everything()

    async def commit() -> None:
        async with engine.drafting(instance.key, event.event_id) as (locked, draft):
            await engine.rows("UPDATE registry SET generation = generation + 1")
            result = {"a": CallResult(A, 1, 1, sets(n=1))}
            apply_touch(draft, EventTouch(event, (A,), result), router_id=ROUTER)
            await locked.remember("Rpc", "r", b"digest", {})

    with pytest.raises(RegistryMoved):
        await commit()
    assert await engine.everything() == before
    assert await engine.rows("SELECT 1 FROM requests") == []


async def test_a_second_final_outcome_is_refused_by_the_table_itself(engine: Engine) -> None:
    """The last guard: a commit that no rule of the domain would make."""
    instance, event = await engine.started()
    first = await engine.handle(event, A, sets(n=1))
    forged = first.entries[0]
    now = await engine.instance(instance.key)
    second = replace(
        first,
        before=now,
        after=replace(now, version=now.version + 1, revision=now.revision + 1),
        entries=[replace(forged, sequence=now.version + 1)],
        outbox_remove=[],
    )
    _, other_event = await engine.started()
    innocent = await engine.decide(other_event.event_id, A, Reply())
    before = await engine.everything()
    with pytest.raises(WriteRefused):
        await engine.write(innocent, second)
    assert await engine.everything() == before
