"""What `provoked` makes its requests of: instances, dead letters and deliveries in the states that refusals are about,
and parts of requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from support.running_api import Api
from support.scripted_engine import failure, reply, task

from waystation.v1 import dead_letter_service_pb2 as letters_pb
from waystation.v1 import delivery_completion_service_pb2 as completions_pb
from waystation.v1 import handler_registry_service_pb2 as handlers_pb
from waystation.v1 import namespace_service_pb2 as namespaces_pb
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.event_pb2 import NewEvent
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.operation_pb2 import Operation, OperationList
from waystation.v1.result_pb2 import TaskResult, WorkflowCompletion
from waystation_core.store.connections import connection_of
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.model import OnFailure
from waystation_domain.operations import Operation as Change
from waystation_domain.outcomes import Pending, WaitRequest

NOBODY = "01890000-0000-7000-8000-000000000000"
"""An id that could be one, and is none."""
BAD_ID = "a b"
MINUS = Duration(seconds=-1)


@dataclass
class World:
    """What requests are about."""

    api: Api
    letter: str
    """An open dead letter, of `w-failed`."""
    discarded: str
    of_ended: str
    """An open one of a workflow that was cancelled since."""
    handler: str
    tokens: dict[str, str] = field(default_factory=dict)
    """By instance: of a delivery that is pending, in call, over; and of `ended`, pending in one that ended."""


# --- the world ---------------------------------------------------------------------------------


async def world(api: Api) -> World:
    await _namespaces(api)
    both = registration()
    both.tasks.add(task_id="other", event_types=["x"], workflow_types=["none"])
    registered = await api.handlers.RegisterHandler(both)
    for name, data in {
        "w-open": {},
        "w-ended": {},
        "w-asks": {},
        "w-large": {"a": "x" * 900_000},
        "w-nowhere": {},
    }.items():
        await _started(api, name, data)
    await api.workflows.CancelWorkflow(pb.CancelWorkflowRequest(workflow_instance_id="w-ended"))
    two = (WaitRequest("?", wait_id="a"), WaitRequest("?", wait_id="b"))
    for name in ("w-asks", "w-large"):
        await api.engine.handle(name, "workflow.started", reply(waits=two))
    apart = WaitRequest("?", answer_path="/place/answer")
    await api.engine.handle("w-nowhere", "workflow.started", reply("more", waits=(apart,)))
    await api.engine.handle("w-nowhere", "more", reply(change=[Change("/place", "set", 1)]))
    letters = [await _dead(api, name) for name in ("w-failed", "w-discarded", "w-given-up")]
    await api.dead_letters.DiscardDeadLetter(
        letters_pb.DiscardDeadLetterRequest(dead_letter_id=letters[1])
    )
    await api.workflows.CancelWorkflow(pb.CancelWorkflowRequest(workflow_instance_id="w-given-up"))
    tokens = {}
    key = (await api.store.registry.snapshot()).completion_key
    for name in ("in-call", "pending", "over", "ended"):
        data = {"total": "a text", "a": "x" * 900_000} if name == "pending" else {}
        await _started(api, name, data)
        event = await api.engine.pending(name, "workflow.started")
        tokens[name] = CompletionTokens(key).of(event.event_id, "claim_validator", 0, 1)
        if name != "in-call":
            await api.engine.handle(name, "workflow.started", Pending(600.0))
    await api.completions.CompleteDelivery(
        completions_pb.CompleteDeliveryRequest(
            completion_token=tokens["over"], result=result(complete=WorkflowCompletion())
        )
    )
    await api.workflows.CancelWorkflow(pb.CancelWorkflowRequest(workflow_instance_id="ended"))
    return World(api, *letters, registered.handler.handler_id, tokens)


async def _namespaces(api: Api) -> None:
    """`full` has reached its limit, and `slow` has its next start in a day. Both have a workflow."""
    for name, limit in (
        ("full", {"max_stored_bytes": 1}),
        ("slow", {"max_starts_per_second": 1e-5}),
    ):
        await api.namespaces.CreateNamespace(namespaces_pb.CreateNamespaceRequest(name=name))
        await api.workflows.StartWorkflow(
            pb.StartWorkflowRequest(
                namespace=name, workflow_type="t", workflow_instance_id="w-open"
            )
        )
        await api.namespaces.UpdateNamespace(
            namespaces_pb.UpdateNamespaceRequest(name=name, limits=limit)
        )
    await api.store.namespaces.take_starts("slow", 1)
    async with connection_of(api.pool) as connection:
        await connection.execute(
            "UPDATE namespaces SET stored_bytes = 1, measured_at = 'infinity' WHERE namespace = 'full'"
        )
    await api.server._registries.refresh()


async def _started(api: Api, name: str, data: dict[str, Any]) -> None:
    request = pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    request.data.update(data)
    await api.workflows.StartWorkflow(request)


async def _dead(api: Api, name: str) -> str:
    """The dead letter of a workflow's first event, which goes on without it."""
    await _started(api, name, {})
    by = task(on_failure=OnFailure.CONTINUE)
    more = reply("goes.on", change=[Change("/n", "set", 1)])
    await api.engine.handle(
        name, "workflow.started", failure(permanent=True), by=by, tasks=[by, task("other")]
    )
    await api.engine.handle(name, "workflow.started", more, by=task("other"))
    listed = await api.dead_letters.ListDeadLetters(
        letters_pb.ListDeadLettersRequest(filter={"workflow_instance_ids": [name]})
    )
    return str(listed.dead_letters[0].dead_letter_id)


