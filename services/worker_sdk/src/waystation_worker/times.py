"""Durations in seconds or as timedelta, and times with a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Span: TypeAlias = float | timedelta
"""Seconds, or a timedelta."""

ZERO = timedelta(0)
MILLISECOND = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LONGEST = timedelta(days=366)


def span(
    value: Span,
    what: str,
    longest: timedelta = LONGEST,
    *,
    shortest: timedelta = ZERO,
) -> timedelta:
    """The duration as a timedelta, to the microsecond. Raises TypeError, or ValueError outside
    `shortest` to `longest`, naming `what`. The one place where a caller's duration is read."""
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise TypeError(f"{what} must be seconds or a timedelta, not a {type(value).__name__}")
    try:
        given = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError):
        # Infinite, NaN, or longer than any timedelta.
        given = None
    if given is None or not shortest <= given <= longest:
        said = str(value) if isinstance(value, timedelta) else f"{value} s"
        raise ValueError(f"{what} must be {_said(shortest)} to {_said(longest)}, not {said}")
    return given


def seconds_of(
    value: Span,
    what: str,
    longest: timedelta = LONGEST,
    *,
    shortest: timedelta = ZERO,
) -> float:
    """The duration in seconds. Raises as `span` does."""
    return span(value, what, longest, shortest=shortest).total_seconds()


def _said(limit: timedelta) -> str:
    if limit > DAY:
        return f"{limit.days} days"
    if limit >= HOUR:
        return f"{limit / HOUR:g} h"
    return f"{limit.total_seconds():g} s"


def moment(value: datetime, what: str) -> datetime:
    """The time, in UTC. Raises TypeError unless it is a datetime, ValueError if it has no time
    zone."""
    if not isinstance(value, datetime):
        raise TypeError(f"{what} must be a datetime, not a {type(value).__name__}")
    if value.utcoffset() is None:
        raise ValueError(f"{what} has no time zone; use datetime.now(UTC) or the like")
    return value.astimezone(UTC)


def time_of(message: Any, field: str) -> datetime | None:
    """A message's time, in UTC; None if it is not set."""
    if not message.HasField(field):
        return None
    result: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return result
