"""What starting, waiting for and acting on a workflow came to, in a few lines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from waystation.v1.status_pb2 import WORKFLOW_STATUS_FAILED
from waystation.v1.wait_pb2 import WorkflowWait
from waystation.v1.workflow_pb2 import (
    WAIT_OUTCOME_DONE,
    WAIT_OUTCOME_IDLE,
    WAIT_OUTCOME_WAITING_FOR_INPUT,
    WorkflowContext,
)
from waystation.v1.workflow_service_pb2 import (
    CancelWorkflowResponse,
    ForkWorkflowResponse,
    ProvideInputResponse,
    PublishEventResponse,
    StartWorkflowResponse,
    WaitWorkflowResponse,
)
from waystation_cli.render import names
from waystation_cli.render.message_json import as_dict, pretty
from waystation_cli.render.text import addressed, advised, plain, quoted, stdout


def print_started(response: StartWorkflowResponse) -> None:
    """Tells the id, and which tasks take the first event."""
    out = stdout()
    out.print(_begun(response.context.workflow_instance_id, response.created))
    _print_takers(out, "workflow.started", list(response.task_ids))


def tell_begun(workflow_instance_id: str, created: bool) -> None:
    """The id on stderr, at once."""
    print(_begun(workflow_instance_id, created), file=sys.stderr)


def tell_left(verb: str, workflow_instance_id: str, more: Sequence[str]) -> None:
    """Tells on stderr that the workflow continues without somebody who waits or watches, and what begins with that
    again."""
    again = shlex.join(["waystation", verb, workflow_instance_id, *more])
    says = {"wait": "waits for it", "watch": "watches it"}[verb]
    print(f"The workflow continues; `{plain(again)}` {says} again.", file=sys.stderr)


def _begun(workflow_instance_id: str, created: bool) -> str:
    return plain(f"{'Started' if created else 'Already started:'} {workflow_instance_id}")


def print_forked(workflow_instance_id: str, sequence: int, response: ForkWorkflowResponse) -> None:
    """Tells the id, and which tasks take its first event."""
    out = stdout()
    verb = "Forked" if response.created else "Already forked:"
    forked = response.context.workflow_instance_id
    out.print(plain(f"{verb} {workflow_instance_id} at #{sequence} as {forked}"))
    _print_takers(out, response.event_type, list(response.task_ids))


def print_outcome(response: WaitWorkflowResponse) -> None:
    """Tells how a wait ended, and what to do where the workflow needs somebody."""
    out, context = stdout(), response.context
    workflow_instance_id = plain(context.workflow_instance_id)
    word = names.status(context.status)
    if response.outcome == WAIT_OUTCOME_IDLE:
        word = "IDLE"
    out.print(Text.assemble(f"{workflow_instance_id} ", (word, names.style(word))))
    if response.outcome == WAIT_OUTCOME_WAITING_FOR_INPUT:
        print_waits(out, context)
    elif response.outcome == WAIT_OUTCOME_IDLE:
        out.print(plain(context.idle.message))
    elif response.outcome != WAIT_OUTCOME_DONE:
        # Timed out, or what a later release calls it: it is open.
        out.print(
            addressed(
                f"It is still open; `waystation explain {workflow_instance_id}` shows what it waits for."
            ),
            style="dim",
        )
    print_end(out, context)
    if response.outcome == WAIT_OUTCOME_IDLE or context.status == WORKFLOW_STATUS_FAILED:
        out.print(
            addressed(f"`waystation explain {workflow_instance_id}` shows what can be done."),
            style="dim",
        )


def print_waits(out: Console, context: WorkflowContext) -> None:
    """Tells what the workflow asks for, and how to answer."""
    several = len(context.waits) > 1
    for wait in context.waits:
        out.print(quoted(wait.message, f"{wait.task_id} asks: "))
        choice = f" --wait-id {wait.wait_id}" if several else ""
        answer = f"waystation input {context.workflow_instance_id}{choice} --data '{{...}}'"
        out.print(
            plain(f"  answer: {advised(answer)}"),
            style="dim",
        )
        if wait.answer_path:
            out.print(plain(f"  goes to: {wait.answer_path}"), style="dim")
        if wait.HasField("input_schema"):
            out.print("  expects:", pretty(as_dict(wait.input_schema)), soft_wrap=True)


def print_question(wait: WorkflowWait) -> None:
    """Tells on stderr what is asked."""
    print(quoted(wait.message, f"{wait.task_id} asks: "), file=sys.stderr)


def print_question_of(workflow_instance_id: str) -> None:
    """Tells on stderr which workflow asks, of several."""
    print(plain(f"{workflow_instance_id}:"), file=sys.stderr)


def print_end(out: Console, context: WorkflowContext) -> None:
    """Tells why it failed, and what it gave."""
    if context.HasField("failure"):
        failure = context.failure
        where = f" in {failure.task_id}" if failure.task_id else ""
        out.print(quoted(failure.message, f"{failure.reason}{where}: "), style="red")
    if context.HasField("output"):
        out.print(pretty(as_dict(context.output)), soft_wrap=True)


def print_input_given(response: ProvideInputResponse) -> None:
    """Tells that the answer is in, and what is still asked."""
    out, context = stdout(), response.context
    out.print(
        plain(
            f"Given; {context.workflow_instance_id} is {names.status(context.status)} "
            f"(event {response.event_id})"
        )
    )
    print_waits(out, context)


def print_published(event_type: str, response: PublishEventResponse) -> None:
    """Tells the event's id, and which tasks take it."""
    out = stdout()
    out.print(plain(f"Raised {event_type} as {response.event_id}"))
    _print_takers(out, event_type, list(response.task_ids))


def print_cancelled(response: CancelWorkflowResponse) -> None:
    """Tells that it has ended."""
    context = response.context
    stdout().print(plain(f"{context.workflow_instance_id} is {names.status(context.status)}"))


def _print_takers(out: Console, event_type: str, task_ids: list[str]) -> None:
    if task_ids:
        out.print(plain(f"{event_type} goes to {', '.join(task_ids)}"), style="dim")
    else:
        out.print(
            plain(
                f"No task handles {event_type} of this workflow type: it is idle until one "
                + addressed(
                    "is registered (`waystation handlers list` shows the registered tasks)."
                )
            ),
            style="yellow",
        )
