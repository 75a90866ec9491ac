"""Errors for callers: a canonical code, an ErrorInfo, a BadRequest for invalid fields, a RetryInfo if a retry
can help.

An exception that is no WaystationError becomes INTERNAL with an id under which the log has more: neither its text
nor its type reaches the caller.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from waystation.v1 import result_pb2
from waystation_core.ids import new_id
from waystation_core.rpc.status_texts import short_details, short_enough
from waystation_domain.errors import (
    InvalidArgument,
    NotYetAvailable,
    WaystationError,
)

DOMAIN = "waystation"
DETAILS_KEY = "grpc-status-details-bin"

_log = structlog.get_logger(__name__)
_CODES = {code.name: code for code in grpc.StatusCode}


def status_of(error: WaystationError) -> tuple[grpc.StatusCode, str, bytes]:
    """Code, message and the serialised google.rpc.Status of an error."""
    code = _CODES[error.code]
    message = short_enough(error.message)
    status = status_pb2.Status(code=code.value[0], message=message)
    info = error_details_pb2.ErrorInfo(
        reason=error.reason, domain=DOMAIN, metadata=short_details(error.metadata)
    )
    status.details.append(_packed(info))
    field = error.metadata.get("field")
    if field is not None and isinstance(error, InvalidArgument):
        request = error_details_pb2.BadRequest()
        request.field_violations.add(field=short_enough(field, 300), description=message)
        status.details.append(_packed(request))
    if error.retry_seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=error.retry_seconds))
        status.details.append(_packed(retry))
    return code, message, status.SerializeToString()


def write_error(error: WaystationError, into: result_pb2.CallStatus) -> None:
    """The same for one item of a stream."""
    into.code = _CODES[error.code].value[0]
    into.message = short_enough(error.message)
    into.reason = error.reason
    into.metadata.update(short_details(error.metadata))
    if error.retry_seconds is not None:
        into.retry_after.FromTimedelta(timedelta(seconds=error.retry_seconds))


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


class Internal(WaystationError):
    """An internal fault of Waystation."""

    def __init__(self) -> None:
        error_id = new_id()
        super().__init__(
            f"Internal error (error id {error_id}). Retry; if the error persists, give the "
            "error id to the operators, who find the cause in the log.",
            error_id=error_id,
        )


async def refuse(context: grpc.aio.ServicerContext[Any, Any], error: WaystationError) -> NoReturn:
    """Ends a call with an error."""
    code, message, details = status_of(error)
    await context.abort(code, message, ((DETAILS_KEY, details),))


def known_error(error: Exception, method: str) -> WaystationError:
    """The error for the caller; internal ones are logged."""
    if isinstance(error, WaystationError):
        return error
    if isinstance(error, NotImplementedError):
        # What generated code raises for a method that nobody wrote.
        return NotYetAvailable(method.rpartition("/")[2])
    hidden = Internal()
    _log.error(
        "internal_error", method=method, error_id=hidden.metadata["error_id"], exc_info=error
    )
    return hidden
