"""What becomes of results: attempts, suspects, conflicts, turns, limits. Each commit is checked by
`World` as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from domain.world import ROUTER, World, task

from waystation_conversion.sizes import json_size
from waystation_domain import actions
from waystation_domain.errors import TooManyEvents
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    Event,
    Failure,
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
    Cut,
    Failing,
    Reply,
    Verdict,
    WaitRequest,
)
from waystation_domain.results import EventTouch
from waystation_domain.task_spec import TaskSpec

A, B = task("a"), task("b")
LENIENT = task("lenient", on_failure=OnFailure.CONTINUE)
ERROR = AttemptError("UNAVAILABLE", "BUSY", "later")
BROKEN = AttemptError("TASK_FAILURE", "BROKEN", "it is broken", permanent=True)
CUT = Cut("the endpoint went away")
ALONE = Cut("the endpoint went away", alone=True)


def adds(place: str, value: Any = 1, *, reads: tuple[str, ...] | None = ()) -> Reply:
    return Reply(change=(Operation(place, "set", value),), reads=reads)


# --- several tasks of one event --------------------------------------------------------------


def test_an_event_is_settled_when_its_last_delivery_is() -> None:
    world = World()
    tasks = (A, B)
    assert world.handle(world.first, A, adds("/a"), tasks=tasks) is Verdict.APPLIED
    assert world.row(world.first, B) == Delivery(
        world.first.event_id, "b", DeliveryState.LEASED, leased_by=ROUTER
    )
    assert world.instance.idle is None
    assert world.handle(world.first, B, adds("/b"), tasks=tasks) is Verdict.APPLIED
    assert world.instance.data == {"a": 1, "b": 1}
    assert world.instance.idle is not None
    assert world.instance.idle.event_id == world.first.event_id


def test_the_tasks_of_an_event_are_fixed_once() -> None:
    """Who was not among them at the first commit has nothing to say later."""
    world = World()
    world.handle(world.first, A, adds("/a"), tasks=(A, B))
    stranger = task("stranger")
    assert world.handle(world.first, stranger, adds("/s"), tasks=(A, stranger)) is Verdict.DUPLICATE
    assert world.instance.data == {"a": 1}


def test_a_result_of_a_task_that_is_none_of_the_events_is_dropped() -> None:
    world = World()
    result = CallResult(B, 1, 1, adds("/b"))
    touched = world.touch(EventTouch(world.first, (A,), {"b": result}))
    assert touched == {"b": Verdict.DUPLICATE}
    assert world.first.event_id in world.outbox


# --- once ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome", [adds("/a"), ERROR, BROKEN, CUT, Reply(end=Completion())], ids=str
)
@pytest.mark.parametrize("tasks", [(A,), (A, B)], ids=["alone", "with another"])
def test_a_result_that_comes_again_changes_nothing(
    outcome: Reply | AttemptError | Cut, tasks: tuple[TaskSpec, ...]
) -> None:
    """What a router does after a commit of unknown outcome: the same result once more."""
    world = World()
    result = EventTouch(world.first, tasks, {"a": CallResult(A, 1, 1, outcome)})
    assert world.touch(result) == {"a": Verdict.APPLIED}
    after = world.instance
    assert world.touch(result) == {"a": Verdict.DUPLICATE}
    assert world.instance is after


def test_the_attempt_of_a_suspect_is_counted_once() -> None:
    world = World()
    world.handle(world.first, A, CUT)
    world.claim(world.first, A)
    # The commit of the first cut is repeated, as its answer was lost: it is no proof against a suspect.
    assert world.handle(world.first, A, CUT) is Verdict.DUPLICATE
    assert world.handle(world.first, A, ALONE) is Verdict.APPLIED
    assert world.handle(world.first, A, ALONE) is Verdict.DUPLICATE
    row = world.row(world.first, A)
    assert row is not None
    assert (row.attempts, row.suspect) == (1, True)


# --- attempts --------------------------------------------------------------------------------


def test_errors_are_retried_and_then_dead_lettered_with_their_cause() -> None:
    world = World()
    for attempt in (1, 2):
        assert world.handle(world.first, A, ERROR, attempt=attempt) is Verdict.APPLIED
        row = world.row(world.first, A)
        assert row is not None
        assert (row.state, row.attempts) == (DeliveryState.READY, attempt)
        assert row.last_error == ERROR.to_json(json_size)
        world.claim(world.first, A)
    assert world.handle(world.first, A, ERROR, attempt=3) is Verdict.APPLIED
    (letter,) = world.open_dead_letters()
    assert (letter.attempts, letter.task_id) == (3, "a")
    entries = [entry for entry in world.history if entry.processed_by == "a"]
    assert [(e.attempt, e.will_retry) for e in entries] == [(1, True), (2, True), (3, False)]
    assert world.instance.failure is not None
    assert world.instance.failure.reason == "BUSY"


def test_retry_after_replaces_the_backoff() -> None:
    world = World()
    world.handle(world.first, A, replace(ERROR, retry_after=7.5))
    row = world.row(world.first, A)
    assert row is not None
    assert row.due_in == 7.5
    assert world.history[-1].retry_in == 7.5


def test_a_cut_call_costs_nothing_once_and_an_attempt_when_it_was_alone() -> None:
    world = World()
    for attempts in range(3):
        cut = ALONE if attempts else CUT
        assert world.handle(world.first, A, cut, attempt=max(attempts, 1)) is Verdict.APPLIED
        row = world.row(world.first, A)
        assert row is not None
        assert (row.state, row.attempts, row.suspect) == (DeliveryState.READY, attempts, True)
        world.claim(world.first, A)
    world.handle(world.first, A, ALONE, attempt=3)
    (letter,) = world.open_dead_letters()
    assert letter.attempts == 3
    assert world.instance.failure is not None
    assert world.instance.failure.reason == "CALL_CUT"


def test_a_suspect_whose_routers_died_each_time_is_given_up_without_a_call() -> None:
    """No result ever came: the claims alone recorded the attempts."""
    world = World()
    world.handle(world.first, A, CUT)
    for _ in range(A.retry.max_attempts + 1):
        claimed = world.claim(world.first, A)
        world.deliveries[world.first.event_id, "a"] = replace(
            claimed, state=DeliveryState.READY, leased_by=None
        )
    world.deliveries[world.first.event_id, "a"] = claimed
    given_up = world.handle(world.first, A, ALONE, attempt=A.retry.max_attempts)
    assert given_up is Verdict.APPLIED
    (letter,) = world.open_dead_letters()
    assert letter.attempts == A.retry.max_attempts


def test_a_suspect_that_answers_is_no_suspect_any_more() -> None:
    world = World()
    world.handle(world.first, A, CUT)
    claimed = world.claim(world.first, A)
    assert world.handle(world.first, A, ERROR, attempt=claimed.attempts) is Verdict.APPLIED
    row = world.row(world.first, A)
    assert row is not None
    assert (row.attempts, row.suspect, row.state) == (1, False, DeliveryState.READY)
    world.claim(world.first, A)
    assert world.handle(world.first, A, adds("/a"), attempt=2) is Verdict.APPLIED


def test_what_another_router_calls_now_counts_there() -> None:
    """A broken lease: the old call's success counts, its error does not."""
    world = World()
    world.touch(EventTouch(world.first, (A,), {}, {"a": _leased(world.first, ROUTER)}))
    world.deliveries[world.first.event_id, "a"] = _leased(world.first, "router-2", attempts=1)
    assert world.handle(world.first, A, ERROR) is Verdict.DUPLICATE
    assert world.handle(world.first, A, CUT) is Verdict.DUPLICATE
    row = Delivery(world.first.event_id, "a", DeliveryState.NO_ENDPOINT)
    world.touch(EventTouch(world.first, (A,), {}, {"a": row}))
    assert world.row(world.first, A) == _leased(world.first, "router-2", attempts=1)
    assert world.handle(world.first, A, adds("/a")) is Verdict.APPLIED
    assert world.instance.data == {"a": 1}


