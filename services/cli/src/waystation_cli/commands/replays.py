"""diff, replay, fork: what a workflow was, what its tasks would do now, and another course from
there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from waystation.v1.event_pb2 import NewEvent
from waystation.v1.operation_pb2 import Operation, OperationList, RemoveOperation
from waystation.v1.replay_pb2 import REPLAY_OUTCOME_SKIPPED, ReplayStep
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation.v1.workflow_service_pb2 import (
    ForkWorkflowRequest,
    ForkWorkflowResponse,
    GetWorkflowRequest,
    GetWorkflowResponse,
    ReplayWorkflowRequest,
    ReplayWorkflowResponse,
)
from waystation_cli import arguments, ids
from waystation_cli.arguments import JSON_HELP, LARGEST_INT32, WorkflowId
from waystation_cli.commands.starts import NewId, RequestId
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
)
from waystation_cli.outcome import DONE, NO
from waystation_cli.output import AsJson
from waystation_cli.render import differences, documents, message_json, outcomes, replays

# The most that the server takes for one portion.
_MOST_SECONDS = 600.0


def diff(
    workflow_instance_id: WorkflowId,
    first: Annotated[
        int,
        typer.Argument(
            metavar="A", min=1, max=LARGEST_INT32, help="The state after this entry of history."
        ),
    ],
    second: Annotated[
        int | None,
        typer.Argument(
            metavar="B", min=1, max=LARGEST_INT32, help="The state after this entry; default: now."
        ),
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show what changed between two entries of a history.

    The data, and the rest of the instance: status, waits, output, failure. Exit code 1 if something
    changed, 0 if nothing did.

    With --json: an object with data and instance, lists of differences (path, before, after; before
    or after is absent if there is no value).
    """
    with connected(address, as_json) as api:
        workflow_instance_id = ids.workflow(api, workflow_instance_id)
        before = _as_it_was(api, workflow_instance_id, first)
        after = _as_it_was(api, workflow_instance_id, second or 0)
    found = differences.of_contexts(before, after)
    if as_json:
        documents.print_document(differences.as_document(found))
    else:
        differences.print_contexts(before, after, found)
    raise typer.Exit(NO if any(found.values()) else DONE)


def replay(
    workflow_instance_id: WorkflowId,
    first: Annotated[
        int, typer.Option("--from", min=1, max=LARGEST_INT32, help="The first entry to replay.")
    ] = 1,
    last: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=1,
            max=LARGEST_INT32,
            help="The last entry to replay; default: the last one.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only entries of this task; may be repeated.")
    ] = None,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Call FAILED attempts too, to see whether they fail again."),
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="SPAN", help="Timeout of one task; at most 10m.")
    ] = "60s",
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show what the tasks of today would do differently.

    It calls replayable tasks again with their recorded input. A dry run: nothing is written, and `ctx.dry_run` is set. Exit code 1 if a result differs, a call
    fails or nothing could be compared, otherwise 0. Entries that cannot be replayed are shown with the reason.

    With --json: one ReplayWorkflowResponse.
    """
    seconds = arguments.seconds(timeout)
    if not 0 < seconds <= _MOST_SECONDS:
        raise typer.BadParameter("--timeout must be above 0 and at most 10m")
    request = ReplayWorkflowRequest(
        from_sequence=first,
        to_sequence=last or 0,
        task_ids=task or [],
        failed_attempts=failed,
    )
    whole = ReplayWorkflowResponse()
    with connected(address, as_json) as api:
        request.workflow_instance_id = ids.workflow(api, workflow_instance_id)
        while True:
            portion: ReplayWorkflowResponse = api.workflows.ReplayWorkflow(request, timeout=seconds)
            if not as_json:
                replays.print_steps(portion.steps)
            whole.steps.extend(portion.steps)
            if not portion.next_from_sequence:
                break
            request.from_sequence = portion.next_from_sequence
    if as_json:
        message_json.print_message(whole)
    else:
        replays.print_summary(whole.steps)
    raise typer.Exit(NO if _differs_or_proves_nothing(whole.steps) else DONE)


def fork(
    workflow_instance_id: WorkflowId,
    at_sequence: Annotated[
        int,
        typer.Option(
            "--at", min=1, max=LARGEST_INT32, help="Use the data as it was after this entry."
        ),
    ],
    new_id: NewId = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="/PATH=JSON",
            help="Edit the data: /amount=120 or '/name=\"Ada\"'. May be repeated.",
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            metavar="/PATH", help="Remove a path from the data, after all --set; may be repeated."
        ),
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--event",
            metavar="EVENT_TYPE",
            help="Raise this event instead of the one that the entry handled.",
        ),
    ] = None,
    payload: Annotated[
        str | None, typer.Option(help=f"The payload of --event: {JSON_HELP}")
    ] = None,
    event_of: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=LARGEST_INT32,
            metavar="N",
            help="Raise the event that this entry handled: --at 4 --event-of 5 repeats #5.",
        ),
    ] = None,
    request_id: RequestId = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Start a new workflow from an earlier state of another one.

    The new workflow has the data of that state, with your edits, and starts with the event that the
    entry of --at handled, or with another event. The source does not change.
    """
    if payload is not None and event_type is None:
        raise typer.BadParameter("--payload is the payload of --event: give its type")
    if event_type is not None and event_of:
        raise typer.BadParameter("--event and --event-of exclude each other: give one of them")
    request = ForkWorkflowRequest(
        at_sequence=at_sequence,
        new_workflow_instance_id=new_id or "",
        edits=_edits(set_ or [], remove or []),
        request_id=request_id or new_request_id(),
    )
    if event_of:
        request.event_of_sequence = event_of
    if event_type is not None:
        request.event.CopyFrom(
            NewEvent(event_type=event_type, payload=arguments.struct(payload, "--payload"))
        )
    with connected(address, as_json) as api:
        request.workflow_instance_id = ids.workflow(api, workflow_instance_id)
        response: ForkWorkflowResponse = api.workflows.ForkWorkflow(request, timeout=CALL_SECONDS)
    if as_json:
        message_json.print_message(response)
    else:
        outcomes.print_forked(request.workflow_instance_id, at_sequence, response)


def _differs_or_proves_nothing(steps: Sequence[ReplayStep]) -> bool:
    """A gate that compared nothing must not open."""
    return any(step.differs for step in steps) or all(
        step.outcome == REPLAY_OUTCOME_SKIPPED for step in steps
    )


def _as_it_was(api: Api, workflow_instance_id: str, sequence: int) -> WorkflowContext:
    response: GetWorkflowResponse = api.workflows.GetWorkflow(
        GetWorkflowRequest(workflow_instance_id=workflow_instance_id, at_sequence=sequence),
        timeout=CALL_SECONDS,
    )
    return response.context


def _edits(pairs: Sequence[str], removed: Sequence[str]) -> OperationList:
    edits = OperationList()
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not /PATH=JSON, such as '/claim/amount=120'")
        edits.items.append(Operation(path=path, set=arguments.value(text, "--set")))
    edits.items.extend(Operation(path=path, remove=RemoveOperation()) for path in removed)
    return edits
