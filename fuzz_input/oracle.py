"""What an answer may be: typed, with a reason of the contract, and with nothing from inside."""

from __future__ import annotations

import re
from collections.abc import Mapping

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from waystation.v1.error_reason_pb2 import ErrorReason
from waystation.v1.result_pb2 import CallStatus

REASONS = frozenset(name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys())  # noqa: SIM118
NEVER = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})
LONGEST_MESSAGE = 1_300

INSIDE = re.compile(
    r"Traceback|\.py\b|psycopg|sqlalchemy|pika\.|grpc\._|object at 0x|\b[A-Z][a-z]+Error\b|"
    r"\bSELECT |\bINSERT INTO|\bWHERE |invalid input syntax|violates |relation \"|"
    r"postgres(?:ql)?://|amqp://|site-packages|/usr/|/home/"
)


def fault_of(error: grpc.aio.AioRpcError) -> str | None:
    """What is wrong with a refusal; None where it is as it should be."""
    code, message = error.code(), error.details() or ""
    if code in NEVER:
        return f"{code.name}: {message[:300]}"
    details = [
        value
        for key, value in error.trailing_metadata() or ()
        if key == "grpc-status-details-bin" and isinstance(value, bytes)
    ]
    if not details:
        return f"{code.name} without details: {message[:300]}"
    info = error_details_pb2.ErrorInfo()
    try:
        found = [
            one for one in status_pb2.Status.FromString(details[0]).details if one.Unpack(info)
        ]
    except DecodeError:
        found = []
    if not found or info.domain != "waystation" or info.reason not in REASONS:
        return f"{code.name} with the reason {info.reason!r}: {message[:300]}"
    return _told_badly(message, info.metadata)


def fault_of_item(error: CallStatus) -> str | None:
    """The same of an item of a stream."""
    code = next((code for code in grpc.StatusCode if code.value[0] == error.code), None)
    if not error.code or code in (grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED):
        return None
    if code is None or code in NEVER or error.reason not in REASONS:
        return f"{code} with the reason {error.reason!r}: {error.message[:300]}"
    return _told_badly(error.message, error.metadata)


def _told_badly(message: str, metadata: Mapping[str, str]) -> str | None:
    """What is wrong with the words of a refusal."""
    if len(message) > LONGEST_MESSAGE:
        return f"a message of {len(message)} characters"
    told = " ".join([message, *metadata.values()])
    leaked = INSIDE.search(told)
    return f"it tells {leaked[0]!r} from inside: {told[:300]}" if leaked else None
