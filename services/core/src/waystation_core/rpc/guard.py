"""The guard around every call: the request is read and its caller admitted inside it, so that every refusal, and
every fault of a method, reaches the caller as a typed error."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from waystation_core.identity.access import Access, StreamWatch
from waystation_core.rpc.errors import known_error, refuse
from waystation_core.rpc.message_reader import MessageReader
from waystation_core.rpc.method_interceptor import CONTRACT, MethodInterceptor, form_of
from waystation_core.rpc.unknown_fields import changes_something
from waystation_domain import units
from waystation_domain.errors import InvalidField, PayloadTooLarge


class CallGuard(MethodInterceptor):
    """Reads the request of every call and admits its caller; exceptions of every method, unary or streaming, become
    statuses."""

    def __init__(self, *, most_bytes: int, access: Access | None = None) -> None:
        """Requests above `most_bytes` are refused; gRPC's own limit must be higher. `access` decides who may
        call what; None: everybody may call everything."""
        super().__init__()
        self._most_bytes = most_bytes
        self._access = access
        self._reader = MessageReader()

    def around(self, method: str, handler: Any) -> Any:
        return _guarded(handler, method, self._reader, self._most_bytes, self._access)


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


def _guarded(
    handler: Any, method: str, reader: MessageReader, most_bytes: int, access: Access | None
) -> Any:
    make, behaviour = form_of(handler)
    if inspect.isasyncgenfunction(behaviour):
        guard = _guard_generator
    else:
        guard = _guard_stream if handler.response_streaming else _guard_coroutine
    if handler.request_streaming and method.startswith(CONTRACT):
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
