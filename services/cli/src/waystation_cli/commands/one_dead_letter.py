"""dead-letters show, edit: one failed delivery, by hand."""

from __future__ import annotations

from typing import Annotated

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from waystation.v1.dead_letter_pb2 import DeadLetter, DeadLetterFilter, DeadLetterState
from waystation.v1.dead_letter_service_pb2 import (
    ListDeadLettersRequest,
    ListDeadLettersResponse,
    RetryDeadLetterRequest,
    RetryDeadLetterResponse,
)
from waystation_cli import completion, ids
from waystation_cli.arguments import Utc
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
)
from waystation_cli.consent import require_yes
from waystation_cli.editor import discard, edited
from waystation_cli.failures import CommandFailed, explain_rpc_error
from waystation_cli.outcome import NO
from waystation_cli.output import AsJson
from waystation_cli.render import dead_letters as dead_letters_view
from waystation_cli.render import differences, message_json, names
from waystation_domain.differences import differences as differences_of

DeadLetterId = Annotated[
    str,
    typer.Argument(
        metavar="DEAD_LETTER_ID",
        help="From `waystation dead-letters list`: whole, a unique beginning or end, or @last.",
        autocompletion=completion.dead_letters,
    ),
]

_ALL_STATES = [
    DeadLetterState.DEAD_LETTER_STATE_OPEN,
    DeadLetterState.DEAD_LETTER_STATE_RETRIED,
    DeadLetterState.DEAD_LETTER_STATE_DISCARDED,
]


def show(
    dead_letter_id: DeadLetterId,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show one: its error, its payload, what can be done."""
    with connected(address, as_json) as api:
        letter = _letter(api, dead_letter_id)
    if as_json:
        message_json.print_message(letter)
    else:
        dead_letters_view.print_dead_letter(letter)


def edit(
    dead_letter_id: DeadLetterId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Edit the payload in $EDITOR, and retry with it.

    It shows the difference and asks before it retries. The payload changes for this task only. Exit code 1 if nothing was changed, or you said no.
    """
    with connected(address, as_json) as api:
        letter = _letter(api, dead_letter_id)
        if not letter.retryable:
            raise _not_retryable(letter)
        before = message_json.as_dict(letter.event.payload)
        after, file = edited(before, letter.dead_letter_id)
        changed = list(differences_of(before, after))
        if not changed:
            discard(file)
            typer.echo("Nothing was changed, so nothing was retried.", err=True)
            raise typer.Exit(NO)
        if not as_json:
            dead_letters_view.print_lines(differences.lines(changed))
        if not yes and not as_json:
            require_yes(
                "Retry the delivery with this payload?",
                f"Nothing was sent. The text is kept: {file}.",
            )
        request = RetryDeadLetterRequest(
            dead_letter_id=letter.dead_letter_id,
            payload=json_format.ParseDict(after, Struct()),
            request_id=new_request_id(),
        )
        response: RetryDeadLetterResponse
        try:
            response = api.dead_letters.RetryDeadLetter(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            failure = explain_rpc_error(error, address)
            failure.hint = f"{failure.hint} The text is kept: {file}.".strip()
            failure.metadata = {**failure.metadata, "file": str(file)}
            raise failure from error
        discard(file)
    if as_json:
        message_json.print_message(response)
    else:
        dead_letters_view.print_retried(response)


def _not_retryable(letter: DeadLetter) -> CommandFailed:
    state = names.dead_letter_state(letter.state)
    why = f"it is {state} already"
    if letter.state == DeadLetterState.DEAD_LETTER_STATE_OPEN:
        why = "its workflow has ended, so it can only be discarded"
    return CommandFailed(
        code="FAILED_PRECONDITION",
        reason="NOT_RETRYABLE",
        message=f"Dead letter {letter.dead_letter_id} cannot be retried: {why}.",
        hint=f"`waystation show {letter.workflow_instance_id}` shows its workflow.",
        metadata={"dead_letter_id": letter.dead_letter_id, "state": state},
    )


def _letter(api: Api, given: str) -> DeadLetter:
    dead_letter_id = ids.dead_letter(api, given)
    if ids.may_be_a_uuid(dead_letter_id):
        chosen = DeadLetterFilter(id_prefix=dead_letter_id, states=_ALL_STATES)
        page: ListDeadLettersResponse = api.dead_letters.ListDeadLetters(
            ListDeadLettersRequest(filter=chosen, page_size=1), timeout=CALL_SECONDS
        )
        for letter in page.dead_letters:
            return letter
    raise CommandFailed(
        code="NOT_FOUND",
        reason="DEAD_LETTER_NOT_FOUND",
        message=f"Dead letter {dead_letter_id} does not exist.",
        hint="`waystation dead-letters list` shows the open ones.",
        metadata={"dead_letter_id": dead_letter_id},
    )
