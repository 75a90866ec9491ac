"""What a task function says becomes the answer that the contract knows."""

from __future__ import annotations

import json
import pickle
import threading
from typing import Any

import grpc
import grpc_testing
import pytest
from pydantic import BaseModel
from worker_sdk.fakes import delivery

from waystation.v1 import handler_pb2, task_handler_service_pb2
from waystation_worker import Backoff, HandlerService, Reject, RetryAfter, TaskContext
from waystation_worker.values import read_struct


class Claim(BaseModel):
    amount: int


TYPES = ["insurance_claim"]


def service_of(function: Any, **options: Any) -> HandlerService:
    service = HandlerService("claims", version="1.2.3")
    service.task("t", events=["claim.processed"], workflow_types=TYPES, **options)(function)
    return service


async def test_a_context_shows_the_delivery_and_collects_the_answer() -> None:
    async def task(ctx: TaskContext) -> None:
        assert ctx.event.event_type == "claim.processed"
        assert ctx.event.payload == {"n": 1}
        assert (ctx.event.priority, ctx.event.causation_id, ctx.correlation_id) == (100, None, None)
        assert (ctx.workflow_instance_id, ctx.workflow_type) == ("claim-7", "insurance_claim")
        assert (ctx.status, ctx.version, ctx.attempt) == ("ACTIVE", 3, 1)
        assert (ctx.task_id, ctx.idempotency_key, ctx.dry_run) == ("t", "e-1:t", False)
        assert ctx.deadline is None
        ctx.data["total"] = ctx.data["amount"] * 2
        ctx.emit("claim.priced", {"total": ctx.data["total"], "all": ctx.data}, priority=0)
        ctx.emit("claim.noted", metadata={"k": "v"}, schema_version="2")
        ctx.complete({"ok": True})

    answer = await service_of(task).answer(delivery("t", {"amount": 4}, {"n": 1}))
    priced, noted = answer.result.events
    assert read_struct(priced.payload) == {"total": 8, "all": {"amount": 4, "total": 8}}
    assert (priced.priority, priced.HasField("priority")) == (0, True)
    assert not noted.HasField("priority")
    assert not noted.HasField("payload")
    assert (dict(noted.metadata), noted.schema_version) == ({"k": "v"}, "2")
    assert [op.path for op in answer.result.operations.items] == ["/total"]
    assert list(answer.result.reads.paths) == [""]
    assert read_struct(answer.result.complete.output) == {"ok": True}


async def test_a_task_that_looks_at_nothing_says_so() -> None:
    async def task(ctx: TaskContext) -> None:
        ctx.emit("done")

    answer = await service_of(task).answer(delivery("t", {"a": 1}))
    assert answer.result.HasField("reads")
    assert not answer.result.reads.paths
    assert answer.result.WhichOneof("change") is None


async def test_looking_at_history_is_reading_everything() -> None:
    async def task(ctx: TaskContext) -> None:
        assert [entry.sequence for entry in ctx.history] == [3, 4]
        assert ctx.history_left_out == 2

    request = delivery("t")
    request.history.add(sequence=3)
    request.history.add(sequence=4)
    request.history_left_out = 2
    assert list((await service_of(task).answer(request)).result.reads.paths) == [""]


async def test_waiting_and_failing() -> None:
    def ask(ctx: TaskContext) -> None:
        ctx.wait_for_input("Which policy?", {"type": "object"}, "policy", answer_path="/said/1")

    answer = await service_of(ask).answer(delivery("t"))
    [wait] = answer.result.waits
    assert (wait.wait_id, wait.message, wait.answer_path) == ("policy", "Which policy?", "/said/1")
    assert read_struct(wait.input_schema) == {"type": "object"}

    def fail(ctx: TaskContext) -> None:
        ctx.fail("ABSURD_AMOUNT", "a bicycle does not cost 9 million")

    answer = await service_of(fail).answer(delivery("t"))
    failed = answer.result.fail
    assert (failed.reason, failed.message) == (
        "ABSURD_AMOUNT",
        "a bicycle does not cost 9 million",
    )
    assert not answer.result.events, "the engine raises workflow.failed"


class OddError(Exception):
    pass


@pytest.mark.parametrize(
    ("raised", "reason", "message", "permanent", "seconds"),
    [
        (Reject("POLICY_NOT_FOUND", "no policy 7"), "POLICY_NOT_FOUND", "no policy 7", True, None),
        (RetryAfter(2.5, "BUSY", "later"), "BUSY", "later", False, 2.5),
        (OddError("at /a\0b"), "OddError", "at /a\ufffdb", False, None),
        (TimeoutError(), "TimeoutError", "TimeoutError", False, None),
        (SystemExit(3), "SystemExit", "3", False, None),
        (ValueError("x" * 9000), "ValueError", "x" * 4096, False, None),
    ],
    ids=["reject", "retry_after", "any", "timeout", "exit", "long"],
)
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
async def test_what_a_task_raises_is_a_failure_without_the_rest_of_the_answer(
    raised: BaseException,
    reason: str,
    message: str,
    permanent: bool,
    seconds: float | None,
    plain: bool,
) -> None:
    def plain_task(ctx: TaskContext) -> None:
        ctx.data["half"] = True
        ctx.emit("half.done")
        raise raised

    async def async_task(ctx: TaskContext) -> None:
        plain_task(ctx)

    answer = await service_of(plain_task if plain else async_task).answer(delivery("t"))
    failure = answer.failure
    assert (failure.reason, failure.message, failure.permanent) == (reason, message, permanent)
    assert failure.HasField("retry_after") == (seconds is not None)
    if seconds is not None:
        assert failure.retry_after.ToTimedelta().total_seconds() == seconds
    assert "Traceback" not in str(answer)
    assert not answer.HasField("result")
    assert answer.WhichOneof("outcome") == "failure"


