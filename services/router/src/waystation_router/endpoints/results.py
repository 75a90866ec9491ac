"""Reads the results in a message of a stream one by one: an invalid result affects only its own call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.rpc.attempts import answer_too_large, invalid_answer
from waystation_core.rpc.endpoint_channels import MAX_ANSWER_BYTES
from waystation_core.rpc.items import fields
from waystation_core.rpc.message_reader import SMALL_BYTES, MessageReader
from waystation_core.rpc.unknown_fields import drop_unknown
from waystation_domain.errors import WaystationError
from waystation_domain.limits import MAX_REPEATED
from waystation_domain.outcomes import AttemptError, fault_of

Token = tuple[str, int]
"""Idempotency key and attempt identify a result."""

_KEY, _ATTEMPT = 1, 2
"""Fields of HandleEventsResult."""
_PARTS_FOR_TOKEN = 16
"""A result without its identity in the first fields has none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A result that cannot be read, is too large, or has unknown fields."""

    token: Token
    error: AttemptError


def small_results(data: bytes) -> list[pb.HandleEventsResult] | None:
    """The results of a small message in order, which nearly every message is; None for any other, and if one
    of them has unknown fields."""
    if len(data) > SMALL_BYTES:
        return None
    try:
        message = pb.HandleEventsResponse.FromString(data)
    except DecodeError:
        return None
    return None if drop_unknown(message) else list(message.results)


async def results_of(
    data: bytes, reader: MessageReader
) -> AsyncIterator[pb.HandleEventsResult | Refused]:
    """The results of any message, each read separately. Raises DecodeError if the message cannot be split, or
    if a result that cannot be read does not name its call."""
    for piece in _pieces(data):
        if len(piece) > MAX_ANSWER_BYTES:
            yield Refused(_token(piece), answer_too_large())
            continue
        try:
            result = await reader.read(piece, pb.HandleEventsResult, strict=True)
        except DecodeError:
            yield Refused(_token(piece), invalid_answer("it is not a HandleEventsResult"))
        except WaystationError as fault:
            yield Refused(_token(piece), fault_of(fault))
        else:
            yield result


def _pieces(data: bytes) -> Iterator[bytes]:
    """The bytes of each result."""
    found = 0
    for number, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            found += 1
            if found > MAX_REPEATED:
                raise DecodeError("too many results in one message")
            yield value


def _token(result: bytes) -> Token:
    key, attempt = "", 0
    try:
        for part, (number, value) in enumerate(fields(result)):
            if number == _KEY and isinstance(value, bytes):
                key = value.decode()
            elif number == _ATTEMPT and isinstance(value, int):
                attempt = value
            if (key and attempt) or part >= _PARTS_FOR_TOKEN:
                break
    except (DecodeError, UnicodeDecodeError):
        pass
    if not key:
        raise DecodeError("a result without a name")
    return key, attempt
