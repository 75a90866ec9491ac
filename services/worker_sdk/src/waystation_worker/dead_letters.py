"""Dead letters: what a client lists, retries and discards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from waystation.v1 import dead_letter_pb2, handler_pb2
from waystation.v1 import dead_letter_service_pb2 as pb
from waystation_worker.arguments import flag
from waystation_worker.connection import Connection
from waystation_worker.messages import message_of, request_id_of
from waystation_worker.pages import items_of, write_filter
from waystation_worker.times import MILLISECOND, Span, seconds_of, time_of
from waystation_worker.values import Model, read_struct, write_struct
from waystation_worker.workflows import enum_name, error_text

_BULK = timedelta(minutes=10)
"""A great many workflows take minutes."""


class DeadLetterFilter(TypedDict, total=False):
    """Which dead letters: all conditions must hold, a list means any of its values."""

    workflow_instance_ids: Iterable[str]
    workflow_types: Iterable[str]
    task_ids: Iterable[str]
    event_types: Iterable[str]
    reasons: Iterable[str]
    created_after: datetime
    """Dead-lettered at or after this time."""
    created_before: datetime
    id_prefix: str
    """The beginning of a dead_letter_id."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that failed permanently.

    `state`: OPEN, RETRIED, DISCARDED. `payload` is that of the last attempt. `reason` is the reason
    of the last error, or its code if it has none, `error` the whole text. `fails_workflow`: whether
    it failed its instance. `retryable`: whether `retry` would take it now.
    """

    dead_letter_id: str
    task_id: str
    workflow_instance_id: str
    workflow_type: str
    event_id: str
    event_type: str
    payload: dict[str, Any]
    attempts: int
    reason: str
    error: str
    state: str
    fails_workflow: bool
    retryable: bool
    created_at: datetime | None = None
    resolved_at: datetime | None = None
    message: dead_letter_pb2.DeadLetter = field(
        default_factory=dead_letter_pb2.DeadLetter, repr=False, compare=False
    )
    """The whole message."""


@dataclass(frozen=True, slots=True)
class DeadLetterGroup:
    """Open dead letters of one task with one reason; `workflows`: of how many instances."""

    task_id: str
    reason: str
    count: int
    retryable: int
    workflows: int
    first_created_at: datetime | None = None
    last_created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeadLetterCount:
    """How many there are, among the newest 100,000; `more`: there are more than these.
    `groups_left_out`: how many groups are not in `groups`, which has the 1,000 largest."""

    count: int
    retryable: int
    workflows: int
    groups: tuple[DeadLetterGroup, ...] = ()
    groups_left_out: int = 0
    more: bool = False


class DeadLetters:
    """`client.dead_letters`. The conditions of its methods are those of DeadLetterFilter:

    async for letter in client.dead_letters.list(task_ids=["price"]):
        await client.dead_letters.retry(letter.dead_letter_id)
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        states: Iterable[str] = ("OPEN",),
        limit: int | None = None,
        **conditions: Unpack[DeadLetterFilter],
    ) -> AsyncIterator[DeadLetter]:
        """The dead letters that match, newest first: `async for letter in client.dead_letters.list()`."""
        request = message_of(pb.ListDeadLettersRequest, namespace=self._connection.namespace)
        _write(conditions, request.filter, states=states)
        return items_of(
            self._connection,
            lambda: self._connection.dead_letters.ListDeadLetters,
            request,
            lambda page: map(_dead_letter, page.dead_letters),
            limit,
        )

    async def count(self, **conditions: Unpack[DeadLetterFilter]) -> DeadLetterCount:
        """How many open ones match, by task and reason; without conditions all open ones."""
        request = message_of(pb.CountDeadLettersRequest, namespace=self._connection.namespace)
        _write(conditions, request.filter)
        stub = self._connection.dead_letters
        response: pb.CountDeadLettersResponse = await self._connection.call(
            stub.CountDeadLetters, request
        )
        return DeadLetterCount(
            count=response.count,
            retryable=response.retryable,
            workflows=response.workflows,
            groups=tuple(map(_group, response.groups)),
            groups_left_out=response.groups_left_out,
            more=response.more,
        )

    async def retry(
        self,
        dead_letter_id: str,
        payload: Mapping[str, Any] | Model | None = None,
        *,
        request_id: str | None = None,
    ) -> DeadLetter:
        """Retries a delivery from its first attempt, optionally with an edited payload. A FAILED
        instance becomes ACTIVE."""
        request = message_of(
            pb.RetryDeadLetterRequest,
            namespace=self._connection.namespace,
            dead_letter_id=dead_letter_id,
            request_id=request_id_of(request_id),
        )
        if payload is not None:
            request.payload.SetInParent()
            write_struct(payload, request.payload, "payload")
        stub = self._connection.dead_letters
        response = await self._connection.call(stub.RetryDeadLetter, request)
        return _dead_letter(response.dead_letter)

    async def discard(self, dead_letter_id: str, *, request_id: str | None = None) -> DeadLetter:
        """Discards a delivery: it is not retried any more."""
        request = message_of(
            pb.DiscardDeadLetterRequest,
            namespace=self._connection.namespace,
            dead_letter_id=dead_letter_id,
            request_id=request_id_of(request_id),
        )
        stub = self._connection.dead_letters
        response = await self._connection.call(stub.DiscardDeadLetter, request)
        return _dead_letter(response.dead_letter)

    async def retry_many(
        self,
        *,
        all: bool = False,
        timeout: Span = _BULK,
        request_id: str | None = None,
        **conditions: Unpack[DeadLetterFilter],
    ) -> int:
        """Retries all open ones that match, or with `all=True` every open one; returns how many.

        If it takes longer than `timeout`, Unavailable is raised and what was done is kept: the same
        call with the same `request_id` does the rest. Raises ValueError without a condition.
        """
        request = pb.RetryDeadLettersRequest()
        response = await self._of_many(
            "RetryDeadLetters", request, conditions, all, timeout, request_id
        )
        retried: int = response.retried
        return retried

    async def discard_many(
        self,
        *,
        all: bool = False,
        timeout: Span = _BULK,
        request_id: str | None = None,
        **conditions: Unpack[DeadLetterFilter],
    ) -> int:
        """Discards all open ones that match, or with `all=True` every open one; returns how many. As `retry_many`."""
        request = pb.DiscardDeadLettersRequest()
        response = await self._of_many(
            "DiscardDeadLetters", request, conditions, all, timeout, request_id
        )
        discarded: int = response.discarded
        return discarded

    async def _of_many(
        self,
        rpc: str,
        request: Any,
        conditions: DeadLetterFilter,
        every_one: bool,
        timeout: Span,
        request_id: str | None,
    ) -> Any:
        seconds = seconds_of(timeout, "timeout", shortest=MILLISECOND)
        request.namespace = self._connection.namespace
        request.request_id = request_id_of(request_id)
        if flag(every_one, "all"):
            if any(value is not None for value in conditions.values()):
                raise ValueError("`all` excludes conditions; give one of them")
            request.all.SetInParent()
        else:
            _write(conditions, request.filter)
            if request.filter == dead_letter_pb2.DeadLetterFilter():
                raise ValueError(
                    "say which dead letters, such as task_ids=[...], or all=True for every open one"
                )
        return await self._connection.call(
            getattr(self._connection.dead_letters, rpc), request, seconds
        )


