"""audit: who changed what, and whose calls were denied."""

from __future__ import annotations

from typing import Annotated

import typer

from waystation.v1.audit_service_pb2 import ListAuditRequest
from waystation_cli import arguments
from waystation_cli.arguments import Utc
from waystation_cli.commands.pages import Limit, Whole, gather
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import audit as render
from waystation_cli.render import message_json


def audit(
    principal: Annotated[
        str, typer.Option(help="Only calls of this caller, such as token:deploy.")
    ] = "",
    method: Annotated[
        list[str] | None,
        typer.Option(help="Only this RPC, such as CancelWorkflow; may be repeated."),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="ID", help="Only calls about this: the id of a workflow, a task, a service, ..."
        ),
    ] = "",
    denied: Annotated[bool, typer.Option("--denied", help="Only calls that were denied.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="At or after this time: RFC 3339, or 2h for 2 hours ago."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Before this time: RFC 3339, or 2h for 2 hours ago."),
    ] = None,
    limit: Limit = 50,
    whole: Whole = False,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, and whose calls were denied.

    Newest first. Starts and the answers of tasks are not in it: histories say who started a workflow.
    """
    request = ListAuditRequest(
        principal=principal,
        methods=method or (),
        target=target,
        denied_only=denied,
        from_time=arguments.moment(since),
        to_time=arguments.moment(until),
    )
    with connected(address, as_json) as api:

        def page(page_size: int, page_token: str) -> object:
            request.page_size, request.page_token = page_size, page_token
            return api.audit.ListAudit(request, timeout=CALL_SECONDS)

        entries, more = gather(page, lambda page: page.entries, None if whole else limit)
    if as_json:
        message_json.print_items(entries, more)
    else:
        render.print_audit(entries, more)