async def test_details_of_a_rejection_travel() -> None:
    def task(ctx: TaskContext) -> None:
        raise Reject("NO", "no", {"policy": 7})

    answer = await service_of(task).answer(delivery("t"))
    assert read_struct(answer.failure.metadata) == {"policy": 7}


@pytest.mark.parametrize(
    "use",
    [
        lambda data: json.dumps(data),
        lambda data: json.dumps({"claim": data["claim"]}),
        lambda data: json.dumps(data["claim"]["parts"]),
        lambda data: json.dumps(dict(data)),
        lambda data: Claim.model_validate(data["claim"], strict=True),
    ],
    ids=["root", "object", "list", "shallow copy", "pydantic"],
)
async def test_where_a_library_takes_plain_values_only_the_error_says_how(use: Any) -> None:
    def task(ctx: TaskContext) -> None:
        use(ctx.data)

    answer = await service_of(task).answer(
        delivery("t", data={"claim": {"amount": 1, "parts": [1]}})
    )
    assert answer.failure.message.endswith(
        "pass a plain copy of them: ctx.data.to_dict(), or to_list() of a list)"
    )


async def test_a_plain_copy_goes_everywhere() -> None:
    def task(ctx: TaskContext) -> None:
        claim = ctx.data["claim"]
        ctx.complete(
            {
                "json": json.dumps(ctx.data.to_dict(), sort_keys=True),
                "list": json.dumps(claim["parts"].to_list()),
                "pickled": pickle.loads(pickle.dumps(claim)) == {"amount": 1, "parts": [1]},
                "is_plain": type(pickle.loads(pickle.dumps(claim))) is dict,
            }
        )

    data = {"claim": {"amount": 1, "parts": [1]}}
    answer = await service_of(task).answer(delivery("t", data=data))
    assert read_struct(answer.result.complete.output) == {
        "json": json.dumps(data, sort_keys=True),
        "list": "[1]",
        "pickled": True,
        "is_plain": True,
    }
    assert list(answer.result.reads.paths) == [""]


def returns_something(ctx: TaskContext) -> Any:
    return {"valid": True}


def changes_too_often(ctx: TaskContext) -> None:
    for n in range(10_001):
        ctx.data[f"k{n}"] = n


def answers_too_much(ctx: TaskContext) -> None:
    ctx.data["large"] = "x" * 4_000_000


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (returns_something, "returned a dict"),
        (answers_too_much, "the limit is 3900000"),
        (changes_too_often, "the limit is 10000"),
    ],
)
async def test_an_answer_that_cannot_travel_is_rejected_here(task: Any, text: str) -> None:
    answer = await service_of(task).answer(delivery("t"))
    assert (answer.failure.reason, answer.failure.permanent) == ("RESPONSE_INVALID", True)
    assert text in answer.failure.message


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda ctx: ctx.emit("workflow.started"), "is reserved for the system"),
        (lambda ctx: ctx.emit("user.input.provided"), "is reserved for the system"),
        (lambda ctx: ctx.emit("user.input.assigned"), "is reserved for the system"),
        (lambda ctx: ctx.emit("waystation.tick"), "is reserved for the system"),
        (lambda ctx: ctx.emit("a", metadata={"waystation-parent": "x"}), "are reserved"),
        (lambda ctx: ctx.wait_for_input("?", wait_id="waystation.w"), "are reserved"),
        (lambda ctx: ctx.emit("a", {"n": [2**53]}), "at payload/n/0: integers of 2^53 or more"),
        (lambda ctx: ctx.complete({"n": 1e20}), "at output/n: integers of 2^53 or more"),
        (lambda ctx: ctx.data.increment("n", 2.0**53), "at /n: integers of 2^53 or more"),
        (lambda ctx: ctx.data.update({"$waystation.blob": 1}), "are reserved"),
        (lambda ctx: ctx.data.append("/a/$waystation.x", 1), "are reserved"),
        (lambda ctx: ctx.emit("two words"), "1-200 characters"),
        (lambda ctx: ctx.emit("a", {"x": object()}), "at payload/x: object is not a JSON value"),
        (lambda ctx: ctx.emit("a", priority=256), "priority must be 0 to 255"),
        (lambda ctx: [ctx.emit("a") for _ in range(1001)], "at most 1000 events"),
        (lambda ctx: (ctx.complete(), ctx.wait_for_input("?")), "after complete"),
        (lambda ctx: ctx.wait_for_input(""), "needs a message"),
        (lambda ctx: ctx.wait_for_input("?", answer_path="a"), "not a JSON Pointer"),
        (lambda ctx: ctx.wait_for_input("?", answer_path=""), "must not be empty"),
        (lambda ctx: ctx.wait_for_input("?", answer_path="/$waystation.x"), "are reserved"),
    ],
)
async def test_misuse_of_the_context_is_said_where_it_happens(use: Any, text: str) -> None:
    caught: list[str] = []

    def task(ctx: TaskContext) -> None:
        try:
            use(ctx)
        except (TypeError, ValueError) as error:
            caught.append(str(error))

    await service_of(task).answer(delivery("t"))
    assert text in caught[0]


