"""show, explain: looking at workflows by their ids."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, NamedTuple

import typer

from waystation.v1.dead_letter_pb2 import DeadLetter, DeadLetterFilter
from waystation.v1.dead_letter_service_pb2 import ListDeadLettersRequest
from waystation.v1.event_pb2 import EventWithState
from waystation.v1.history_pb2 import HistoryEntry, HistoryFilter, HistoryView
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation.v1.workflow_service_pb2 import (
    ExplainWorkflowRequest,
    ExplainWorkflowResponse,
    GetWorkflowRequest,
    GetWorkflowResponse,
    ListHistoryRequest,
)
from waystation_cli import ids
from waystation_cli.arguments import LARGEST_INT32, Utc, WorkflowIds
from waystation_cli.commands import several
from waystation_cli.commands.pages import gather, gather_events
from waystation_cli.connection import CALL_SECONDS, DEFAULT_ADDRESS, Address, Api, connected
from waystation_cli.output import AsJson
from waystation_cli.render import explanation, message_json, workflow


class _Shown(NamedTuple):
    """A workflow as a whole."""

    context: WorkflowContext
    history: list[HistoryEntry]
    events: list[EventWithState]
    dead_letters: list[DeadLetter]

    def document(self) -> dict[str, Any]:
        return {
            "context": message_json.as_dict(self.context),
            "history": [message_json.as_dict(entry) for entry in self.history],
            "events": [message_json.as_dict(event) for event in self.events],
            "dead_letters": [message_json.as_dict(letter) for letter in self.dead_letters],
        }


def show(
    workflow_instance_ids: WorkflowIds,
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
        several.carry_out(
            workflow_instance_ids,
            partial(ids.workflow, api),
            lambda each: _shown(api, each, at_sequence, with_changes=as_json),
            lambda shown: workflow.print_workflow(*shown, with_data=data),
            as_json,
            _Shown.document,
        )


def _shown(api: Api, workflow_instance_id: str, at_sequence: int, *, with_changes: bool) -> _Shown:
    got: GetWorkflowResponse = api.workflows.GetWorkflow(
        GetWorkflowRequest(workflow_instance_id=workflow_instance_id, at_sequence=at_sequence),
        timeout=CALL_SECONDS,
    )
    view = HistoryView.HISTORY_VIEW_FULL if with_changes else HistoryView.HISTORY_VIEW_BASIC
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
    events = gather_events(api, workflow_instance_id)
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
    return _Shown(got.context, history, events, dead_letters)


def _known_by_then(
    events: list[EventWithState], history: list[HistoryEntry]
) -> list[EventWithState]:
    named = {entry.event_id for entry in history}
    named.update(each for entry in history for each in entry.raised_event_ids)
    return [entry for entry in events if entry.event.event_id in named]


def explain(
    workflow_instance_ids: WorkflowIds,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Show what a workflow waits for.

    Also since when, and who or what can unblock it.
    """
    with connected(address, as_json) as api:

        def ask(each: str) -> ExplainWorkflowResponse:
            response: ExplainWorkflowResponse = api.workflows.ExplainWorkflow(
                ExplainWorkflowRequest(workflow_instance_id=each), timeout=CALL_SECONDS
            )
            return response

        several.carry_out(
            workflow_instance_ids,
            partial(ids.workflow, api),
            ask,
            explanation.print_explanation,
            as_json,
        )
