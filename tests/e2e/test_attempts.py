"""Attempts, dead letters, cancelling, long calls: what a task's failure leads to, in both forms."""

from collections.abc import AsyncIterator

import pytest
from support.moody import Moody
from support.operators import Operator
from support.stories import attempts, read_story
from support.system import System
from support.waiting import eventually

from waystation.v1.blocker_pb2 import BLOCKER_KIND_IN_CALL as IN_CALL
from waystation.v1.status_pb2 import WORKFLOW_STATUS_ACTIVE as ACTIVE
from waystation_worker import Client

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def moody(system: System, tmp_path_factory: pytest.TempPathFactory) -> Moody:
    """The misbehaving service, in one process."""
    moody = Moody(system, tmp_path_factory.mktemp("moody"))
    moody.start()
    return moody


@pytest.fixture
async def client(system: System, moody: Moody) -> AsyncIterator[Client]:
    """A client of a system that has the service."""
    async with system.client() as client:
        yield client


@pytest.fixture
def operator(system: System) -> Operator:
    """The same system's dead letters."""
    return Operator(system.address)


async def test_failed_attempts_are_repeated_with_growing_waits_and_leave_nothing_behind(
    client: Client, moody: Moody
) -> None:
    done = await client.run("flaky", {"failures": 3}, timeout=60)
    assert (done.status, done.output) == ("COMPLETED", {"attempt": 4})
    assert done.data == {"failures": 3, "tries": 4}
    story = await read_story(client, done.id)
    tries = attempts(story, "flaky")
    assert [(entry.attempt, entry.will_retry) for entry in tries] == [
        (1, True),
        (2, True),
        (3, True),
        (4, False),
    ]
    assert "attempt 2 had no luck" in tries[1].error.message
    waits = [
        entry.next_attempt_at.ToNanoseconds() - entry.processed_at.ToNanoseconds()
        for entry in tries[:3]
    ]
    assert [round(wait / 1e6) for wait in waits] == [50, 100, 200]
    calls = moody.seen(done.id)
    assert [call.attempt for call in calls] == [1, 2, 3, 4]
    assert len({call.key for call in calls}) == 1


async def test_after_its_last_attempt_a_delivery_fails_the_workflow_and_its_retry_opens_it_again(
    client: Client, moody: Moody, operator: Operator
) -> None:
    failed = await client.run("flaky", {"failures": 99}, timeout=60)
    assert (failed.status, failed.outcome) == ("FAILED", "DONE")
    assert failed.data == {"failures": 99}
    (letter,) = await operator.open_dead_letters(failed.id)
    assert (letter.task_id, letter.attempts, letter.error.permanent) == ("flaky", 4, False)
    assert "attempt 4 had no luck" in letter.error.message
    await operator.retry(letter.dead_letter_id, {"failures": 0})
    done = await client.wait(failed.id, timeout=60)
    assert (done.status, done.failure) == ("COMPLETED", None)
    assert await operator.open_dead_letters(failed.id) == []
    keys = [call.key for call in moody.seen(failed.id)]
    assert keys == [keys[0]] * 4 + [f"{keys[0]}:edit-1"]
    await read_story(client, failed.id)


async def test_a_dead_letter_under_continue_leaves_the_workflow_open(
    client: Client, operator: Operator
) -> None:
    started = await client.start("unlucky")
    (letter,) = await eventually(
        lambda: operator.open_dead_letters(started.id), what="the dead letter"
    )
    assert letter.attempts == 2
    explained = await client.explain(started.id)
    assert (explained.context.status, explained.context.HasField("idle")) == (ACTIVE, False)
    assert [blocker.dead_letter_id for blocker in explained.blockers] == [letter.dead_letter_id]
    await operator.discard(letter.dead_letter_id)
    assert (await client.wait(started.id, timeout=30)).outcome == "IDLE"


async def test_a_task_may_say_when_to_come_back(client: Client) -> None:
    done = await client.run("later", timeout=60)
    assert done.output == {"attempt": 2}
    first, second = attempts(await read_story(client, done.id), "later")
    assert (first.error.reason, first.error.message) == ("RATE_LIMITED", "come back in a second")
    passed = second.processed_at.ToNanoseconds() - first.processed_at.ToNanoseconds()
    assert 1.0 <= passed / 1e9 < 5.0


async def test_a_rejected_event_is_dead_lettered_at_once_and_rescued_by_an_edited_payload(
    client: Client, moody: Moody, operator: Operator
) -> None:
    failed = await client.run("picky", {"amount": "a lot"}, timeout=60)
    assert failed.status == "FAILED"
    assert failed.failure is not None
    assert failed.failure.reason == "AMOUNT_MISSING"
    (letter,) = await operator.open_dead_letters(failed.id)
    assert (letter.attempts, letter.error.permanent) == (1, True)
    assert letter.error.metadata["field"] == "amount"
    await operator.retry(letter.dead_letter_id, {"amount": 12})
    done = await client.wait(failed.id, timeout=60)
    assert (done.status, done.data["amount"]) == ("COMPLETED", 12)
    assert len(moody.seen(failed.id)) == 2


async def test_a_call_beyond_its_timeout_is_a_failed_attempt(client: Client) -> None:
    done = await client.run("late", timeout=60)
    assert done.output == {"attempt": 2}
    first = attempts(await read_story(client, done.id), "late")[0]
    assert first.error.code == "DEADLINE_EXCEEDED"
    assert 0.4 < first.duration.ToNanoseconds() / 1e9 < 3.0


async def test_a_call_that_outlasts_its_message_takes_effect_once(
    client: Client, moody: Moody
) -> None:
    # A lease after 2 s, and within 2 more a comparison with what its router has in hand.
    started = await client.start("long", {"seconds": 6})

    async def states() -> set[int]:
        return {blocker.kind for blocker in (await client.explain(started.id)).blockers}

    # In call with a row of its own, so that its message could be acked.
    await eventually(states, until=lambda kinds: IN_CALL in kinds, what="the call to get a lease")
    done = await client.wait(started.id, timeout=60)
    assert done.output == {"attempt": 1}
    assert len(moody.seen(started.id)) == 1
    await read_story(client, started.id)


async def test_cancelling_ends_the_workflow_and_the_call_in_flight(
    client: Client, moody: Moody
) -> None:
    started = await client.start("endless")

    async def calls(note: str) -> int:
        return len(moody.seen(started.id, note))

    await eventually(lambda: calls("called"), what="the call")
    cancelled = await client.cancel(started.id, "changed my mind")
    assert cancelled.status == "CANCELLED"
    await eventually(lambda: calls("cancelled"), what="the call to be cancelled")
    assert await calls("called") == 1
    assert (await client.get(started.id)).status == "CANCELLED"
    await read_story(client, started.id)