def _leased(event: Event, router_id: str, attempts: int = 0) -> Delivery:
    return Delivery(
        event.event_id,
        "a",
        DeliveryState.LEASED,
        leased_by=router_id,
        suspect=bool(attempts),
        attempts=attempts,
    )


def test_one_failing_delivery_holds_back_no_other_of_its_event() -> None:
    world = World()
    tasks = (LENIENT, A)
    world.handle(world.first, LENIENT, BROKEN, tasks=tasks)
    assert world.instance.status is Status.ACTIVE
    assert world.handle(world.first, A, adds("/a"), tasks=tasks) is Verdict.APPLIED
    assert world.instance.data == {"a": 1}


@pytest.mark.parametrize("fault", [ERROR, CUT, BROKEN])
def test_a_failure_comes_before_another_result_of_the_event_and_stops_nothing(fault: Any) -> None:
    """Neither in the commit that has both, nor while the failed one waits for its next attempt."""
    world = World()
    tasks = (LENIENT, A, B)
    results = {
        "lenient": CallResult(LENIENT, 1, 1, fault),
        "a": CallResult(A, 1, 1, adds("/a")),
    }
    verdicts = world.touch(EventTouch(world.first, tasks, results))
    assert verdicts == {"lenient": Verdict.APPLIED, "a": Verdict.APPLIED}
    assert world.handle(world.first, B, adds("/b"), tasks=tasks) is Verdict.APPLIED
    assert world.instance.data == {"a": 1, "b": 1}


