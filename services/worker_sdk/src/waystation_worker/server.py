"""A running handler service: listening, registered, and drained at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from threading import Thread

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from waystation.v1 import task_handler_service_pb2, task_handler_service_pb2_grpc
from waystation_tls import LOOK_SECONDS, ClientCredentials, ServerCredentials
from waystation_worker.addresses import DEFAULT_NAMESPACE, host_and_port
from waystation_worker.certificates import CertificateLook
from waystation_worker.channels import SERVER_OPTIONS, is_taken, open_channel, open_port
from waystation_worker.errors import SettingsError, WaystationError
from waystation_worker.invocation import Invoker
from waystation_worker.metrics import HandlerMetrics, MeasuredInvoker
from waystation_worker.registration import Registration
from waystation_worker.router_identity import RouterIdentity
from waystation_worker.servicer import TaskServicer
from waystation_worker.settings import Settings
from waystation_worker.signed_calls import SignedCallsOnly
from waystation_worker.tasks import HostedTask

logger = logging.getLogger("waystation_worker")

SERVICE = task_handler_service_pb2.DESCRIPTOR.services_by_name["TaskHandlerService"].full_name

_QUIET_SECONDS = 0.5
"""The streams are ended after this time without a message: a router that has not seen the
unregistration yet still sends for a moment."""
_CALLS_SECONDS = 15.0
"""Longer than a call to Waystation lasts."""
_FAREWELL_SECONDS = 0.1
"""Time to send the last answers after the grace period."""


class Serving:
    """One running handler service, from `HandlerService.serving`.

    It listens on `host` and `port`. After the stop, `unfinished` has the tasks whose functions did
    not end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        service_name: str,
        service_version: str,
        tasks: Mapping[str, HostedTask],
        threads: int,
        lease: float,
        register: bool,
    ) -> None:
        self.host = settings.host
        self.port = 0
        self.unfinished: list[str] = []
        self._settings = settings
        self._service_name = service_name
        self._service_version = service_version
        self._tasks = tasks
        self._lease = lease
        self._register = register
        self._metrics = (
            HandlerMetrics(tasks, service_name, service_version)
            if settings.metrics_port is not None
            else None
        )
        self.metrics_port = 0
        """Where /metrics is served; 0: nowhere."""
        self._end_metrics: Callable[[], None] = lambda: None
        self._invoker = (
            Invoker(tasks, service_name, threads)
            if self._metrics is None
            else MeasuredInvoker(tasks, service_name, threads, metrics=self._metrics)
        )
        self._servicer = TaskServicer(self._invoker)
        keys = settings.identity_keys
        self._identity = (
            RouterIdentity(
                keys, service_name, settings.namespace or ("" if register else DEFAULT_NAMESPACE)
            )
            if keys is not None
            else None
        )
        self._interceptors = [SignedCallsOnly(self._identity)] if self._identity else []
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._channel: grpc.aio.Channel | None = None
        self._registration: Registration | None = None
        self._keeping: asyncio.Task[None] | None = None
        tls = settings.server_tls
        self._port_tls = ServerCredentials(tls) if tls.on else None
        self._calls_tls = ClientCredentials.if_on(settings.client_tls)
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens and starts to register. Raises SettingsError if it cannot listen."""
        self._server, self.port = self._listen()
        if self._metrics is not None and self._settings.metrics_port is not None:
            self.metrics_port, self._end_metrics = self._metrics.serve(
                self._settings.metrics_host, self._settings.metrics_port, self._is_registered
            )
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        logger.info(
            "%s listens on %s, tasks: %s",
            self._service_name,
            host_and_port(self.host, self.port),
            ", ".join(self._tasks),
        )
        if self._register:
            self._channel = open_channel(self._settings.address, self._calls_tls)
            self._registration = Registration(
                self._channel,
                address=self._settings.address,
                service_name=self._service_name,
                service_version=self._service_version,
                host=self._settings.advertise_host,
                port=self.port,
                lease=self._lease,
                tasks=[task.spec for task in self._tasks.values()],
                tls=self._calls_tls,
                credentials=self._settings.credentials,
                namespace=self._settings.namespace,
                on_namespace=self._is_of,
            )
            self._keeping = asyncio.create_task(self._registration.run())
        if self._port_tls is not None or self._calls_tls is not None:
            self._watching = asyncio.create_task(self._watch_certificates())

    def _is_of(self, namespace: str) -> None:
        if self._identity is not None:
            self._identity.namespace = namespace

    async def _watch_certificates(self) -> None:
        """Takes new certificates into use: of the port, and of the calls to Waystation."""
        port = CertificateLook(self._port_tls) if self._port_tls is not None else None
        calls = CertificateLook(self._calls_tls) if self._calls_tls is not None else None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if port is not None:
                await asyncio.to_thread(port.now)
            if calls is not None and await asyncio.to_thread(calls.now):
                await self._reconnect()

    async def _reconnect(self) -> None:
        if self._registration is None or self._channel is None:
            return
        old = self._channel
        self._channel = open_channel(self._settings.address, self._calls_tls)
        self._registration.use(self._channel)
        try:
            # What is under way on it ends first.
            await old.close(_CALLS_SECONDS)
        finally:
            await old.close()

    def _is_registered(self) -> bool:
        return self._registration is not None and self._registration.registered.is_set()

    async def wait_registered(self) -> None:
        """Returns when the endpoint is registered. Raises WaystationError if the registration is
        refused."""
        if self._registration is None or self._keeping is None:
            raise RuntimeError("this service was started with register=False")
        registered = asyncio.create_task(self._registration.registered.wait())
        await asyncio.wait({registered, self._keeping}, return_when=asyncio.FIRST_COMPLETED)
        registered.cancel()
        if self._keeping.done():
            self._keeping.result()

    async def wait_refused(self) -> WaystationError:
        """Returns the error when Waystation refuses the registration permanently; otherwise never
        returns."""
        if self._keeping is not None:
            await asyncio.wait({self._keeping})
            error = self._keeping.exception()
            if isinstance(error, WaystationError):
                return error
            if error is not None:
                raise error
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def stop(self, grace: float) -> None:
        """Unregisters, lets calls in flight finish for `grace` seconds, and stops."""
        if self._server is None:
            return
        end = asyncio.get_running_loop().time() + grace
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self._registration is not None:
            await self._registration.unregister()
        await self._health.enter_graceful_shutdown()
        if not await self._servicer.drain(end, _QUIET_SECONDS):
            # Calls that were not started do not count as attempts.
            self._invoker.refuse()
            logger.warning(
                "%d calls are interrupted after %g s: %s",
                self._servicer.in_flight,
                grace,
                ", ".join(self._invoker.unfinished()) or "none of them was started",
            )
        if self._metrics is not None:
            # It takes up to half a second, which nobody has to wait for.
            Thread(target=self._end_metrics, daemon=True).start()
        await self._server.stop(max(_FAREWELL_SECONDS, end - asyncio.get_running_loop().time()))
        self._server = None
        if self._channel is not None:
            await self._channel.close()
        self.unfinished = self._invoker.unfinished()
        self._invoker.close()
        if self.unfinished:
            logger.warning(
                "%s stopped; these tasks are still running and are left behind: %s",
                self._service_name,
                ", ".join(self.unfinished),
            )
        else:
            logger.info("%s stopped", self._service_name)

    def _listen(self) -> tuple[grpc.aio.Server, int]:
        settings = self._settings
        try:
            # Asked first: gRPC would write an error of its own for a port that is taken.
            taken = settings.or_free and is_taken(self.host, settings.port)
            return self._bound(0 if taken else settings.port)
        except RuntimeError as error:
            if settings.or_free:
                return self._bound(0)
            raise SettingsError(
                f"{settings.port_name}: cannot listen on "
                f"{host_and_port(settings.host, settings.port)}: the port is taken, or the host is "
                "not an address of this machine; choose another port, or 0 for a free one",
                code="FAILED_PRECONDITION",
            ) from error

    def _bound(self, port: int) -> tuple[grpc.aio.Server, int]:
        # A new server for each try: one that failed to listen can't be used again.
        server = grpc.aio.server(interceptors=self._interceptors, options=SERVER_OPTIONS)
        task_handler_service_pb2_grpc.add_TaskHandlerServiceServicer_to_server(
            self._servicer, server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
        bound = open_port(server, host_and_port(self.host, port), self._port_tls)
        if not bound:
            raise RuntimeError("not bound")
        return server, bound
