"""Values as they are typed on the command line, turned into values of the contract.

Whatever can't be is a usage error (exit code 2) that says what a right one looks like.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from waystation_cli import completion
from waystation_cli.render.text import show_utc
from waystation_domain.limits import LARGEST_INTEGER

LARGEST_INT32 = 2**31 - 1

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")

JSON_HELP = "JSON object, @FILE, or - for standard input."

WorkflowId = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW_ID",
        help="The workflow: its id, a unique beginning or end of it, or @last.",
        autocompletion=completion.workflows,
    ),
]
WorkflowIds = Annotated[
    list[str],
    typer.Argument(
        metavar="WORKFLOW_ID",
        help="The workflows: their ids, a unique beginning or end of each, or @last.",
        autocompletion=completion.workflows,
    ),
]


def _show_utc(context: typer.Context, wanted: bool) -> bool:
    if wanted:
        context.call_on_close(show_utc())
    return wanted


Utc = Annotated[
    bool,
    typer.Option("--utc", callback=_show_utc, help="Show times in UTC, not in the local zone."),
]
ExpectedVersion = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=LARGEST_INT32,
        help="Fail if the instance has another version.",
    ),
]


def json_text(value: str) -> str:
    """The text behind `value`: itself, the file that `@` names, or standard input for `-`."""
    try:
        if value == "-":
            # JSON is UTF-8, whatever the locale says.
            return sys.stdin.buffer.read().decode("utf-8")
        if value.startswith("@"):
            return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise typer.BadParameter(
            f"cannot read {value[1:] or 'standard input'}: {reason}"
        ) from error
    return value


_EXAMPLE = """; expected for example '{"amount": 120}', @file.json or -"""


def json_value(value: str, option: str | None = None, example: str = _EXAMPLE) -> Any:
    """What the JSON text of `value` (see `json_text`) says, or a usage error saying where it is
    wrong, with an example of what may be typed."""
    try:
        return json.loads(json_text(value), parse_constant=_refuse_constant, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(
            f"not JSON (line {error.lineno}, column {error.colno}: {error.msg}){example}",
            param_hint=option,
        ) from error
    except RecursionError as error:
        raise typer.BadParameter("nested too deeply") from error


def value(text: str, option: str) -> Value:
    """Any JSON value, as an edit of data has it."""
    result = Value()
    try:
        json_format.ParseDict(
            json.loads(text, parse_constant=_refuse_constant, parse_int=_whole), result
        )
    except json.JSONDecodeError as error:
        raise typer.BadParameter(
            f"{text!r} is not JSON; a text needs quotes: '/name=\"Ada\"', a number none: /amount=120",
            param_hint=option,
        ) from error
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not a valid Value: {error}", param_hint=option) from error
    return result


def struct(value: str | None, option: str = "--data") -> Struct | None:
    """The Struct that a --data option says; None stays None."""
    if value is None:
        return None
    parsed = json_value(value, option)
    if not isinstance(parsed, dict):
        raise typer.BadParameter(
            "must be a JSON object, such as '{\"amount\": 120}'", param_hint=option
        )
    result = Struct()
    try:
        json_format.ParseDict(parsed, result)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not a valid Struct: {error}", param_hint=option) from error
    return result


def metadata(pairs: Sequence[str]) -> dict[str, str]:
    """The map that repeated KEY=VALUE options say."""
    result = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE")
        result[key] = text
    return result


def seconds(value: str) -> float:
    """The seconds in a span such as `90`, `1.5s`, `200ms`, `10m`, `2h`, `7d`."""
    match = _SPAN.fullmatch(value.strip())
    if match is None:
        raise typer.BadParameter(f"{value!r} is not a time span such as 90, 1.5s, 10m, 2h or 7d")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def duration(span_seconds: float) -> Duration:
    """A span as the contract writes it, to the microsecond."""
    result = Duration()
    result.FromTimedelta(timedelta(seconds=span_seconds))
    return result


def moment(value: str | None, *, ahead: bool = False) -> Timestamp | None:
    """The time that `value` says: RFC 3339, or a span meaning so long ago (`ahead`: from now); None
    stays None."""
    if value is None:
        return None
    result = Timestamp()
    try:
        if _SPAN.fullmatch(value.strip()):
            span = timedelta(seconds=seconds(value))
            result.FromDatetime(datetime.now(UTC) + (span if ahead else -span))
            return result
        parsed = datetime.fromisoformat(value)
        result.FromDatetime(parsed if parsed.tzinfo else parsed.astimezone())
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{value!r} is neither a time such as 2026-01-31T12:00:00Z nor a span such as 2h"
        ) from error
    return result


def _refuse_constant(name: str) -> float:
    raise typer.BadParameter(f"{name} is not JSON")


def _whole(digits: str) -> int:
    # Counted before converting: Python refuses to convert thousands of digits at all.
    if len(digits) > 17 or abs(int(digits)) > LARGEST_INTEGER:
        shown = digits if len(digits) <= 40 else digits[:40] + "..."
        raise typer.BadParameter(
            f"{shown} is 2^53 or more and would lose digits; write it as a string"
        )
    return int(digits)
