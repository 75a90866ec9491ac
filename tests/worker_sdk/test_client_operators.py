"""What operators do, by a client: lists, dead letters, handlers, the system. Then: no RPC is left out."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from worker_sdk.fakes import FakeWaystation, Refusal

import waystation.v1
from waystation.v1 import (
    audit_service_pb2,
    dead_letter_pb2,
    dead_letter_service_pb2,
    handler_pb2,
    handler_registry_service_pb2,
    status_pb2,
    system_service_pb2,
    workflow_pb2,
    workflow_service_pb2,
)
from waystation_worker import Client, NewWorkflow, NotFound, TaskResult
from waystation_worker.values import read_struct

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
async def client(waystation: FakeWaystation) -> AsyncIterator[Client]:
    async with Client(waystation.address, retry_for=5) as client:
        yield client


def letter(number: int) -> dead_letter_pb2.DeadLetter:
    message = dead_letter_pb2.DeadLetter(
        dead_letter_id=f"d-{number}",
        task_id="price",
        workflow_instance_id="claim-7",
        workflow_type="claim",
        attempts=5,
        on_failure=handler_pb2.ON_FAILURE_FAIL_WORKFLOW,
        state=dead_letter_pb2.DEAD_LETTER_STATE_OPEN,
        retryable=True,
    )
    message.event.event_type = "claim.read"
    message.event.payload.update({"amount": number})
    message.error.code = "TASK_FAILURE"
    message.error.reason = "KeyError"
    message.error.message = "'amount'"
    message.created_at.FromDatetime(NOON)
    return message


async def test_dead_letters_are_listed_page_by_page(
    waystation: FakeWaystation, client: Client
) -> None:
    pages = dead_letter_service_pb2.ListDeadLettersResponse
    waystation.next(
        "ListDeadLetters",
        pages(dead_letters=[letter(1)], next_page_token="t"),
        pages(next_page_token="u"),
        pages(dead_letters=[letter(2)]),
    )
    found = [
        one
        async for one in client.dead_letters.list(
            task_ids=["price"], created_after=NOON, states=["OPEN", "RETRIED"]
        )
    ]
    assert [one.dead_letter_id for one in found] == ["d-1", "d-2"]
    one = found[0]
    assert (one.task_id, one.event_type, one.payload) == ("price", "claim.read", {"amount": 1})
    assert (one.reason, one.error, one.attempts) == ("KeyError", "KeyError: 'amount'", 5)
    assert (one.state, one.retryable, one.fails_workflow) == ("OPEN", True, True)
    assert (one.created_at, one.resolved_at) == (NOON, None)
    requests = waystation.requests("ListDeadLetters")
    assert [request.page_token for request in requests] == ["", "t", "u"]
    assert list(requests[0].filter.task_ids) == ["price"]
    assert list(requests[0].filter.states) == [1, 2]
    assert requests[0].filter.created_after.ToDatetime(tzinfo=UTC) == NOON


async def test_a_list_ends_at_its_limit(waystation: FakeWaystation, client: Client) -> None:
    waystation.usual["ListDeadLetters"] = lambda request: (
        dead_letter_service_pb2.ListDeadLettersResponse(
            dead_letters=[letter(1), letter(2)], next_page_token="more"
        )
    )
    assert len([one async for one in client.dead_letters.list(limit=3)]) == 3
    assert [r.page_size for r in waystation.requests("ListDeadLetters")] == [3, 1]
    assert [one async for one in client.dead_letters.list(limit=0)] == []
    with pytest.raises(ValueError, match="limit must be at least 0, not -1"):
        _ = [one async for one in client.dead_letters.list(limit=-1)]


async def test_dead_letters_are_counted_retried_and_discarded(
    waystation: FakeWaystation, client: Client
) -> None:
    counted = dead_letter_service_pb2.CountDeadLettersResponse(count=3, retryable=2, workflows=2)
    counted.groups.add(task_id="price", reason="KeyError", count=3).first_created_at.FromDatetime(
        NOON
    )
    waystation.next("CountDeadLetters", counted)
    count = await client.dead_letters.count(reasons=["KeyError"])
    assert (count.count, count.retryable, count.workflows, count.more) == (3, 2, 2, False)
    assert (count.groups[0].reason, count.groups[0].first_created_at) == ("KeyError", NOON)

    retried = dead_letter_service_pb2.RetryDeadLetterResponse(dead_letter=letter(1))
    retried.dead_letter.state = dead_letter_pb2.DEAD_LETTER_STATE_RETRIED
    waystation.next("RetryDeadLetter", retried, Refusal("NOT_FOUND", "DEAD_LETTER_NOT_FOUND"))
    assert (await client.dead_letters.retry("d-1", {"amount": 7})).state == "RETRIED"
    [request] = waystation.requests("RetryDeadLetter")
    assert (request.dead_letter_id, read_struct(request.payload)) == ("d-1", {"amount": 7})
    assert request.request_id
    with pytest.raises(NotFound):
        await client.dead_letters.retry("d-2")
    assert not waystation.requests("RetryDeadLetter")[1].HasField("payload")


async def test_many_dead_letters_are_chosen_by_a_condition_or_by_all_of_them(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.usual["RetryDeadLetters"] = lambda _: (
        dead_letter_service_pb2.RetryDeadLettersResponse(retried=9)
    )
    many = client.dead_letters
    assert await many.retry_many(workflow_types=["claim"], request_id="r-1") == 9
    assert await many.retry_many(all=True) == 9
    by_filter, by_all = waystation.requests("RetryDeadLetters")
    assert (by_filter.WhichOneof("target"), by_filter.request_id) == ("filter", "r-1")
    assert by_all.WhichOneof("target") == "all"
    for act in (many.retry_many, many.discard_many):
        with pytest.raises(ValueError, match="or all=True for every open one"):
            await act()
        with pytest.raises(ValueError, match="or all=True for every open one"):
            await act(workflow_types=[])
        with pytest.raises(ValueError, match="excludes conditions"):
            await act(all=True, task_ids=["price"])


async def test_conditions_are_checked_before_anything_is_sent(
    waystation: FakeWaystation, client: Client
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"task_id": "price"}, "there is no condition 'task_id'; there are created_after"),
        ({"task_ids": "price"}, r"task_ids must be a list; write \['price'\]"),
        ({"created_after": datetime(2026, 5, 1)}, "created_after has no time zone"),  # noqa: DTZ001
        ({"states": ["open"]}, "states: 'open' is not one of OPEN, RETRIED, DISCARDED"),
    ]
    for conditions, text in wrong:
        with pytest.raises((TypeError, ValueError), match=text):
            _ = [one async for one in client.dead_letters.list(**conditions)]
    with pytest.raises(ValueError, match="statuses: 'DONE' is not one of ACTIVE"):
        _ = [one async for one in client.list(statuses=["DONE"])]
    with pytest.raises(ValueError, match="results: 'failed' is not one of SUCCESS, FAILED"):
        _ = [one async for one in client.history("claim-7", results=["failed"])]
    with pytest.raises(TypeError, match=r"results must be a list; write \['FAILED'\]"):
        _ = [one async for one in client.history("claim-7", results="FAILED")]
    assert not waystation.calls


async def test_workflows_are_listed_and_found(waystation: FakeWaystation, client: Client) -> None:
    listed = workflow_service_pb2.ListWorkflowsResponse()
    listed.workflows.add(
        workflow_instance_id="claim-7", status=status_pb2.WORKFLOW_STATUS_FAILED
    ).failure.reason = "KeyError"
    waystation.next("ListWorkflows", listed)
    [found] = [
        one
        async for one in client.list(
            statuses=["FAILED"], idle=False, correlation_ids=["c"], id_prefix="claim-", limit=5
        )
    ]
    assert (found.id, found.status, found.failure and found.failure.reason) == (
        "claim-7",
        "FAILED",
        "KeyError",
    )
    [request] = waystation.requests("ListWorkflows")
    assert request.filter == workflow_pb2.WorkflowFilter(
        statuses=[status_pb2.WORKFLOW_STATUS_FAILED],
        idle=False,
        correlation_ids=["c"],
        id_prefix="claim-",
    )
    waystation.next(
        "FindWorkflowIds",
        workflow_service_pb2.FindWorkflowIdsResponse(workflow_instance_ids=["claim-7"]),
    )
    assert await client.find_ids("cla", limit=3) == ("claim-7",)


async def test_handlers_are_listed_registered_and_removed(
    waystation: FakeWaystation, client: Client
) -> None:
    handler = handler_pb2.Handler(
        handler_id="h-1",
        service_name="claims",
        host="127.0.0.1",
        port=7500,
        kind=handler_pb2.REGISTRATION_KIND_LEASED,
        tasks=[handler_pb2.TaskSpec(task_id="price")],
        reachable=False,
        last_error="no connection",
        lease_remaining=timedelta(seconds=20),
    )
    waystation.next(
        "ListHandlers", handler_registry_service_pb2.ListHandlersResponse(handlers=[handler])
    )
    [found] = [one async for one in client.handlers.list("claims")]
    assert (found.handler_id, found.kind, found.task_ids) == ("h-1", "LEASED", ("price",))
    assert (found.reachable, found.last_error, found.lease_remaining) == (
        False,
        "no connection",
        20.0,
    )
    assert waystation.requests("ListHandlers")[0].with_tasks

    spec = handler_pb2.TaskSpec(task_id="price", event_types=["e"], workflow_types=["w"])
    await client.handlers.register("claims", "10.0.0.7", 7500, [spec])
    await client.handlers.register("claims", "10.0.0.7", 7500, [spec], lease=timedelta(minutes=1))
    static, leased = waystation.requests("RegisterHandler")
    assert (static.kind, static.HasField("lease")) == (handler_pb2.REGISTRATION_KIND_STATIC, False)
    assert (leased.kind, leased.lease.seconds) == (handler_pb2.REGISTRATION_KIND_LEASED, 60)
    waystation.next(
        "RenewHandler",
        handler_registry_service_pb2.RenewHandlerResponse(lease_remaining=timedelta(seconds=30)),
    )
    assert await client.handlers.renew("h-1") == 30.0
    await client.handlers.unregister("h-1")
    assert waystation.requests("UnregisterHandler")[0].handler_id == "h-1"
    waystation.next(
        "RetireTask", handler_registry_service_pb2.RetireTaskResponse(retired_deliveries=2)
    )
    assert await client.handlers.retire_task("price") == 2


async def test_the_system_tells_its_state_and_its_flow(
    waystation: FakeWaystation, client: Client
) -> None:
    waystation.next("GetSystemStatus", system_service_pb2.GetSystemStatusResponse(dead_letters=4))
    assert (await client.system.status()).dead_letters == 4
    waystation.next("GetFlow", system_service_pb2.GetFlowResponse(instances=7))
    assert (await client.system.flow("claim", created_after=NOON)).instances == 7
    [request] = waystation.requests("GetFlow")
    assert (request.workflow_type, request.created_after.ToDatetime(tzinfo=UTC)) == ("claim", NOON)


async def test_the_audit_log_tells_who_did_what(waystation: FakeWaystation, client: Client) -> None:
    message = audit_service_pb2.AuditEntry(
        audit_id=4,
        principal="token:deploy",
        peer="10.0.0.7",
        namespace="default",
        method="CancelWorkflow",
        target={"workflow_instance_id": "w-1"},
        code="OK",
        calls=1,
    )
    message.occurred_at.FromDatetime(NOON)
    waystation.next("ListAudit", audit_service_pb2.ListAuditResponse(entries=[message]))
    found = client.audit.list(
        principal="token:deploy",
        methods=["CancelWorkflow"],
        target="w-1",
        from_time=NOON,
        to_time=NOON + timedelta(hours=1),
        limit=5,
    )
    [entry] = [each async for each in found]
    assert (entry.principal, entry.method, entry.target, entry.code) == (
        "token:deploy",
        "CancelWorkflow",
        {"workflow_instance_id": "w-1"},
        "OK",
    )
    assert (entry.occurred_at, entry.calls, entry.message) == (NOON, 1, message)
    [request] = waystation.requests("ListAudit")
    assert (request.principal, request.target, list(request.methods), request.page_size) == (
        "token:deploy",
        "w-1",
        ["CancelWorkflow"],
        5,
    )
    assert request.from_time.ToDatetime(tzinfo=UTC) == NOON
    with pytest.raises(TypeError):
        [each async for each in client.audit.list(methods="CancelWorkflow")]


SERVED_BY_HANDLERS = "TaskHandlerService"
"""Routers call it, and handler services serve it: it is no business of clients."""

CALLS: dict[str, tuple[str, Callable[[Client], Any]]] = {
    "StartWorkflow": ("start", lambda c: c.start("t")),
    "RunWorkflow": ("run", lambda c: c.run("t")),
    "WaitWorkflow": ("wait", lambda c: c.wait("w")),
    "RunWorkflows": ("start_many", lambda c: c.start_many([NewWorkflow(workflow_type="t")])),
    "GetWorkflow": ("get", lambda c: c.get("w")),
    "ListWorkflows": ("list", lambda c: c.list()),
    "FindWorkflowIds": ("find_ids", lambda c: c.find_ids("w")),
    "ListEvents": ("events", lambda c: c.events("w")),
    "ListHistory": ("history", lambda c: c.history("w")),
    "WatchWorkflow": ("watch", lambda c: c.watch("w")),
    "ProvideInput": ("provide_input", lambda c: c.provide_input("w", {})),
    "PublishEvent": ("publish", lambda c: c.publish("w", "e")),
    "CancelWorkflow": ("cancel", lambda c: c.cancel("w")),
    "ExplainWorkflow": ("explain", lambda c: c.explain("w")),
    "ReplayWorkflow": ("replay", lambda c: c.replay("w")),
    "ForkWorkflow": ("fork", lambda c: c.fork("w", 1)),
    "CompleteDelivery": ("complete_delivery", lambda c: c.complete_delivery("k", TaskResult())),
    "FailDelivery": ("fail_delivery", lambda c: c.fail_delivery("k", "NO")),
    "ExtendDelivery": ("extend_delivery", lambda c: c.extend_delivery("k", 60)),
    "ListDeadLetters": ("dead_letters.list", lambda c: c.dead_letters.list()),
    "CountDeadLetters": ("dead_letters.count", lambda c: c.dead_letters.count()),
    "RetryDeadLetter": ("dead_letters.retry", lambda c: c.dead_letters.retry("d")),
    "DiscardDeadLetter": ("dead_letters.discard", lambda c: c.dead_letters.discard("d")),
    "RetryDeadLetters": (
        "dead_letters.retry_many",
        lambda c: c.dead_letters.retry_many(all=True),
    ),
    "DiscardDeadLetters": (
        "dead_letters.discard_many",
        lambda c: c.dead_letters.discard_many(all=True),
    ),
    "RegisterHandler": ("handlers.register", lambda c: c.handlers.register("s", "h", 1, [])),
    "RenewHandler": ("handlers.renew", lambda c: c.handlers.renew("h")),
    "UnregisterHandler": ("handlers.unregister", lambda c: c.handlers.unregister("h")),
    "RetireTask": ("handlers.retire_task", lambda c: c.handlers.retire_task("t")),
    "ListHandlers": ("handlers.list", lambda c: c.handlers.list()),
    "GetSystemStatus": ("system.status", lambda c: c.system.status()),
    "CreateToken": ("tokens.create", lambda c: c.tokens.create("t", {"*": ["READER"]})),
    "ListTokens": ("tokens.list", lambda c: c.tokens.list()),
    "RevokeToken": ("tokens.revoke", lambda c: c.tokens.revoke("t")),
    "GetFlow": ("system.flow", lambda c: c.system.flow()),
    "CreateNamespace": ("namespaces.create", lambda c: c.namespaces.create("acme")),
    "GetNamespace": ("namespaces.get", lambda c: c.namespaces.get("acme")),
    "UpdateNamespace": (
        "namespaces.update",
        lambda c: c.namespaces.update("acme", description="", limits=None),
    ),
    "ListNamespaces": ("namespaces.list", lambda c: c.namespaces.list()),
    "DeleteNamespace": ("namespaces.delete", lambda c: c.namespaces.delete("acme")),
    "ListAudit": ("audit.list", lambda c: c.audit.list()),
}
"""For each RPC the method of Client that calls it, and a call of it."""


def rpcs() -> dict[str, Any]:
    """Every RPC that clients may call, by name."""
    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(waystation.v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"waystation.v1.{module.name}").DESCRIPTOR
            for name, service in file.services_by_name.items():
                if name != SERVED_BY_HANDLERS:
                    found.update(service.methods_by_name)
    return found


def test_every_rpc_has_a_method_of_client() -> None:
    assert set(CALLS) == set(rpcs())


@pytest.mark.parametrize("rpc", CALLS)
async def test_the_method_calls_the_rpc(
    rpc: str, waystation: FakeWaystation, client: Client
) -> None:
    path, call = CALLS[rpc]
    method: Any = client
    for name in path.split("."):
        method = getattr(method, name)
    assert inspect.isroutine(method)
    for name, descriptor in rpcs().items():
        response = descriptor.output_type._concrete_class
        waystation.usual[name] = lambda _, response=response: response()
    waystation.usual["WatchWorkflow"] = lambda _: []
    done = call(client)
    if inspect.isasyncgen(done):
        _ = [item async for item in done]
    else:
        await done
    if rpc == "RunWorkflows":
        assert waystation.opened == 1
    else:
        assert [name for name, _ in waystation.calls] == [rpc]
    request = waystation.calls[0][1]
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        assert request.request_id, "a repeated call takes effect once"


def test_the_page_has_the_whole_table() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| `client\.([a-z_.]+)\(", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {rpc: path for rpc, (path, _) in CALLS.items()}


async def test_the_example_of_the_page_rescues(waystation: FakeWaystation, client: Client) -> None:
    (source,) = re.findall(r"^```python\n# rescue\.py\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    page: dict[str, Any] = {}
    exec(source, page)
    settled = letter(2)
    settled.retryable = False
    waystation.next(
        "ListDeadLetters",
        dead_letter_service_pb2.ListDeadLettersResponse(dead_letters=[letter(1), settled]),
    )
    waystation.next("RetryDeadLetter", dead_letter_service_pb2.RetryDeadLetterResponse())
    waystation.next("RetryDeadLetters", dead_letter_service_pb2.RetryDeadLettersResponse(retried=4))
    assert await page["rescue"](client) == 4
    [request] = waystation.requests("RetryDeadLetter")
    assert (request.dead_letter_id, read_struct(request.payload)) == ("d-1", {"amount": 0})
