"""DeadLetterService: what operators do about deliveries that failed for good."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import grpc

from waystation.v1 import dead_letter_pb2, dead_letter_service_pb2, dead_letter_service_pb2_grpc
from waystation_api.bulk import BulkLetters
from waystation_api.changing import Change, Changing
from waystation_api.pages import MAX_PAGE_BYTES, Page
from waystation_api.requests import check_namespace
from waystation_core.domain import limits
from waystation_core.domain.errors import InvalidField
from waystation_core.domain.model import DeadLetterState
from waystation_core.ports.store import DeadLetterFilter, QueryStore
from waystation_core.rpc.conversion import (
    dead_letter_to_proto,
    payload_from_proto,
    timestamp_from_proto,
)

_pb = dead_letter_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class DeadLetterService(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """For operators."""

    def __init__(self, queries: QueryStore, changing: Changing, bulk: BulkLetters) -> None:
        self._queries = queries
        self._changing = changing
        self._bulk = bulk

    async def ListDeadLetters(
        self, request: _pb.ListDeadLettersRequest, context: Context
    ) -> _pb.ListDeadLettersResponse:
        namespace = check_namespace(request.namespace)
        page = Page(request, (datetime, UUID))
        found = await self._queries.dead_letters(
            _filter(request.filter),
            after=page.after,
            limit=page.size + 1,
            namespace=namespace,
        )
        response = _pb.ListDeadLettersResponse()
        size = 0
        for letter in found[: page.size]:
            message = dead_letter_to_proto(letter)
            size += message.ByteSize()
            if response.dead_letters and size > MAX_PAGE_BYTES:
                break
            response.dead_letters.append(message)
        shown = len(response.dead_letters)
        if len(found) > shown:
            last = found[shown - 1]
            response.next_page_token = page.token((last.created_at, last.dead_letter_id))
        return response

    async def RetryDeadLetter(
        self, request: _pb.RetryDeadLetterRequest, context: Context
    ) -> _pb.RetryDeadLetterResponse:
        change = Change.of("RetryDeadLetter", request)
        if request.HasField("filter"):
            if request.HasField("payload"):
                raise InvalidField(
                    "payload edits one delivery: send it with dead_letter_id, not with a filter.",
                    field="payload",
                )
            retried = await self._bulk.retry(change, _open_filter(request.filter))
            return _pb.RetryDeadLetterResponse(retried=retried)
        payload = (
            payload_from_proto(request.payload, "payload") if request.HasField("payload") else None
        )
        await self._changing.retry(change, _dead_letter_id(request), payload)
        return _pb.RetryDeadLetterResponse(retried=1)

    async def DiscardDeadLetter(
        self, request: _pb.DiscardDeadLetterRequest, context: Context
    ) -> _pb.DiscardDeadLetterResponse:
        change = Change.of("DiscardDeadLetter", request)
        if request.HasField("filter"):
            discarded = await self._bulk.discard(change, _open_filter(request.filter))
            return _pb.DiscardDeadLetterResponse(discarded=discarded)
        await self._changing.discard(change, _dead_letter_id(request))
        return _pb.DiscardDeadLetterResponse(discarded=1)


def _dead_letter_id(request: _pb.RetryDeadLetterRequest | _pb.DiscardDeadLetterRequest) -> str:
    if not request.dead_letter_id:
        raise InvalidField(
            "dead_letter_id is missing; ListDeadLetters has the ids.", field="dead_letter_id"
        )
    return request.dead_letter_id


def _open_filter(message: dead_letter_pb2.DeadLetterFilter) -> DeadLetterFilter:
    filter = _filter(message)
    if filter.state is not DeadLetterState.OPEN:
        raise InvalidField(
            f"filter.state is {filter.state.name}; only OPEN dead letters can be retried or "
            "discarded. Leave it out.",
            field="filter.state",
        )
    return filter


def _filter(message: dead_letter_pb2.DeadLetterFilter) -> DeadLetterFilter:
    if message.task_id:
        limits.check_task_id(message.task_id, "filter.task_id")
    for field in ("workflow_instance_id", "workflow_type", "event_type"):
        value = getattr(message, field)
        if value:
            limits.check_id(value, f"filter.{field}")
    limits.check_text(message.reason, "filter.reason")
    try:
        state = DeadLetterState(message.state or DeadLetterState.OPEN)
    except ValueError:
        raise InvalidField(
            f"filter.state {message.state} is none that this release knows.", field="filter.state"
        ) from None
    return DeadLetterFilter(
        workflow_instance_id=message.workflow_instance_id,
        workflow_type=message.workflow_type,
        task_id=message.task_id,
        event_type=message.event_type,
        reason=message.reason,
        created_after=timestamp_from_proto(message.created_after, "filter.created_after")
        if message.HasField("created_after")
        else None,
        created_before=timestamp_from_proto(message.created_before, "filter.created_before")
        if message.HasField("created_before")
        else None,
        state=state,
    )
