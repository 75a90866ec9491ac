"""dead-letters list, retry, discard: what is done about deliveries that failed for good."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import (
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
    str | None,
    typer.Argument(
        metavar="[DEAD_LETTER_ID]",
        help="From `waystation dead-letters list`; without it, all that the options mean.",
    ),
]
OfWorkflow = Annotated[str | None, typer.Option("--workflow", help="Only of this instance.")]
OfType = Annotated[str | None, typer.Option("--type", help="Only of this workflow type.")]
OfTask = Annotated[str | None, typer.Option("--task", help="Only of this task.")]
OfEvent = Annotated[str | None, typer.Option("--event-type", help="Only of this event type.")]
WithReason = Annotated[str | None, typer.Option("--reason", help="Only with this reason.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Failed at or after: RFC 3339, or 2h for 2 hours ago."
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Failed before: likewise.")
]
Everything = Annotated[bool, typer.Option("--all", help="All open ones.")]
RequestId = Annotated[
    str | None,
    typer.Option(
        help="Makes a repeated command have one effect, and go on where the first broke off; "
        "without it one is made. Then write times out, as 2h is another moment each time."
    ),
]

# Of a call about many: each workflow takes a transaction.
_BULK_SECONDS = 600.0


class State(enum.StrEnum):
    """The states as they are typed."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"


@app.command("list")
def list_dead_letters(
    workflow: OfWorkflow = None,
    workflow_type: OfType = None,
    task: OfTask = None,
    event_type: OfEvent = None,
    reason: WithReason = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[State, typer.Option(case_sensitive=False)] = State.OPEN,
    limit: Limit = 50,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    chosen.MergeFrom(DeadLetterFilter(state=f"DEAD_LETTER_STATE_{state.name}"))
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
    dead_letter_id: DeadLetterId = None,
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            "--data",
            help=f"Instead of the event's payload, for this task: {JSON_HELP}",
        ),
    ] = None,
    everything: Everything = False,
    workflow: OfWorkflow = None,
    workflow_type: OfType = None,
    task: OfTask = None,
    event_type: OfEvent = None,
    reason: WithReason = None,
    since: Since = None,
    until: Until = None,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Try deliveries again from their first attempt; FAILED workflows go on.

    One by its id, or all open ones that the options mean.
    """
    chosen = _target(
        dead_letter_id,
        everything,
        _filter(workflow, workflow_type, task, event_type, reason, since, until),
    )
    if payload is not None and chosen is not None:
        raise typer.BadParameter("--payload edits one delivery: name it by its id")
    request = RetryDeadLetterRequest(
        dead_letter_id=dead_letter_id,
        filter=chosen,
        payload=arguments.struct(payload),
        request_id=request_id or new_request_id(),
    )
    with connected(address, as_json) as api:
        response: RetryDeadLetterResponse = api.dead_letters.RetryDeadLetter(
            request, timeout=CALL_SECONDS if chosen is None else _BULK_SECONDS
        )
    if as_json:
        document.print_message(response)
    else:
        letters_view.print_retried(dead_letter_id, response)


@app.command()
def discard(
    dead_letter_id: DeadLetterId = None,
    everything: Everything = False,
    workflow: OfWorkflow = None,
    workflow_type: OfType = None,
    task: OfTask = None,
    event_type: OfEvent = None,
    reason: WithReason = None,
    since: Since = None,
    until: Until = None,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Give deliveries up.

    One by its id, or all open ones that the options mean.
    """
    chosen = _target(
        dead_letter_id,
        everything,
        _filter(workflow, workflow_type, task, event_type, reason, since, until),
    )
    request = DiscardDeadLetterRequest(
        dead_letter_id=dead_letter_id, filter=chosen, request_id=request_id or new_request_id()
    )
    with connected(address, as_json) as api:
        response: DiscardDeadLetterResponse = api.dead_letters.DiscardDeadLetter(
            request, timeout=CALL_SECONDS if chosen is None else _BULK_SECONDS
        )
    if as_json:
        document.print_message(response)
    else:
        letters_view.print_discarded(dead_letter_id, response)


def _filter(
    workflow: str | None,
    workflow_type: str | None,
    task: str | None,
    event_type: str | None,
    reason: str | None,
    since: str | None,
    until: str | None,
) -> DeadLetterFilter:
    return DeadLetterFilter(
        workflow_instance_id=workflow or "",
        workflow_type=workflow_type or "",
        task_id=task or "",
        event_type=event_type or "",
        reason=reason or "",
        created_after=arguments.moment(since),
        created_before=arguments.moment(until),
    )


def _target(
    dead_letter_id: str | None, everything: bool, chosen: DeadLetterFilter
) -> DeadLetterFilter | None:
    """The filter, or None where one is named; a usage error unless it is clear which are meant."""
    narrowed = chosen != DeadLetterFilter()
    if dead_letter_id and not everything and not narrowed:
        return None
    if dead_letter_id:
        raise typer.BadParameter("either a DEAD_LETTER_ID or a choice of many, not both")
    if everything and narrowed:
        raise typer.BadParameter("--all leaves nothing out; leave it out, or the other choices")
    if not everything and not narrowed:
        raise typer.BadParameter(
            "name a DEAD_LETTER_ID, or choose many by --task, --reason, --since, ..., or by --all"
        )
    return chosen
