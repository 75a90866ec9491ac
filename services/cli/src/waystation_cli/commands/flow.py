"""lint, graph: the flow of events through tasks, as declared and as seen."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from waystation.v1.flow_pb2 import FLOW_SEVERITY_ERROR
from waystation.v1.system_service_pb2 import GetFlowRequest, GetFlowResponse
from waystation_cli import arguments
from waystation_cli.arguments import Utc
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, connected
from waystation_cli.failures import CommandFailed
from waystation_cli.outcome import NO
from waystation_cli.output import AsJson
from waystation_cli.render import documents, findings, message_json
from waystation_cli.render import graph as pictures


class Format(enum.StrEnum):
    """What `graph` writes."""

    MERMAID = "mermaid"
    DOT = "dot"


Type = Annotated[str | None, typer.Option("--type", help="Only this workflow type.")]
Since = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Sample workflows started since this time: RFC 3339, or 2h for 2 hours ago.",
    ),
]
Instances = Annotated[
    int, typer.Option(min=1, max=10_000, help="How many workflows to sample, the newest first.")
]


def lint(
    workflow_type: Type = None,
    since: Since = "24h",
    instances: Instances = 1000,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Find problems in the flow of events.

    Events that no task handles or raises, two writers of one path, tasks without an endpoint or
    never reached: as registered tasks declare and as recent workflows show.

    Exit code 1 if a finding is an error, otherwise 0. With --json: an object with findings,
    instances, looked_back_to and cut_short.
    """
    response = _flow(workflow_type, since, instances, address, as_json)
    if as_json:
        told = message_json.as_dict(response)
        del told["flows"]
        documents.print_document(told)
    else:
        findings.print_findings(response)
    if any(finding.severity == FLOW_SEVERITY_ERROR for finding in response.findings):
        raise typer.Exit(NO)


def graph(
    workflow_type: Type = None,
    format: Annotated[Format, typer.Option(help="Output format.")] = Format.MERMAID,
    since: Since = "24h",
    instances: Instances = 1000,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Draw the flow of events as a Mermaid flowchart or as DOT.

    Events are rounded, tasks are boxes. Edges show how often; red edges had failures, dashed edges
    are declared but were not seen.
    """
    response = _flow(workflow_type, since, instances, address, as_json)
    if as_json:
        message_json.print_message(response)
        return
    draw = pictures.mermaid if format is Format.MERMAID else pictures.dot
    typer.echo(draw(response.flows), nl=False)


def _flow(
    workflow_type: str | None, since: str, instances: int, address: str, as_json: bool
) -> GetFlowResponse:
    request = GetFlowRequest(
        workflow_type=workflow_type or "",
        created_after=arguments.moment(since),
        max_instances=instances,
    )
    with connected(address, as_json) as api:
        response: GetFlowResponse = api.system.GetFlow(request, timeout=CALL_SECONDS)
        if workflow_type and not response.flows:
            raise CommandFailed(
                code="NOT_FOUND",
                reason="WORKFLOW_TYPE_UNKNOWN",
                message=f"No workflow type {workflow_type} is known: no task is "
                f"registered for it, and --since {since} finds no workflow of it.",
                hint="`waystation handlers list` shows the types that have tasks.",
                metadata={"workflow_type": workflow_type},
            )
    return response
