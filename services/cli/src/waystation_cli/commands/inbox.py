"""inbox: what is asked of people."""

from __future__ import annotations

from typing import Annotated

import typer

from waystation.v1.status_pb2 import WORKFLOW_STATUS_WAITING_FOR_INPUT
from waystation.v1.workflow_pb2 import WorkflowFilter
from waystation_cli import completion
from waystation_cli.arguments import Utc
from waystation_cli.commands.pages import Limit, Whole, gather_workflows
from waystation_cli.connection import DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import documents, questions


def inbox(
    workflow_type: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="Only this type; may be repeated.",
            autocompletion=completion.workflow_types,
        ),
    ] = None,
    limit: Limit = 50,
    whole: Whole = False,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List what workflows ask people, and how to answer.

    The newest workflows that wait for input, with all their open questions, oldest question first.
    """
    chosen = WorkflowFilter(
        workflow_types=workflow_type or [], statuses=[WORKFLOW_STATUS_WAITING_FOR_INPUT]
    )
    with connected(address, as_json) as api:
        workflows, more = gather_workflows(api, chosen, None if whole else limit)
    asked = questions.of_workflows(workflows)
    if as_json:
        documents.print_document({"items": questions.as_documents(asked), "more": more})
    else:
        questions.print_questions(asked, more)
