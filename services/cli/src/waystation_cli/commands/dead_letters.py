"""dead-letters list, retry, discard: commands for deliveries that failed permanently. What is done by hand with
one of them stands in `one_dead_letter`."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, TypeVar

import typer

from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import (
    CountDeadLettersRequest,
    CountDeadLettersResponse,
    DiscardDeadLetterRequest,
    DiscardDeadLetterResponse,
    ListDeadLettersRequest,
    RetryDeadLetterRequest,
    RetryDeadLetterResponse,
)
from waystation_cli import arguments, completion, ids
from waystation_cli.arguments import JSON_HELP, Utc
from waystation_cli.commands import several
from waystation_cli.commands.bulk_letters import Bulk
from waystation_cli.commands.pages import Limit, Whole, gather
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
)
from waystation_cli.output import AsJson, Form, form
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import documents, message_json

Done = TypeVar("Done", RetryDeadLetterResponse, DiscardDeadLetterResponse)

DeadLetterIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DEAD_LETTER_ID",
        help="From `waystation dead-letters list`: whole, a unique beginning or end, or @last. Without one, all "
        "that match the options.",
        autocompletion=completion.dead_letters,
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only count how many it would be, by task and reason.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
OfWorkflow = Annotated[
    list[str] | None,
    typer.Option(
        "--workflow",
        help="Only of this instance; may be repeated, like the next four.",
        autocompletion=completion.workflows,
    ),
]
OfType = Annotated[
    list[str] | None,
    typer.Option(
        "--type", help="Only of this workflow type.", autocompletion=completion.workflow_types
    ),
]
OfTask = Annotated[
    list[str] | None,
    typer.Option("--task", help="Only of this task.", autocompletion=completion.tasks),
]
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
        "by default it is generated and printed. Then give absolute times, because 2h means another time "
        "on each call."
    ),
]


class State(enum.StrEnum):
    """The states as they are typed."""

    OPEN = "open"
    RETRIED = "retried"
    DISCARDED = "discarded"


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
    grouped: Annotated[
        bool, typer.Option("--grouped", help="Only count them, by task and reason.")
    ] = False,
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
    if grouped and form() is Form.IDS:
        raise typer.BadParameter("--grouped lists no ids")
    with connected(address, as_json) as api:
        if grouped:
            counted: CountDeadLettersResponse = api.dead_letters.CountDeadLetters(
                CountDeadLettersRequest(filter=chosen), timeout=CALL_SECONDS
            )
            if as_json:
                message_json.print_message(counted)
            else:
                dead_letters_view.print_counts(counted, _named_states(state))
            return
        letters, more = gather(
            lambda page_size, page_token: api.dead_letters.ListDeadLetters(
                ListDeadLettersRequest(filter=chosen, page_size=page_size, page_token=page_token),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.dead_letters,
            None if whole else limit,
        )
    if as_json:
        message_json.print_items(letters, more)
    else:
        dead_letters_view.print_dead_letters(letters, more)


def retry(
    dead_letter_id: DeadLetterIds = None,
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
    dry_run: DryRun = False,
    yes: Yes = False,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Retry failed deliveries; FAILED workflows continue.

    Their attempts are counted from 1 again. Some by their ids, or all open ones that match the options: these are counted first, and a terminal
    is asked.
    """
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    if not _are_named(dead_letter_id, everything, chosen):
        if payload is not None:
            raise typer.BadParameter("--payload edits a single delivery: give its id")
        _many(Bulk("retry", chosen, request_id or new_request_id(), address, as_json, yes), dry_run)
        return
    named = _named(dead_letter_id, dry_run, request_id)
    if payload is not None and len(named) > 1:
        raise typer.BadParameter("--payload edits a single delivery: give one id")
    edited = arguments.struct(payload, "--payload")

    def retry_one(api: Api, each: str) -> RetryDeadLetterResponse:
        request = RetryDeadLetterRequest(
            dead_letter_id=each, payload=edited, request_id=request_id or new_request_id()
        )
        response: RetryDeadLetterResponse = api.dead_letters.RetryDeadLetter(
            request, timeout=CALL_SECONDS
        )
        return response

    _each(named, retry_one, dead_letters_view.print_retried, address, as_json)


def discard(
    dead_letter_id: DeadLetterIds = None,
    everything: Everything = False,
    workflow: OfWorkflow = None,
    workflow_type: OfType = None,
    task: OfTask = None,
    event_type: OfEvent = None,
    reason: WithReason = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Discard failed deliveries. It cannot be undone.

    Some by their ids, or all open ones that match the options: these are counted first, and a terminal
    is asked.
    """
    chosen = _filter(workflow, workflow_type, task, event_type, reason, since, until)
    if not _are_named(dead_letter_id, everything, chosen):
        _many(
            Bulk("discard", chosen, request_id or new_request_id(), address, as_json, yes), dry_run
        )
        return
    named = _named(dead_letter_id, dry_run, request_id)

    def discard_one(api: Api, each: str) -> DiscardDeadLetterResponse:
        request = DiscardDeadLetterRequest(
            dead_letter_id=each, request_id=request_id or new_request_id()
        )
        response: DiscardDeadLetterResponse = api.dead_letters.DiscardDeadLetter(
            request, timeout=CALL_SECONDS
        )
        return response

    _each(named, discard_one, dead_letters_view.print_discarded, address, as_json)


def _many(bulk: Bulk, dry_run: bool) -> None:
    with connected(bulk.address, bulk.as_json) as api:
        counted = bulk.count(api)
        if not bulk.as_json:
            dead_letters_view.print_counts(counted)
        if dry_run:
            if bulk.as_json:
                message_json.print_message(counted)
            return
        done = bulk.carry_out(api, counted)
    left = counted.count - counted.retryable if bulk.verb == "retry" else 0
    if bulk.as_json:
        documents.print_document({"done": done, "left": left, "request_id": bulk.request_id})
    elif bulk.verb == "retry":
        dead_letters_view.print_many_retried(done, left)
    else:
        dead_letters_view.print_many_discarded(done)


def _named_states(states: Sequence[State] | None) -> str:
    return " or ".join(dict.fromkeys(states or [State.OPEN]))


def _each(
    named: Sequence[str],
    call: Callable[[Api, str], Done],
    tell: Callable[[Done], None],
    address: str,
    as_json: bool,
) -> None:
    with connected(address, as_json) as api:
        several.carry_out(named, partial(ids.dead_letter, api), partial(call, api), tell, as_json)


def _named(dead_letter_id: list[str] | None, dry_run: bool, request_id: str | None) -> list[str]:
    named = dead_letter_id or []
    if dry_run:
        raise typer.BadParameter(
            "--dry-run counts what options match; with ids there is nothing to count"
        )
    if request_id and len(named) > 1:
        raise typer.BadParameter("a --request-id is for one command: give one id")
    return named


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


def _are_named(
    dead_letter_id: list[str] | None, everything: bool, chosen: DeadLetterFilter
) -> bool:
    """Whether ids are given; a usage error unless it is clear which are meant."""
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
