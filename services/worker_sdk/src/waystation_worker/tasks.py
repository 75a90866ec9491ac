"""A declared task, in either style: its function, and the TaskSpec that is registered."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from waystation.v1 import handler_pb2, operation_pb2
from waystation_worker.arguments import flag, number, whole
from waystation_worker.times import DAY, MILLISECOND, Span, span
from waystation_worker.tracing import traced
from waystation_worker.values import parse_pointer

_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}\Z")
_TASK_ID = re.compile(r"[A-Za-z0-9._-]{1,200}\Z")
_RESERVED = "waystation."
_SYSTEM_EVENTS = ("workflow.", "user.input.", _RESERVED)
_USUAL_MAXIMUM = timedelta(seconds=60)
"""Of a Backoff; the server's default."""
_ACTORS = ("client", "system")
_PATTERN_WORD = re.compile(r"(?:[A-Za-z0-9_:-]+|\*|#)\Z")

ON_FAILURE = {
    "fail_workflow": handler_pb2.ON_FAILURE_FAIL_WORKFLOW,
    "continue": handler_pb2.ON_FAILURE_CONTINUE,
}


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between attempts, `initial` and `maximum` in seconds or as timedelta; `jitter` is
    the share, 0-1, by which a wait varies. What is None has the server's default (TaskSpec): 1 s,
    doubled, at most 60 s, 0.2."""

    initial: Span | None = None
    multiplier: float | None = None
    maximum: Span | None = None
    jitter: float | None = None

    def __post_init__(self) -> None:
        initial, maximum = self._spans()
        if initial is not None and initial > (maximum or _USUAL_MAXIMUM):
            usual = "" if maximum else f", which is {_USUAL_MAXIMUM.total_seconds():g} s by default"
            raise ValueError(f"backoff: initial must not exceed maximum{usual}")
        if self.multiplier is not None:
            number(self.multiplier, "backoff: multiplier", 1, 100)
        if self.jitter is not None:
            number(self.jitter, "backoff: jitter", 0, 1)

    def _spans(self) -> tuple[timedelta | None, timedelta | None]:
        """`initial` and `maximum`."""
        initial, maximum = (
            None if value is None else span(value, f"backoff: {name}", DAY, shortest=MILLISECOND)
            for name, value in (("initial", self.initial), ("maximum", self.maximum))
        )
        return initial, maximum

    def _write(self, spec: handler_pb2.TaskSpec) -> None:
        initial, maximum = self._spans()
        if initial is not None:
            spec.initial_backoff.FromTimedelta(initial)
        if maximum is not None:
            spec.max_backoff.FromTimedelta(maximum)
        if self.multiplier is not None:
            spec.backoff_multiplier = self.multiplier
        if self.jitter is not None:
            spec.backoff_jitter = self.jitter


@dataclass(frozen=True, slots=True)
class HostedTask:
    """A task function with its spec. `timeout` is in seconds."""

    task_id: str
    function: Callable[[Any], Any]
    is_async: bool
    timeout: float
    spec: handler_pb2.TaskSpec


def make_task(
    function: Callable[[Any], Any],
    task_id: str,
    *,
    events: Iterable[str],
    workflow_types: Iterable[str],
    timeout: Span,
    max_attempts: int,
    backoff: Backoff | None,
    max_in_flight: int,
    on_failure: str,
    catch_up: bool,
    history_entries: int,
    replayable: bool,
    may_emit: Iterable[str],
    reads: Iterable[str] | None,
    writes: Iterable[str] | None,
) -> HostedTask:
    """A validated task. Raises ValueError or TypeError, naming the task and the option."""
    where = f"task {task_id!r}"
    check_task_id(task_id, where)
    _check_function(function, where)
    if on_failure not in ON_FAILURE:
        raise ValueError(
            f"{where}: on_failure must be 'fail_workflow' or 'continue', not {on_failure!r}"
        )
    limit = span(timeout, f"{where}: timeout", DAY, shortest=MILLISECOND)
    whole(max_attempts, f"{where}: max_attempts", 1, 1000)
    whole(max_in_flight, f"{where}: max_in_flight", 1, 100_000)
    whole(history_entries, f"{where}: history_entries", 0, 1000)
    flag(catch_up, f"{where}: catch_up")
    flag(replayable, f"{where}: replayable")
    if backoff is not None and not isinstance(backoff, Backoff):
        raise TypeError(
            f"{where}: backoff must be a Backoff, such as Backoff(initial=2), not {backoff!r}"
        )
    event_types = _names(events, f"{where}: events")
    for event_type in event_types:
        _check_pattern(event_type, f"{where}: events")
    types = _names(workflow_types, f"{where}: workflow_types")
    for workflow_type in types:
        if workflow_type != "*":
            check_name(workflow_type, f"{where}: workflow_types")
    emitted = _names(may_emit, f"{where}: may_emit", or_none=True)
    for event_type in emitted:
        _check_pattern(event_type, f"{where}: may_emit")
    spec = handler_pb2.TaskSpec(
        task_id=task_id,
        event_types=event_types,
        workflow_types=types,
        timeout=limit,
        max_attempts=max_attempts,
        max_in_flight=max_in_flight,
        on_failure=ON_FAILURE[on_failure],
        catch_up=handler_pb2.CATCH_UP_ON if catch_up else handler_pb2.CATCH_UP_OFF,
        history_entries=history_entries,
        # This package serves the stream for every task.
        batching=True,
        replayable=replayable,
        may_emit=emitted,
        reads=_paths(reads, f"{where}: reads"),
        writes=_paths(writes, f"{where}: writes"),
    )
    if backoff is not None:
        backoff._write(spec)
    is_async = _is_async(function)
    return HostedTask(task_id, traced(function, is_async), is_async, limit.total_seconds(), spec)


def check_name(value: str, where: str) -> None:
    """Raises ValueError unless the value is 1-200 characters of `[A-Za-z0-9._:-]` and not
    reserved."""
    if not is_event_type(value):
        raise ValueError(f"{where}: {value!r} is not 1-200 characters of [A-Za-z0-9._:-]")
    if value.startswith(_RESERVED):
        raise ValueError(f"{where}: {value!r}: names that begin with {_RESERVED!r} are reserved")


def check_task_id(value: object, where: str) -> None:
    """Raises ValueError unless the value is 1-200 characters of `[A-Za-z0-9._-]` and not
    reserved."""
    if not isinstance(value, str) or _TASK_ID.match(value) is None:
        raise ValueError(
            f"{where}: a task id must be 1-200 characters of [A-Za-z0-9._-], without a colon"
        )
    if value in _ACTORS:
        raise ValueError(f"{where}: {value!r} is reserved")
    check_name(value, where)


def is_reserved(event_type: str) -> bool:
    """Whether only the system raises events of this type (except the end of the workflow, which a
    task may raise)."""
    return event_type.startswith(_SYSTEM_EVENTS)


def is_event_type(value: object) -> bool:
    """Whether an event may have this type."""
    return isinstance(value, str) and _ID.match(value) is not None


def _check_function(function: object, where: str) -> None:
    """Raises TypeError for what cannot be a task: it would fail at each event."""
    if inspect.isclass(function):
        raise TypeError(
            f"{where}: {function.__name__} is a class; a Task is added by service.add({function.__name__}())"
        )
    if not callable(function):
        raise TypeError(f"{where}: {function!r} is not callable")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{where}: the function yields; a task answers through ctx and returns None"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some functions of extensions tell none.
        return
    try:
        signature.bind(None)
    except TypeError:
        raise TypeError(
            f"{where}: the function takes {signature}; a task is called with one argument, its TaskContext"
        ) from None


def _check_pattern(event_type: object, where: str) -> None:
    if is_event_type(event_type):
        return
    words = event_type.split(".") if isinstance(event_type, str) else [""]
    if len(str(event_type)) > 200 or not all(_PATTERN_WORD.match(word) for word in words):
        raise ValueError(
            f"{where}: {event_type!r} is neither an event type such as claim.processed nor a "
            "pattern such as claim.* (one word) or claim.# (any number of words)"
        )


def _names(values: Iterable[str], where: str, *, or_none: bool = False) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{where} must be a list of names; write [{values!r}]")
    if not isinstance(values, Iterable):
        raise TypeError(f"{where} must be a list of names, not {values!r}")
    names = list(values)
    if not names and not or_none:
        raise ValueError(f"{where} needs at least one entry")
    return names


def _paths(values: Iterable[str] | None, where: str) -> operation_pb2.PathSet | None:
    if values is None:
        return None
    paths = _names(values, where, or_none=True)
    for path in paths:
        try:
            parse_pointer(path)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return operation_pb2.PathSet(paths=paths)


def _is_async(function: Callable[[Any], Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the method is looked at, not called
    )
