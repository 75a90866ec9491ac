"""What any language sees: real grpcurl, reflection, the contract's own names, and nothing of ours."""

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.system import Embedded

from waystation_worker import HandlerService, Reject, TaskContext

GRPCURL = Path(sys.executable).parent / "grpcurl"
WORKFLOWS = "waystation.v1.WorkflowService"
HANDLERS = "waystation.v1.TaskHandlerService"
LETTERS = "waystation.v1.DeadLetterService"
PAGE = Path(__file__).parents[2] / "docs" / "contract.md"


@dataclass
class Answer:
    """What grpcurl printed, and its exit code: 64 and the gRPC code, where a call failed."""

    code: int
    text: str
    errors: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.errors
        return json.loads(self.text)


async def grpcurl(*arguments: str, data: dict[str, Any] | None = None) -> Answer:
    """Runs grpcurl without TLS."""
    sent = () if data is None else ("-d", json.dumps(data))
    process = await asyncio.create_subprocess_exec(
        GRPCURL,
        "-plaintext",
        *sent,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        text, errors = await process.communicate()
    return Answer(process.returncode or 0, text.decode(), errors.decode())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Embedded(tmp_path_factory.mktemp("grpcurl")) as system:
        yield system.address


@asynccontextmanager
async def greetings(address: str) -> AsyncIterator[str]:
    """The address of a service that asks for a name and greets it, registered at `address`."""
    service = HandlerService("greetings", version="7")

    @service.task(events=["workflow.started"], workflow_types=["grpcurl"])
    async def ask(ctx: TaskContext) -> None:
        ctx.data["asked"] = True
        ctx.wait_for_input("Whom shall I greet?", {"type": "object", "required": ["name"]})

    @service.task(events=["user.input.provided"], workflow_types=["grpcurl"])
    async def greet(ctx: TaskContext) -> None:
        ctx.emit("greeting.made", {"length": len(ctx.data["name"])})
        ctx.complete({"greeting": f"Hello, {ctx.data['name']}"})

    async with service.serving(address=address, port=0) as serving:
        await serving.wait_registered()
        yield f"127.0.0.1:{serving.port}"


async def test_list_and_describe_need_no_files(address: str) -> None:
    services = (await grpcurl(address, "list")).text.split()
    assert {
        "grpc.health.v1.Health",
        WORKFLOWS,
        "waystation.v1.HandlerRegistryService",
        "waystation.v1.DeadLetterService",
        "waystation.v1.DeliveryCompletionService",
    } <= set(services)
    assert HANDLERS not in services
    assert f"{WORKFLOWS}.ExplainWorkflow" in (await grpcurl(address, "list", WORKFLOWS)).text
    described = await grpcurl(address, "describe", WORKFLOWS)
    assert "rpc StartWorkflow ( .waystation.v1.StartWorkflowRequest )" in described.text
    message = await grpcurl(address, "describe", "waystation.v1.WorkflowContext")
    assert ".google.protobuf.Struct data" in message.text
    health = await grpcurl(address, "grpc.health.v1.Health/Check", data={})
    assert health.json == {"status": "SERVING"}


async def test_a_workflow_from_its_start_to_its_end(
    address: str,
) -> None:
    this = {"workflow_instance_id": "by-hand"}
    start = {**this, "workflow_type": "grpcurl", "data": {"amount": 12.5, "tags": ["a", None]}}
    started = (await grpcurl(address, f"{WORKFLOWS}/StartWorkflow", data=start)).json
    assert started["created"] is True
    assert started["context"]["data"] == {"amount": 12.5, "tags": ["a", None]}
    assert "task_ids" not in started
    again = (await grpcurl(address, f"{WORKFLOWS}/StartWorkflow", data=start)).json
    assert "created" not in again

    waited = (await grpcurl(address, f"{WORKFLOWS}/WaitWorkflow", data=this)).json
    assert waited["outcome"] == "WAIT_OUTCOME_IDLE"
    explained = (await grpcurl(address, f"{WORKFLOWS}/ExplainWorkflow", data=this)).json
    assert "no task handles it" in explained["summary"]
    (blocker,) = explained["blockers"]
    assert blocker["kind"] == "BLOCKER_KIND_IDLE"
    assert "Register a task" in blocker["remedy"]

    # The first task that ever claims the event gets it.
    async with greetings(address):
        waited = (await grpcurl(address, f"{WORKFLOWS}/WaitWorkflow", data=this)).json
        assert waited["outcome"] == "WAIT_OUTCOME_WAITING_FOR_INPUT"
        (wait,) = waited["context"]["waits"]
        assert (wait["task_id"], wait["message"]) == ("ask", "Whom shall I greet?")
        explained = (await grpcurl(address, f"{WORKFLOWS}/ExplainWorkflow", data=this)).json
        assert [each["kind"] for each in explained["blockers"]] == [
            "BLOCKER_KIND_WAITING_FOR_INPUT"
        ]

        given = {**this, "input": {"name": "Ada"}}
        answered = (await grpcurl(address, f"{WORKFLOWS}/ProvideInput", data=given)).json
        assert answered["event_id"]
        waited = (await grpcurl(address, f"{WORKFLOWS}/WaitWorkflow", data=this)).json
        assert waited["outcome"] == "WAIT_OUTCOME_DONE"
        assert waited["context"]["status"] == "WORKFLOW_STATUS_COMPLETED"
        assert waited["context"]["output"] == {"greeting": "Hello, Ada"}
        context = (await grpcurl(address, f"{WORKFLOWS}/GetWorkflow", data=this)).json["context"]
        asked = {**this, "view": "HISTORY_VIEW_BASIC"}
        entries = (await grpcurl(address, f"{WORKFLOWS}/ListHistory", data=asked)).json["entries"]
        called = [entry["processed_by"] for entry in entries[1:]]
        assert [by for by in called if by in ("ask", "greet")] == ["ask", "greet"]
        sequences = [entry["sequence"] for entry in entries]
        assert sequences == list(range(1, context["version"] + 1))


async def test_a_handler_is_called_by_hand_as_a_router_would(address: str) -> None:
    async with greetings(address) as handler:
        assert HANDLERS in (await grpcurl(handler, "list")).text.split()
        call = {"task_id": "greet", "attempt": 1, "context": {"data": {"name": "Grace"}}}
        answer = (await grpcurl(handler, f"{HANDLERS}/HandleEvent", data=call)).json
        assert answer["result"]["complete"] == {"output": {"greeting": "Hello, Grace"}}
        (event,) = answer["result"]["events"]
        assert (event["event_type"], event["payload"]) == ("greeting.made", {"length": 5})
        assert answer["result"]["reads"]["paths"] == ["/name"]
        call["task_id"] = "ask"
        answer = (await grpcurl(handler, f"{HANDLERS}/HandleEvent", data=call)).json
        assert answer["result"]["operations"]["items"] == [{"path": "/asked", "set": True}]
        wrong = await grpcurl(handler, f"{HANDLERS}/HandleEvent", data={"task_id": "other"})
        assert "Code: Unimplemented" in wrong.errors


@pytest.mark.parametrize(
    ("method", "data", "code", "reason"),
    [
        ("GetWorkflow", {"workflow_instance_id": "nobody"}, "NotFound", "WORKFLOW_NOT_FOUND"),
        ("GetWorkflow", {"workflow_instance_id": "a b"}, "InvalidArgument", "INVALID_ID"),
        (
            "ProvideInput",
            {"workflow_instance_id": "stands-still", "input": {"name": "Ada"}},
            "FailedPrecondition",
            "WORKFLOW_NOT_WAITING",
        ),
        (
            "StartWorkflow",
            {"workflow_instance_id": "stands-still", "workflow_type": "other"},
            "AlreadyExists",
            "WORKFLOW_ALREADY_EXISTS",
        ),
    ],
)
async def test_a_mistake_is_answered_with_code_reason_and_what_to_do(
    address: str, method: str, data: dict[str, Any], code: str, reason: str
) -> None:
    start = {"workflow_instance_id": "stands-still", "workflow_type": "nobody-handles-this"}
    assert (await grpcurl(address, f"{WORKFLOWS}/StartWorkflow", data=start)).code == 0
    wrong = await grpcurl(address, f"{WORKFLOWS}/{method}", data=data)
    assert wrong.code > 64
    assert f"Code: {code}" in wrong.errors
    assert f'"reason":"{reason}"' in wrong.errors
    assert '"domain":"waystation"' in wrong.errors


def commands(method: str) -> list[list[str]]:
    """The commands in the block of the page that has this method, word by word."""
    (block,) = (each for each in PAGE.read_text().split("```") if f"/{method}\n" in each)
    return [shlex.split(line) for line in block.replace("\\\n", "").strip().splitlines()]


async def typed(command: list[str], address: str) -> Answer:
    """What comes of it at the server of this test."""
    program, plaintext, *arguments = command
    assert (program, plaintext) == ("grpcurl", "-plaintext")
    assert "127.0.0.1:7400" in arguments
    return await grpcurl(*(address if each == "127.0.0.1:7400" else each for each in arguments))


async def test_dead_letters_in_bulk_as_the_page_has_it(address: str) -> None:
    service = HandlerService("letters")

    @service.task(events=["workflow.started"], workflow_types=["letters.scored"])
    async def score(ctx: TaskContext) -> None:
        raise Reject("NO_SCORE", "it has none")

    @service.task(events=["workflow.started"], workflow_types=["letters.other"])
    async def other(ctx: TaskContext) -> None:
        raise Reject("NOTHING", "it is another one")

    async with service.serving(address=address, port=0) as serving:
        await serving.wait_registered()
        for workflow_type in ("letters.scored", "letters.other"):
            run = {"start": {"workflow_type": workflow_type}}
            ended = (await grpcurl(address, f"{WORKFLOWS}/RunWorkflow", data=run)).json
            assert ended["context"]["status"] == "WORKFLOW_STATUS_FAILED"
    accident = {"filter": {"task_ids": [""]}, "request_id": "accident"}
    refused = await grpcurl(address, f"{LETTERS}/DiscardDeadLetters", data=accident)
    assert "Code: InvalidArgument" in refused.errors
    assert '"field":"filter.task_ids"' in refused.errors
    retry, discard = commands("RetryDeadLetters")
    assert (await typed(retry, address)).json == {"retried": 1}
    assert (await typed(discard, address)).json == {"discarded": 1}
    states = ["DEAD_LETTER_STATE_RETRIED", "DEAD_LETTER_STATE_DISCARDED"]
    listed = (
        await grpcurl(address, f"{LETTERS}/ListDeadLetters", data={"filter": {"states": states}})
    ).json["dead_letters"]
    assert {(each["task_id"], each["state"]) for each in listed} == set(
        zip(("score", "other"), states, strict=True)
    )
