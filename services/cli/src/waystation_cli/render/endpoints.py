"""Handler services: their endpoints and tasks."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from waystation.v1.handler_pb2 import Handler, TaskSpec
from waystation.v1.handler_registry_service_pb2 import RegisterHandlerResponse
from waystation_cli.render import names
from waystation_cli.render.overview import print_more
from waystation_cli.render.text import WIDE, addressed, length, plain, stdout, table
from waystation_domain.endpoints import host_and_port


def print_handlers(handlers: Sequence[Handler], more: bool) -> None:
    """One line for each endpoint, then one for each task of each service."""
    out = stdout()
    if not handlers:
        out.print(
            "No endpoint is registered. Events of known tasks wait for one; others are UNHANDLED."
        )
        return
    out.print(endpoint_table(handlers))
    out.print()
    tasks = table("TASK", "SERVICE", "EVENTS", "OF WORKFLOWS", "STATE")
    # The endpoints of a service mostly host the same tasks: each is told once.
    told = dict.fromkeys(
        (
            task.task_id,
            handler.service_name,
            ", ".join(task.event_types),
            _types(task),
            "retired" if task.task_id in handler.retired_task_ids else "",
        )
        for handler in handlers
        for task in handler.tasks
    )
    for line in told:
        tasks.add_row(*map(plain, line))
    out.print(tasks)
    if more:
        print_more(out, len(handlers))


def endpoint_table(handlers: Sequence[Handler]) -> Table:
    """One line for each endpoint; ids stay whole, and a narrow terminal has fewer columns."""
    wide = stdout().width >= WIDE
    more = ("KIND", "LEASE LEFT", "IN CALL") if wide else ()
    rows = table("SERVICE", "ENDPOINT", "REACHABLE", *more, "HANDLER ID")
    rows.columns[-1].no_wrap = True
    for handler in handlers:
        version = f" {handler.service_version}" if handler.service_version else ""
        lease = length(handler.lease_remaining) if handler.HasField("lease_remaining") else "static"
        facts = (names.registration(handler.kind).lower(), lease, str(handler.calls_in_flight))
        rows.add_row(
            plain(handler.service_name + version),
            plain(endpoint(handler)),
            reachable(handler),
            *(facts if wide else ()),
            plain(handler.handler_id),
        )
    return rows


def print_registered(response: RegisterHandlerResponse) -> None:
    """Tells the id to unregister by, and what the tasks got at once."""
    out, handler = stdout(), response.handler
    out.print(
        plain(
            f"Registered {handler.service_name} at {endpoint(handler)} "
            f"with {len(handler.tasks)} task(s) as {handler.handler_id}"
        )
    )
    if response.caught_up_events:
        out.print(
            f"Its tasks receive {response.caught_up_events} earlier event(s) that no task had handled."
        )
    if handler.retired_task_ids:
        out.print(
            plain(f"Retired, so they receive no events: {', '.join(handler.retired_task_ids)}"),
            style="yellow",
        )


def print_unregistered(handler_id: str) -> None:
    stdout().print(plain(f"Unregistered {handler_id}"))


def print_retired(task_id: str, deliveries: int) -> None:
    """Tells what became of its open deliveries."""
    out = stdout()
    out.print(plain(f"Retired {task_id}"))
    if deliveries:
        noun = "delivery is a dead letter" if deliveries == 1 else "deliveries are dead letters"
        out.print(addressed(f"{deliveries} open {noun} now: `waystation dead-letters list`."))


def retire_question(task_id: str, deliveries: int) -> str:
    """What a person is asked before it is done."""
    then = f" and turn its {deliveries} open {_deliveries(deliveries)} into dead letters"
    return plain(f"Retire {task_id} permanently{then if deliveries else ''}?")


def print_would_retire(task_id: str, deliveries: int) -> None:
    """Tells what retiring it would do now."""
    would = f"{deliveries} open {_deliveries(deliveries)} would become dead letters"
    stdout().print(plain(f"Retiring {task_id}: {would}. Nothing was changed."))


def tell_retiring(done: int, total: int, again: Sequence[str]) -> None:
    """Tells on stderr how far it came, and what waits for the rest."""
    print(
        f"Stopped. {done} of {total} {_deliveries(total)} are dead letters. If the task is retired already, the "
        "servers do the rest; this makes sure, and waits for it:",
        file=sys.stderr,
    )
    print(f"  {plain(shlex.join(again))}", file=sys.stderr)


def _deliveries(number: int) -> str:
    return "delivery" if number == 1 else "deliveries"


def endpoint(handler: Handler) -> str:
    """host:port, with an IPv6 literal in brackets."""
    return host_and_port(handler.host, handler.port)


def _types(task: TaskSpec) -> str:
    return ", ".join(task.workflow_types)


def reachable(handler: Handler) -> Text:
    """What the routers say of it."""
    if not handler.HasField("reachable"):
        return Text("not tried yet", style="dim")
    if handler.reachable:
        if handler.last_error:
            return Text(plain(f"yes, but {handler.last_error}"), style="yellow")
        return Text("yes", style="green")
    return Text(plain(f"no: {handler.last_error}"), style="red")
