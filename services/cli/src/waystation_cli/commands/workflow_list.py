"""list: workflows by what they have in common."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from waystation.v1.workflow_pb2 import WorkflowFilter
from waystation_cli import arguments, completion
from waystation_cli.arguments import Utc
from waystation_cli.commands.pages import Limit, Whole, gather_workflows
from waystation_cli.connection import DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import message_json, overview


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
    with connected(address, as_json) as api:
        workflows, more = gather_workflows(api, chosen, None if whole else limit)
    if as_json:
        message_json.print_items(workflows, more)
    else:
        overview.print_workflows(workflows, more, all_meant=chosen == WorkflowFilter())
