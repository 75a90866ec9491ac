"""The test kit's workflows in memory: they end as the engine's would, in every order."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from example_data.flow import CLAIMS, read_claim

from insurance_claim.service import WORKFLOW_TYPE, build_service
from waystation_worker import (
    Backoff,
    HandlerService,
    InvalidRequest,
    Reject,
    RetryAfter,
    TaskContext,
    WaitIdRequired,
    WorkflowAlreadyExists,
    WorkflowEnded,
    WorkflowNotWaiting,
)
from waystation_worker.testing import Stuck, TestEngine

SEEDS = range(12)


def service_of(**tasks: Any) -> HandlerService:
    """`name=(function, "event", options...)`."""
    service = HandlerService("orders")
    for name, (function, event, *options) in tasks.items():
        events = [event] if isinstance(event, str) else event
        service.task(name, events=events, workflow_types=["order"], **(*options, {})[0])(function)
    return service


def emits(*types: str) -> Any:
    def task(ctx: TaskContext) -> None:
        for event_type in types:
            ctx.emit(event_type)

    return task


def completes(ctx: TaskContext) -> None:
    ctx.complete({"done": True})


def rejects(ctx: TaskContext) -> None:
    raise Reject("NO", "never")


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_naive_join_fires_once_though_everything_is_called_twice(seed: int) -> None:
    calls: Counter[str] = Counter()
    keys: set[str] = set()

    def branch(ctx: TaskContext) -> None:
        calls[ctx.task_id] += 1
        keys.add(ctx.idempotency_key)
        ctx.data.increment("ended")
        ctx.data.append("order", ctx.task_id)
        ctx.data["done"][ctx.task_id] = True
        if all(ctx.data["done"].values()):
            ctx.emit("joined")

    names = ["a", "b", "c", "d"]
    service = service_of(
        **dict.fromkeys(names, (branch, "go")),
        fan=(emits("go"), "workflow.started"),
        end=(completes, "joined"),
    )
    engine = TestEngine(service, seed=seed)
    run = engine.start("order", {"done": dict.fromkeys(names, False)})
    await run.until_ended()
    assert run.raised.count("joined") == 1
    assert run.data["ended"] == 4
    assert sorted(run.data["order"]) == names
    assert run.output == {"done": True}
    assert all(calls[name] >= 2 for name in names)
    assert len(keys) == 4
    assert [entry.result for entry in run.history if entry.processed_by == "a"] == ["SUCCESS"]
    assert [entry.sequence for entry in run.history] == list(range(1, run.version + 1))


async def test_one_seed_is_one_order_and_seeds_differ() -> None:
    def branch(ctx: TaskContext) -> None:
        ctx.data.append("order", ctx.task_id)

    service = service_of(**dict.fromkeys("abcdef", (branch, "workflow.started")))

    async def order(seed: int) -> Any:
        run = TestEngine(service, seed=seed).start("order")
        await run.until_quiet()
        return run.data["order"], run.timeline().partition("\n")[2]

    assert await order(3) == await order(3)
    assert len({tuple((await order(seed))[0]) for seed in SEEDS}) > 6


async def test_what_conflicts_is_called_again_with_fresh_data() -> None:
    def add(ctx: TaskContext) -> None:
        ctx.data["n"] = ctx.data["n"] + 1

    service = service_of(**dict.fromkeys("abcdef", (add, "workflow.started")))
    conflicts = 0
    for seed in SEEDS:
        run = TestEngine(service, seed=seed).start("order", {"n": 0})
        await run.until_quiet()
        assert run.data == {"n": 6}
        conflicts += run.conflicts
    assert conflicts


@pytest.mark.parametrize("duplicates", [True, False])
async def test_retries_come_at_their_time_and_the_clock_is_the_tests(duplicates: bool) -> None:
    attempts: list[tuple[int, float]] = []

    def flaky(ctx: TaskContext) -> None:
        attempts.append((ctx.attempt, (engine.now - start).total_seconds()))
        if ctx.attempt == 1:
            raise RetryAfter(90, "BUSY", "later")
        if ctx.attempt < 5:
            raise OSError("down")
        ctx.complete()

    backoff = {"backoff": Backoff(2, 3, 10)}
    engine = TestEngine(
        service_of(flaky=(flaky, "workflow.started", backoff)), duplicates=duplicates
    )
    start, run = engine.now, engine.start("order")
    with pytest.raises(Stuck, match=r"workflow.started for flaky is retried in 90 s"):
        await run.until_ended()
    await engine.advance(89)
    assert {attempt for attempt, _ in attempts} == {1}
    await engine.advance(1_000)
    await run.until_ended()
    # 90, then 2 x 3^(n-1) at most 10: attempts 2, 3 and 4 failed.
    assert sorted(set(attempts)) == [(1, 0), (2, 90), (3, 96), (4, 106), (5, 116)]
    assert len(attempts) == (10 if duplicates else 5)
    assert [entry.result for entry in run.history if entry.processed_by == "flaky"] == [
        *["FAILED"] * 4,
        "SUCCESS",
    ]
    assert (engine.now - start).total_seconds() == 1_089


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_dead_letter_fails_the_workflow_holds_the_rest_and_is_rescued(seed: int) -> None:
    def read(ctx: TaskContext) -> None:
        if ctx.event.payload["text"] == "?":
            raise Reject("UNREADABLE", "no text")
        ctx.data["key"] = ctx.idempotency_key
        ctx.emit("read")

    service = service_of(
        read=(read, "workflow.started"),
        other=(emits("noted"), "workflow.started"),
        note=(emits(), "noted"),
        mail=(emits("mailed"), "workflow.failed"),
        log=(lambda ctx: ctx.data.increment("mails"), "mailed"),
        end=(completes, "read"),
    )
    run = TestEngine(service, seed=seed).start("order", {"text": "?"})
    await run.until_quiet()
    [letter] = run.dead_letters
    assert (letter.task_id, letter.attempts, letter.failure.reason) == ("read", 1, "UNREADABLE")
    assert run.failure is not None
    assert (run.status, run.failure.task_id) == ("FAILED", "read")
    # What the end raised, and what followed, was delivered; the rest is as it was, or held.
    assert run.data["mails"] == 1
    with pytest.raises(WorkflowEnded):
        run.publish("x")
    run.retry(letter, {"text": "fine"})
    assert (run.status, run.failure) == ("ACTIVE", None)
    await run.until_ended()
    assert (run.status, run.dead_letters) == ("COMPLETED", [])
    assert run.data["key"].endswith(":read:edit-1")
    states = {event.event_type: event.state for event in run.events}
    assert states["workflow.started"] == "SETTLED"
    assert states["noted"] in ("SETTLED", "SKIPPED")


async def test_a_discarded_dead_letter_releases_held_deliveries() -> None:
    def undo(ctx: TaskContext) -> None:
        if not ctx.event.payload["open_dead_letters"] and ctx.status == "FAILED":
            ctx.data["undone"] = ctx.event.event_type

    service = service_of(
        bad=(rejects, "workflow.started"),
        other=(emits("other.done"), "workflow.started"),
        late=(emits(), "other.done"),
        undo=(undo, ["workflow.failed", "workflow.dead_letter.discarded"]),
    )
    held = 0
    for seed in SEEDS:
        run = TestEngine(service, seed=seed).start("order")
        await run.until_quiet()
        held += "is held until a dead letter is retried" in run.timeline()
        run.discard(run.dead_letters[0])
        await run.until_quiet()
        assert run.status == "FAILED"
        assert run.data == {"undone": "workflow.dead_letter.discarded"}
        assert {event.state for event in run.events} <= {"SETTLED", "SKIPPED", "UNHANDLED"}
    assert held


async def test_an_answer_that_may_not_be_is_refused_as_the_engine_refuses_it() -> None:
    run = TestEngine(
        service_of(
            ask=(lambda ctx: ctx.wait_for_input("?", answer_path="/a/b"), "workflow.started")
        )
    ).start("order")
    await run.until_waiting()
    deep: dict[str, Any] = {}
    for _ in range(14):
        deep = {"d": deep}
    for answer, by, reason in (
        (deep, "", "INVALID_STRUCT"),
        ({}, "x" * 201, "INVALID_FIELD"),
        ({}, "\0", "INVALID_FIELD"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            run.provide_input(answer, answered_by=by)
        assert (refused.value.reason, refused.value.code) == (reason, "INVALID_ARGUMENT")
    run.provide_input(deep["d"], answered_by="x" * 200)
    assert run.data == {"a": {"b": deep["d"]}}


async def test_under_continue_the_workflow_goes_on() -> None:
    service = service_of(
        bad=(rejects, "workflow.started", {"on_failure": "continue"}),
        good=(emits("good.done"), "workflow.started"),
        end=(completes, "good.done"),
    )
    run = TestEngine(service).start("order")
    await run.until_ended()
    assert (run.status, len(run.dead_letters)) == ("COMPLETED", 1)
    with pytest.raises(WorkflowEnded):
        run.retry(run.dead_letters[0])


async def test_people_are_asked_and_answer() -> None:
    def ask(ctx: TaskContext) -> None:
        ctx.wait_for_input(
            f"{ctx.task_id}?",
            {"type": "object"},
            f"w-{ctx.task_id}",
            answer_path=f"/{ctx.task_id}" if ctx.task_id == "size" else None,
        )

    def go_on(ctx: TaskContext) -> None:
        said.append(ctx.event.payload)
        if {"colour", "size"} <= ctx.data.keys():
            ctx.complete({"both": [ctx.data["colour"], ctx.data["size"]]})

    said: list[Any] = []

    service = service_of(
        colour=(ask, "workflow.started"),
        size=(ask, "workflow.started"),
        go_on=(go_on, "user.input.provided"),
        told=(lambda ctx: ctx.data.increment("told"), "workflow.waiting_for_input"),
    )
    run = TestEngine(service).start("order")
    with pytest.raises(WorkflowNotWaiting):
        run.provide_input({"colour": "red"})
    wait = await run.until_waiting()
    assert wait.schema == {"type": "object"}
    assert (len(run.waits), run.data) == (2, {"told": 1})
    with pytest.raises(WaitIdRequired):
        run.provide_input({"colour": "red"})
    run.provide_input({"colour": "red"}, "w-colour")
    await run.until_quiet()
    assert run.status == "WAITING_FOR_INPUT"
    with pytest.raises(Stuck, match=r"waits for input w-size of size: size\?"):
        await run.until_ended()
    run.provide_input({"size": 4, "colour": "blue"}, answered_by="ada")
    assert (run.status, run.waits) == ("ACTIVE", ())
    assert " (w-size)" in run.timeline()
    assert "input by ada" in run.timeline()
    await run.until_ended()
    assert run.output == {"both": ["red", {"size": 4, "colour": "blue"}]}
    # Duplicates of calls see the same.
    assert [one for one, _ in itertools.groupby(said)] == [
        {
            "wait_id": "w-colour",
            "task_id": "colour",
            "message": "colour?",
            "input": {"colour": "red"},
        },
        {
            "wait_id": "w-size",
            "task_id": "size",
            "message": "size?",
            "input": {"size": 4, "colour": "blue"},
            "answered_by": "ada",
        },
    ]
    with pytest.raises(WorkflowEnded):
        run.provide_input({"size": 5})


async def test_the_end_skips_what_is_pending_and_delivers_what_it_raised() -> None:
    service = service_of(
        split=(emits("one", "two"), "workflow.started"),
        one=(completes, "one"),
        two=(completes, "two"),
        bill=(lambda ctx: ctx.data.increment("bills"), "workflow.completed"),
        again=(completes, "workflow.completed"),
    )
    for seed in SEEDS:
        run = TestEngine(service, seed=seed).start("order")
        await run.until_ended()
        assert run.data == {"bills": 1}
        states = Counter(event.state for event in run.events)
        assert states == {"SETTLED": 3, "SKIPPED": 1}
        # A task of the end may change data, never the status; its fault does not fail the workflow.
        [letter] = run.dead_letters
        assert (run.status, letter.task_id) == ("COMPLETED", "again")
        assert letter.failure.reason == "RESPONSE_INVALID"


async def test_a_cancelled_workflow_calls_nothing_more() -> None:
    called: list[str] = []
    service = service_of(
        one=(emits("two"), "workflow.started"), two=(lambda ctx: called.append(ctx.task_id), "two")
    )
    run = TestEngine(service).start("order")
    await run.until(lambda run: "two" in run.raised)
    run.cancel("changed my mind")
    await run.until_ended()
    assert (run.status, called) == ("CANCELLED", [])
    assert run.failure is not None
    assert run.failure.message == "changed my mind"
    assert [event.state for event in run.events] == ["SETTLED", "SKIPPED", "UNHANDLED"]
    run.cancel()


async def test_an_idle_workflow_says_why_and_an_event_from_outside_continues_it() -> None:
    service = service_of(one=(emits("tow"), "workflow.started"), end=(completes, "two"))
    run = TestEngine(service).start("order", correlation_id="c-1")
    with pytest.raises(Stuck, match="`tow` was raised by one; no task handles it"):
        await run.until_ended()
    assert run.idle == "`tow` was raised by one; no task handles it"
    with pytest.raises(InvalidRequest):
        run.publish("workflow.started")
    with pytest.raises(Stuck, match="it does not wait for input"):
        await run.until_waiting()
    run.publish("two", {"n": 1})
    assert run.idle is None
    await run.until_ended()
    assert run.status == "COMPLETED"


async def test_events_inherit_and_history_is_there_for_who_asks() -> None:
    seen: list[Any] = []

    def first(ctx: TaskContext) -> None:
        ctx.emit("next", {"n": 1}, metadata={"b": "2"})

    def second(ctx: TaskContext) -> None:
        event = ctx.event
        seen[:] = [
            (event.priority, event.metadata, event.correlation_id, event.raised_by),
            [(entry.processed_by, entry.action) for entry in ctx.history],
            ctx.history_left_out,
        ]

    service = service_of(
        first=(first, "workflow.started"), second=(second, "next", {"history_entries": 1})
    )
    engine = TestEngine(service)
    run = engine.start(
        "order", correlation_id="c-1", priority=7, metadata={"a": "1"}, workflow_instance_id="o-1"
    )
    with pytest.raises(WorkflowAlreadyExists):
        engine.start("order", workflow_instance_id="o-1")
    await run.until_quiet()
    assert seen == [
        (7, {"a": "1", "b": "2"}, "c-1", "first"),
        [("first", "")],
        1,
    ]
    started, raised = run.events
    assert (raised.causation_id, raised.payload, raised.priority) == (
        started.event_id,
        {"n": 1},
        7,
    )


def stuffs(ctx: TaskContext) -> None:
    ctx.data["large"] = "x" * 1_100_000


def asks(number: int, form: dict[str, Any]) -> Any:
    def task(ctx: TaskContext) -> None:
        for _ in range(number):
            ctx.wait_for_input("which?", form)

    return task


def tells_too_much(ctx: TaskContext) -> None:
    ctx.fail("BROKEN", details={"log": "x" * 65_536})


def contradicts(ctx: TaskContext) -> None:
    ctx.emit("workflow.failed")
    ctx.complete()


def loops(ctx: TaskContext) -> None:
    ctx.emit("again")


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (stuffs, "CONTEXT_TOO_LARGE"),
        (asks(17, {"text": "x" * 65_000}), "CONTEXT_TOO_LARGE"),
        (asks(11, {"values": [7] * 1_000}), "CONTEXT_TOO_LARGE"),
        (asks(1, {"text": "x" * 65_536}), "PAYLOAD_TOO_LARGE"),
        (tells_too_much, "PAYLOAD_TOO_LARGE"),
        (contradicts, "RESPONSE_INVALID"),
        (loops, "TOO_MANY_EVENTS"),
        (lambda ctx: {"a": 1}, "RESPONSE_INVALID"),
    ],
)
async def test_an_answer_that_breaks_a_rule_is_a_dead_letter_at_once(
    task: Any, reason: str
) -> None:
    service = service_of(task=(task, ["workflow.started", "again"]))
    run = TestEngine(service, max_events=50).start("order", {"kept": True})
    await run.until_quiet()
    assert run.failure is not None
    assert (run.status, run.failure.reason) == ("FAILED", reason)
    assert run.data == {"kept": True}


async def test_services_are_distinguished_and_a_task_has_one_home() -> None:
    one, other = HandlerService("one"), HandlerService("other")
    one.task("a", events=["workflow.started"], workflow_types=["order"])(emits("x.y.z"))
    other.task("b", events=["x.#"], workflow_types=["*"])(completes)
    other.task("c", events=["x.*"], workflow_types=["*"])(rejects)
    other.task("d", events=["#"], workflow_types=["parcel"])(rejects)
    run = TestEngine(one, other).start("order")
    await run.until_ended()
    assert run.status == "COMPLETED"
    with pytest.raises(ValueError, match="task 'a' must belong to one service, not to one and one"):
        TestEngine(one, one)


@pytest.mark.parametrize("name", sorted(path.stem for path in CLAIMS.glob("*.json")))
async def test_the_example_ends_in_memory_as_its_files_say(name: str) -> None:
    file = read_claim(name)
    expected, service = file["expected"], build_service()
    for seed in range(4):
        engine = TestEngine(service, seed=seed)
        join = "structured" if seed % 2 else "naive"
        run = engine.start(WORKFLOW_TYPE, {**file["claim"], "join": join})
        answers, dead_letters = list(file["answers"]), 0
        await run.until_quiet()
        while run.dead_letters or run.waits:
            for letter in run.dead_letters:
                dead_letters += 1
                run.retry(letter, file["rescue"]["payload"])
            if run.waits:
                run.provide_input(answers.pop(0))
            await run.until_quiet()
        assert run.status == expected["status"], run.timeline()
        assert (answers, dead_letters) == ([], expected["dead_letters"])
        if run.status == "COMPLETED":
            assert run.output is not None
            assert run.output["decision"] == expected["outcome"]
            assert run.raised.count("parallel.processing.completed") == 1
        else:
            assert run.failure is not None
            assert run.failure.reason == expected["outcome"]
