"""show, explain: looking at one workflow."""

from __future__ import annotations

from typing import Annotated

import typer

from waystation.v1.dead_letter_pb2 import DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import ListDeadLettersRequest
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.history_pb2 import HistoryEntry, HistoryFilter, HistoryView
from waystation.v1.workflow_service_pb2 import (
    ExplainWorkflowRequest,
    ExplainWorkflowResponse,
    GetWorkflowRequest,
    GetWorkflowResponse,
    ListEventsRequest,
    ListHistoryRequest,
)
from waystation_cli import ids
from waystation_cli.arguments import LARGEST_INT32, Utc, WorkflowId
from waystation_cli.commands.pages import (
    gather,
)
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, connected
from waystation_cli.output import AsJson
from waystation_cli.render import documents, explanation, message_json, workflow


def show(
    workflow_instance_id: WorkflowId,
    data: Annotated[bool, typer.Option("--data", help="Print the data too.")] = False,
    at_sequence: Annotated[
        int,
        typer.Option(
            "--at", min=0, max=LARGEST_INT32, help="The state after this entry of history."
        ),
    ] = 0,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show the timeline and the attempts of a workflow.

    The timeline is a tree: an event, the results of its tasks, the events that they raised. Below
    it are the attempts with their messages, what the workflow waits for, and how it ended.

    With --json: an object with context, history (with the changes), events and dead_letters (open
    ones).
    """
    with connected(address, as_json) as api:
        workflow_instance_id = ids.workflow(api, workflow_instance_id)
        got: GetWorkflowResponse = api.workflows.GetWorkflow(
            GetWorkflowRequest(workflow_instance_id=workflow_instance_id, at_sequence=at_sequence),
            timeout=CALL_SECONDS,
        )
        view = HistoryView.HISTORY_VIEW_FULL if as_json else HistoryView.HISTORY_VIEW_BASIC
        history, _ = gather(
            lambda page_size, page_token: api.workflows.ListHistory(
                ListHistoryRequest(
                    workflow_instance_id=workflow_instance_id,
                    # What was added since the context was read would not fit to it.
                    filter=HistoryFilter(to_sequence=got.context.version),
                    view=view,
                    page_size=page_size,
                    page_token=page_token,
                ),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.entries,
        )
        events, _ = gather(
            lambda page_size, page_token: api.workflows.ListEvents(
                ListEventsRequest(
                    workflow_instance_id=workflow_instance_id,
                    page_size=page_size,
                    page_token=page_token,
                ),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.events,
        )
        if at_sequence:
            events = _known_by_then(events, history)
        dead_letters, _ = gather(
            lambda page_size, page_token: api.dead_letters.ListDeadLetters(
                ListDeadLettersRequest(
                    filter=DeadLetterFilter(workflow_instance_ids=[workflow_instance_id]),
                    page_size=page_size,
                    page_token=page_token,
                ),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.dead_letters,
        )
    if as_json:
        documents.print_document(
            {
                "context": message_json.as_dict(got.context),
                "history": [message_json.as_dict(entry) for entry in history],
                "events": [message_json.as_dict(event) for event in events],
                "dead_letters": [message_json.as_dict(letter) for letter in dead_letters],
            }
        )
    else:
        workflow.print_workflow(got.context, history, events, dead_letters, with_data=data)


def _known_by_then(
    events: list[EventWithState], history: list[HistoryEntry]
) -> list[EventWithState]:
    named = {entry.event_id for entry in history}
    named.update(each for entry in history for each in entry.raised_event_ids)
    return [entry for entry in events if entry.event.event_id in named]


def explain(
    workflow_instance_id: WorkflowId,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show what a workflow waits for.

    Also since when, and who or what can unblock it.
    """
    with connected(address, as_json) as api:
        workflow_instance_id = ids.workflow(api, workflow_instance_id)
        response: ExplainWorkflowResponse = api.workflows.ExplainWorkflow(
            ExplainWorkflowRequest(workflow_instance_id=workflow_instance_id), timeout=CALL_SECONDS
        )
    if as_json:
        message_json.print_message(response)
    else:
        explanation.print_explanation(response)
