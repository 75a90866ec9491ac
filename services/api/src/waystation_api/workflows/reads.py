"""GetWorkflow, and the lists of instances, events and history."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from waystation.v1 import event_pb2, workflow_service_pb2
from waystation_api.filters import history_filter, history_view, workflow_filter
from waystation_api.pages import FIRST_PORTION, MAX_PAGE_BYTES, Key, Page, Room, fill
from waystation_api.requests import check_instance, check_namespace
from waystation_api.workflows.past import as_it_was
from waystation_api.workflows.waiters import InstanceReader
from waystation_conversion import context_to_proto, entry_to_proto, event_to_proto
from waystation_core.ports.store import HistoryFilter, QueryStore, StoredEvent
from waystation_domain import limits
from waystation_domain.errors import InvalidField

_pb = workflow_service_pb2

_SEARCH_SECONDS = 1.0
"""Instances read for one page of a filter that few match: the next page continues from there."""

_IDS = 20
"""That a search for ids gives if it does not say how many."""

_MOST_IDS = 100


class Reads:
    """Reads of instances and their events."""

    def __init__(self, store: QueryStore, reader: InstanceReader) -> None:
        self._store = store
        self._reader = reader

    async def get(self, request: _pb.GetWorkflowRequest) -> _pb.GetWorkflowResponse:
        """An instance, now or earlier. Raises WorkflowNotFound, InvalidField."""
        instance = await self._reader.read(check_instance(request))
        response = _pb.GetWorkflowResponse()
        sequence = request.at_sequence
        if sequence < 0 or sequence > instance.version:
            raise InvalidField(
                f"at_sequence must be 1-{instance.version} (an entry of the history), or 0 for the current state.",
                field="at_sequence",
                version=str(instance.version),
            )
        if sequence:
            instance = await as_it_was(self._store, instance, sequence)
        context_to_proto(instance, into=response.context)
        return response

    async def list_workflows(self, request: _pb.ListWorkflowsRequest) -> _pb.ListWorkflowsResponse:
        """Instances without their data, newest first. A page whose search takes long ends early."""
        namespace = check_namespace(request.namespace)
        filter = workflow_filter(request.filter)
        page = Page(request, (datetime, int))
        response = _pb.ListWorkflowsResponse()
        after: Key | None = page.after
        found, room = response.workflows, Room(MAX_PAGE_BYTES)
        ends = time.monotonic() + _SEARCH_SECONDS
        while True:
            # One more than fits shows whether this page is the last one.
            portion = await self._store.workflows(
                filter,
                after=(after[0], after[1]) if after is not None else None,
                limit=page.size + 1 - len(found),
                namespace=namespace,
            )
            for instance in portion.instances:
                message = context_to_proto(instance, with_data=False)
                if len(found) == page.size or (not room.takes(message) and found):
                    response.next_page_token = page.token(after or ())
                    return response
                found.append(message)
                assert instance.created_at is not None
                after = instance.created_at, instance.key
            after = portion.after
            if after is None:
                return response
            if time.monotonic() > ends:
                response.next_page_token = page.token(after)
                return response

    async def find_ids(self, request: _pb.FindWorkflowIdsRequest) -> _pb.FindWorkflowIdsResponse:
        """Ids that begin so."""
        namespace = check_namespace(request.namespace)
        prefix = limits.check_id(request.prefix, "prefix")
        if request.limit < 0:
            raise InvalidField(
                f"limit {request.limit} is negative; omit it for {_IDS}.", field="limit"
            )
        limit = min(request.limit or _IDS, _MOST_IDS)
        found = await self._store.ids_beginning(prefix, limit=limit + 1, namespace=namespace)
        return _pb.FindWorkflowIdsResponse(
            workflow_instance_ids=found[:limit], more=len(found) > limit
        )

    async def list_events(self, request: _pb.ListEventsRequest) -> _pb.ListEventsResponse:
        """Events of one instance, oldest first."""
        place = check_instance(request)
        page = Page(request, (int,))
        instance = await self._reader.read(place)
        response = _pb.ListEventsResponse()

        async def look(after: Key | None, limit: int) -> Sequence[StoredEvent]:
            return await self._store.events(
                instance.key, after=after[0] if after is not None else 0, limit=limit
            )

        def to_message(stored: StoredEvent) -> event_pb2.EventWithState:
            entry = event_pb2.EventWithState(state=f"EVENT_STATE_{stored.state}")
            event_to_proto(stored.event, instance.workflow_instance_id, into=entry.event)
            return entry

        response.next_page_token = await fill(
            page, response.events, look, to_message, lambda _, after: ((after or (0,))[0] + 1,)
        )
        return response

    async def list_history(self, request: _pb.ListHistoryRequest) -> _pb.ListHistoryResponse:
        """Entries of one instance's history."""
        place = check_instance(request)
        filter = history_filter(request.filter)
        with_change = history_view(request.view)
        page = Page(request, (int,))
        instance = await self._reader.read(place)
        last: int | None = page.after[0] if page.after is not None else None
        response = _pb.ListHistoryResponse()
        # Portions grow as in other lists: few large entries fit, whatever else was read.
        size, more, at_once = 0, True, FIRST_PORTION
        while more and len(response.entries) < page.size:
            found = await self._store.history(
                instance.key,
                _from_there(filter, last, newest_first=request.newest_first),
                newest_first=request.newest_first,
                with_change=with_change,
                limit=min(page.size - len(response.entries), at_once),
            )
            at_once *= 2
            for stored in found.entries:
                entry = entry_to_proto(stored)
                size += entry.ByteSize()
                if response.entries and size > MAX_PAGE_BYTES:
                    assert last is not None
                    response.next_page_token = page.token((last,))
                    return response
                response.entries.append(entry)
                last = entry.sequence
            more = found.more
        if more and last is not None:
            response.next_page_token = page.token((last,))
        return response


def _from_there(filter: HistoryFilter, last: int | None, *, newest_first: bool) -> HistoryFilter:
    """The filter without what was already shown."""
    if last is None:
        return filter
    if newest_first:
        return replace(filter, to_sequence=last - 1)
    return replace(filter, from_sequence=last + 1)
