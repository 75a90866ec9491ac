"""Fan-out, timers, waits that end and results that follow: whole systems, in both forms."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.stories import read_story
from support.system import ROOT, System
from support.waiting import eventually

from waystation.v1.blocker_pb2 import BLOCKER_KIND_PENDING_COMPLETION
from waystation_worker import Client, TaskResult

pytestmark = pytest.mark.timeout(240)

SERVICE = ROOT / "tests" / "e2e" / "services" / "patient.py"


@pytest.fixture(scope="module")
def patient(system: System) -> Iterator[System]:
    """A system with the patient service."""
    system.start_handlers(SERVICE, count=2)
    return system


@pytest.fixture
async def client(patient: System) -> AsyncIterator[Client]:
    async with patient.client() as client:
        yield client


async def test_a_thousand_branches_of_which_ten_fail_are_followed_once_by_then(
    client: Client,
) -> None:
    done = await client.run("crowd", {"size": 1000}, timeout=120)
    assert done.status == "COMPLETED"
    failed = list(range(7, 1000, 100))
    assert done.output == {"served": 990, "failed": failed}
    assert done.data["settled"] == [failed]
    story = await read_story(client, done.id)
    joins = [entry for entry in story.entries if entry.action == "fan_in"]
    assert [entry.note for entry in joins] == [
        "1000 of 1000 branches settled, 990 of them successfully"
    ]


async def test_an_empty_fan_out_goes_on_at_once(client: Client) -> None:
    done = await client.run("crowd", {"size": 0, "served": 0}, timeout=60)
    assert (done.status, done.output) == ("COMPLETED", {"served": 0, "failed": []})


async def test_a_delayed_event_comes_at_its_time_and_not_before(client: Client) -> None:
    done = await client.run("reminder", {"delay": 0.5}, timeout=60)
    assert done.output == {"reminded": True}
    (due,) = [event async for event in client.events(done.id) if event.event_type == "reminder.due"]
    story = await read_story(client, done.id)
    (entry,) = [entry for entry in story.entries if entry.processed_by == "reminded"]
    assert due.created_at is not None
    waited = entry.processed_at.ToNanoseconds() / 1e9 - due.created_at.timestamp()
    assert waited >= 0.5


async def test_a_cancelled_workflow_leaves_no_timer(client: Client) -> None:
    started = await client.start("reminder", {"delay": 3600})
    events = await eventually(
        lambda: _events_of(client, started.id, "reminder.due"), what="the delayed event"
    )
    assert events == ["PENDING"]
    await client.cancel(started.id, "not needed")
    states = await eventually(
        lambda: _settled(client, started.id), what="everything of it to be settled"
    )
    assert states["reminder.due"] == "SKIPPED"


async def _events_of(client: Client, workflow_instance_id: str, event_type: str) -> list[str]:
    return [
        event.state
        async for event in client.events(workflow_instance_id)
        if event.event_type == event_type
    ]


async def _settled(client: Client, workflow_instance_id: str) -> dict[str, str] | None:
    states = {event.event_type: event.state async for event in client.events(workflow_instance_id)}
    return states if "PENDING" not in states.values() else None


@pytest.mark.parametrize("answers", [True, False])
async def test_a_branch_goes_on_with_an_answer_or_without_one(
    client: Client, answers: bool
) -> None:
    patience = 3600 if answers else 0.3
    asked = await client.run("question", {"patience": patience}, timeout=60)
    if answers:
        assert asked.outcome == "WAITING_FOR_INPUT"
        await client.provide_input(asked.id, {"yes": True})
    done = await eventually(lambda: _ended(client, asked.id), what="its end")
    assert (done.status, done.output) == ("COMPLETED", {"answered": answers})


async def _ended(client: Client, workflow_instance_id: str) -> object:
    found = await client.wait(workflow_instance_id, timeout=30)
    return found if found.ended else None


async def test_what_expired_is_a_failed_branch_and_no_task_was_called_with_it(
    client: Client,
) -> None:
    done = await client.run("stale", timeout=60)
    assert done.output is not None
    assert done.output["served"] == 1
    (failed,) = done.output["failed"]
    assert (failed["branch"], failed["reason"]) == (0, "EXPIRED")


async def test_a_workflow_fails_at_its_deadline(client: Client) -> None:
    started = await client.start("endless", workflow_timeout=0.5)
    done = await eventually(lambda: _ended(client, started.id), what="its deadline")
    assert done.failure is not None
    assert (done.status, done.failure.reason) == ("FAILED", "WORKFLOW_DEADLINE_EXCEEDED")


async def test_a_result_that_follows_ends_the_delivery_from_another_process(
    client: Client, tmp_path: Path
) -> None:
    letterbox = tmp_path / "token"
    started = await client.start("handed-on", {"letterbox": str(letterbox)})

    async def pending() -> bool:
        blockers = (await client.explain(started.id)).blockers
        return any(blocker.kind == BLOCKER_KIND_PENDING_COMPLETION for blocker in blockers)

    await eventually(pending, what="the answer pending")
    result = TaskResult()
    result.increment("/n", 1)
    result.complete({"by": "somebody else"})
    await client.complete_delivery(letterbox.read_text(encoding="utf-8"), result)
    done = await client.wait(started.id, timeout=30)
    assert (done.status, done.output, done.data) == (
        "COMPLETED",
        {"by": "somebody else"},
        {**started.data, "n": 1},
    )


async def test_a_result_that_never_follows_is_a_failed_attempt(client: Client) -> None:
    done = await client.run("forgotten", timeout=60)
    assert done.failure is not None
    assert (done.status, done.failure.reason) == ("FAILED", "PENDING_TIMED_OUT")


async def test_timers_and_groups_outlive_the_routers(client: Client, patient: System) -> None:
    reminded = [await client.start("reminder", {"delay": 2.0}) for _ in range(10)]
    crowds = [await client.start("crowd", {"size": 20}) for _ in range(5)]
    patient.kill_a_router()
    for started in reminded:
        done = await eventually(lambda id=started.id: _ended(client, id), what="a reminder")
        assert done.output == {"reminded": True}
    for started in crowds:
        # What the dead router had in hand is called again with care, one by one.
        done = await eventually(
            lambda id=started.id: _ended(client, id), timeout=90, what="a crowd"
        )
        assert (done.output, done.data["settled"]) == ({"served": 19, "failed": [7]}, [[7]])
