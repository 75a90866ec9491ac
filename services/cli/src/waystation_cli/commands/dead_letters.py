"""dead-letters list, retry, discard: what is done about deliveries that failed for good."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from waystation.v1.dead_letter_service_pb2 import (
    DeadLetterFilter,
    DiscardDeadLetterRequest,
    DiscardDeadLetterResponse,
    ListDeadLettersRequest,
    RetryDeadLetterRequest,
    RetryDeadLetterResponse,
)
from waystation_cli import arguments
from waystation_cli.arguments import JSON_HELP
from waystation_cli.commands.paging import Limit, gather
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    AsJson,
    connected,
    new_request_id,
)
from waystation_cli.render import dead_letters as letters_view
from waystation_cli.render import document

app = typer.Typer(
    help="List, retry, discard failed deliveries.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DeadLetterId = Annotated[
    str,
    typer.Argument(metavar="DEAD_LETTER_ID", help="From `waystation dead-letters list`."),
]


class State(enum.StrEnum):
    """The states as they are typed."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"


@app.command("list")
def list_dead_letters(
    workflow: Annotated[str | None, typer.Option(help="Only of this instance.")] = None,
    workflow_type: Annotated[
        str | None, typer.Option("--type", help="Only of this workflow type.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only of this task.")] = None,
    event_type: Annotated[str | None, typer.Option(help="Only of this event type.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this reason.")] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Failed at or after: RFC 3339, or 2h for 2 hours ago."),
    ] = None,
    state: Annotated[State, typer.Option(case_sensitive=False)] = State.OPEN,
    limit: Limit = 50,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    chosen = DeadLetterFilter(
        workflow_instance_id=workflow or "",
        workflow_type=workflow_type or "",
        task_id=task or "",
        event_type=event_type or "",
        reason=reason or "",
        created_after=arguments.moment(since),
        state=f"DEAD_LETTER_STATE_{state.name}",
    )
    with connected(address, as_json) as api:
        letters, more = gather(
            lambda page_size, page_token: api.dead_letters.ListDeadLetters(
                ListDeadLettersRequest(filter=chosen, page_size=page_size, page_token=page_token),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.dead_letters,
            limit,
        )
    if as_json:
        document.print_messages(letters)
    else:
        letters_view.print_dead_letters(letters, more)


@app.command()
def retry(
    dead_letter_id: DeadLetterId,
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            "--data",
            help=f"Instead of the event's payload, for this task: {JSON_HELP}",
        ),
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Try a delivery again from its first attempt; a FAILED workflow goes on."""
    request = RetryDeadLetterRequest(
        dead_letter_id=dead_letter_id,
        payload=arguments.struct(payload),
        request_id=new_request_id(),
    )
    with connected(address, as_json) as api:
        response: RetryDeadLetterResponse = api.dead_letters.RetryDeadLetter(
            request, timeout=CALL_SECONDS
        )
    if as_json:
        document.print_message(response)
    else:
        letters_view.print_retried(dead_letter_id, response)


@app.command()
def discard(
    dead_letter_id: DeadLetterId, address: Address = DEFAULT_ADDRESS, as_json: AsJson = False
) -> None:
    """Give a delivery up."""
    with connected(address, as_json) as api:
        response: DiscardDeadLetterResponse = api.dead_letters.DiscardDeadLetter(
            DiscardDeadLetterRequest(dead_letter_id=dead_letter_id, request_id=new_request_id()),
            timeout=CALL_SECONDS,
        )
    if as_json:
        document.print_message(response)
    else:
        letters_view.print_discarded(dead_letter_id, response)