# --- parts of requests -------------------------------------------------------------------------


def struct(**members: Any) -> Struct:
    made = Struct()
    made.update(members)
    return made


NAN = struct(n=math.nan)
LARGE = struct(text="x" * 1_100_000)
HALF = struct(b="x" * 900_000)


def registration(**fields: Any) -> handlers_pb.RegisterHandlerRequest:
    spec = {
        "task_id": "claim_validator",
        "event_types": ["workflow.started"],
        "workflow_types": ["none"],
        **fields.pop("spec", {}),
    }
    return handlers_pb.RegisterHandlerRequest(
        **{
            "service_name": "claims",
            "host": "127.0.0.1",
            "port": 7500,
            "tasks": [TaskSpec(**spec)],
            **fields,
        }
    )


def of(kind: Any, name: str = "w-open", **given: Any) -> Callable[..., Any]:
    """Requests of this kind about an instance; other fields beside, or instead of, these."""

    def made(**fields: Any) -> Callable[[World], Any]:
        return lambda _: kind(**{"workflow_instance_id": name, **given, **fields})

    return made


def start(**fields: Any) -> Callable[[World], Any]:
    return lambda _: pb.StartWorkflowRequest(**{"workflow_type": "t", **fields})


def run(**fields: Any) -> Callable[[World], Any]:
    seconds = fields.pop("wait", Duration())
    return lambda w: pb.RunWorkflowRequest(start=start(**fields)(w), timeout=seconds)


def completion(kind: Any, **given: Any) -> Callable[..., Any]:
    """Requests about a pending delivery; `at` names another one."""

    def made(at: str = "pending", **fields: Any) -> Callable[[World], Any]:
        return lambda w: kind(**{"completion_token": w.tokens.get(at, at), **given, **fields})

    return made


def letter(kind: Any) -> Callable[..., Any]:
    def made(which: str = "letter", **fields: Any) -> Callable[[World], Any]:
        return lambda w: kind(dead_letter_id=getattr(w, which, which), **fields)

    return made


def plain(kind: Any, **given: Any) -> Callable[..., Any]:
    def made(**fields: Any) -> Callable[[World], Any]:
        return lambda _: kind(**{**given, **fields})

    return made


def event(**fields: Any) -> NewEvent:
    return NewEvent(**{"event_type": "a.b", **fields})


def result(**fields: Any) -> TaskResult:
    return TaskResult(**fields)


def operation(path: str, **kind: Any) -> TaskResult:
    return result(operations=OperationList(items=[Operation(path=path, **kind)]))
