"""start, run, wait: beginning workflows and seeing them to an outcome."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import typer

from waystation.v1.workflow_pb2 import WAIT_OUTCOME_TIMED_OUT
from waystation.v1.workflow_service_pb2 import (
    RunWorkflowRequest,
    RunWorkflowResponse,
    StartWorkflowRequest,
    StartWorkflowResponse,
    WaitWorkflowRequest,
    WaitWorkflowResponse,
)
from waystation_cli import arguments, completion, ids
from waystation_cli.arguments import JSON_HELP, WorkflowIds
from waystation_cli.commands import several
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
    to_server,
)
from waystation_cli.interrupts import ctrl_c
from waystation_cli.outcome import DONE, INTERRUPTED
from waystation_cli.output import AsJson
from waystation_cli.render import message_json, outcomes
from waystation_cli.wait_outcome import exit_code

# One call waits at most this long, so that a server that is stopped is noticed between two.
_WAIT_SECONDS = 30.0

WorkflowType = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW_TYPE",
        help="The type of the workflow to start.",
        autocompletion=completion.workflow_types,
    ),
]
Data = Annotated[str | None, typer.Option(help=f"The initial data: {JSON_HELP}")]
Payload = Annotated[
    str | None,
    typer.Option(help=f"The payload of workflow.started, by default the data: {JSON_HELP}"),
]
NewId = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="WORKFLOW_ID", help="The instance id; by default it is generated."
    ),
]
CorrelationId = Annotated[
    str | None, typer.Option(help="Your id, inherited by every event of the instance.")
]
Priority = Annotated[
    int | None, typer.Option(min=0, max=255, help="0 (last) to 255 (first); default 100.")
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="Inherited by every event; may be repeated."),
]
WorkflowTimeout = Annotated[
    str | None,
    typer.Option(metavar="SPAN", help="The workflow fails if it is still open after this time."),
]
RequestId = Annotated[
    str | None,
    typer.Option(help="Makes the command idempotent; by default it is generated."),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        metavar="SPAN",
        help="Stop waiting after this time (90, 10m, 2h); by default there is no limit.",
    ),
]


Many = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Start many: a JSON object on each line, with workflow_type, data, workflow_instance_id, ...; "
        "- for standard input.",
    ),
]


def start(
    workflow_type: Annotated[
        str | None,
        typer.Argument(
            metavar="WORKFLOW_TYPE",
            help="The kind of workflow to start.",
            autocompletion=completion.workflow_types,
        ),
    ] = None,
    data: Data = None,
    many: Many = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --many: only check the lines, start nothing.")
    ] = False,
    payload: Payload = None,
    workflow_instance_id: NewId = None,
    correlation_id: CorrelationId = None,
    priority: Priority = None,
    metadata: Metadata = None,
    workflow_timeout: WorkflowTimeout = None,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Start a workflow and return immediately.

    With --many, start one for each line of a file.
    """
    if many is not None:
        if any(
            (
                data,
                payload,
                workflow_instance_id,
                correlation_id,
                priority,
                metadata,
                workflow_timeout,
            )
        ):
            raise typer.BadParameter("with --many, the lines of the file define the workflows")
        # Only here: other commands start faster without the SDK.
        from waystation_cli.commands import start_many

        start_many.start_many(many, workflow_type, request_id, address, as_json, dry_run)
        return
    if dry_run:
        raise typer.BadParameter("--dry-run checks the lines of --many")
    if workflow_type is None:
        raise typer.BadParameter("give a WORKFLOW_TYPE, or a file with --many")
    request = _start_request(
        workflow_type,
        data,
        payload,
        workflow_instance_id,
        correlation_id,
        priority,
        metadata,
        workflow_timeout,
        request_id,
    )
    with connected(address, as_json) as api:
        response: StartWorkflowResponse = api.workflows.StartWorkflow(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response)
    else:
        outcomes.print_started(response)


