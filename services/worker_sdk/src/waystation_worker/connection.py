"""A client's connection: retries while the server is unreachable, and typed errors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import grpc

from waystation.v1.audit_service_pb2_grpc import AuditServiceStub
from waystation.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from waystation.v1.delivery_completion_service_pb2_grpc import DeliveryCompletionServiceStub
from waystation.v1.handler_registry_service_pb2_grpc import HandlerRegistryServiceStub
from waystation.v1.namespace_service_pb2_grpc import NamespaceServiceStub
from waystation.v1.system_service_pb2_grpc import SystemServiceStub
from waystation.v1.token_service_pb2_grpc import TokenServiceStub
from waystation.v1.workflow_service_pb2_grpc import WorkflowServiceStub
from waystation_worker import times
from waystation_worker.addresses import NAMESPACE, waystation_address
from waystation_worker.arguments import text
from waystation_worker.call_stream import CallFailed, CallStreams, Request
from waystation_worker.certificates import CertificateLook, TlsFaults, client_credentials
from waystation_worker.channels import open_channel
from waystation_worker.credentials import Credentials, authorized
from waystation_worker.errors import (
    TlsFailed,
    Unavailable,
    WaystationError,
    error_of,
    from_rpc_error,
)
from waystation_worker.retry_window import RetryWindow
from waystation_worker.times import Span

CALL_SECONDS = 10.0
_LONGEST_CALL_SECONDS = 15 * 60.0
"""A connection that was replaced is closed after this time: longer than any call on it lasts."""


class Connection:
    """A connection to one Waystation, opened by the first call."""

    def __init__(
        self,
        address: str | None = None,
        *,
        token: str | None = None,
        namespace: str = "",
        retry_for: Span = 10.0,
    ) -> None:
        self.address = waystation_address(address, os.environ)
        self.namespace = text(namespace, "namespace") or os.environ.get(NAMESPACE, "")
        self.retry_for = times.seconds_of(retry_for, "retry_for")
        self._tls = client_credentials(os.environ)
        self._tls_faults = TlsFaults(self.address, self._tls)
        self._files = CertificateLook(self._tls) if self._tls is not None else None
        self._credentials = Credentials.of(
            token, os.environ, address=self.address, tls=self._tls is not None
        )
        self._old_channels: set[asyncio.Task[None]] = set()
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stubs: dict[Callable[..., Any], Any] = {}
        self._streams = CallStreams(lambda: self.workflows.RunWorkflows())

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled. A later call connects again."""
        self._streams.close()
        old, self._old_channels = self._old_channels, set()
        for each in old:
            each.cancel()
        await asyncio.gather(*old, return_exceptions=True)
        channel, self._channel = self._channel, None
        self._stubs.clear()
        if channel is not None:
            await channel.close()

    @property
    def workflows(self) -> Any:
        return self._stub(WorkflowServiceStub)

    @property
    def completions(self) -> Any:
        return self._stub(DeliveryCompletionServiceStub)

    @property
    def dead_letters(self) -> Any:
        return self._stub(DeadLetterServiceStub)

    @property
    def handlers(self) -> Any:
        return self._stub(HandlerRegistryServiceStub)

    @property
    def system(self) -> Any:
        return self._stub(SystemServiceStub)

    @property
    def tokens(self) -> Any:
        return self._stub(TokenServiceStub)

    @property
    def namespaces(self) -> Any:
        return self._stub(NamespaceServiceStub)

    @property
    def audit(self) -> Any:
        return self._stub(AuditServiceStub)

    def _stub(self, kind: Callable[..., Any]) -> Any:
        """The stub of a service; all of them share one channel."""
        loop = asyncio.get_running_loop()
        self._look_at_files()
        if self._channel is None:
            self._channel, self._loop = open_channel(self.address, self._tls), loop
        elif self._loop is not loop:
            raise RuntimeError(
                "this Client was used on another event loop, which its connection belongs to; make a "
                "Client for each asyncio.run()"
            )
        if kind not in self._stubs:
            self._stubs[kind] = authorized(kind(self._channel), self._credentials)
        return self._stubs[kind]

    def _look_at_files(self) -> None:
        """With new certificates, later calls use a new connection; with a new token, new streams."""
        if self._credentials is not None and self._credentials.look():
            self._streams.retire()
        if self._files is None or not self._files.if_due():
            return
        channel, self._channel = self._channel, None
        self._stubs.clear()
        self._streams.retire()
        if channel is not None:
            closing = asyncio.create_task(_close_later(channel))
            self._old_channels.add(closing)
            closing.add_done_callback(self._old_channels.discard)

    async def call(
        self,
        method: Callable[..., Any],
        request: Any,
        seconds: float = CALL_SECONDS,
        *,
        late_again: bool = False,
    ) -> Any:
        """The answer. Retries for `retry_for` seconds while the server is unreachable, with the
        same request_id, so that the call takes effect once; with `late_again` also after no answer in time.
        """
        window: RetryWindow | None = None
        while True:
            try:
                return await method(request, timeout=seconds)
            except (grpc.aio.AioRpcError, CallFailed) as error:
                if window is None:
                    # The time counts from the first failure: a wait may have lasted for long before it.
                    window = RetryWindow(self.retry_for)
                    failed = await self._tls_faults.explained(error_from(error))
                    if isinstance(failed, TlsFailed):
                        # Somebody has to change something first.
                        raise failed from error
                if self._has_new_token(code_of(error)):
                    continue
                code = code_of(error)
                if late_again and code is grpc.StatusCode.DEADLINE_EXCEEDED:
                    code = grpc.StatusCode.UNAVAILABLE
                pause = window.pause_after(code)
                if pause is None:
                    raise await self.explained(error_from(error)) from error
            await asyncio.sleep(pause)

    def _has_new_token(self, code: grpc.StatusCode) -> bool:
        """Whether a refused call may be repeated, because the token was replaced meanwhile."""
        if code is not grpc.StatusCode.UNAUTHENTICATED or self._credentials is None:
            return False
        if not self._credentials.look(at_once=True):
            return False
        self._streams.retire()
        return True

    async def call_streamed(
        self, request: Request, seconds: float = CALL_SECONDS, *, late_again: bool = False
    ) -> Any:
        """`call` for a start, a run or a wait: over a stream shared with others, if the server serves it."""
        # A stream that is open needs no stub.
        self._look_at_files()
        return await self.call(self._once, request, seconds, late_again=late_again)

    async def _once(self, request: Request, *, timeout: float) -> Any:
        size_bytes = request.ByteSize()
        if self._streams.takes(size_bytes):
            try:
                return await self._streams.call(request, size_bytes, timeout)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise
                self._streams.not_there()
        # A request is named after its method.
        unary = getattr(self.workflows, type(request).__name__.removesuffix("Request"))
        return await unary(request, timeout=timeout)

    async def explained(self, error: WaystationError) -> WaystationError:
        """Adds the address to errors that did not come from Waystation itself, and what is wrong with TLS."""
        error = await self._tls_faults.explained(error)
        if isinstance(error, Unavailable) and not error.reason:
            return Unavailable(
                f"Waystation at {self.address} cannot be reached or did not answer in time: "
                f"{error.message}; check that it is running (`waystation dev`) and that WAYSTATION_ADDRESS is "
                "correct",
                code=error.code,
            )
        return error


async def _close_later(channel: grpc.aio.Channel) -> None:
    try:
        await asyncio.sleep(_LONGEST_CALL_SECONDS)
    finally:
        await channel.close()


def code_of(error: grpc.aio.AioRpcError | CallFailed) -> grpc.StatusCode:
    """The status that decides whether the call is retried."""
    if isinstance(error, CallFailed) and error.reason == "TOO_MANY_CALLS":
        return grpc.StatusCode.UNAVAILABLE
    return error.code if isinstance(error, CallFailed) else error.code()


def error_from(error: grpc.aio.AioRpcError | CallFailed) -> WaystationError:
    """The typed error of a call that failed, on a stream or not."""
    if isinstance(error, CallFailed):
        return error_of(error.code.name, error.reason, error.message, error.metadata)
    return from_rpc_error(error)