async def test_plain_functions_run_beside_the_loop() -> None:
    threads: list[threading.Thread] = []

    def task(ctx: TaskContext) -> None:
        threads.append(threading.current_thread())

    await service_of(task).answer(delivery("t"))
    assert threads[0] is not threading.main_thread()


def test_a_declaration_becomes_a_task_spec() -> None:
    service = HandlerService("claims")

    @service.task(
        events=["claim.*", "a.#"],
        workflow_types=["*"],
        timeout=1.5,
        max_attempts=7,
        backoff=Backoff(0.5, 3, 9, 0),
        max_in_flight=4,
        on_failure="continue",
        catch_up=False,
        history_entries=12,
        replayable=True,
        may_emit=["x"],
        reads=["/a"],
        writes=[],
    )
    async def validate(ctx: TaskContext) -> None: ...

    spec = service.tasks["validate"].spec
    assert (spec.task_id, list(spec.event_types)) == ("validate", ["claim.*", "a.#"])
    assert list(spec.workflow_types) == ["*"]
    assert spec.timeout.ToTimedelta().total_seconds() == 1.5
    assert spec.initial_backoff.ToTimedelta().total_seconds() == 0.5
    assert spec.max_backoff.ToTimedelta().total_seconds() == 9
    assert (spec.backoff_multiplier, spec.backoff_jitter) == (3, 0)
    assert spec.HasField("backoff_jitter")
    assert (spec.max_attempts, spec.max_in_flight) == (7, 4)
    assert spec.on_failure == handler_pb2.ON_FAILURE_CONTINUE
    assert spec.catch_up == handler_pb2.CATCH_UP_OFF
    assert spec.history_entries == 12
    assert spec.batching
    assert spec.replayable
    assert (list(spec.may_emit), list(spec.reads.paths)) == (["x"], ["/a"])
    assert spec.HasField("writes")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"events": "claim.processed"}, "events must be a list of names"),
        ({"events": []}, "events needs at least one"),
        ({"events": ["a b"]}, "neither an event type"),
        ({"workflow_types": []}, "workflow_types needs at least one"),
        ({"workflow_types": ["claim.#"]}, "workflow_types"),
        ({"timeout": 0}, "timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"on_failure": "explode"}, "on_failure"),
        ({"reads": ["a"]}, "not a JSON Pointer"),
        ({"task_id": "a b"}, "task 'a b'"),
        ({"task_id": "a:b"}, "without a colon"),
        ({"task_id": "client"}, "is reserved"),
        ({"task_id": "system"}, "is reserved"),
        ({"task_id": "waystation.t"}, "are reserved"),
        ({"workflow_types": ["waystation.batch"]}, "are reserved"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_at_once(
    options: dict[str, Any], text: str
) -> None:
    options = {"task_id": "t", "events": ["a"], "workflow_types": ["b"], **options}
    with pytest.raises((TypeError, ValueError), match=text):
        HandlerService("claims").task(**options)(lambda ctx: None)


def test_a_task_is_declared_once() -> None:
    service = service_of(returns_something)
    with pytest.raises(ValueError, match="declared twice"):
        service.task("t", events=["a"], workflow_types=["b"])(returns_something)


HANDLE_EVENT = task_handler_service_pb2.DESCRIPTOR.services_by_name[
    "TaskHandlerService"
].methods_by_name["HandleEvent"]


@pytest.mark.parametrize("task_id", ["t", "other"])
def test_a_synchronous_server_can_host_the_tasks(task_id: str) -> None:
    def task(ctx: TaskContext) -> None:
        assert threading.current_thread() is not threading.main_thread()
        ctx.data["seen"] = ctx.event.payload["n"]

    descriptor = task_handler_service_pb2.DESCRIPTOR.services_by_name["TaskHandlerService"]
    server = grpc_testing.server_from_dictionary(
        {descriptor: service_of(task).blocking_servicer()}, grpc_testing.strict_real_time()
    )
    call = server.invoke_unary_unary(HANDLE_EVENT, (), delivery(task_id, payload={"n": 3}), 5)
    answer, _, code, details = call.termination()
    if task_id == "t":
        assert code is grpc.StatusCode.OK
        [operation] = answer.result.operations.items
        assert (operation.path, operation.set.number_value) == ("/seen", 3)
    else:
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert details == "service claims hosts no task 'other'; it hosts t"
