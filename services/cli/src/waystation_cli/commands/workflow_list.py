"""list: workflows by what they have in common."""

from __future__ import annotations

import enum
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import grpc
import typer
from rich.live import Live

from waystation.v1.workflow_pb2 import WorkflowContext, WorkflowFilter
from waystation.v1.workflow_service_pb2 import ExplainWorkflowRequest, ExplainWorkflowResponse
from waystation_cli import arguments, completion
from waystation_cli.arguments import Utc
from waystation_cli.commands.pages import Limit, Whole, gather_workflows
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, Api, connected
from waystation_cli.interrupts import ctrl_c
from waystation_cli.output import AsJson
from waystation_cli.render import message_json, overview
from waystation_cli.render.text import WIDE, stdout

_LOOK_SECONDS = 2.0

_MOST_EXPLAINED = 50


class Status(enum.StrEnum):
    """The statuses as they are typed."""

    ACTIVE = "active"
    WAITING_FOR_INPUT = "waiting_for_input"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


def list_workflows(
    workflow_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Only this type; may be repeated.",
            autocompletion=completion.workflow_types,
        ),
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(case_sensitive=False, help="Only in this status; may be repeated."),
    ] = None,
    idle: Annotated[
        bool | None, typer.Option("--idle/--not-idle", help="Only idle workflows, or only others.")
    ] = None,
    correlation_id: Annotated[
        list[str] | None, typer.Option(help="Only with this correlation id; may be repeated.")
    ] = None,
    id_prefix: Annotated[str, typer.Option(help="Only ids that begin so.")] = "",
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Started at or after this time: RFC 3339, or 2h for 2 hours ago."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Started before this time: RFC 3339, or 2h for 2 hours ago."
        ),
    ] = None,
    limit: Limit = 50,
    whole: Whole = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show the list again and again until Ctrl-C.")
    ] = False,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List workflows, newest first."""
    chosen = WorkflowFilter(
        workflow_types=workflow_type or [],
        statuses=[f"WORKFLOW_STATUS_{each.name}" for each in status or []],
        created_after=arguments.moment(since),
        created_before=arguments.moment(until),
        correlation_ids=correlation_id or [],
        id_prefix=id_prefix,
    )
    if idle is not None:
        chosen.idle = idle
    if watch and (as_json or not sys.stdout.isatty()):
        raise typer.BadParameter(
            "--watch shows the list on a terminal; for programs, `waystation watch ID --json` prints what happens"
        )
    with connected(address, as_json) as api:
        if watch:
            with suppress(KeyboardInterrupt), ctrl_c() as struck:
                _look_on(api, chosen, address, struck)
            return
        workflows, more = gather_workflows(api, chosen, None if whole else limit)
        doing = {} if as_json else _doing(api, workflows)
    if as_json:
        message_json.print_items(workflows, more)
    else:
        overview.print_workflows(workflows, doing, more, all_meant=chosen == WorkflowFilter())


def _look_on(api: Api, chosen: WorkflowFilter, address: str, struck: Callable[[], bool]) -> None:
    """As many of the newest as the terminal is high."""
    out = stdout()
    shown = False
    with Live(console=out, auto_refresh=False, screen=True) as screen:
        while not struck():
            try:
                # The heading, the line below, and one that stays empty; a narrow terminal takes two for each.
                room = (out.height - 3) // (1 if out.width >= WIDE else 2)
                workflows, _ = gather_workflows(api, chosen, max(room, 1))
                doing = _doing(api, workflows)
            except grpc.RpcError:
                # It looks on through a restart, but a first look has to succeed.
                if not shown:
                    raise
                screen.update(f"No answer from {address}; retrying.", refresh=True)
            else:
                shown = True
                screen.update(overview.workflow_screen(workflows, doing, out), refresh=True)
            time.sleep(_LOOK_SECONDS)


def _doing(api: Api, workflows: Sequence[WorkflowContext]) -> dict[str, ExplainWorkflowResponse]:
    """What those wait for that are at work, by their ids: the list itself does not tell. Of the first ones only, all
    asked at once."""
    calls = {
        each.workflow_instance_id: api.workflows.ExplainWorkflow.future(
            ExplainWorkflowRequest(workflow_instance_id=each.workflow_instance_id),
            timeout=CALL_SECONDS,
        )
        for each in [each for each in workflows if overview.is_at_work(each)][:_MOST_EXPLAINED]
    }
    found = {}
    for workflow_instance_id, call in calls.items():
        # The list is worth more than this column.
        with suppress(grpc.RpcError):
            found[workflow_instance_id] = call.result()
    return found