def run(
    workflow_type: WorkflowType,
    data: Data = None,
    payload: Payload = None,
    workflow_instance_id: NewId = None,
    correlation_id: CorrelationId = None,
    priority: Priority = None,
    metadata: Metadata = None,
    workflow_timeout: WorkflowTimeout = None,
    request_id: RequestId = None,
    timeout: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Start a workflow and wait for its outcome.

    The exit code shows the outcome.
    """
    limit = _Limit(timeout)
    request = RunWorkflowRequest(
        start=_start_request(
            workflow_type,
            data,
            payload,
            workflow_instance_id,
            correlation_id,
            priority,
            metadata,
            workflow_timeout,
            request_id,
        ),
        early_id=True,
    )
    with connected(address, as_json) as api:
        seconds = limit.next_wait()
        request.timeout.CopyFrom(arguments.duration(seconds))
        call = api.run_workflow(request, timeout=seconds + CALL_SECONDS)
        started_id = ""
        try:
            with ctrl_c(call.cancel):
                told = dict(call.initial_metadata() or ())
                started_id = str(told.get("waystation-workflow-instance-id", ""))
                if started_id and not as_json:
                    # On stderr, and at once: whoever loses patience knows what to ask for.
                    outcomes.tell_begun(
                        started_id, told.get("waystation-workflow-created") != "false"
                    )
                response: RunWorkflowResponse = next(call)
            waited = WaitWorkflowResponse(context=response.context, outcome=response.outcome)
            started_id = response.context.workflow_instance_id
            if response.outcome == WAIT_OUTCOME_TIMED_OUT and limit.left() > 0:
                waited = _wait(api, started_id, limit)
        except KeyboardInterrupt as interrupt:
            raise _interrupted(started_id, address) from interrupt
    response.context.CopyFrom(waited.context)
    response.outcome = waited.outcome
    if as_json:
        message_json.print_message(response)
    else:
        outcomes.print_outcome(waited)
    raise typer.Exit(exit_code(waited))


def wait(
    workflow_instance_ids: WorkflowIds,
    timeout: Timeout = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Wait for the outcome of a workflow.

    The outcome is that it has ended, waits for input or is idle; the exit code shows which. Of several workflows, it
    is that of the first that did not complete.
    """
    limit = _Limit(timeout)
    with connected(address, as_json) as api:

        def wait_for(each: str) -> WaitWorkflowResponse:
            try:
                return _wait(api, each, limit)
            except KeyboardInterrupt as interrupt:
                raise _interrupted(each, address) from interrupt

        answers = several.carry_out(
            workflow_instance_ids,
            partial(ids.workflow, api),
            wait_for,
            outcomes.print_outcome,
            as_json,
        )
    raise typer.Exit(next(filter(None, map(exit_code, answers)), DONE))


class _Limit:
    """The time that a command may wait in all."""

    def __init__(self, timeout: str | None) -> None:
        self._until = None if timeout is None else time.monotonic() + arguments.seconds(timeout)

    def left(self) -> float:
        if self._until is None:
            return _WAIT_SECONDS
        return max(0.0, self._until - time.monotonic())

    def next_wait(self) -> float:
        return min(_WAIT_SECONDS, self.left())


def _wait(api: Api, workflow_instance_id: str, limit: _Limit) -> WaitWorkflowResponse:
    while True:
        seconds = limit.next_wait()
        response: WaitWorkflowResponse = api.workflows.WaitWorkflow(
            WaitWorkflowRequest(
                workflow_instance_id=workflow_instance_id, timeout=arguments.duration(seconds)
            ),
            timeout=seconds + CALL_SECONDS,
        )
        if response.outcome != WAIT_OUTCOME_TIMED_OUT or limit.left() <= 0:
            return response


def _interrupted(workflow_instance_id: str, address: str) -> typer.Exit:
    if workflow_instance_id:
        outcomes.tell_left("wait", workflow_instance_id, to_server(address))
    return typer.Exit(INTERRUPTED)


def _start_request(
    workflow_type: str,
    data: str | None,
    payload: str | None,
    workflow_instance_id: str | None,
    correlation_id: str | None,
    priority: int | None,
    metadata: list[str] | None,
    workflow_timeout: str | None,
    request_id: str | None,
) -> StartWorkflowRequest:
    if data == "-" and payload == "-":
        raise typer.BadParameter("only one of --data and --payload can come from standard input")
    return StartWorkflowRequest(
        workflow_type=workflow_type,
        data=arguments.struct(data),
        payload=arguments.struct(payload, "--payload"),
        workflow_instance_id=workflow_instance_id or "",
        correlation_id=correlation_id,
        priority=priority,
        metadata=arguments.metadata(metadata or []),
        timeout=None
        if workflow_timeout is None
        else arguments.duration(arguments.seconds(workflow_timeout)),
        request_id=request_id or new_request_id(),
    )
