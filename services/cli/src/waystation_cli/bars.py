"""Long work with a bar, where there is a terminal, until it is done or Ctrl-C is struck."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LOOK_SECONDS = 0.2
"""Between two looks at Ctrl-C."""

_COUNT_SECONDS = 1.0
"""Between two looks at how many are left."""


def bar(what: str, *, total: int | None, shown: bool) -> Progress:
    """A bar on standard error with one task, of `total` steps; nothing if not `shown` or without a terminal. What is
    printed meanwhile stands above it, and reaches a file or a pipe as ever."""
    console = Console(stderr=True)
    made = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        redirect_stderr=False,
        disable=not shown or not console.is_terminal,
    )
    made.add_task("", total=total)
    return made


def watched(
    call: Any,
    what: str,
    *,
    total: int,
    left: Callable[[], int],
    shown: bool,
    struck: Callable[[], bool],
) -> Any:
    """The answer of a call that was begun with `future`, or None after Ctrl-C. Meanwhile a bar, which now and then
    asks how many are `left`. Raises what the call and `left` raise."""
    with bar(what, total=total, shown=shown and total > 0) as drawn:
        counted_at = time.monotonic()
        while not struck():
            try:
                return call.result(timeout=_LOOK_SECONDS)
            except grpc.FutureTimeoutError:
                if not drawn.disable and time.monotonic() - counted_at > _COUNT_SECONDS:
                    drawn.update(drawn.task_ids[0], completed=max(total - left(), 0))
                    counted_at = time.monotonic()
    call.cancel()
    return None
