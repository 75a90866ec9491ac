"""The small pieces of every view: safe text, times and spans."""

from __future__ import annotations

import re
import shlex
import sys
import unicodedata
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

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


def steers(character: str) -> bool:
    """Whether it could steer a terminal, or begin a line: controls, formats (all but the joiner that
    emoji need), separators of lines."""
    return unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} and character != "\u200d"


def plain(text: str) -> str:
    """The text as one line that does nothing to a terminal: messages are written by tasks, inputs by
    strangers, and what they write must not look like a line of ours."""
    return "".join(
        _SHOWN.get(character, "\N{REPLACEMENT CHARACTER}") if steers(character) else character
        for character in text
    )


_SHOWN = {"\n": "\\n", "\r": "\\r", "\t": " "}


def quoted(text: str, first: str = "") -> str:
    """The text with its lines, all but the first behind a bar: none of them can look like a line of
    ours. `first` stands before it."""
    lines = text.strip().splitlines() or [""]
    return "\n".join([plain(first + lines[0]), *(f"  | {plain(line)}" for line in lines[1:])])


def shortened(text: str, most: int = 200) -> str:
    """Its beginning, where it is longer."""
    return text if len(text) <= most else text[: most - 3] + "..."


def error_text(error: AttemptError) -> str:
    """All that an error says, each word of it once, as it said it."""
    said = (error.code, error.reason, error.message)
    return ": ".join(dict.fromkeys(filter(None, said)))


_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)
"""In which times are shown; None: the local one."""


def show_utc() -> Callable[[], None]:
    """Shows times in UTC until what it returns is called."""
    before = _zone.set(UTC)
    return lambda: _zone.reset(before)


def zone() -> str:
    """The name of the zone in which times are shown."""
    return datetime.now(UTC).astimezone(_zone.get()).tzname() or ""


def when(timestamp: Timestamp) -> str:
    """The date and time, to the second, with the zone."""
    if not timestamp.ByteSize():
        return NOTHING
    shown = _shown(timestamp.ToDatetime(UTC))
    return f"{shown:%Y-%m-%d %H:%M:%S} {shown.tzname()}"


def when_in_column(timestamp: Timestamp) -> str:
    """The same below a heading that names the zone; summer time is named where it is another one."""
    return when(timestamp).removesuffix(f" {zone()}")


def clock(timestamp: Timestamp) -> str:
    """The time of day, to the millisecond."""
    return _shown(timestamp.ToDatetime(UTC)).strftime("%H:%M:%S.%f")[:-3]


def localized(text: str) -> str:
    """A sentence of the server's with its times, which are in UTC, in the zone of the report."""

    def shown(found: re.Match[str]) -> str:
        moment = _shown(datetime.fromisoformat(found[0]))
        return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"

    return _MOMENT.sub(shown, text)


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


_to_server: ContextVar[Sequence[str]] = ContextVar("to_server", default=())
"""The words that a command of an advice needs to go to the server of this one."""


def advise_with(to_server: Sequence[str]) -> Callable[[], None]:
    """Adds these words to the commands of advices, until what it returns is called."""
    before = _to_server.set(to_server)
    return lambda: _to_server.reset(before)


def addressed(text: str) -> str:
    """A sentence with commands between backquotes, which go to the server of this command when they are pasted. Never
    for what tasks and users wrote."""
    return _COMMAND.sub(lambda found: f"`{advised(found[1])}`", text)


def advised(command: str) -> str:
    """A command that stands alone, in the same way."""
    to_server = _to_server.get()
    if not to_server or command.split()[1] in _ASK_NO_SERVER or to_server[0] in command.split():
        return command
    return f"{command} {shlex.join(to_server)}"


_COMMAND = re.compile(r"`(waystation [a-z][^`]*)`")
_ASK_NO_SERVER = frozenset({"dev", "init", "migrate", "schema", "signing-key", "tls"})


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


WIDE = 120
"""Columns from which a table has room for all that is known."""


def cut_last_column(rows: Table, out: Console) -> None:
    """Gives the last column what is left of the width, and cuts what is longer: otherwise the others would shrink
    as well, and ids and times break in pieces."""
    others = [
        Measurement.get(out, out.options, Text("\n").join(_texts(column))).maximum + 2
        for column in rows.columns[:-1]
    ]
    rows.columns[-1].max_width = max(out.width - sum(others), 10)
    rows.columns[-1].no_wrap, rows.columns[-1].overflow = True, "ellipsis"


def _texts(column: Column) -> list[Text]:
    return [
        each if isinstance(each, Text) else Text(str(each))
        for each in (column.header, *column.cells)
    ]


def _shown(moment: datetime) -> datetime:
    return moment.astimezone(_zone.get())
