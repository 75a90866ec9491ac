"""Every error that the contract lists at an RPC is provoked there, and no other one.

Errors of HandleEvent and HandleEvents are what handlers answer with: tests/router_endpoints and
tests/router/test_fault_table.py have what becomes of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from api.provoked import GOOD, REFUSALS, Row
from api.refusing_world import World, world
from support.comments import Comments, errors_of, examples_of, repeated_where
from support.databases import migrated
from support.running_api import Api, Refusal, one_item, refusal, refusal_of
from support.scripted_store import broken

from localservers.postgres import PostgresServer
from waystation.v1.dead_letter_service_pb2 import (
    CountDeadLettersRequest,
    ListDeadLettersRequest,
    RetryDeadLettersRequest,
)
from waystation.v1.handler_registry_service_pb2 import (
    ListHandlersRequest,
    RenewHandlerRequest,
    UnregisterHandlerRequest,
)
from waystation.v1.namespace_service_pb2 import CreateNamespaceRequest
from waystation.v1.system_service_pb2 import GetFlowRequest, GetSystemStatusRequest
from waystation.v1.workflow_service_pb2 import (
    FindWorkflowIdsRequest,
    ListWorkflowsRequest,
    StartWorkflowRequest,
)

COMMENTS = Comments()
RPCS = {
    name: path
    for name, path in COMMENTS.methods.items()
    if not path.startswith("/waystation.v1.TaskHandlerService/")
}


@dataclass(frozen=True)
class Empty:
    """A list or a number of a namespace."""

    service: str
    request: Any
    number: Callable[[Any], int]


def _all_of_status(status: Any) -> int:
    return int(
        sum(status.workflows_by_status.values())
        + status.outbox_size
        + status.deliveries
        + status.dead_letters
        + status.handlers
        + len(status.oldest_unsettled_event_id)
    )


EMPTY = {
    "ListWorkflows": Empty("workflows", ListWorkflowsRequest(), lambda page: len(page.workflows)),
    "FindWorkflowIds": Empty(
        "workflows",
        FindWorkflowIdsRequest(prefix="w"),
        lambda page: len(page.workflow_instance_ids),
    ),
    "ListHandlers": Empty("handlers", ListHandlersRequest(), lambda page: len(page.handlers)),
    "ListDeadLetters": Empty(
        "dead_letters", ListDeadLettersRequest(), lambda page: len(page.dead_letters)
    ),
    "CountDeadLetters": Empty(
        "dead_letters", CountDeadLettersRequest(), lambda counted: counted.count
    ),
    "GetSystemStatus": Empty("system", GetSystemStatusRequest(), _all_of_status),
    "GetFlow": Empty("system", GetFlowRequest(), lambda flow: flow.instances),
    "RetryDeadLetters": Empty(
        "dead_letters", RetryDeadLettersRequest(all={}, request_id="r-1"), lambda done: done.retried
    ),
}
METADATA = {reason: set(example["metadata"]) for reason, example in examples_of(COMMENTS).items()}
RETRIED = repeated_where(COMMENTS)
OF_ANY = {
    "NOT_FOUND / NAMESPACE_NOT_FOUND",
    "UNAVAILABLE / STORE_UNAVAILABLE",
    "UNIMPLEMENTED / NOT_YET_AVAILABLE",
    "INTERNAL / INTERNAL",
}
"""The third of them is provoked in test_unknown_fields, at each RPC that changes something."""


async def refused(api: Api, rpc: str, request: Any) -> Refusal:
    if rpc == "RunWorkflows":
        result = await one_item(api, request)
        assert result.WhichOneof("result") == "error", result
        return refusal_of(result.error)
    service = {
        "WorkflowService": api.workflows,
        "HandlerRegistryService": api.handlers,
        "DeadLetterService": api.dead_letters,
        "DeliveryCompletionService": api.completions,
        "SystemService": api.system,
        "AuditService": api.audit,
        "TokenService": api.tokens,
        "NamespaceService": api.namespaces,
    }[RPCS[rpc].split("/")[1].rpartition(".")[2]]
    call = getattr(service, rpc)(request, timeout=30)
    return await refusal(call.read() if rpc == "WatchWorkflow" else call)


def promised(found: Refusal) -> None:
    """What the contract says of this reason holds: the keys of its metadata, and whether to call again."""
    assert METADATA[found.reason] <= set(found.metadata), found
    assert (found.retry_seconds is not None) == (found.reason in RETRIED), found
    if found.code.name == "INVALID_ARGUMENT" and "field" in found.metadata:
        assert found.fields == (found.metadata["field"],)
    # It ends with what to do next.
    assert found.message.endswith("."), found


def test_each_rpc_has_its_rows() -> None:
    assert set(REFUSALS) == set(GOOD) == set(RPCS)


@pytest.mark.parametrize("rpc", RPCS)
async def test_what_an_rpc_lists_is_what_it_is_refused_with(
    rpc: str, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waystation_api.deliveries.completions.PATIENCE_SECONDS", 0.0)
    there = await world(await serve())
    found = {await _provoked(there, rpc, row, serve) for row in REFUSALS[rpc]}
    assert found == errors_of(COMMENTS, rpc)


async def _provoked(there: World, rpc: str, row: Row, serve: Any) -> str:
    api = there.api
    if row.settings:
        api = await serve(**row.settings)
        # Where there is room for one event, this is it.
        await api.workflows.StartWorkflow(StartWorkflowRequest(workflow_type="one_event"))
    if row.before is not None:
        await _carried_out(api, rpc, row.before(there))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in row.limits.items():
            patch.setattr(name, value)
        got = await refused(api, rpc, row.request(there))
    assert got.reason == row.reason, (rpc, row.reason, got)
    promised(got)
    return f"{got.code.name} / {got.reason}"


async def _carried_out(api: Api, rpc: str, request: Any) -> None:
    if rpc == "RunWorkflows":
        assert (await one_item(api, request)).WhichOneof("result") != "error"
        return
    call: Any = api.channel.unary_unary(
        RPCS[rpc], request_serializer=lambda m: m.SerializeToString()
    )
    await call(request, timeout=30)


async def test_no_rpc_knows_another_namespace(api: Api) -> None:
    there = await world(api)
    for rpc in RPCS:
        request = GOOD[rpc](there)
        about = request.start if rpc in ("RunWorkflow", "RunWorkflows") else request
        if not hasattr(about, "namespace"):
            # About the whole installation.
            continue
        about.namespace = "acme"
        found = await refused(api, rpc, request)
        assert f"{found.code.name} / {found.reason}" == "NOT_FOUND / NAMESPACE_NOT_FOUND", rpc
        assert found.metadata == {"namespace": "acme"}, rpc
        promised(found)


IDS = (
    "workflow_instance_id",
    "dead_letter_id",
    "handler_id",
    "completion_token",
    "task_id",
)
"""Fields that name what is of one namespace."""
NOTHING = {
    "CompleteDelivery": "INVALID_ARGUMENT / INVALID_FIELD",
    "FailDelivery": "INVALID_ARGUMENT / INVALID_FIELD",
    "ExtendDelivery": "INVALID_ARGUMENT / INVALID_FIELD",
}
"""A token of another namespace cannot be read, so nobody knows what it names."""


async def test_an_id_of_another_namespace_is_not_there(api: Api) -> None:
    """Of every RPC that takes one: the ids of `default` name nothing in a namespace beside it."""
    there = await world(api)
    await api.namespaces.CreateNamespace(CreateNamespaceRequest(name="acme"))
    asked = 0
    for rpc in RPCS:
        request = GOOD[rpc](there)
        if not hasattr(request, "namespace") or not any(getattr(request, one, "") for one in IDS):
            continue
        if rpc in ("StartWorkflow", "UnregisterHandler"):
            # The one takes an id of its own, the other is content if there is none.
            continue
        request.namespace = "acme"
        found = await refused(api, rpc, request)
        said = f"{found.code.name} / {found.reason}"
        assert said == NOTHING.get(rpc, said), rpc
        assert found.code.name == "NOT_FOUND" or rpc in NOTHING, (rpc, said)
        promised(found)
        asked += 1
    assert asked >= 15
    # Nothing of all that has changed what they name.
    await api.handlers.UnregisterHandler(
        UnregisterHandlerRequest(namespace="acme", handler_id=there.handler)
    )
    assert (
        await api.handlers.RenewHandler(RenewHandlerRequest(handler_id=there.handler))
    ) is not None


async def test_lists_and_numbers_of_another_namespace_have_nothing(api: Api) -> None:
    await world(api)
    await api.namespaces.CreateNamespace(CreateNamespaceRequest(name="acme"))
    for rpc, empty in EMPTY.items():
        service = getattr(api, empty.service)
        there = await getattr(service, rpc)(empty.request)
        here = type(empty.request)()
        here.CopyFrom(empty.request)
        here.namespace = "acme"
        nothing = await getattr(service, rpc)(here)
        assert empty.number(there) > 0, rpc
        assert empty.number(nothing) == 0, rpc


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


async def test_without_its_store_each_rpc_says_so(own_postgres: PostgresServer, serve: Any) -> None:
    api: Api = await serve(WAYSTATION_DATABASE_URL=own_postgres.fresh_database(migrated))
    there = await world(api)
    own_postgres.stop_server("immediate")
    answers = await asyncio.gather(
        *(refused(api, rpc, GOOD[rpc](there)) for rpc in RPCS), return_exceptions=True
    )
    for rpc, found in zip(RPCS, answers, strict=True):
        assert isinstance(found, Refusal), (rpc, found)
        assert f"{found.code.name} / {found.reason}" == "UNAVAILABLE / STORE_UNAVAILABLE", rpc
        promised(found)


async def test_a_fault_of_its_own_is_reported_by_an_id_and_nothing_else(api: Api) -> None:
    there = await world(api)
    api.script.on("*", broken(RuntimeError("the secret of the house")))
    for rpc in RPCS:
        found = await refused(api, rpc, GOOD[rpc](there))
        assert f"{found.code.name} / {found.reason}" == "INTERNAL / INTERNAL", rpc
        assert set(found.metadata) == {"error_id"}
        assert found.metadata["error_id"] in found.message
        assert "secret" not in found.message
        promised(found)


def test_errors_of_any_rpc_are_defined_once() -> None:
    general = COMMENTS["ErrorReason"]
    for error in OF_ANY:
        assert error in general
    for rpc in RPCS:
        assert not errors_of(COMMENTS, rpc) & OF_ANY, rpc
    assert set(METADATA) >= RETRIED
