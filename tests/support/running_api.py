"""A running API and the refusals of its calls, as tests see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from support.scripted_engine import ScriptedEngine
from support.scripted_store import Script
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.result_pb2 import CallStatus
from waystation.v1.workflow_service_pb2 import (
    ListHistoryRequest,
    RunWorkflowsItem,
    RunWorkflowsRequest,
    RunWorkflowsResult,
)
from waystation_api.app import ApiServer, Store
from waystation_core.store.connections import ConnectionPool


@dataclass(frozen=True)
class Refusal:
    """A refused call as its caller sees it."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    message: str
    fields: tuple[str, ...]
    retry_seconds: float | None = None
    """When to call again, where the server says so."""


async def refusal(call: Any) -> Refusal:
    """What a call is refused with; fails where it is not refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    error = caught.value
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error.code()} {error.details()}"
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "waystation"
    request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    fields: list[str] = []
    retry_seconds = None
    for detail in status.details[1:]:
        if detail.Unpack(request):
            fields = [violation.field for violation in request.field_violations]
        elif detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(
        error.code(),
        info.reason,
        dict(info.metadata),
        error.details() or "",
        tuple(fields),
        retry_seconds,
    )


def refusal_of(error: CallStatus) -> Refusal:
    """The same of an item of a stream."""
    code = next(code for code in grpc.StatusCode if code.value[0] == error.code)
    invalid = code is grpc.StatusCode.INVALID_ARGUMENT and "field" in error.metadata
    return Refusal(
        code,
        error.reason,
        dict(error.metadata),
        error.message,
        (error.metadata["field"],) if invalid else (),
        error.retry_after.ToTimedelta().total_seconds() if error.HasField("retry_after") else None,
    )


async def refused_at(api: Api, path: str, request: Message) -> Refusal:
    """What a request of any method is refused with; in a stream, what its one item is."""
    if isinstance(request, RunWorkflowsRequest):
        return refusal_of((await one_item(api, request.items[0])).error)
    call: Any = api.channel.unary_unary(path)
    return await refusal(call(request.SerializeToString()))


async def one_item(api: Api, item: RunWorkflowsItem) -> RunWorkflowsResult:
    """The result of an item that is alone on its stream."""
    call: Any = api.workflows.RunWorkflows(timeout=30)
    await call.write(RunWorkflowsRequest(items=[item]))
    [result] = (await call.read()).results
    call.cancel()
    return result  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Api:
    """The running server, its stubs, and what stands behind it."""

    server: ApiServer
    store: Store
    script: Script
    """Of the store: which of its calls fail or wait."""
    engine: ScriptedEngine
    channel: grpc.aio.Channel
    workflows: Any
    handlers: Any
    dead_letters: Any
    completions: Any
    system: Any
    audit: Any
    tokens: Any
    namespaces: Any
    pool: ConnectionPool


async def history(api: Api, name: str = "w-1") -> list[HistoryEntry]:
    """All entries of an instance's history, oldest first."""
    request = ListHistoryRequest(workflow_instance_id=name, page_size=1000)
    found: list[HistoryEntry] = []
    while True:
        page = await api.workflows.ListHistory(request)
        found += page.entries
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
