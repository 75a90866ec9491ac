"""Lists of workflows, and the installation as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from waystation.v1.status_pb2 import WORKFLOW_STATUS_ACTIVE
from waystation.v1.system_pb2 import CertificateStatus, QueueStatus, RouterStatus
from waystation.v1.system_service_pb2 import GetSystemStatusResponse
from waystation.v1.workflow_pb2 import WorkflowContext
from waystation.v1.workflow_service_pb2 import ExplainWorkflowResponse
from waystation_cli.render import names
from waystation_cli.render.text import (
    NOTHING,
    WIDE,
    addressed,
    age,
    cut_last_column,
    length,
    localized,
    plain,
    shortened,
    stdout,
    table,
    when,
    when_in_column,
    zone,
)
from waystation_tls.reminder import ENDS_SOON


def print_more(out: Console, shown: int) -> None:
    """Tells that a list was cut."""
    out.print(f"There are more than these {shown}; use --limit or --all to show more.", style="dim")


Doing = Mapping[str, ExplainWorkflowResponse]
"""What workflows wait for, by their ids; not of all."""


def print_workflows(
    workflows: Sequence[WorkflowContext], doing: Doing, more: bool, *, all_meant: bool
) -> None:
    """One line for each workflow. `all_meant`: nothing was left out by a condition."""
    out = stdout()
    if not workflows:
        out.print(
            addressed("No workflows. `waystation start WORKFLOW_TYPE` starts one.")
            if all_meant
            else addressed("No workflow matches. `waystation list` shows all.")
        )
        return
    out.print(_workflow_table(workflows, doing, out))
    if more:
        print_more(out, len(workflows))


def workflow_screen(
    workflows: Sequence[WorkflowContext], doing: Doing, out: Console
) -> RenderableType:
    """The same for a terminal that shows it again and again."""
    if not workflows:
        return Text("No workflow matches, so far. Ctrl-C ends this.")
    return Group(
        _workflow_table(workflows, doing, out), Text("The newest ones. Ctrl-C ends this.", "dim")
    )


def _workflow_table(workflows: Sequence[WorkflowContext], doing: Doing, out: Console) -> Table:
    if out.width < WIDE:
        return _narrow_table(workflows, doing, out)
    rows = table("WORKFLOW", "TYPE", "STATUS", f"STARTED ({zone()})", "CHANGED", "NOW")
    # An id that is cut in pieces can't be copied.
    rows.columns[0].no_wrap = rows.columns[2].no_wrap = True
    for context in workflows:
        rows.add_row(
            plain(context.workflow_instance_id),
            plain(context.workflow_type),
            _status(context),
            when_in_column(context.created_at),
            _changed(context),
            now(context, doing.get(context.workflow_instance_id)),
        )
    cut_last_column(rows, out)
    return rows


def _narrow_table(workflows: Sequence[WorkflowContext], doing: Doing, out: Console) -> Table:
    """What a workflow does now stands below its id, if there is something to say."""
    rows = table("WORKFLOW", "STATUS", "CHANGED", "TYPE")
    for column in rows.columns[:3]:
        column.no_wrap = True
    for context in workflows:
        first = Text(plain(context.workflow_instance_id))
        said = now(context, doing.get(context.workflow_instance_id))
        if said != NOTHING:
            below = Text(f"  {said}", style="dim")
            below.truncate(max(first.cell_len, _GENERATED_ID), overflow="ellipsis")
            first = Text("\n").join([first, below])
        rows.add_row(first, _status(context), _changed(context), plain(context.workflow_type))
    cut_last_column(rows, out)
    return rows


_GENERATED_ID = 36
"""Columns."""


def _status(context: WorkflowContext) -> Text:
    word = names.status(context.status)
    shown = Text(word, style=names.style(word))
    if context.HasField("idle"):
        shown.append(" (idle)", style="yellow")
    return shown


def _changed(context: WorkflowContext) -> str:
    return age(context.updated_at) if context.HasField("updated_at") else NOTHING


def is_at_work(context: WorkflowContext) -> bool:
    """Whether it is open, and what it does now is not in the context."""
    return context.status == WORKFLOW_STATUS_ACTIVE and not context.HasField("idle")


def now(context: WorkflowContext, doing: ExplainWorkflowResponse | None = None) -> str:
    """What it asks for, why it is idle, why it failed, or what it waits for."""
    if context.HasField("failure"):
        failure = context.failure
        return plain(shortened(f"{failure.reason}: {failure.message}", _SHORT))
    if context.waits:
        wait = context.waits[0]
        more = f" (and {len(context.waits) - 1} more)" if len(context.waits) > 1 else ""
        return plain(shortened(f"{wait.task_id} asks: {wait.message}", _SHORT) + more)
    if context.HasField("idle"):
        return plain(shortened(context.idle.message, _SHORT))
    if doing is not None and doing.blockers:
        blocker = doing.blockers[0]
        said = f"{names.blocker(blocker.kind)} {localized(blocker.message)}"
        return plain(shortened(said, _SHORT))
    return NOTHING


_SHORT = 80


def print_status(status: GetSystemStatusResponse, address: str) -> None:
    """Routers, queues, backlog, handlers, workflows."""
    out = stdout()
    out.print(Group(*status_view(status, address, wide=out.width >= WIDE)))


def status_view(
    status: GetSystemStatusResponse, address: str, *, wide: bool
) -> list[RenderableType]:
    """The same, from top to bottom."""
    title = Text(plain(f"Waystation {status.server_version} at {address}"), style="bold")
    facts = table("", "")
    facts.show_header = False
    broker = "connected" if status.broker_connected else "NOT CONNECTED"
    if status.broker_blocked:
        broker = "BLOCKED (memory or disk alarm)"
    well = status.broker_connected and not status.broker_blocked
    facts.add_row("broker", Text(broker, style="" if well else "red"))
    facts.add_row("outbox", f"{status.outbox_size} event{'' if status.outbox_size == 1 else 's'}")
    facts.add_row(
        "deliveries", f"{status.deliveries} retrying, parked, pending, held, dead or leased"
    )
    if status.HasField("oldest_unsettled_event_age"):
        oldest = f"{length(status.oldest_unsettled_event_age)} old"
        of = plain(status.oldest_unsettled_workflow_instance_id)
        facts.add_row("oldest unsettled", addressed(f"{oldest} (`waystation explain {of}`)"))
    else:
        facts.add_row("oldest unsettled", "none")
    facts.add_row(
        "dead letters",
        f"{status.dead_letters} open"
        + (addressed(" (`waystation dead-letters list`)") if status.dead_letters else ""),
    )
    handlers = "1 endpoint" if status.handlers == 1 else f"{status.handlers} endpoints"
    if status.unreachable_handlers:
        handlers += f", {status.unreachable_handlers} of them unreachable " + addressed(
            "(`waystation handlers list`)"
        )
    elif not status.handlers:
        handlers += ": no task can be called"
    facts.add_row("handlers", handlers)
    workflows = ", ".join(
        f"{status.workflows_by_status[word]} {word.removeprefix('WORKFLOW_STATUS_')}"
        for word in sorted(status.workflows_by_status)
    )
    estimate = " (older ones estimated)" if status.workflows_estimated else ""
    facts.add_row(
        "workflows", plain(workflows or "none") + f"; {status.idle_workflows} idle{estimate}"
    )
    for certificate in status.certificates:
        if told := _certificate(certificate):
            facts.add_row("certificate", Text(told, style="red"))
    parts: list[RenderableType] = [title, facts, ""]
    if status.routers:
        parts.append(_router_table(status.routers, wide))
    else:
        none = "No router is running: events wait. Start one with `waystation-router`."
        parts.append(Text(none, style="red"))
    if status.queues:
        queues = table("QUEUE", "EVENTS", "ROUTERS", "READY")
        for queue in status.queues:
            queues.add_row(
                plain(queue.name),
                plain(" ".join(queue.bindings)) or "all others",
                Text(str(queue.routers), style="" if queue.routers else "red"),
                str(queue.messages_ready) if queue.HasField("messages_ready") else "unknown",
            )
        parts += ["", queues]
        parts += [_without_routers(queue) for queue in status.queues if queue.HasField("lapses_at")]
    return parts


def _certificate(certificate: CertificateStatus) -> str:
    """What has to be done about it; empty if nothing has."""
    if certificate.trouble:
        return plain(f"not replaced: {certificate.trouble}")
    if certificate.ends_at.ToDatetime(UTC) - datetime.now(UTC) < ENDS_SOON:
        return plain(f"{certificate.setting} ends at {when(certificate.ends_at)}: renew it")
    return ""


def _router_table(routers: Sequence[RouterStatus], wide: bool) -> Table:
    """Narrow, without what only a look at the processes themselves needs."""
    host = ["HOST", f"STARTED ({zone()})"] if wide else []
    work = ["COMMITTED", "CONTINUED"] if wide else []
    rows = table("ROUTER", "POOL", *host, "LEASE LEFT", "IN CALL", *work)
    # An id that is cut in pieces can't be copied.
    rows.columns[0].no_wrap = True
    for router in routers:
        rows.add_row(
            plain(router.router_id),
            plain(router.pool),
            *([plain(router.host), when_in_column(router.started_at)] if wide else []),
            length(router.lease_remaining),
            str(router.calls_in_flight),
            *([str(router.results_committed), _continued(router)] if wide else []),
        )
    return rows


def _continued(router: RouterStatus) -> str:
    """How many of its events a router handled itself; the others went over RabbitMQ."""
    raised = router.events_announced + router.events_continued
    return f"{router.events_continued / raised:.0%}" if raised else "-"


def _without_routers(queue: QueueStatus) -> Text:
    """What becomes of a pool whose last router is gone."""
    return Text(
        plain(
            f"Pool {queue.pool} has had no router since {when(queue.no_router_since)}. If none starts "
            f"by {when(queue.lapses_at)}, the pool default takes its events."
        ),
        style="red",
    )