def _write(
    conditions: DeadLetterFilter,
    into: dead_letter_pb2.DeadLetterFilter,
    states: Iterable[str] | None = None,
) -> None:
    given: dict[str, Any] = {**conditions}
    known = set(DeadLetterFilter.__annotations__)
    if states is not None:
        given["states"] = states
        known.add("states")
    enums = {"states": (dead_letter_pb2.DeadLetterState, "DEAD_LETTER_STATE_")}
    write_filter(given, known, enums, into)


def _dead_letter(letter: dead_letter_pb2.DeadLetter) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=letter.dead_letter_id,
        task_id=letter.task_id,
        workflow_instance_id=letter.workflow_instance_id,
        workflow_type=letter.workflow_type,
        event_id=letter.event.event_id,
        event_type=letter.event.event_type,
        payload=read_struct(letter.event.payload),
        attempts=letter.attempts,
        reason=letter.error.reason or letter.error.code,
        error=error_text(letter.error),
        state=enum_name(dead_letter_pb2.DeadLetterState, letter.state, "DEAD_LETTER_STATE_"),
        fails_workflow=letter.on_failure == handler_pb2.ON_FAILURE_FAIL_WORKFLOW,
        retryable=letter.retryable,
        created_at=time_of(letter, "created_at"),
        resolved_at=time_of(letter, "resolved_at"),
        message=letter,
    )


def _group(group: dead_letter_pb2.DeadLetterGroup) -> DeadLetterGroup:
    return DeadLetterGroup(
        task_id=group.task_id,
        reason=group.reason,
        count=group.count,
        retryable=group.retryable,
        workflows=group.workflows,
        first_created_at=time_of(group, "first_created_at"),
        last_created_at=time_of(group, "last_created_at"),
    )
