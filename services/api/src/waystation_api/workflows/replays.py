"""ReplayWorkflow: calls recorded attempts again with dry_run, and compares the results.

It reads and calls, and writes nothing. One call makes a limited number of steps and ends before its caller's
deadline; the next one continues where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from waystation.v1 import replay_pb2, task_handler_service_pb2, workflow_service_pb2
from waystation_api.pages import MAX_PAGE_BYTES
from waystation_api.requests import check_instance, check_sequence
from waystation_api.workflows import replay_report
from waystation_api.workflows.past import entries_of
from waystation_api.workflows.waiters import InstanceReader
from waystation_conversion import (
    add_history,
    context_to_proto,
    event_to_proto,
    reply_from_proto,
    set_timestamp,
)
from waystation_core import background
from waystation_core.identity.signatures import Signatures
from waystation_core.ids import new_id
from waystation_core.ports.store import HistoryFilter, QueryStore, Registration, StoredEntry
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.rpc.attempts import Failed, NotSent
from waystation_core.rpc.handler_calls import HandlerCalls
from waystation_domain import limits, replays
from waystation_domain.commit import HistoryEntry
from waystation_domain.details import DeadLetterRetried
from waystation_domain.draft import Rules
from waystation_domain.endpoints import Allowlist
from waystation_domain.errors import InvalidField
from waystation_domain.fold import Fold
from waystation_domain.model import Event, Instance, Result, idempotency_key
from waystation_domain.notes import note_of
from waystation_domain.outcomes import AttemptError, Pending, Reply
from waystation_domain.task_spec import TaskSpec
from waystation_domain.task_table import announces
from waystation_tls import ClientCredentials

_pb = workflow_service_pb2
_Skip = replay_pb2.ReplaySkipReason

MAX_STEPS = 100
"""Steps of one call."""
CALLS_AT_ONCE = 8
DEFAULT_SECONDS = 30.0
"""Seconds, if the caller has no deadline."""
MAX_SECONDS = 600.0
MARGIN_SECONDS = 0.5
"""Seconds before the caller's deadline, so that the answer still arrives."""


