"""Logs: one line per transition, on standard error, for people (`console`) or machines (`json`).

Lines carry ids, never payloads. Call `configure` once, in `main`.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import Processor


def configure(
    format: str, level: str = "info", *, rendering: Processor | None = None, **always: str
) -> None:
    """`format` is `console` or `json`; `rendering` makes a line instead of both. `always` is in every line (the
    process, its id)."""
    number = logging.getLevelNamesMapping()[level.upper()]
    facts: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [_console() if rendering is None else rendering]
    if format == "json" and rendering is None:
        last = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    structlog.configure(
        processors=[*facts, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**always)
    # Libraries log through the standard library; only their warnings are of interest.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*facts, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])
    # A line for each connection that an outage breaks; the retry loop reports the outage.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def _dumps(event: dict[str, Any], **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _console() -> structlog.dev.ConsoleRenderer:
    """For people. Tracebacks without local variables, which hold payloads."""
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
        exception_formatter=structlog.dev.plain_traceback,
    )
