"""input, publish, cancel: what a person does to a running workflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from waystation.v1.event_pb2 import NewEvent
from waystation.v1.wait_pb2 import WorkflowWait
from waystation.v1.workflow_service_pb2 import (
    CancelWorkflowRequest,
    CancelWorkflowResponse,
    GetWorkflowRequest,
    GetWorkflowResponse,
    ProvideInputRequest,
    ProvideInputResponse,
    PublishEventRequest,
    PublishEventResponse,
)
from waystation_cli import arguments, form, ids
from waystation_cli.arguments import JSON_HELP, ExpectedVersion, WorkflowId, WorkflowIds
from waystation_cli.commands import several
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
)
from waystation_cli.consent import asking
from waystation_cli.output import AsJson
from waystation_cli.render import message_json, outcomes
from waystation_cli.render.text import plain


def provide_input(
    workflow_instance_ids: WorkflowIds,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            "--input",
            help=f"The answer, the same for all: {JSON_HELP} Without it, a terminal is asked for each field.",
        ),
    ] = None,
    wait_id: Annotated[
        str | None, typer.Option(help="The wait to answer; required if several are open.")
    ] = None,
    answered_by: Annotated[
        str,
        typer.Option(
            "--by", metavar="NAME", help="Who answers; stored in the event and in the history."
        ),
    ] = "",
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not compare the answer with the wait's schema.")
    ] = False,
    expected_version: ExpectedVersion = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Answer workflows that wait for input.

    The answer is compared with the schema of the wait, if it has one. If one of several ids is not clear, or --data
    does not fit one of them, nothing is sent.
    """
    if data is None and not sys.stdin.isatty():
        raise typer.BadParameter("--data is required where there is no terminal to ask")
    for option, value in (("--expected-version", expected_version), ("--wait-id", wait_id)):
        if value and len(workflow_instance_ids) > 1:
            raise typer.BadParameter(f"{option} is that of one workflow: give one id")
    common = ProvideInputRequest(
        wait_id=wait_id or "",
        input=arguments.struct(data),
        answered_by=answered_by,
        expected_version=expected_version,
    )
    several_given = len(workflow_instance_ids) > 1
    given: list[str] = []
    with connected(address, as_json) as api:

        def request_to(each: str) -> ProvideInputRequest:
            request = ProvideInputRequest(workflow_instance_id=each, request_id=new_request_id())
            request.MergeFrom(common)
            return request

        def meant(typed: str) -> str:
            """The whole id. What --data says is compared with all waits before anything is sent."""
            found = ids.workflow_to_change(api, typed)
            if data is not None and not no_check:
                wait = _wait(api, request_to(found))
                if wait is not None:
                    form.require_fit(
                        message_json.as_dict(wait.input_schema),
                        message_json.as_dict(common.input),
                        of=f"{found}: " if several_given else "",
                    )
            return found

        def answer_one(each: str) -> ProvideInputResponse:
            request = request_to(each)
            if data is None and (wait := _wait(api, request)) is not None:
                if several_given:
                    outcomes.print_question_of(each)
                outcomes.print_question(wait)
                with asking(_not_sent(given)):
                    answer = form.filled(message_json.as_dict(wait.input_schema))
                request.input.CopyFrom(json_format.ParseDict(answer, Struct()))
            response: ProvideInputResponse = api.workflows.ProvideInput(
                request, timeout=CALL_SECONDS
            )
            given.append(each)
            return response

        several.carry_out(
            workflow_instance_ids, meant, answer_one, outcomes.print_input_given, as_json
        )


def _not_sent(given: Sequence[str]) -> str:
    """What a person reads who ends the questions."""
    if not given:
        return "Nothing was sent."
    return f"Nothing more was sent; answered before: {plain(', '.join(given))}."


def _wait(api: Api, request: ProvideInputRequest) -> WorkflowWait | None:
    """The wait that is answered; None: there is none, or the server has to say which are open."""
    got: GetWorkflowResponse = api.workflows.GetWorkflow(
        GetWorkflowRequest(workflow_instance_id=request.workflow_instance_id), timeout=CALL_SECONDS
    )
    waits = [wait for wait in got.context.waits if request.wait_id in ("", wait.wait_id)]
    return waits[0] if len(waits) == 1 else None


def publish(
    workflow_instance_id: WorkflowId,
    event_type: Annotated[
        str, typer.Argument(metavar="EVENT_TYPE", help="For example claim.amended.")
    ],
    data: Annotated[
        str | None, typer.Option("--data", "--payload", help=f"The event's payload: {JSON_HELP}")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=255, help="0 (last) to 255 (first).")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")
    ] = None,
    schema_version: Annotated[
        str | None, typer.Option(help="Your version of the payload schema.")
    ] = None,
    delay: Annotated[
        str | None, typer.Option(metavar="SPAN", help="Deliver it after this time (90, 10m, 2h).")
    ] = None,
    deliver_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Deliver it not before this time: RFC 3339, or 2h for in 2 hours."
        ),
    ] = None,
    expires_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Skip it if no task was called by this time: RFC 3339, or 2h for in 2 hours.",
        ),
    ] = None,
    expected_version: ExpectedVersion = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Raise an event in a running workflow."""
    request = PublishEventRequest(
        event=NewEvent(
            event_type=event_type,
            payload=arguments.struct(data),
            priority=priority,
            metadata=arguments.metadata(metadata or []),
            schema_version=schema_version or "",
            delay=None if delay is None else arguments.duration(arguments.seconds(delay)),
            deliver_at=arguments.moment(deliver_at, ahead=True),
            expires_at=arguments.moment(expires_at, ahead=True),
        ),
        expected_version=expected_version,
        request_id=new_request_id(),
    )
    with connected(address, as_json) as api:
        request.workflow_instance_id = ids.workflow_to_change(api, workflow_instance_id)
        response: PublishEventResponse = api.workflows.PublishEvent(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response)
    else:
        outcomes.print_published(event_type, response)


def cancel(
    workflow_instance_ids: WorkflowIds,
    reason: Annotated[str | None, typer.Option(help="Stored in the history, for people.")] = None,
    expected_version: ExpectedVersion = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """End running workflows as CANCELLED.

    If one of several ids is not clear, nothing is done.
    """
    if expected_version and len(workflow_instance_ids) > 1:
        raise typer.BadParameter("--expected-version is that of one workflow: give one id")
    with connected(address, as_json) as api:

        def cancel_one(each: str) -> CancelWorkflowResponse:
            request = CancelWorkflowRequest(
                workflow_instance_id=each,
                reason=reason or "",
                expected_version=expected_version,
                request_id=new_request_id(),
            )
            response: CancelWorkflowResponse = api.workflows.CancelWorkflow(
                request, timeout=CALL_SECONDS
            )
            return response

        several.carry_out(
            workflow_instance_ids,
            partial(ids.workflow_to_change, api),
            cancel_one,
            outcomes.print_cancelled,
            as_json,
        )