class _NotReplayed(Exception):
    """An attempt that is skipped: why, as an enum value and as text."""

    def __init__(self, reason: _Skip, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class _Past:
    """What the steps of one call need of an instance's past."""

    key: int
    namespace: str
    """Of the instance."""
    entries: Mapping[int, StoredEntry]
    """Those of the attempts, by sequence."""
    moments: Mapping[int, Instance]
    events: Mapping[str, Event]
    edited_at: Mapping[tuple[str | None, str], int]
    """By event and task of a delivery: the entry since which it has an edited payload."""
    replay_id: str

    def recorded(self, entry: HistoryEntry) -> replays.Recorded:
        return replays.Recorded(
            entry=entry,
            event=self.events[entry.event_id or ""],
            raised=tuple(self.events[event_id] for event_id in entry.raised),
            before=self.moments[entry.sequence - 1],
            after=self.moments[entry.sequence],
        )


def _checked_task_ids(task_ids: Sequence[str]) -> set[str]:
    limits.check_number_of_names(len(task_ids), "task_ids", "Omit it for all tasks.")
    return {limits.check_task_id(task_id, "task_ids") for task_id in task_ids}


class Replays:
    """Replays attempts of tasks."""

    def __init__(
        self,
        store: QueryStore,
        reader: InstanceReader,
        registries: Registries,
        allowlist: Allowlist,
        *,
        signatures: Signatures,
        max_events: int,
        tls: ClientCredentials | None = None,
    ) -> None:
        """`tls` is that of calls to handlers; None: plain text."""
        self._store = store
        self._reader = reader
        self._registries = registries
        self._allowlist = allowlist
        self._tls = tls
        self._signatures = signatures
        self._rules = Rules(PROVIDERS, max_events=max_events)

    async def replay(
        self, request: _pb.ReplayWorkflowRequest, remaining: float | None
    ) -> _pb.ReplayWorkflowResponse:
        """Steps in order, as many as there is time and room for; at least one, if there is any. `remaining`:
        seconds until the caller's deadline. Raises WorkflowNotFound, InvalidField, InvalidId."""
        seconds = DEFAULT_SECONDS if remaining is None else min(remaining, MAX_SECONDS)
        deadline = asyncio.get_running_loop().time() + max(seconds - MARGIN_SECONDS, 0.0)
        instance = await self._reader.read(check_instance(request))
        registry = self._registries.of(instance.namespace)
        first, last = _range(request, instance.version)
        selected = _checked_task_ids(request.task_ids)
        # From a fresh copy: which endpoints are live and what is replayable.
        await registry.refresh()
        attempts = await self._attempts(
            instance.key, HistoryFilter(first, last, processed_by=tuple(selected))
        )
        response = _pb.ReplayWorkflowResponse()
        if len(attempts) > MAX_STEPS:
            response.next_from_sequence = attempts[MAX_STEPS].sequence
            del attempts[MAX_STEPS:]
        past = await self._past(instance, attempts)
        places = asyncio.Semaphore(CALLS_AT_ONCE)
        async with HandlerCalls(self._allowlist, self._tls, self._signatures) as calls:

            async def make(entry: HistoryEntry) -> tuple[replay_pb2.ReplayStep, bool]:
                async with places:
                    return await self._step(past, entry, request, calls, deadline)

            steps = [background.step(make(entry)) for entry in attempts]
            try:
                size = 0
                for entry, making in zip(attempts, steps, strict=True):
                    step, out_of_time = await making
                    size += step.ByteSize()
                    if response.steps and (out_of_time or size > MAX_PAGE_BYTES):
                        response.next_from_sequence = entry.sequence
                        break
                    response.steps.append(step)
            finally:
                for making in steps:
                    making.cancel()
                await asyncio.gather(*steps, return_exceptions=True)
        return response

    async def _attempts(self, key: int, among: HistoryFilter) -> list[HistoryEntry]:
        """The first entries that record a call, one more than there are steps; without their changes."""
        found: list[HistoryEntry] = []
        more = True
        while more and len(found) <= MAX_STEPS:
            portion = await self._store.history(key, among, with_change=False)
            found += [stored.entry for stored in portion.entries if stored.entry.attempt]
            more = portion.more
            if more:
                among = replace(among, from_sequence=portion.entries[-1].entry.sequence + 1)
        return found[: MAX_STEPS + 1]

    async def _past(self, instance: Instance, attempts: Sequence[HistoryEntry]) -> _Past:
        called = {entry.sequence for entry in attempts}
        selected: set[int] = set()
        named: set[str] = set()
        for entry in attempts:
            selected |= {entry.base_version, entry.sequence - 1, entry.sequence}
            named.update(entry.raised)
            if entry.event_id is not None:
                named.add(entry.event_id)
        entries: dict[int, StoredEntry] = {}
        found: dict[int, Instance] = {}
        edited_at: dict[tuple[str | None, str], int] = {}
        fold = Fold(instance)
        async for stored in entries_of(self._store, instance.key, max(called, default=0)):
            fold.add(stored)
            sequence = stored.entry.sequence
            if sequence in selected:
                found[sequence] = fold.moment()
            if sequence in called:
                entries[sequence] = stored
            detail = stored.entry.detail
            if isinstance(detail, DeadLetterRetried) and detail.edited:
                edited_at.setdefault((stored.entry.event_id, detail.task_id), sequence)
        return _Past(
            key=instance.key,
            namespace=instance.namespace,
            entries=entries,
            moments=found,
            events=await self._store.events_named(instance.key, sorted(named)),
            edited_at=edited_at,
            replay_id=new_id(),
        )

    async def _step(
        self,
        past: _Past,
        entry: HistoryEntry,
        request: _pb.ReplayWorkflowRequest,
        calls: HandlerCalls,
        deadline: float,
    ) -> tuple[replay_pb2.ReplayStep, bool]:
        """The step, and whether its call was cut by the replay's own deadline."""
        recorded = past.recorded(entry)
        step = replay_report.begin(recorded)
        out_of_time = False
        try:
            task = self._task(past, entry, failed_attempts=request.failed_attempts)
            endpoints = self._endpoints(task, recorded)
            remaining = max(deadline - asyncio.get_running_loop().time(), 0.0)
            timeout = min(task.timeout, remaining)
            call = await self._call(past, recorded, task, timeout)
            answer = await calls.call(endpoints, call, timeout)
            if isinstance(answer, NotSent):
                raise _NotReplayed(_Skip.REPLAY_SKIP_REASON_NO_LIVE_ENDPOINT, answer.reason)
            step.replayed_service_version = answer.endpoint.service_version
            outcome: Reply | AttemptError | Pending
            if isinstance(answer, Failed):
                out_of_time = remaining < task.timeout and answer.error.code == "DEADLINE_EXCEEDED"
                outcome = answer.error
            else:
                outcome = reply_from_proto(answer.response)
            if isinstance(outcome, Pending):
                raise _NotReplayed(
                    _Skip.REPLAY_SKIP_REASON_PENDING,
                    "it answered `pending`; its result comes through DeliveryCompletionService",
                )
        except _NotReplayed as why:
            replay_report.skip(step, why.reason, why.message)
        else:
            comparison = replays.compare(
                recorded,
                outcome,
                task,
                rules=self._rules,
                processed_at=past.entries[entry.sequence].processed_at,
            )
            replay_report.fill_step(step, comparison)
        return step, out_of_time

    async def _call(
        self, past: _Past, recorded: replays.Recorded, task: TaskSpec, timeout: float
    ) -> task_handler_service_pb2.HandleEventRequest:
        """The recorded request, as a dry run with a key that no real call has: those begin with the event's
        id."""
        entry = recorded.entry
        base = past.moments[entry.base_version]
        key = idempotency_key(recorded.event.event_id, task.task_id)
        message = task_handler_service_pb2.HandleEventRequest(
            event=event_to_proto(recorded.event, base.workflow_instance_id),
            context=context_to_proto(base),
            task_id=task.task_id,
            attempt=entry.attempt,
            idempotency_key=f"replay:{past.replay_id}:{key}",
            dry_run=True,
        )
        set_timestamp(message.deadline, datetime.now(UTC) + timedelta(seconds=timeout))
        if task.history_entries:
            newest = await self._store.history(
                past.key,
                HistoryFilter(to_sequence=base.version),
                newest_first=True,
                limit=task.history_entries,
            )
            add_history(message, newest.entries)
        return message

    def _task(self, past: _Past, entry: HistoryEntry, *, failed_attempts: bool) -> TaskSpec:
        """The task to call. Raises _NotReplayed if the attempt cannot be replayed."""
        if entry.result is Result.SKIPPED:
            raise _NotReplayed(
                _Skip.REPLAY_SKIP_REASON_NO_EFFECT,
                note_of(entry) or "the delivery was discarded",
            )
        if entry.result is Result.FAILED and not failed_attempts:
            raise _NotReplayed(
                _Skip.REPLAY_SKIP_REASON_FAILED_ATTEMPT,
                "the attempt failed; set failed_attempts (`--failed`) to call it again",
            )
        registry = self._registries.of(past.namespace)
        tasks = {task.task_id: task for task in registry.snapshot.tasks}
        task = tasks.get(entry.processed_by)
        if task is None or not task.replayable:
            raise _NotReplayed(
                _Skip.REPLAY_SKIP_REASON_NOT_REPLAYABLE,
                "the task is not registered as replayable"
                if task is not None
                else "no task of this name is registered",
            )
        edited_at = past.edited_at.get((entry.event_id, entry.processed_by))
        if edited_at is not None and edited_at < entry.sequence:
            raise _NotReplayed(
                _Skip.REPLAY_SKIP_REASON_EDITED_PAYLOAD,
                f"an operator had edited its payload (#{edited_at}), and history does not keep that",
            )
        return task

    def _endpoints(self, task: TaskSpec, recorded: replays.Recorded) -> list[Registration]:
        """The live endpoints that host the task. Raises _NotReplayed if there are none."""
        event_type, workflow_type = recorded.event.event_type, recorded.after.workflow_type
        endpoints = [
            endpoint
            for endpoint in self._registries.of(task.namespace).snapshot.handlers
            if endpoint.service_name == task.service_name
            and announces(endpoint.tasks, task.task_id, event_type, workflow_type)
        ]
        if not endpoints:
            raise _NotReplayed(
                _Skip.REPLAY_SKIP_REASON_NO_LIVE_ENDPOINT,
                f"no live endpoint of {task.service_name} declares it for {event_type}",
            )
        return endpoints


def _range(request: _pb.ReplayWorkflowRequest, version: int) -> tuple[int, int]:
    first = check_sequence(request.from_sequence or 1, "from_sequence", version)
    last = check_sequence(request.to_sequence or version, "to_sequence", version)
    if first > last:
        raise InvalidField(
            f"from_sequence {first} is after to_sequence {last}; exchange them.",
            field="from_sequence",
        )
    return first, last
