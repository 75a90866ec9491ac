"""The registration of a handler service: registers, renews, registers again, unregisters."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta

import grpc

from waystation.v1 import handler_pb2
from waystation.v1 import handler_registry_service_pb2 as pb
from waystation.v1.handler_registry_service_pb2_grpc import HandlerRegistryServiceStub
from waystation_tls import ClientCredentials
from waystation_worker.addresses import DEFAULT_NAMESPACE
from waystation_worker.certificates import TlsFaults
from waystation_worker.credentials import Credentials, authorized
from waystation_worker.errors import WaystationError, from_rpc_error

logger = logging.getLogger("waystation_worker")

_CALL_SECONDS = 10.0
_UNREGISTER_SECONDS = 2.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0

# A retry cannot help: a person must change something.
_REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.OUT_OF_RANGE,
}


class Registration:
    """The leased registration of one endpoint. `lease` is in seconds.

    `registered` is set while the endpoint is registered, as far as this process knows.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        address: str,
        service_name: str,
        service_version: str,
        host: str,
        port: int,
        lease: float,
        tasks: Iterable[handler_pb2.TaskSpec],
        tls: ClientCredentials | None = None,
        credentials: Credentials | None = None,
        namespace: str = "",
        on_namespace: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`on_namespace` is called with the namespace of each registration."""
        self.registered = asyncio.Event()
        self._credentials = credentials
        self.use(channel)
        self._address = address
        self._tls_faults = TlsFaults(address, tls)
        self._lease = lease
        self._handler_id = ""
        self._unreachable = False
        self._was_registered = False
        self._namespace = namespace
        self._on_namespace = on_namespace
        self._request = pb.RegisterHandlerRequest(
            namespace=namespace,
            service_name=service_name,
            service_version=service_version,
            host=host,
            port=port,
            kind=handler_pb2.REGISTRATION_KIND_LEASED,
            lease=timedelta(seconds=lease),
            tasks=tasks,
        )

    def use(self, channel: grpc.aio.Channel) -> None:
        """Later calls go over this channel."""
        self._stub = authorized(HandlerRegistryServiceStub(channel), self._credentials)

    async def run(self) -> None:
        """Keeps the endpoint registered until cancelled. Raises WaystationError if Waystation
        refuses it permanently."""
        while True:
            await self._register()
            self.registered.set()
            await self._keep()
            self.registered.clear()

    async def unregister(self) -> None:
        """Removes the endpoint, best effort: its lease would expire anyway."""
        if not self._handler_id:
            return
        request = pb.UnregisterHandlerRequest(
            namespace=self._namespace,
            handler_id=self._handler_id,
            request_id=str(uuid.uuid4()),
        )
        try:
            await self._stub.UnregisterHandler(request, timeout=_UNREGISTER_SECONDS)
        except grpc.aio.AioRpcError as error:
            logger.warning(
                "could not unregister (%s); the lease expires in at most %g s",
                from_rpc_error(error),
                self._lease,
            )
        else:
            logger.info("unregistered from Waystation at %s", self._address)
        self._handler_id = ""
        self.registered.clear()

    async def _register(self) -> None:
        # One id for all tries of one registration, so that it takes effect once.
        self._request.request_id = str(uuid.uuid4())
        wait = _FIRST_WAIT
        while True:
            try:
                response: pb.RegisterHandlerResponse = await self._stub.RegisterHandler(
                    self._request, timeout=_CALL_SECONDS
                )
            except grpc.aio.AioRpcError as error:
                typed = from_rpc_error(error)
                # A token that has ended may be replaced in its file: a service that was registered waits for that.
                ended = error.code() is grpc.StatusCode.UNAUTHENTICATED and self._was_registered
                if error.code() in _REFUSALS and not ended:
                    logger.error(
                        "Waystation at %s refused the registration: %s", self._address, typed
                    )
                    raise typed from error
                await self._say_unreachable(typed)
            else:
                break
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
            wait = min(wait * 2, _LONGEST_WAIT)
        self._unreachable = False
        self._was_registered = True
        self._handler_id = response.handler.handler_id
        # A server of an earlier release says nothing of it.
        self._on_namespace(response.namespace or self._namespace or DEFAULT_NAMESPACE)
        if response.handler.HasField("began_at"):
            # Sent with each later registration, so that registering again does not make this
            # process the newest.
            self._request.began_at.CopyFrom(response.handler.began_at)
        logger.info(
            "registered %s at %s:%d with Waystation at %s, tasks: %s%s",
            self._request.service_name,
            self._request.host,
            self._request.port,
            self._address,
            ", ".join(task.task_id for task in self._request.tasks),
            f"; {response.caught_up_events} earlier events will be delivered"
            if response.caught_up_events
            else "",
        )
        if response.handler.retired_task_ids:
            logger.warning(
                "an operator retired %s: they receive no events; remove them from this service",
                ", ".join(response.handler.retired_task_ids),
            )

    async def _keep(self) -> None:
        """Renews until the registration is lost."""
        request = pb.RenewHandlerRequest(namespace=self._namespace, handler_id=self._handler_id)
        pause = self._lease / 3
        wait = pause
        while True:
            await asyncio.sleep(wait)
            try:
                await self._stub.RenewHandler(request, timeout=min(_CALL_SECONDS, self._lease))
            except grpc.aio.AioRpcError as error:
                typed = from_rpc_error(error)
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    logger.warning("the registration was lost (%s); registering again", typed)
                    return
                await self._say_unreachable(typed)
                # Sooner than usual, so that the lease does not expire if Waystation is back soon.
                wait = min(pause, 1.0)
            else:
                if self._unreachable:
                    logger.info("Waystation at %s is reachable again", self._address)
                self._unreachable = False
                wait = pause

    async def _say_unreachable(self, error: WaystationError) -> None:
        """Logs it once, with what is wrong with TLS; repetitions are logged at debug level."""
        if not self._unreachable:
            error = await self._tls_faults.explained(error)
        level = logging.DEBUG if self._unreachable else logging.WARNING
        self._unreachable = True
        logger.log(
            level,
            "Waystation at %s cannot be reached or is not ready (%s: %s); retrying until it is",
            self._address,
            error.reason or error.code,
            error,
        )
