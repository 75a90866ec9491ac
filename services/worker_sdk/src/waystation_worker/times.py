"""Durations in seconds or as timedelta, and times with a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Span: TypeAlias = float | timedelta
"""Seconds, or a timedelta."""

DAY = timedelta(days=1)
LONGEST = timedelta(days=366)


def span(value: Span, what: str, longest: timedelta = LONGEST) -> timedelta:
    """The duration as a timedelta. Raises TypeError, or ValueError outside 0 to `longest`, naming
    `what`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise TypeError(f"{what} must be seconds or a timedelta, not a {type(value).__name__}")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # Written so that NaN is refused too.
    if not 0 <= seconds <= longest.total_seconds():
        given = str(value) if isinstance(value, timedelta) else f"{value} s"
        raise ValueError(f"{what} must be 0 to {longest.days} days, not {given}")
    return timedelta(seconds=seconds)


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
