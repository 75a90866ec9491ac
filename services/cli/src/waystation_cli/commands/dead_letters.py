"""dead-letters list, retry, discard: commands for deliveries that failed permanently."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import grpc
import typer

from waystation.v1.dead_letter_pb2 import AllOpenDeadLetters, DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import (
    DiscardDeadLetterRequest,
    DiscardDeadLetterResponse,
    DiscardDeadLettersRequest,
    DiscardDeadLettersResponse,
    ListDeadLettersRequest,
    RetryDeadLetterRequest,
    RetryDeadLetterResponse,
    RetryDeadLettersRequest,
    RetryDeadLettersResponse,
)
from waystation_cli import arguments
from waystation_cli.arguments import JSON_HELP, Utc
from waystation_cli.commands.pages import Limit, Whole, gather
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    AsJson,
    connected,
    new_request_id,
)
from waystation_cli.failures import explain_rpc_error
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import document

app = typer.Typer(
    help="List, retry and discard failed deliveries.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DeadLetterId = Annotated[
    str | None,
    typer.Argument(
        metavar="[DEAD_LETTER_ID]",
        help="From `waystation dead-letters list`; without it, all that match the options.",
    ),
]
OfWorkflow = Annotated[
    list[str] | None,
    typer.Option("--workflow", help="Only of this instance; may be repeated, like the next four."),
]
OfType = Annotated[list[str] | None, typer.Option("--type", help="Only of this workflow type.")]
OfTask = Annotated[list[str] | None, typer.Option("--task", help="Only of this task.")]
OfEvent = Annotated[list[str] | None, typer.Option("--event-type", help="Only of this event type.")]
WithReason = Annotated[list[str] | None, typer.Option("--reason", help="Only with this reason.")]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        help="Failed at or after this time: RFC 3339, or 2h for 2 hours ago.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until", metavar="TIME", help="Failed before this time: RFC 3339, or 2h for 2 hours ago."
    ),
]
Everything = Annotated[bool, typer.Option("--all", help="All open ones.")]
RequestId = Annotated[
    str | None,
    typer.Option(
        help="Makes the command idempotent and lets a repeated command continue an interrupted one; "
        "by default it is generated, and an interrupted command prints it. Then give absolute times, "
        "because 2h means another time on each call."
    ),
]

# Of a call about many: a great many workflows take minutes.
_BULK_SECONDS = 600.0

_NOTHING_WAS_DONE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


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
    state: Annotated[
        list[State] | None,
        typer.Option(case_sensitive=False, help="May be repeated; default: open."),
    ] = None,
    limit: Limit = 50,
    whole: Whole = False,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    chosen.MergeFrom(
        DeadLetterFilter(states=[f"DEAD_LETTER_STATE_{each.name}" for each in state or []])
    )
    with connected(address, as_json) as api:
        letters, more = gather(
            lambda page_size, page_token: api.dead_letters.ListDeadLetters(
                ListDeadLettersRequest(filter=chosen, page_size=page_size, page_token=page_token),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.dead_letters,
            None if whole else limit,
        )
    if as_json:
        document.print_items(letters, more)
    else:
        dead_letters_view.print_dead_letters(letters, more)


@app.command()
def retry(
    dead_letter_id: DeadLetterId = None,
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            "--data",
            help=f"Replaces the event's payload, for this task: {JSON_HELP}",
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
    """Retry failed deliveries from their first attempt; FAILED workflows continue.

    One by its id, or all open ones that match the options.
    """
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    request_id = request_id or new_request_id()
    if _is_one(dead_letter_id, everything, chosen):
        one = RetryDeadLetterRequest(
            dead_letter_id=dead_letter_id, payload=arguments.struct(payload), request_id=request_id
        )
        with connected(address, as_json) as api:
            retried: RetryDeadLetterResponse = api.dead_letters.RetryDeadLetter(
                one, timeout=CALL_SECONDS
            )
        if as_json:
            document.print_message(retried)
        else:
            dead_letters_view.print_retried(retried)
        return
    if payload is not None:
        raise typer.BadParameter("--payload edits a single delivery: give its id")
    many = RetryDeadLettersRequest(request_id=request_id, **_target(everything, chosen))
    with connected(address, as_json) as api:
        response: RetryDeadLettersResponse = _resumable(
            api.dead_letters.RetryDeadLetters, many, address
        )
    if as_json:
        document.print_message(response)
    else:
        dead_letters_view.print_many_retried(response.retried)


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
    """Discard failed deliveries.

    One by its id, or all open ones that match the options.
    """
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    request_id = request_id or new_request_id()
    if _is_one(dead_letter_id, everything, chosen):
        one = DiscardDeadLetterRequest(dead_letter_id=dead_letter_id, request_id=request_id)
        with connected(address, as_json) as api:
            discarded: DiscardDeadLetterResponse = api.dead_letters.DiscardDeadLetter(
                one, timeout=CALL_SECONDS
            )
        if as_json:
            document.print_message(discarded)
        else:
            dead_letters_view.print_discarded(discarded)
        return
    many = DiscardDeadLettersRequest(request_id=request_id, **_target(everything, chosen))
    with connected(address, as_json) as api:
        response: DiscardDeadLettersResponse = _resumable(
            api.dead_letters.DiscardDeadLetters, many, address
        )
    if as_json:
        document.print_message(response)
    else:
        dead_letters_view.print_many_discarded(response.discarded)


def _filter(
    workflow: list[str] | None,
    workflow_type: list[str] | None,
    task: list[str] | None,
    event_type: list[str] | None,
    reason: list[str] | None,
    since: str | None,
    until: str | None,
) -> DeadLetterFilter:
    return DeadLetterFilter(
        workflow_instance_ids=workflow or [],
        workflow_types=workflow_type or [],
        task_ids=task or [],
        event_types=event_type or [],
        reasons=reason or [],
        created_after=arguments.moment(since),
        created_before=arguments.moment(until),
    )


def _is_one(dead_letter_id: str | None, everything: bool, chosen: DeadLetterFilter) -> bool:
    """Whether one is named; a usage error unless it is clear which are meant."""
    narrowed = chosen != DeadLetterFilter()
    if dead_letter_id and not everything and not narrowed:
        return True
    if dead_letter_id:
        raise typer.BadParameter("give either a DEAD_LETTER_ID or filter options, not both")
    if everything and narrowed:
        raise typer.BadParameter("--all and filter options exclude each other")
    if not everything and not narrowed:
        raise typer.BadParameter(
            "give a DEAD_LETTER_ID, filter options (--task, --reason, --since, ...) or --all"
        )
    return False


def _target(everything: bool, chosen: DeadLetterFilter) -> dict[str, Any]:
    return {"all": AllOpenDeadLetters()} if everything else {"filter": chosen}


def _resumable(
    method: Any, request: RetryDeadLettersRequest | DiscardDeadLettersRequest, address: str
) -> Any:
    """The answer of a call about many; one that broke off tells how the rest is done."""
    try:
        return method(request, timeout=_BULK_SECONDS)
    except grpc.RpcError as error:
        failure = explain_rpc_error(error, address)
        if error.code() not in _NOTHING_WAS_DONE:
            times = request.filter
            options = [f"--request-id {request.request_id}"]
            if times.HasField("created_after"):
                options.append(f"--since {times.created_after.ToJsonString()}")
            if times.HasField("created_before"):
                options.append(f"--until {times.created_before.ToJsonString()}")
            failure.hint += (
                " What was done is kept: the same command with "
                f"`{' '.join(options)}` does the rest."
            )
            failure.hint = failure.hint.strip()
            failure.metadata = {**failure.metadata, "request_id": request.request_id}
        raise failure from error
