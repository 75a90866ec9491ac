"""ForkWorkflow: a new instance from an old one's history, stored and announced like any start."""

from __future__ import annotations

from waystation.v1 import workflow_service_pb2
from waystation_api.audit.audited_call import audited_call
from waystation_api.handlers.tasks import task_ids
from waystation_api.requests import (
    check_instance,
    check_request_id,
    check_sequence,
    digest_of,
)
from waystation_api.workflows.past import as_it_was
from waystation_api.workflows.starts import Starter
from waystation_api.workflows.waiters import InstanceReader
from waystation_conversion import context_to_proto, new_event_from_proto
from waystation_conversion.replies import operations_from_proto
from waystation_core.identity.principal import caller
from waystation_core.ids import new_id
from waystation_core.ports.store import HistoryFilter, QueryStore
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_domain import forks, lifecycle, limits
from waystation_domain.errors import InvalidField, ReservedEventType, TaskFault
from waystation_domain.model import Instance, NewEvent

_pb = workflow_service_pb2

_LATER = ("delay", "deliver_at", "expires_at")


class Forks:
    """Starts instances from earlier states of others."""

    def __init__(
        self, store: QueryStore, reader: InstanceReader, starter: Starter, registries: Registries
    ) -> None:
        self._store = store
        self._reader = reader
        self._starter = starter
        self._registries = registries

    async def fork(self, request: _pb.ForkWorkflowRequest) -> _pb.ForkWorkflowResponse:
        """The fork, new or existing with the same content. Raises WorkflowNotFound, WorkflowAlreadyExists,
        RequestIdReused, BacklogFull, and an InvalidArgument or a limit's error for a field."""
        source = await self._reader.read(check_instance(request))
        request_id = check_request_id(request.request_id)
        if request.new_workflow_instance_id:
            limits.check_id(request.new_workflow_instance_id, "new_workflow_instance_id")
        at = check_sequence(request.at_sequence, "at_sequence", source.version)
        handled = at
        if request.HasField("event_of_sequence"):
            handled = check_sequence(request.event_of_sequence, "event_of_sequence", source.version)
        event = await self._event(request, source, handled)
        try:
            start = forks.fork(
                await as_it_was(self._store, source, at),
                providers=PROVIDERS,
                workflow_instance_id=request.new_workflow_instance_id or new_id(),
                edits=operations_from_proto(request.edits),
                event=event,
                digest=digest_of(request),
                # The scope of a request_id is its RPC: a start may have the same one. No request_id has a
                # slash.
                request_id=f"ForkWorkflow/{request_id}" if request_id is not None else None,
                principal=caller().name,
            )
        except TaskFault as fault:
            raise _refused(fault) from None
        by = audited_call()
        if by is not None:
            by.about(new_workflow_instance_id=start.instance.workflow_instance_id)
        started = await self._starter.start(start, limits.MAX_BYTES, by=by)
        response = _pb.ForkWorkflowResponse(created=started.created, event_type=event.event_type)
        context_to_proto(started.instance, into=response.context)
        response.task_ids.extend(
            await task_ids(
                self._registries.of(source.namespace),
                event.event_type,
                started.instance.workflow_type,
            )
        )
        return response

    async def _event(
        self, request: _pb.ForkWorkflowRequest, source: Instance, handled: int
    ) -> NewEvent:
        """The event that the fork starts with: the given one, or the one that this entry handled."""
        if request.HasField("event"):
            return _given(request)
        only = HistoryFilter(handled, handled)
        (stored,) = (await self._store.history(source.key, only, with_change=False)).entries
        entry, named = stored.entry, {}
        if entry.event_id is not None:
            named = await self._store.events_named(source.key, [entry.event_id])
        event = named.get(entry.event_id or "")
        if event is None or not forks.may_be_raised_again(event.event_type):
            what = f"{event.event_type}, which only a status change raises" if event else "no event"
            raise InvalidField(
                f"Entry {entry.sequence} handled {what}; give the event to raise as event, or "
                "choose another entry.",
                field="event",
                sequence=str(entry.sequence),
                event_type=entry.event_type,
            )
        return forks.again(event)


def _refused(fault: TaskFault) -> InvalidField:
    """The error of the edits, as a fault of the request and not of a task."""
    where = f' at "{fault.metadata["path"]}"' if "path" in fault.metadata else ""
    problem = fault.metadata.get("problem") or f"a {fault.metadata.get('found')} is there"
    return InvalidField(
        f"the edits cannot be applied{where}: {problem}. Check the data with GetWorkflow and at_sequence, "
        "and correct them.",
        field="edits",
        **fault.metadata,
    )


def _given(request: _pb.ForkWorkflowRequest) -> NewEvent:
    """The event in the request."""
    for later in _LATER:
        if request.event.HasField(later):
            raise InvalidField(
                f"event.{later} is set, but the event of a fork is raised immediately; omit it.",
                field=f"event.{later}",
            )
    event = new_event_from_proto(request.event)
    if event.event_type != lifecycle.STARTED and lifecycle.is_reserved(event.event_type):
        raise ReservedEventType(
            f"Event type {event.event_type} is reserved for the system; choose another name, or "
            f"{lifecycle.STARTED}.",
            event_type=event.event_type,
        )
    return event
