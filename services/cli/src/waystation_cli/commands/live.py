"""watch, top: looking on while things happen."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any

import grpc
import typer
from rich.live import Live

from waystation.v1.dead_letter_service_pb2 import (
    CountDeadLettersRequest,
    CountDeadLettersResponse,
    ListDeadLettersRequest,
)
from waystation.v1.handler_registry_service_pb2 import ListHandlersRequest
from waystation.v1.history_pb2 import HistoryEntry
from waystation.v1.system_service_pb2 import GetSystemStatusRequest, GetSystemStatusResponse
from waystation.v1.workflow_pb2 import WAIT_OUTCOME_DONE
from waystation.v1.workflow_service_pb2 import (
    ExplainWorkflowRequest,
    ExplainWorkflowResponse,
    GetWorkflowRequest,
    GetWorkflowResponse,
    WaitWorkflowResponse,
    WatchWorkflowResponse,
)
from waystation_cli import arguments, ids
from waystation_cli.arguments import LARGEST_INT32, Utc, WorkflowId
from waystation_cli.commands.pages import gather_events
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    to_server,
)
from waystation_cli.history_stream import follow
from waystation_cli.interrupts import ctrl_c
from waystation_cli.keyboard import keys
from waystation_cli.outcome import INTERRUPTED
from waystation_cli.rates import Rates
from waystation_cli.render import documents, live, message_json, outcomes
from waystation_cli.render.text import stdout
from waystation_cli.wait_outcome import exit_code

_DRAW_SECONDS = 0.25

# Between two looks at a workflow in which nothing happens.
_IDLE_SECONDS = 1.0

# Reading all events of a large workflow takes its time: no more than a quarter of all time goes there.
_READ_SHARE = 4


def watch(
    workflow_instance_id: WorkflowId,
    first: Annotated[
        int,
        typer.Option(
            "--from", min=0, max=LARGEST_INT32, help="The first entry of history to show."
        ),
    ] = 0,
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each entry of history as one line of JSON.")
    ] = False,
) -> None:
    """Watch a workflow until it has ended.

    On a terminal it shows the timeline as a tree; elsewhere it prints one line per history entry.
    The exit code shows how the workflow ended. It reconnects if the connection breaks.
    """
    with connected(address, as_json) as api:
        workflow_instance_id = ids.workflow(api, workflow_instance_id)
        try:
            if as_json or not sys.stdout.isatty():
                for response in follow(api, workflow_instance_id, first, live.print_interrupted):
                    if response.HasField("history_entry"):
                        if as_json:
                            message_json.print_line(response.history_entry)
                        else:
                            live.print_entry(response.history_entry)
            else:
                _draw(api, workflow_instance_id, first)
        except KeyboardInterrupt as interrupt:
            outcomes.tell_left("watch", workflow_instance_id, to_server(address))
            raise typer.Exit(INTERRUPTED) from interrupt
        got: GetWorkflowResponse = api.workflows.GetWorkflow(
            GetWorkflowRequest(workflow_instance_id=workflow_instance_id), timeout=CALL_SECONDS
        )
    end = WaitWorkflowResponse(context=got.context, outcome=WAIT_OUTCOME_DONE)
    if not as_json:
        outcomes.print_outcome(end)
    raise typer.Exit(exit_code(end))


def _draw(api: Api, workflow_instance_id: str, first: int) -> None:
    """The tree as it grows; what stays on the screen is the whole of it, after Ctrl-C too."""
    view = live.WorkflowView(workflow_instance_id)
    history: list[HistoryEntry] = []

    def interrupted(sequence: int) -> None:
        view.note = f"The connection was lost; continuing with #{sequence}."

    def look() -> None:
        explained: ExplainWorkflowResponse = api.workflows.ExplainWorkflow(
            ExplainWorkflowRequest(workflow_instance_id=workflow_instance_id), timeout=CALL_SECONDS
        )
        view.show(history, gather_events(api, workflow_instance_id), explained)

    try:
        with Live(view, console=stdout(), auto_refresh=False, transient=True) as screen:
            look_again_at = 0.0
            unread = False
            for batch in _batches(follow(api, workflow_instance_id, first, interrupted)):
                entries = [each.history_entry for each in batch if each.HasField("history_entry")]
                history += entries
                if batch:
                    view.note = ""
                unread = unread or bool(entries)
                began = time.monotonic()
                # What it waits for changes without an entry, too.
                if history and began >= look_again_at + (0 if unread else _IDLE_SECONDS):
                    # A server that is away is the stream's to tell.
                    with suppress(grpc.RpcError):
                        look()
                    took = time.monotonic() - began
                    look_again_at, unread = time.monotonic() + took * _READ_SHARE, False
                screen.refresh()
        look()
    finally:
        if history:
            live.print_whole(view)


def _batches(responses: Iterator[WatchWorkflowResponse]) -> Iterator[list[WatchWorkflowResponse]]:
    """What came since the last look, nothing included, a few times a second. Raises what they raise."""
    came: queue.SimpleQueue[WatchWorkflowResponse | BaseException | None] = queue.SimpleQueue()

    def read() -> None:
        try:
            for response in responses:
                came.put(response)
            came.put(None)
        except BaseException as error:
            came.put(error)

    threading.Thread(target=read, name="watch", daemon=True).start()
    while True:
        batch: list[WatchWorkflowResponse] = []
        ends_at = time.monotonic() + _DRAW_SECONDS
        while (left := ends_at - time.monotonic()) > 0:
            try:
                each = came.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(each, BaseException):
                raise each
            if each is None:
                yield batch
                return
            batch.append(each)
        yield batch


def top(
    interval: Annotated[
        str, typer.Option(metavar="SPAN", help="Time between two updates (500ms, 2s, 1m).")
    ] = "2s",
    utc: Utc = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the state once as one JSON document.")
    ] = False,
) -> None:
    """Show the state of the installation.

    Workflows by status, routers, queues, handlers, dead letters. On a terminal it updates until
    Ctrl-C; elsewhere it prints the state once.
    """
    seconds = arguments.seconds(interval)
    with connected(address, as_json) as api:
        if as_json or not sys.stdout.isatty():
            _one_look(api, address, as_json)
            return
        with suppress(KeyboardInterrupt), ctrl_c() as struck:
            _look_on(api, address, seconds, struck)


def _one_look(api: Api, address: str, as_json: bool) -> None:
    status, handlers, letters = _look(api)
    if as_json:
        documents.print_document(
            {
                "status": message_json.as_dict(status),
                "handlers": [message_json.as_dict(each) for each in handlers],
                "dead_letters": [message_json.as_dict(each) for each in letters],
            }
        )
    else:
        live.print_look(status, handlers, letters, address, _of_ended(api, status))


def _look_on(api: Api, address: str, seconds: float, struck: Callable[[], bool]) -> None:
    rates = Rates()
    view: live.TopView | None = None
    by_load = only_trouble = False
    with Live(console=stdout(), auto_refresh=False, screen=True) as screen, keys() as pressed:
        look_at = 0.0
        while not struck():
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + seconds
                try:
                    status, handlers, letters = _look(api)
                    ended = _of_ended(api, status)
                except grpc.RpcError:
                    # It looks on through a restart, but a first look has to succeed.
                    if view is None:
                        raise
                    screen.update(f"No answer from {address}; retrying.", refresh=True)
                else:
                    rates.look(time.monotonic(), status.routers)
                    rate = rates.per_second()
                    view = live.TopView(status, handlers, letters, address, rate, ended)
                    view.by_load, view.only_trouble = by_load, only_trouble
                    screen.update(view, refresh=True)
            key = pressed(max(look_at - time.monotonic(), 0))
            if key == "q":
                return
            by_load ^= key == "s"
            only_trouble ^= key == "f"
            if key in ("s", "f") and view is not None:
                view.by_load, view.only_trouble = by_load, only_trouble
                screen.update(view, refresh=True)


def _of_ended(api: Api, status: GetSystemStatusResponse) -> int:
    """How many of the dead letters need nobody, as their workflows have ended."""
    if not status.dead_letters:
        return 0
    counted: CountDeadLettersResponse = api.dead_letters.CountDeadLetters(
        CountDeadLettersRequest(), timeout=CALL_SECONDS
    )
    return counted.count - counted.retryable


def _look(api: Api) -> tuple[GetSystemStatusResponse, list[Any], list[Any]]:
    status: GetSystemStatusResponse = api.system.GetSystemStatus(
        GetSystemStatusRequest(), timeout=CALL_SECONDS
    )
    handlers = api.handlers.ListHandlers(
        ListHandlersRequest(page_size=live.MOST_ROWS), timeout=CALL_SECONDS
    ).handlers
    letters = api.dead_letters.ListDeadLetters(
        ListDeadLettersRequest(page_size=live.MOST_ROWS), timeout=CALL_SECONDS
    ).dead_letters
    return status, list(handlers), list(letters)
