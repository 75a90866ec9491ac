"""The lines of `waystation dev`: each says one thing that happened and, where somebody is needed, what to type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from waystation_cli.render import names
from waystation_cli.render.text import plain, shortened, span
from waystation_core.ports.store import Registration
from waystation_domain.commit import HistoryEntry, InstanceCommit
from waystation_domain.model import Delivery, Failure, Instance, Status, Wait
from waystation_domain.task_spec import TaskSpec


def started(instance: Instance) -> Text:
    """A workflow was started."""
    return _about(instance, ("STARTED", "cyan"), f" ({instance.workflow_type})")


def success(instance: Instance, entry: HistoryEntry) -> Text:
    """A task did its part."""
    took = "" if entry.duration_us is None else f" {span(entry.duration_us / 1e6)}"
    line = _about(instance, f"{entry.processed_by} ", ("SUCCESS", "green"), took)
    line.stylize("dim")
    return line


def failure(instance: Instance, entry: HistoryEntry, of: int | None) -> Text:
    """An attempt failed; `of` how many, if that is known."""
    error = entry.error or {}
    number = f" {entry.attempt}{f'/{of}' if of is not None else ''}"
    permanent = " (permanent)" if error.get("permanent") else ""
    line = _about(
        instance,
        f"{entry.processed_by} ",
        ("FAILED", "red"),
        f"{number}{permanent} {_error(error)}",
    )
    if entry.will_retry:
        return line.append(f"; again in {span(entry.retry_in or 0.0)}", style="dim")
    return line.append(" -> dead letter", style="red").append_text(_explain(instance))


def action(instance: Instance, entry: HistoryEntry) -> Text:
    """Somebody did something to the workflow."""
    what = str(entry.action).replace("_", " ")
    return _about(instance, f"{what} by {entry.processed_by}")


def ended(commit: InstanceCommit) -> Text:
    """A workflow has ended."""
    instance = commit.after
    word = instance.status.name
    line = _about(instance, (word, names.style(word)))
    if instance.created_at is not None and instance.completed_at is not None:
        took = (instance.completed_at - instance.created_at).total_seconds()
        line.append(f" after {span(took)}")
    if instance.failure is not None and not commit.dead_letters:
        if instance.status is not Status.FAILED:
            return line.append(plain(f": {shortened(instance.failure.message)}"))
        line.append(plain(f" {_why(instance.failure)}")).append_text(_explain(instance))
    return line


def asks(instance: Instance, wait: Wait) -> Text:
    """A task asks a person."""
    choice = f" --wait-id {wait.wait_id}" if len(instance.waits) > 1 else ""
    line = _about(
        instance,
        ("WAITING_FOR_INPUT", names.style("WAITING_FOR_INPUT")),
        f" {wait.task_id} asks: {shortened(wait.message)}",
    )
    return line.append(f"; waystation input {instance.workflow_instance_id}{choice}", style="bold")


def idle(instance: Instance) -> Text:
    """Nothing will continue the workflow."""
    assert instance.idle is not None
    line = _about(instance, ("IDLE", names.style("IDLE")), f" {instance.idle.message}")
    return line.append_text(_explain(instance))


def parked(instance: Instance, delivery: Delivery, task: TaskSpec | None) -> Text:
    """A task cannot be called now."""
    service = f"service {task.service_name}" if task is not None else "service"
    return _about(
        instance,
        f"{delivery.task_id} ",
        ("WAITS", "yellow"),
        f": its {service} has no live endpoint",
    )


def registered(endpoint: Registration) -> Text:
    """A service can be called."""
    tasks = ", ".join(task.task_id for task in endpoint.tasks)
    return _timed((endpoint.service_name, "bold"), (" REGISTERED", "green")).append(
        plain(f" at {endpoint.host}:{endpoint.port}: {shortened(tasks)}")
    )


def gone(endpoint: Registration, *, last: bool) -> Text:
    """A service is no longer registered there; `last`: nor anywhere else."""
    line = _timed((endpoint.service_name, "bold"), (" GONE", "yellow"))
    line.append(plain(f" from {endpoint.host}:{endpoint.port}"))
    return line.append("; what its tasks should handle waits for it") if last else line


def not_reachable(endpoint: Registration, error: str) -> Text:
    """A service is registered and does not answer."""
    return _timed((endpoint.service_name, "bold"), (" NOT REACHABLE", "red")).append(
        plain(f" at {endpoint.host}:{endpoint.port}: {error}")
    )


def reachable(endpoint: Registration) -> Text:
    """It answers again."""
    return _timed((endpoint.service_name, "bold"), (" REACHABLE", "green")).append(
        f" again at {endpoint.host}:{endpoint.port}"
    )


def left_out(lines: int) -> Text:
    """So many lines of this second were not written."""
    return _timed((f"... and {lines} more in this second; waystation top shows the load", "dim"))


def of_engine(level: str, event: str, facts: Mapping[str, Any]) -> Text:
    """A line of the engine's own log."""
    line = _timed((level.upper(), "red" if level in ("error", "critical") else "yellow"))
    line.append(f" {plain(event)}", style="bold")
    for name, value in facts.items():
        line.append(plain(f" {name}={value}"))
    return line


def _about(instance: Instance, *parts: str | tuple[str, str]) -> Text:
    return _timed((instance.workflow_instance_id, "bold"), " ", *parts)


def _timed(*parts: str | tuple[str, str]) -> Text:
    line = Text(f"{datetime.now(UTC).astimezone():%H:%M:%S} ", style="")
    line.stylize("dim", 0, len(line))
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        line.append(plain(text), style=style)
    return line


def _explain(instance: Instance) -> Text:
    return Text(f"; waystation explain {instance.workflow_instance_id}", style="bold")


def _error(error: Mapping[str, Any]) -> str:
    said = (str(error.get("reason", "")), str(error.get("message", "")))
    return shortened(": ".join(dict.fromkeys(filter(None, said))))


def _why(failure: Failure) -> str:
    return _error({"reason": failure.reason, "message": failure.message})
