"""A handler acts for its own services only, and what belongs to others is not there for it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.running_api import Api, refusal

from waystation.v1 import delivery_completion_service_pb2 as pb
from waystation.v1 import workflow_service_pb2
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import (
    ListHandlersRequest,
    RegisterHandlerRequest,
    RenewHandlerRequest,
    UnregisterHandlerRequest,
)
from waystation.v1.result_pb2 import TaskFailure, TaskResult
from waystation_core.identity.keys_file import digest_of_key, new_key
from waystation_core.ids import new_id
from waystation_domain.completion_tokens import CompletionTokens
from waystation_domain.outcomes import Pending

KEYS = {name: new_key() for name in ("claims", "billing", "both", "any", "operator", "client")}
SERVICES = {
    "claims": ["claims"],
    "billing": ["billing"],
    "both": ["claims", "billing"],
    "any": ["*"],
}


@pytest.fixture
async def guarded(serve: Callable[..., Awaitable[Api]], tmp_path: Path) -> Api:
    """An API that asks for keys."""
    file = tmp_path / "keys.json"
    entries = [
        {
            "name": name,
            "sha256": digest_of_key(key),
            "grants": {"default": ["handler" if name in SERVICES else name]},
            "service_names": SERVICES.get(name, []),
        }
        for name, key in KEYS.items()
    ]
    file.write_text(json.dumps({"keys": entries}))
    file.chmod(0o600)
    return await serve(WAYSTATION_KEYS_FILE=str(file))


def by(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {KEYS[name]}"),)


def registration(
    service: str = "claims", task_id: str = "claim_validator"
) -> RegisterHandlerRequest:
    spec = TaskSpec(task_id=task_id, event_types=["workflow.started"], workflow_types=["t"])
    return RegisterHandlerRequest(
        service_name=service, host="127.0.0.1", port=7500, tasks=[spec], request_id=new_id()
    )


async def register(api: Api, who: str = "claims", **what: str) -> str:
    response = await api.handlers.RegisterHandler(registration(**what), metadata=by(who))
    handler_id: str = response.handler.handler_id
    return handler_id


async def test_a_handler_registers_its_own_services_and_no_other(guarded: Api) -> None:
    for who in ("claims", "both", "any", "operator"):
        await register(guarded, who)
    refused = await refusal(
        guarded.handlers.RegisterHandler(registration(), metadata=by("billing"))
    )
    assert refused.reason == "PERMISSION_DENIED"
    assert refused.metadata == {"method": "RegisterHandler", "service_name": "claims"}
    # Nor does its own name get it the task of another.
    taken = await refusal(
        guarded.handlers.RegisterHandler(registration("billing"), metadata=by("billing"))
    )
    assert taken.reason == "TASK_OWNED_BY_OTHER_SERVICE"


async def test_the_endpoint_of_another_service_can_be_neither_renewed_nor_removed(
    guarded: Api,
) -> None:
    handler_id = await register(guarded)
    renew = RenewHandlerRequest(handler_id=handler_id)
    unknown = RenewHandlerRequest(handler_id=new_id())
    refused = await refusal(guarded.handlers.RenewHandler(renew, metadata=by("billing")))
    no_such = await refusal(guarded.handlers.RenewHandler(unknown, metadata=by("billing")))
    assert (refused.code, refused.reason) == (no_such.code, no_such.reason)
    assert refused.message.replace(handler_id, "") == no_such.message.replace(
        unknown.handler_id, ""
    )
    remove = UnregisterHandlerRequest(handler_id=handler_id)
    await guarded.handlers.UnregisterHandler(remove, metadata=by("billing"))
    for who in ("claims", "any", "operator"):
        await guarded.handlers.RenewHandler(renew, metadata=by(who))
    await guarded.handlers.UnregisterHandler(remove, metadata=by("claims"))
    listed = await guarded.handlers.ListHandlers(ListHandlersRequest(), metadata=by("claims"))
    assert list(listed.handlers) == []


async def pending(api: Api) -> str:
    """The completion token of a pending delivery of the service `claims`."""
    await register(api)
    await api.workflows.StartWorkflow(
        workflow_service_pb2.StartWorkflowRequest(workflow_type="t", workflow_instance_id="w-1"),
        metadata=by("client"),
    )
    event = await api.engine.pending("w-1", "workflow.started")
    key = (await api.store.registry.snapshot()).completion_key
    await api.engine.handle("w-1", "workflow.started", Pending(60.0))
    return CompletionTokens(key).of(event.event_id, "claim_validator", 0, 1)


def endings(token: str) -> dict[str, Any]:
    return {
        "ExtendDelivery": pb.ExtendDeliveryRequest(
            completion_token=token, extension=Duration(seconds=60)
        ),
        "FailDelivery": pb.FailDeliveryRequest(
            completion_token=token, failure=TaskFailure(reason="NO", message="no")
        ),
        "CompleteDelivery": pb.CompleteDeliveryRequest(
            completion_token=token, result=TaskResult(), request_id="r-1"
        ),
    }


async def test_a_completion_token_alone_completes_nothing(guarded: Api) -> None:
    """As it would answer if there were no such delivery."""
    token = await pending(guarded)
    for name, request in endings(token).items():
        call = getattr(guarded.completions, name)
        assert (await refusal(call(request))).reason == "UNAUTHENTICATED"
        assert (await refusal(call(request, metadata=by("client")))).reason == "PERMISSION_DENIED"
        foreign = await refusal(call(request, metadata=by("billing")))
        assert foreign.reason == "DELIVERY_NOT_FOUND"
    for name in ("ExtendDelivery", "CompleteDelivery"):
        call = getattr(guarded.completions, name)
        await call(endings(token)[name], metadata=by("claims"))
    # Neither does a repetition tell that it was completed.
    again = guarded.completions.CompleteDelivery(
        endings(token)["CompleteDelivery"], metadata=by("billing")
    )
    assert (await refusal(again)).reason == "DELIVERY_NOT_FOUND"


async def test_who_is_the_service_still_needs_the_token(guarded: Api) -> None:
    await pending(guarded)
    forged = pb.CompleteDeliveryRequest(completion_token="forged", result=TaskResult())
    refused = await refusal(guarded.completions.CompleteDelivery(forged, metadata=by("claims")))
    assert refused.reason == "INVALID_FIELD"
