"""handlers list, register, unregister, retire: who hosts the tasks, and where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from google.protobuf import json_format

from waystation.v1.handler_pb2 import REGISTRATION_KIND_STATIC, TaskSpec
from waystation.v1.handler_registry_service_pb2 import (
    ListHandlersRequest,
    RegisterHandlerRequest,
    RegisterHandlerResponse,
    RetireTaskRequest,
    RetireTaskResponse,
    UnregisterHandlerRequest,
    UnregisterHandlerResponse,
)
from waystation_cli import arguments, bars, completion, ids
from waystation_cli.commands import several
from waystation_cli.commands.pages import Limit, Whole, gather
from waystation_cli.connection import (
    CALL_SECONDS,
    DEFAULT_ADDRESS,
    Address,
    Api,
    connected,
    new_request_id,
    to_server,
)
from waystation_cli.consent import require_yes
from waystation_cli.interrupts import noted_ctrl_c
from waystation_cli.outcome import INTERRUPTED
from waystation_cli.output import AsJson
from waystation_cli.render import endpoints, message_json

# Each workflow with an open delivery takes a transaction.
_RETIRE_SECONDS = 600.0


def list_handlers(
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    limit: Limit = 1000,
    whole: Whole = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """List the endpoints, their state and their tasks."""
    with connected(address, as_json) as api:
        handlers, more = gather(
            lambda page_size, page_token: api.handlers.ListHandlers(
                ListHandlersRequest(
                    service_name=service or "",
                    page_size=page_size,
                    page_token=page_token,
                    with_tasks=True,
                ),
                timeout=CALL_SECONDS,
            ),
            lambda page: page.handlers,
            None if whole else limit,
        )
    if as_json:
        message_json.print_items(handlers, more)
    else:
        endpoints.print_handlers(handlers, more)


def register(
    service: Annotated[str, typer.Option(help="The name of the service that owns the tasks.")],
    host: Annotated[str, typer.Option(help="A DNS name or an IP address, without a port.")],
    port: Annotated[int, typer.Option(min=1, max=65535)],
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID:EVENT,EVENT:TYPE,TYPE",
            help="A task, its event types and its workflow types; may be repeated.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Tasks as a JSON array of TaskSpec messages; - for standard input."
        ),
    ] = None,
    service_version: Annotated[str | None, typer.Option(help="Shown in history.")] = None,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Register an endpoint that does not register itself. It stays until unregistered.

    Example: waystation handlers register --service claims --host 127.0.0.1 --port 7500
    --task 'claim_validator:claim.processed:claim'
    """
    tasks = [_task(each) for each in task or []] + (_tasks_of_file(file) if file else [])
    if not tasks:
        raise typer.BadParameter("give at least one task with --task or --file")
    request = RegisterHandlerRequest(
        service_name=service,
        service_version=service_version or "",
        host=host,
        port=port,
        kind=REGISTRATION_KIND_STATIC,
        tasks=tasks,
        request_id=new_request_id(),
    )
    with connected(address, as_json) as api:
        response: RegisterHandlerResponse = api.handlers.RegisterHandler(
            request, timeout=CALL_SECONDS
        )
    if as_json:
        message_json.print_message(response)
    else:
        endpoints.print_registered(response)


def unregister(
    handler_id: Annotated[
        list[str],
        typer.Argument(
            metavar="HANDLER_ID",
            help="From `waystation handlers list`: whole, or a unique beginning or end; several may be given.",
            autocompletion=completion.handlers,
        ),
    ],
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Remove endpoints.

    Deliveries of their tasks wait for other ones.
    """
    with connected(address, as_json) as api:

        def remove(each: str) -> tuple[str, UnregisterHandlerResponse]:
            request = UnregisterHandlerRequest(handler_id=each, request_id=new_request_id())
            return each, api.handlers.UnregisterHandler(request, timeout=CALL_SECONDS)

        several.carry_out(
            handler_id,
            partial(ids.handler, api),
            remove,
            lambda removed: endpoints.print_unregistered(removed[0]),
            as_json,
            lambda removed: message_json.as_dict(removed[1]),
        )


def retire(
    task_id: Annotated[
        str,
        typer.Argument(
            metavar="TASK_ID",
            help="From `waystation handlers list`.",
            autocompletion=completion.tasks,
        ),
    ],
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only count the deliveries that would become dead letters."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    address: Address = DEFAULT_ADDRESS,
    as_json: AsJson = False,
) -> None:
    """Retire a task permanently.

    It gets no more deliveries, even if endpoints declare it. Its open deliveries become dead letters TASK_RETIRED, and their workflows continue. Calls in
    flight finish and take effect. This cannot be undone: a new task needs a new TASK_ID.
    """
    with connected(address, as_json) as api:

        def count() -> RetireTaskResponse:
            response: RetireTaskResponse = api.handlers.RetireTask(
                RetireTaskRequest(task_id=task_id, dry_run=True), timeout=_RETIRE_SECONDS
            )
            return response

        counted = count()
        if dry_run:
            response = counted
        else:
            if not yes:
                require_yes(endpoints.retire_question(task_id, counted.retired_deliveries))
            response = _retired(api, task_id, counted.retired_deliveries, count, address, as_json)
    if as_json:
        message_json.print_message(response)
    elif dry_run:
        endpoints.print_would_retire(task_id, response.retired_deliveries)
    else:
        endpoints.print_retired(task_id, response.retired_deliveries)


def _retired(
    api: Api,
    task_id: str,
    total: int,
    count: Callable[[], RetireTaskResponse],
    address: str,
    as_json: bool,
) -> RetireTaskResponse:
    """The answer. Ctrl-C ends the command, not what was begun: the servers go on with a retired task."""
    with noted_ctrl_c() as struck:
        response: RetireTaskResponse | None = bars.watched(
            api.handlers.RetireTask.future(
                RetireTaskRequest(task_id=task_id, request_id=new_request_id()),
                timeout=_RETIRE_SECONDS,
            ),
            "retire",
            total=total,
            left=lambda: count().retired_deliveries,
            shown=not as_json,
            struck=struck,
        )
    if response is None:
        again = ["waystation", "handlers", "retire", task_id, "--yes", *to_server(address)]
        endpoints.tell_retiring(max(total - count().retired_deliveries, 0), total, again)
        raise typer.Exit(INTERRUPTED)
    return response


def _task(text: str) -> TaskSpec:
    parts = [[item for item in part.split(",") if item] for part in text.split(":")]
    if len(parts) != 3 or not all(parts) or len(parts[0]) != 1:
        raise typer.BadParameter(
            f"--task {text!r} is not ID:EVENT,EVENT:TYPE,TYPE, such as "
            "'claim_validator:claim.processed:claim' (names with a colon need --file)"
        )
    return TaskSpec(task_id=parts[0][0], event_types=parts[1], workflow_types=parts[2])


def _tasks_of_file(file: str) -> list[TaskSpec]:
    parsed: Any = arguments.json_value(file if file == "-" else f"@{file}")
    if isinstance(parsed, dict):
        parsed = parsed.get("tasks")
    if not isinstance(parsed, list) or not all(isinstance(item, dict) for item in parsed):
        raise typer.BadParameter(
            f'{file} must contain a JSON array of tasks, such as [{{"task_id": "a", '
            '"event_types": ["claim.processed"], "workflow_types": ["claim"]}]'
        )
    try:
        return [_spec(item) for item in parsed]
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise typer.BadParameter(f"{file} contains an invalid TaskSpec: {error}") from error


def _spec(item: dict[str, Any]) -> TaskSpec:
    spec = TaskSpec()
    message_json.parse(item, spec)
    return spec
