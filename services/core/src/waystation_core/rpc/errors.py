"""Errors for callers: a canonical code, an ErrorInfo, a BadRequest for invalid fields, a RetryInfo if a retry
can help.

One interceptor surrounds every method. An exception that is no WaystationError becomes INTERNAL with an id
under which the log has more: neither its text nor its type reaches the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from waystation.v1 import result_pb2
from waystation_core.identity.access import Access, StreamWatch
from waystation_core.ids import new_id
from waystation_core.rpc.message_reader import MessageReader
from waystation_core.rpc.status_texts import short_details, short_enough
from waystation_core.rpc.unknown_fields import changes_something
from waystation_domain import units
from waystation_domain.errors import (
    InvalidArgument,
    InvalidField,
    NotYetAvailable,
    PayloadTooLarge,
    WaystationError,
)

DOMAIN = "waystation"
DETAILS_KEY = "grpc-status-details-bin"
_CONTRACT = "/waystation."

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


def _kind(deserialize: Any) -> type[Message] | None:
    """The kind of message that a generated deserializer makes."""
    kind = getattr(deserialize, "__self__", None)
    return kind if isinstance(kind, type) and issubclass(kind, Message) else None


def _lenient(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """gRPC would answer INTERNAL, without a reason, for invalid bytes."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return None

    return read


class _Reading:
    """Reads the requests of one method, inside the guard, so that a refusal is a typed error."""

    __slots__ = ("_access", "_kind", "_method", "_most_bytes", "_reader", "_strict")

    def __init__(
        self,
        method: str,
        kind: type[Message] | None,
        reader: MessageReader,
        most_bytes: int,
        access: Access | None,
        *,
        strict: bool,
    ) -> None:
        """`strict` refuses unknown fields."""
        self._method = method
        self._kind = kind
        self._strict = strict
        self._most_bytes = most_bytes
        self._reader = reader
        self._access = access

    async def request(self, data: Any, context: Any) -> Any:
        """The request of these bytes, once its caller was admitted. Raises Unauthenticated, PermissionDenied,
        NamespaceNotFound, InvalidArgument, PayloadTooLarge, NotYetAvailable."""
        if self._access is None:
            return await self._read(data)
        await self._access.admit(self._method, context)
        request = await self._read(data)
        self._access.check_request(self._method, request, context)
        return request

    def watch(self, context: Any) -> StreamWatch | None:
        """For an admitted stream: looks whether its caller stays admitted."""
        return None if self._access is None else self._access.watch(self._method, context)

    async def _read(self, data: Any) -> Any:
        """Without a kind it is deserialized already."""
        if self._kind is None:
            if data is None:
                raise _unreadable()
            return data
        try:
            if len(data) > self._most_bytes:
                raise PayloadTooLarge(
                    f"The request takes {units.size(len(data))}; the limit is {units.size(self._most_bytes)}. Store large "
                    "content elsewhere and send a reference.",
                    field="request",
                    limit_bytes=str(self._most_bytes),
                    bytes=str(len(data)),
                )
            return await self._reader.read_request(data, self._kind, strict=self._strict)
        except DecodeError:
            raise _unreadable() from None


def _unreadable() -> InvalidField:
    return InvalidField(
        "The request is not a valid message of its type. Generate the client code again from the "
        "contract.",
        field="request",
    )


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns exceptions of every method, unary or streaming, into statuses."""

    def __init__(self, *, most_bytes: int, access: Access | None = None) -> None:
        """Requests above `most_bytes` are refused; gRPC's own limit must be higher. `access` decides who may
        call what; None: everybody may call everything."""
        self._most_bytes = most_bytes
        self._access = access
        self._wrapped: dict[str, tuple[Any, Any]] = {}
        self._reader = MessageReader()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler with a guard around it; built once for each method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known = self._wrapped.get(method)
        if known is not None and known[0] is handler:
            return known[1]
        guarded = _guarded(handler, method, self._reader, self._most_bytes, self._access)
        self._wrapped[method] = (handler, guarded)
        return guarded


def form_of(handler: Any) -> tuple[Callable[..., Any], Any]:
    """The constructor of a handler of the same kind, unary or streaming at either end, and this one's
    function."""
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler, handler.stream_stream
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary


def _guarded(
    handler: Any, method: str, reader: MessageReader, most_bytes: int, access: Access | None
) -> Any:
    make, behaviour = form_of(handler)
    if inspect.isasyncgenfunction(behaviour):
        guard = _guard_generator
    else:
        guard = _guard_stream if handler.response_streaming else _guard_coroutine
    if handler.request_streaming and method.startswith(_CONTRACT):
        # Bytes both ways: the items of a message are read and refused one by one.
        return make(
            guard(
                behaviour, method, _Reading(method, None, reader, most_bytes, access, strict=True)
            )
        )
    deserialize = handler.request_deserializer
    # Requests of other streams come as an iterator that only gRPC can read.
    kind = None if handler.request_streaming else _kind(deserialize)
    return make(
        guard(
            behaviour,
            method,
            _Reading(method, kind, reader, most_bytes, access, strict=changes_something(method)),
        ),
        request_deserializer=_lenient(deserialize) if kind is None else None,
        response_serializer=handler.response_serializer,
    )


def _guard_coroutine(behaviour: Any, method: str, reading: _Reading) -> Any:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        return await behaviour(await reading.request(request, context), context)

    return _with_typed_errors(answer, method)


def _with_typed_errors(answer: Any, method: str) -> Any:
    async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await answer(request, context)
        except (grpc.aio.AbortError, grpc.aio.InternalError):
            # The latter is a write after the caller has hung up.
            raise
        except Exception as error:
            await refuse(context, known_error(error, method))

    return guarded


def _guard_stream(behaviour: Any, method: str, reading: _Reading) -> Any:
    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        message = await reading.request(request, context)
        async with _watched(reading, context):
            await behaviour(message, context)

    return _with_typed_errors(answer, method)


def _guard_generator(behaviour: Any, method: str, reading: _Reading) -> Any:
    async def guarded(
        request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        try:
            message = await reading.request(request, context)
            async with _watched(reading, context):
                async for response in behaviour(message, context):
                    yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await refuse(context, known_error(error, method))

    return guarded


@contextlib.asynccontextmanager
async def _watched(reading: _Reading, context: Any) -> AsyncIterator[None]:
    """Ends a stream with a typed error when its caller is not admitted any more."""
    watch = reading.watch(context)
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if watch is None or watch.error is None or task is None:
            raise
        task.uncancel()
        raise watch.error from None
    finally:
        if watch is not None:
            watch.over()
