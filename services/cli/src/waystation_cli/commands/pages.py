"""Lists that come in pages, gathered up to a limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from waystation.v1.event_pb2 import EventWithState
from waystation.v1.workflow_pb2 import WorkflowContext, WorkflowFilter
from waystation.v1.workflow_service_pb2 import ListEventsRequest, ListWorkflowsRequest
from waystation_cli.connection import CALL_SECONDS, Api

# The most that the servers give in one page.
_LARGEST_PAGE = 1000

Limit = Annotated[int, typer.Option(min=1, help="Maximum number of items.")]


Whole = Annotated[bool, typer.Option("--all", help="All items, without a limit.")]


def gather(
    fetch: Callable[[int, str], Any], items: Callable[[Any], Any], limit: int | None = None
) -> tuple[list[Any], bool]:
    """Returns the items of as many pages as the limit asks for (None: all), and whether there are
    more. `fetch` gets page_size and page_token and gives a response with `next_page_token`."""
    found: list[Any] = []
    token = ""
    while True:
        left = _LARGEST_PAGE if limit is None else min(_LARGEST_PAGE, limit - len(found))
        page = fetch(left, token)
        found.extend(items(page))
        token = page.next_page_token
        if not token or (limit is not None and len(found) >= limit):
            return found, bool(token)


def gather_workflows(
    api: Api, chosen: WorkflowFilter, limit: int | None
) -> tuple[list[WorkflowContext], bool]:
    """The workflows that the filter selects, newest first, and whether there are more."""
    return gather(
        lambda page_size, page_token: api.workflows.ListWorkflows(
            ListWorkflowsRequest(filter=chosen, page_size=page_size, page_token=page_token),
            timeout=CALL_SECONDS,
        ),
        lambda page: page.workflows,
        limit,
    )


def gather_events(api: Api, workflow_instance_id: str) -> list[EventWithState]:
    """All events of the workflow, oldest first."""
    found, _ = gather(
        lambda page_size, page_token: api.workflows.ListEvents(
            ListEventsRequest(
                workflow_instance_id=workflow_instance_id,
                page_size=page_size,
                page_token=page_token,
            ),
            timeout=CALL_SECONDS,
        ),
        lambda page: page.events,
    )
    return found
