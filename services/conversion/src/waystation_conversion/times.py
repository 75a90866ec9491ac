"""Timestamps and durations: microseconds here, nanoseconds in messages. Every time that a client or a handler
sends is read by one of the three functions here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from waystation_domain.errors import InvalidField
from waystation_domain.limits import FIRST_SECOND, LAST_SECOND, MAX_RETRY_AFTER_SECONDS
from waystation_domain.units import duration

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOS = 10**9


def set_timestamp(target: Timestamp, when: datetime | None) -> None:
    """Fills a field of a message; None leaves it absent. A quarter of what FromDatetime costs."""
    if when is None:
        return
    since = when - _EPOCH
    target.seconds = since.days * 86_400 + since.seconds
    target.nanos = since.microseconds * 1_000
    if not target.seconds and not target.nanos:
        target.SetInParent()


def timestamp_from_proto(value: Timestamp, field: str) -> datetime:
    """An aware time in UTC; InvalidField outside the years 1-9999."""
    if not FIRST_SECOND <= value.seconds <= LAST_SECOND or not 0 <= value.nanos < _NANOS:
        raise InvalidField(
            f"{field} is not a time between the years 1 and 9999. Correct it or omit it.",
            field=field,
        )
    return _EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1_000)


def set_duration(target: Duration, seconds: float | None) -> None:
    """Fills a field of a message; None leaves it absent."""
    if seconds is None:
        return
    micros = round(seconds * 1_000_000)
    whole, rest = divmod(abs(micros), 1_000_000)
    sign = -1 if micros < 0 else 1
    target.seconds = sign * whole
    target.nanos = sign * rest * 1_000
    if not micros:
        target.SetInParent()


def seconds_from_proto(
    value: Duration, field: str, *, least: float = 0.0, most: float, has_default: bool = True
) -> float:
    """Seconds; InvalidField outside `least` to `most`, or if seconds and nanos do not fit together."""
    advice = "Correct it, or omit it for the default." if has_default else "Correct it."
    seconds = value.seconds + value.nanos / _NANOS
    if not -_NANOS < value.nanos < _NANOS or value.seconds * value.nanos < 0:
        raise InvalidField(
            f"{field} has {value.nanos} nanos; they must be below 1,000,000,000 and have the sign of the "
            f"seconds. {advice}",
            field=field,
            nanos=str(value.nanos),
        )
    if not least <= seconds <= most:
        raise InvalidField(
            f"{field} is {duration(seconds)}; it must be {duration(least)} to {duration(most)}. {advice}",
            field=field,
            value=f"{seconds:.15g}s",
        )
    return seconds


def retry_after_from_proto(value: Duration) -> float:
    """The seconds after which a failing task asks to be called again, cut to 0 s - 24 h: its failure counts
    in any case."""
    return min(max(value.seconds + value.nanos / _NANOS, 0.0), MAX_RETRY_AFTER_SECONDS)
