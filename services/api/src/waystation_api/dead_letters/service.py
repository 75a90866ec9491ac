"""DeadLetterService: what operators do about deliveries that failed permanently."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import grpc

from waystation.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from waystation_api.audit.audited_call import audited_call
from waystation_api.dead_letters.bulk import BulkDeadLetters, BulkRequest
from waystation_api.filters import dead_letter_filter, target_of
from waystation_api.pages import Key, Page, fill
from waystation_api.requests import check_namespace, digest_of
from waystation_api.workflows.changes import Change, Changes
from waystation_conversion import (
    context_to_proto,
    dead_letter_to_proto,
    payload_from_proto,
    set_timestamp,
)
from waystation_core.ports.store import DeadLetterFact, QueryStore
from waystation_domain import limits
from waystation_domain.errors import InvalidField

_pb = dead_letter_service_pb2
Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"


class DeadLetterService(dead_letter_service_pb2_grpc.DeadLetterServiceServicer):
    """For operators."""

    def __init__(self, queries: QueryStore, changes: Changes, bulk: BulkDeadLetters) -> None:
        self._queries = queries
        self._changes = changes
        self._bulk = bulk

    async def ListDeadLetters(
        self, request: _pb.ListDeadLettersRequest, context: Context
    ) -> _pb.ListDeadLettersResponse:
        namespace = check_namespace(request.namespace)
        filter = dead_letter_filter(request.filter)
        page = Page(request, (datetime, UUID))
        response = _pb.ListDeadLettersResponse()

        async def look(after: Key | None, limit: int) -> Sequence[DeadLetterFact]:
            return await self._queries.dead_letters(
                filter,
                after=(after[0], after[1]) if after is not None else None,
                limit=limit,
                namespace=namespace,
            )

        response.next_page_token = await fill(
            page,
            response.dead_letters,
            look,
            dead_letter_to_proto,
            lambda dead_letter, _: (dead_letter.created_at, dead_letter.dead_letter_id),
        )
        return response

    async def CountDeadLetters(
        self, request: _pb.CountDeadLettersRequest, context: Context
    ) -> _pb.CountDeadLettersResponse:
        namespace = check_namespace(request.namespace)
        counts = await self._queries.count_dead_letters(
            dead_letter_filter(request.filter), namespace=namespace
        )
        response = _pb.CountDeadLettersResponse(
            count=counts.count,
            retryable=counts.retryable,
            workflows=counts.workflows,
            groups_left_out=counts.groups_left_out,
            more=counts.more,
        )
        for group in counts.groups:
            message = response.groups.add(
                task_id=group.task_id,
                reason=group.reason,
                count=group.count,
                retryable=group.retryable,
                workflows=group.workflows,
            )
            set_timestamp(message.first_created_at, group.first_at)
            set_timestamp(message.last_created_at, group.last_at)
        return response

    async def RetryDeadLetter(
        self, request: _pb.RetryDeadLetterRequest, context: Context
    ) -> _pb.RetryDeadLetterResponse:
        change = Change.of("RetryDeadLetter", request)
        payload = (
            payload_from_proto(request.payload, "payload") if request.HasField("payload") else None
        )
        instance, dead_letter = await self._changes.retry(change, _dead_letter_id(request), payload)
        return _pb.RetryDeadLetterResponse(
            dead_letter=dead_letter_to_proto(dead_letter), context=context_to_proto(instance)
        )

    async def DiscardDeadLetter(
        self, request: _pb.DiscardDeadLetterRequest, context: Context
    ) -> _pb.DiscardDeadLetterResponse:
        change = Change.of("DiscardDeadLetter", request)
        instance, dead_letter = await self._changes.discard(change, _dead_letter_id(request))
        return _pb.DiscardDeadLetterResponse(
            dead_letter=dead_letter_to_proto(dead_letter), context=context_to_proto(instance)
        )

    async def RetryDeadLetters(
        self, request: _pb.RetryDeadLettersRequest, context: Context
    ) -> _pb.RetryDeadLettersResponse:
        return _pb.RetryDeadLettersResponse(
            retried=await self._bulk.retry(_request_of("RetryDeadLetters", request))
        )

    async def DiscardDeadLetters(
        self, request: _pb.DiscardDeadLettersRequest, context: Context
    ) -> _pb.DiscardDeadLettersResponse:
        return _pb.DiscardDeadLettersResponse(
            discarded=await self._bulk.discard(_request_of("DiscardDeadLetters", request))
        )


def _dead_letter_id(request: _pb.RetryDeadLetterRequest | _pb.DiscardDeadLetterRequest) -> str:
    if not request.dead_letter_id:
        raise InvalidField(
            "dead_letter_id is missing; ListDeadLetters shows the ids.", field="dead_letter_id"
        )
    return request.dead_letter_id


def _request_of(
    rpc: str, request: _pb.RetryDeadLettersRequest | _pb.DiscardDeadLettersRequest
) -> BulkRequest:
    """It empties fields of the request."""
    filter = target_of(request)
    # Without a request_id, an interrupted call could be neither continued nor counted.
    request_id = limits.check_id(request.request_id, "request_id")
    namespace = check_namespace(request.namespace)
    return BulkRequest(rpc, request_id, digest_of(request), filter, namespace, audited_call())
