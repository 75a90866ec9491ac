"""The small pieces of every view: safe text, names of enums, times and spans."""

from __future__ import annotations

import sys
import unicodedata
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from waystation.v1.history_pb2 import AttemptError

# A pipe has no width; wide enough that a line of a table stays one line for grep.
_PIPE_WIDTH = 240

NOTHING = "-"


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Raised to `main`, which reports it like a full disk."""
        raise


def stdout() -> Console:
    """The console for people. Without a terminal it writes no colours and wide lines."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return _Output(highlight=False, markup=False, emoji=False, width=width)


def plain(text: str) -> str:
    """The text without characters that could steer a terminal: messages are written by tasks,
    inputs by strangers."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) in {"Cc", "Cf"} and character not in "\n\t\u200d"
        else character
        for character in text
    )


def error_text(error: AttemptError) -> str:
    """All that an error says, each word of it once."""
    said = (error.code, error.reason, error.message)
    return plain(": ".join(dict.fromkeys(filter(None, said))))


def name(enum: EnumTypeWrapper, value: int, prefix: str) -> str:
    """The enum value's name without its prefix; the number itself where this release knows none."""
    try:
        return str(enum.Name(value)).removeprefix(prefix)
    except ValueError:
        return str(value)


def when(timestamp: Timestamp) -> str:
    """The local date and time, to the second."""
    return _local(timestamp).strftime("%Y-%m-%d %H:%M:%S") if timestamp.ByteSize() else NOTHING


def clock(timestamp: Timestamp) -> str:
    """The local time of day, to the millisecond."""
    return _local(timestamp).strftime("%H:%M:%S.%f")[:-3]


def age(timestamp: Timestamp) -> str:
    """How long ago, in its largest unit."""
    return span((datetime.now(UTC) - timestamp.ToDatetime(UTC)).total_seconds()) + " ago"


def length(duration: Duration) -> str:
    """The span of a Duration."""
    return span(duration.ToTimedelta().total_seconds())


def span(seconds: float) -> str:
    """A span for the eye: 12 ms, 3.4 s, 5 min, 2 h, 8 d."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def table(*columns: str) -> Table:
    """An empty table whose cells fold instead of losing their ends: ids are there to be copied."""
    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def _local(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(UTC).astimezone()
