"""What the log of a handler service says of an exception of a task: the whole of it once, then a line each time.

Whole means one line with the call and the place in the task's own code, then the traceback, in which each run
of calls inside a library is one line. The same failure again (same task, same exception, raised at the same
place) is the first line only, with a count, until a minute has passed: then it is whole once more. So a
failure that goes on, or comes back, always has a recent traceback in the log, and every attempt has its line.
With the logger `waystation_worker` at DEBUG every failure is whole, and nothing in it is folded.
"""

from __future__ import annotations

import logging
import re
import sys
import sysconfig
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from waystation.v1 import task_handler_service_pb2
from waystation_worker.tracing import traceparent_of

logger = logging.getLogger("waystation_worker")

WHOLE_EVERY = 60.0
"""Seconds after which the same failure is written whole again."""
MAX_KNOWN = 256
"""How many failures are remembered; the one that was seen longest ago is forgotten, and so written whole again."""
MAX_TEXT = 500
"""Characters of an exception's text in the line; the traceback has all of it."""

_SDK = str(Path(__file__).parent) + "/"
_LIBRARIES = tuple(
    {
        f"{sysconfig.get_path(name)}/"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if sysconfig.get_path(name)
    }
)
_INSTALLED = ("/site-packages/", "/dist-packages/")

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")

_Place = tuple[str, int, str]
"""File, line and function."""


@dataclass(slots=True)
class _Known:
    since: float
    count: int


class FailureLog:
    """The failures that one service has logged. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[object, _Known] = OrderedDict()

    def write(
        self,
        request: task_handler_service_pb2.HandleEventRequest,
        function: Callable[..., Any] | None,
        error: BaseException,
        text: str,
    ) -> None:
        """Logs the exception of a call of this function; `text` is what the exception says."""
        if not logger.isEnabledFor(logging.WARNING):
            return
        own = _own_files(function)
        places = list(_places(error))
        place = next((one for one in reversed(places) if _is_own(one[0], own)), None)
        line = f"{label(request)} raised {type(error).__name__}"
        if place is not None:
            line += f" at {Path(place[0]).name}:{place[1]} in {place[2]}"
        says = " ".join(text.split())
        says = says if len(says) <= MAX_TEXT else says[: MAX_TEXT - 3] + "..."
        if logger.isEnabledFor(logging.DEBUG):
            logger.warning("%s: %s", line, says, exc_info=error)
            return
        known = self._seen((request.task_id, type(error), place, *places[-1:]))
        if known.count == 1:
            _write_whole(f"{line}: {says}", error, own)
        else:
            seconds = max(self._clock() - known.since, 0.1)
            logger.warning("%s, again (%d times in %.3g s): %s", line, known.count, seconds, says)

    def _seen(self, key: object) -> _Known:
        now = self._clock()
        known = self._known.pop(key, None)
        if known is None or now - known.since >= WHOLE_EVERY:
            known = _Known(now, 0)
        known.count += 1
        self._known[key] = known
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return known


def label(request: task_handler_service_pb2.HandleEventRequest) -> str:
    """The name of a call in the log."""
    name = (
        f"task={request.task_id} attempt={request.attempt} "
        f"workflow={request.context.workflow_instance_id} event={request.event.event_id}"
    )
    traceparent = traceparent_of(request)
    if _TRACEPARENT.match(traceparent):
        name += f" trace_id={traceparent[3:35]} span_id={traceparent[36:52]}"
    return name


def _write_whole(line: str, error: BaseException, own: tuple[str, ...]) -> None:
    info = (type(error), error, error.__traceback__)
    file, number, name, _ = logger.findCaller()
    record = logger.makeRecord(
        logger.name, logging.WARNING, file, number, "%s", (line,), info, name
    )
    try:
        # Formatters take this text instead of making one; those that write no text still have the exception.
        record.exc_text = _folded(error, own)
    except BaseException:
        # The exception is code of the task too, and cannot be written down.
        record.exc_info = None
    logger.handle(record)


def _folded(error: BaseException, own: tuple[str, ...]) -> str:
    whole = traceback.TracebackException.from_exception(error)
    waiting: list[traceback.TracebackException | None] = [whole]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = _FoldedStack(_without_sdk_at_front(one.stack), own)
        waiting += [one.__cause__, one.__context__, *(one.exceptions or ())]
    return "".join(whole.format()).rstrip("\n")


def _without_sdk_at_front(stack: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """The frames from the task's function on; all of them if there are no others."""
    start = next((i for i, one in enumerate(stack) if not one.filename.startswith(_SDK)), 0)
    return stack[start:]


class _FoldedStack(traceback.StackSummary):
    """A stack that shows the task's own calls, and of each run of others the last."""

    def __init__(self, frames: list[traceback.FrameSummary], own: tuple[str, ...]) -> None:
        super().__init__(frames)
        self._own = own

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = []
        mine = [_is_own(frame.filename, self._own) for frame in self]
        if not any(mine):
            return traceback.StackSummary.from_list(list(self)).format(**options)
        numbered = groupby(zip(mine, self, strict=True), key=lambda pair: pair[0])
        for is_own, run in numbered:
            frames = [frame for _, frame in run]
            if is_own:
                lines += traceback.StackSummary.from_list(frames).format(**options)
            else:
                last = frames[-1]
                calls = f"{len(frames)} calls" if len(frames) > 1 else "1 call"
                lines.append(
                    f'  [{calls} in libraries, the last: File "{last.filename}", line {last.lineno}, '
                    f"in {last.name}]\n"
                )
        return lines


def _places(error: BaseException) -> Iterator[_Place]:
    """Where it passed, from the outside in, as `traceback` finds it."""
    for frame, number in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, number, frame.f_code.co_name


def _is_own(file: str, own: tuple[str, ...]) -> bool:
    return file.startswith(own) or not _is_library(file)


@lru_cache(maxsize=4096)
def _is_library(file: str) -> bool:
    path = file.replace("\\", "/")
    return path.startswith((_SDK, "<frozen ", *_LIBRARIES)) or any(
        part in path for part in _INSTALLED
    )


def _own_files(function: Callable[..., Any] | None) -> tuple[str, ...]:
    """Where the code of the function's package is: it may be installed like a library, and is none."""
    name = getattr(function, "__module__", None)
    module = sys.modules.get(name.partition(".")[0]) if isinstance(name, str) else None
    folders = getattr(module, "__path__", None)
    if folders is not None:
        return tuple(f"{folder}/" for folder in folders)
    file = getattr(module, "__file__", None)
    return (file,) if isinstance(file, str) else ()
