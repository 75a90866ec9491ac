"""What TAB proposes: ids, types and tasks that the server knows. A server that does not answer at once proposes
nothing; a shell must not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import grpc
import typer

from waystation_cli.connection import DEFAULT_ADDRESS, Api, open_channel
from waystation_cli.failures import CommandFailed

LAST = "@last"
"""Typed for the newest."""

_SECONDS = 0.5

_MOST = 50


def workflows(context: typer.Context, incomplete: str) -> list[str]:
    """Ids that begin so; before the first character those of open workflows."""
    return _asked(context, lambda api: _workflows(api, incomplete), incomplete)


def dead_letters(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of open dead letters."""
    return _asked(context, _dead_letters, incomplete)


def handlers(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of endpoints."""
    return _asked(context, lambda api: (each.handler_id for each in _handlers(api)), incomplete)


def tasks(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of registered tasks."""
    return _asked(
        context,
        lambda api: (task.task_id for each in _handlers(api) for task in each.tasks),
        incomplete,
    )


def workflow_types(context: typer.Context, incomplete: str) -> list[str]:
    """Workflow types that a registered task names."""
    return _asked(
        context,
        lambda api: (
            name
            for each in _handlers(api)
            for task in each.tasks
            for name in task.workflow_types
            if name != "*"
        ),
        incomplete,
    )


def _asked(
    context: typer.Context, ask: Callable[[Api], Iterable[str]], incomplete: str
) -> list[str]:
    address = str(context.params.get("address") or DEFAULT_ADDRESS)
    try:
        with open_channel(address) as channel:
            found = sorted({name for name in ask(Api(channel)) if name.startswith(incomplete)})
    except (grpc.RpcError, CommandFailed):
        return []
    return found[:_MOST]


# The contract is imported where it is needed: every command has completions, and few commands are called by TAB.


def _workflows(api: Api, incomplete: str) -> Iterable[str]:
    from waystation.v1.status_pb2 import WORKFLOW_STATUS_ACTIVE, WORKFLOW_STATUS_WAITING_FOR_INPUT
    from waystation.v1.workflow_pb2 import WorkflowFilter
    from waystation.v1.workflow_service_pb2 import FindWorkflowIdsRequest, ListWorkflowsRequest

    if incomplete.startswith("@"):
        return [LAST]
    if incomplete:
        request = FindWorkflowIdsRequest(prefix=incomplete, limit=_MOST)
        return list(api.workflows.FindWorkflowIds(request, timeout=_SECONDS).workflow_instance_ids)
    chosen = WorkflowFilter(statuses=[WORKFLOW_STATUS_ACTIVE, WORKFLOW_STATUS_WAITING_FOR_INPUT])
    page = api.workflows.ListWorkflows(
        ListWorkflowsRequest(filter=chosen, page_size=_MOST), timeout=_SECONDS
    )
    return [each.workflow_instance_id for each in page.workflows]


def _dead_letters(api: Api) -> Iterable[str]:
    from waystation.v1.dead_letter_service_pb2 import ListDeadLettersRequest

    page = api.dead_letters.ListDeadLetters(
        ListDeadLettersRequest(page_size=_MOST), timeout=_SECONDS
    )
    return [LAST, *(each.dead_letter_id for each in page.dead_letters)]


def _handlers(api: Api) -> Iterable[Any]:
    from waystation.v1.handler_registry_service_pb2 import ListHandlersRequest

    request = ListHandlersRequest(page_size=1000, with_tasks=True)
    return list(api.handlers.ListHandlers(request, timeout=_SECONDS).handlers)
