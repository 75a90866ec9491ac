"""What `waystation dev` tells people while it runs. Machines read the structured log instead, with
WAYSTATION_LOG_FORMAT=json.

Unlike the log of servers it has messages of tasks: the person who runs it develops them.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import structlog
from rich.console import Console
from rich.text import Text

from waystation_cli.render import dev_lines
from waystation_core.log_limit import LogLimit
from waystation_core.ports.store import Registration, RegistrySnapshot
from waystation_domain.actions import Start
from waystation_domain.commit import HistoryEntry, InstanceCommit
from waystation_domain.details import Action
from waystation_domain.model import DeliveryState, Result, Status
from waystation_domain.task_spec import TaskKey, TaskSpec

_SHOWN_ACTIONS = frozenset(
    {
        Action.INPUT,
        Action.PUBLISH,
        Action.DEAD_LETTER_RETRIED,
        Action.DEAD_LETTER_DISCARDED,
        Action.INPUT_TIMED_OUT,
    }
)
"""The others have the line of a start or an end, or are no news."""

_HAVE_ANOTHER_LINE = frozenset({"attempt_failed"})
"""Warnings of the engine that say what a line of an observer says better."""


class DevLog:
    """An Observer that writes a line for each thing that people care about. Where there is too much of what went
    well, it is counted; a failure always has its line.

    Of the engine's own log it shows warnings and errors, with `all_of_engine` everything."""

    def __init__(self, console: Console, *, all_of_engine: bool = False) -> None:
        self._console = console
        self._all_of_engine = all_of_engine
        self._lost: set[str] = set()
        """Addresses of registered endpoints that were reported as not reachable."""
        self._few = LogLimit(lambda _, left_out: self._print(dev_lines.left_out(left_out)))
        self._tasks: dict[TaskKey, TaskSpec] = {}
        self._endpoints: dict[tuple[str, str, str, int], Registration] = {}

    # --- as an Observer --------------------------------------------------------------------

    def started(self, starts: Sequence[Start]) -> None:
        # After the answer of the request that is being carried out.
        asyncio.get_running_loop().call_soon(self._tell_starts, starts)

    def committed(self, commits: Sequence[InstanceCommit]) -> None:
        asyncio.get_running_loop().call_soon(self._tell_commits, commits)

    def registry_changed(self, snapshot: RegistrySnapshot) -> None:
        for task in (*snapshot.tasks, *snapshot.retired):
            self._tasks[task.key] = task
        # By their places: one that registers again, perhaps because this process was started again, may get another id.
        before = {
            place: endpoint
            for place, endpoint in self._endpoints.items()
            if endpoint.namespace == snapshot.namespace
        }
        now = {_place(endpoint): endpoint for endpoint in snapshot.handlers}
        for place in before:
            del self._endpoints[place]
        self._endpoints |= now
        self._lost &= {f"{one.host}:{one.port}" for one in self._endpoints.values()}
        live = {endpoint.service_name for endpoint in snapshot.handlers}
        for place, endpoint in before.items():
            if place not in now:
                self._print(dev_lines.gone(endpoint, last=endpoint.service_name not in live))
        for place, endpoint in now.items():
            if _shown(endpoint) != _shown(before.get(place)):
                self._print(dev_lines.registered(endpoint))

    # --- as the renderer of the engine's log ------------------------------------------------

    def line_of_engine(self, _logger: Any, _name: str, facts: MutableMapping[str, Any]) -> str:
        """The line of a log entry. Raises DropEvent for what has another line, or is no news."""
        event, level = str(facts.pop("event", "")), str(facts.pop("level", "info"))
        facts.pop("timestamp", None)
        trouble = facts.pop("exc_info", None)
        if self._all_of_engine:
            line = dev_lines.of_engine(level, event, facts)
        elif event in ("endpoint_not_reachable", "endpoint_connected"):
            line = self._reachability(str(facts["endpoint"]), str(facts.get("error", "")))
        elif level in ("debug", "info") or event in _HAVE_ANOTHER_LINE:
            raise structlog.DropEvent
        else:
            line = dev_lines.of_engine(level, event, facts)
        with self._console.capture() as written:
            self._console.print(line, soft_wrap=True)
        return written.get().rstrip("\n") + _traceback(trouble)

    def _reachability(self, address: str, error: str) -> Text:
        for endpoint in self._endpoints.values():
            if f"{endpoint.host}:{endpoint.port}" == address:
                if error:
                    self._lost.add(address)
                    return dev_lines.not_reachable(endpoint, error)
                if address in self._lost:
                    self._lost.discard(address)
                    return dev_lines.reachable(endpoint)
        # It has unregistered and ended, which the router does not know yet; or it is new and has its line.
        raise structlog.DropEvent

    # --- lines -----------------------------------------------------------------------------

    def _tell_starts(self, starts: Sequence[Start]) -> None:
        for start in starts:
            if self._few.has_room():
                self._print(dev_lines.started(start.instance))

    def _tell_commits(self, commits: Sequence[InstanceCommit]) -> None:
        for commit in commits:
            for entry in commit.entries:
                self._tell_entry(commit, entry)
            self._tell_state(commit)

    def _tell_entry(self, commit: InstanceCommit, entry: HistoryEntry) -> None:
        if entry.result is Result.FAILED:
            task = self._tasks.get((commit.after.namespace, entry.processed_by))
            of = task.retry.max_attempts if task is not None else None
            self._print(dev_lines.failure(commit.after, entry, of))
        elif entry.result is Result.SUCCESS and entry.action is None:
            if self._few.has_room():
                self._print(dev_lines.success(commit.after, entry))
        elif entry.action in _SHOWN_ACTIONS and self._few.has_room():
            self._print(dev_lines.action(commit.after, entry))

    def _tell_state(self, commit: InstanceCommit) -> None:
        before, after = commit.before, commit.after
        has_ended = after.status is not before.status and not after.status.is_open
        if has_ended and (after.status is Status.FAILED or self._few.has_room()):
            self._print(dev_lines.ended(commit))
        for line in self._waiting(commit):
            if self._few.has_room():
                self._print(line)

    def _waiting(self, commit: InstanceCommit) -> Iterator[Text]:
        before, after = commit.before, commit.after
        if after.waits and after.waits is not before.waits:
            known = {wait.wait_id for wait in before.waits}
            for wait in after.waits:
                if wait.wait_id not in known:
                    yield dev_lines.asks(after, wait)
        if after.idle is not None and after.idle != before.idle:
            yield dev_lines.idle(after)
        for delivery in commit.deliveries_put.values():
            if delivery.state is DeliveryState.NO_ENDPOINT:
                yield dev_lines.parked(
                    after, delivery, self._tasks.get((after.namespace, delivery.task_id))
                )

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


def _place(endpoint: Registration) -> tuple[str, str, str, int]:
    """What no two endpoints have at a time."""
    return endpoint.namespace, endpoint.service_name, endpoint.host, endpoint.port


def _shown(endpoint: Registration | None) -> object:
    """What its line says of an endpoint: it may register again with something else."""
    return endpoint and (endpoint.service_version, endpoint.tasks)


def _traceback(trouble: Any) -> str:
    if trouble is True:
        trouble = sys.exc_info()
    elif isinstance(trouble, BaseException):
        trouble = (type(trouble), trouble, trouble.__traceback__)
    if not isinstance(trouble, tuple) or trouble[0] is None:
        return ""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, trouble)
    return "\n" + text.getvalue().rstrip("\n")