def test_a_failed_workflow_holds_the_other_deliveries_of_the_event_in_call() -> None:
    world = World()
    world.handle(world.first, A, BROKEN, tasks=(A, B))
    assert [row.task_id for row, _ in world.held()] == ["b"]
    assert world.handle(world.first, B, adds("/b"), tasks=(A, B)) is Verdict.HELD
    world.retry(world.open_dead_letters()[0])
    assert {row.state for row in world.deliveries.values()} == {DeliveryState.READY}


# --- answers that break a rule ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(end=Completion(), waits=(WaitRequest("?"),)), "RESPONSE_INVALID"),
        (
            Reply(end=Completion(), events=(NewEvent("workflow.failed", {}),)),
            "RESPONSE_INVALID",
        ),
        (Reply(events=(NewEvent("workflow.completed", {}),) * 2), "RESPONSE_INVALID"),
        (Reply(events=(NewEvent("workflow.started", {}),)), "RESPONSE_INVALID"),
        (Reply(waits=(WaitRequest("?", "open"),)), "RESPONSE_INVALID"),
        (Reply(waits=(WaitRequest("?", "twice"), WaitRequest("?", "twice"))), "RESPONSE_INVALID"),
        (Reply(waits=(WaitRequest("?"),) * 100), "RESPONSE_INVALID"),
        (Reply(waits=(WaitRequest("?", "waystation.w"),)), "RESPONSE_INVALID"),
        (Reply(waits=(WaitRequest("?", answer_path="/n/answer"),)), "PATH_TYPE_MISMATCH"),
        (Reply(waits=(WaitRequest("?", answer_path="/left/answer"),)), "PATH_TYPE_MISMATCH"),
        (Reply(events=(NewEvent("user.input.assigned", {}),)), "RESPONSE_INVALID"),
        (Reply(events=(NewEvent("waystation.tick", {}),)), "RESPONSE_INVALID"),
        (Reply(change=(Operation("/n", "increment", 2**53 - 1),) * 2), "RESPONSE_INVALID"),
        (adds("/$waystation.blob"), "RESPONSE_INVALID"),
        (Reply(events=(NewEvent("next", {}),) * 1001), "TOO_MANY_EVENTS"),
        (Reply(events=(NewEvent("next", {}),) * 9), "TOO_MANY_EVENTS"),
        (adds("/n/deeper"), "PATH_TYPE_MISMATCH"),
        (adds("no pointer"), "RESPONSE_INVALID"),
        (Reply(change=(Operation("", "remove"),)), "RESPONSE_INVALID"),
        (adds("/big", "x" * 2**20), "CONTEXT_TOO_LARGE"),
        (adds("/deep", [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]), "RESPONSE_INVALID"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_answer_that_breaks_a_rule_fails_permanently_and_nothing_of_it_takes_effect(
    reply: Reply, reason: str
) -> None:
    world = World({"n": 0}, max_events=10)
    world.handle(world.publish("ask"), B, Reply(waits=(WaitRequest("?", "open"),)))
    before = world.instance
    left = reply.change or (Operation("/left", "set", "behind"),)
    if isinstance(reply.end, Completion):
        reply = replace(reply, end=Completion({"never": "seen"}))
    reply = replace(reply, change=left)
    assert world.handle(world.first, A, reply) is Verdict.APPLIED
    (letter,) = world.open_dead_letters()
    assert letter.attempts == 1
    assert world.instance.failure is not None
    assert world.instance.failure.reason == reason
    assert world.instance.data is before.data
    assert world.instance.output is None
    assert world.instance.event_count == before.event_count + 1, "workflow.failed alone"


def test_inherited_metadata_counts_against_the_limit() -> None:
    world = World()
    many = {f"k{n}": "v" for n in range(30)}
    world.handle(world.first, A, Reply(events=(NewEvent("one", {}, metadata=many),)))
    more = Reply(events=(NewEvent("two", {}, metadata={"a": "1", "b": "2", "c": "3"}),))
    world.handle(world.raised("one")[0], A, more)
    assert world.instance.failure is not None
    assert world.instance.failure.reason == "RESPONSE_INVALID"


@pytest.mark.parametrize(
    "end", [Reply(end=Completion()), Reply(events=(NewEvent("workflow.completed", {}),))]
)
def test_an_instance_at_its_limit_of_events_can_still_end(end: Reply) -> None:
    world = World(max_events=2)
    world.publish("last")
    with pytest.raises(TooManyEvents):
        world.publish("one too many")
    assert world.handle(world.first, A, end) is Verdict.APPLIED
    assert world.instance.status is Status.COMPLETED
    assert world.instance.event_count == 3


def test_an_answer_may_ask_several_things_and_goes_on_when_all_are_answered() -> None:
    world = World()
    asks = (WaitRequest("how much?"), WaitRequest("by whom?", timeout=60.0), WaitRequest("?", "w"))
    world.handle(world.first, A, Reply(waits=asks))
    version = world.instance.version
    assert [wait.wait_id for wait in world.instance.waits] == [
        f"w-{version}",
        f"w-{version}-2",
        "w",
    ]
    (asked,) = world.raised("workflow.waiting_for_input")
    assert [wait["message"] for wait in asked.payload["waits"]] == ["how much?", "by whom?", "?"]
    for wait_id in (f"w-{version}", "w"):
        with world.drafting() as draft:
            actions.provide_input(draft, wait_id, {})
        assert world.instance.status is Status.WAITING_FOR_INPUT
    with world.drafting() as draft:
        actions.provide_input(draft, f"w-{version}-2", {})
    assert world.instance.status is Status.ACTIVE


def test_the_end_says_why_a_task_fails_its_workflow() -> None:
    world = World()
    end = Failing("FRAUD", "it looks odd", {"score": 97})
    world.handle(world.first, A, Reply(end=end))
    failure = world.instance.failure
    assert failure == Failure("FRAUD", "it looks odd", "a", world.first.event_id, {"score": 97})
    (failed,) = world.raised("workflow.failed")
    assert failed.payload == {**failure.to_json(), "open_dead_letters": 0}
    assert failed.payload["details"] == {"score": 97}


# --- what is raised --------------------------------------------------------------------------


def test_a_raised_event_inherits_from_its_cause_what_it_does_not_name() -> None:
    world = World()
    first = Reply(
        events=(NewEvent("one", {"n": 1}, priority=200, metadata={"traceparent": "t", "a": "1"}),)
    )
    world.handle(world.first, A, first)
    (one,) = world.raised("one")
    world.handle(one, A, Reply(events=(NewEvent("two", {}, metadata={"a": "2"}),)))
    (two,) = world.raised("two")
    assert (two.causation_id, two.raised_by) == (one.event_id, "a")
    assert (two.priority, two.correlation_id) == (200, "c")
    assert two.metadata == {"traceparent": "t", "a": "2"}
    assert two.version == world.instance.version
    assert world.history[-1].raised == (two.event_id,)


@pytest.mark.parametrize("by_event", [False, True])
def test_status_events_that_no_task_handles_settle_in_the_commit_that_raised_them(
    by_event: bool,
) -> None:
    world = World(resolve=lambda event_type, _: () if event_type.startswith("workflow.") else (A,))
    end = (
        Reply(events=(NewEvent("workflow.completed", {}), NewEvent("more", {})))
        if by_event
        else Reply(end=Completion(), events=(NewEvent("more", {}),))
    )
    world.handle(world.first, A, end)
    (completed,) = world.raised("workflow.completed")
    (more,) = world.raised("more")
    assert world.outbox == {more.event_id}
    assert world.history[-1].event_id == completed.event_id
    assert world.history[-1].result is Result.UNHANDLED
    assert world.touch(EventTouch(more, (A,))) == {}
    assert world.instance.unsettled == 0


def test_a_task_that_fails_its_workflow_says_why() -> None:
    world = World()
    payload = {"reason": "FRAUD", "message": "the photo is older than the car"}
    world.handle(world.first, A, Reply(events=(NewEvent("workflow.failed", payload),)))
    failure = world.instance.failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("FRAUD", "the photo is older than the car")
    assert (failure.task_id, failure.event_id) == ("a", world.first.event_id)


def test_an_unhandled_event_leaves_the_instance_idle_and_says_so() -> None:
    world = World()
    world.handle(world.first, A, Reply(events=(NewEvent("claim.procesed", {}),)))
    assert world.instance.idle is None
    world.touch(EventTouch(world.raised("claim.procesed")[0], ()))
    assert world.instance.idle is not None
    assert world.instance.idle.message == "`claim.procesed` was raised by a; no task handles it"
