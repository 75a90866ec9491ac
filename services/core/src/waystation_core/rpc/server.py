"""The server builder: the common parts of every Waystation server.

Health, reflection, the interceptors, the limits of HTTP/2, the refusal to listen off loopback, an error that
names the setting of a taken port, and a stop that lets calls finish.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from waystation_core.background import BackgroundLoop, run_loop
from waystation_core.identity.access import Access
from waystation_core.rpc.certificates import CertificateWatch
from waystation_core.rpc.guard import CallGuard
from waystation_core.rpc.settings import KNOWN_BY, BadSettings
from waystation_tls import BadTls, ServerCredentials, ServerTls, open_to_strangers

MAX_RECEIVED_BYTES = 8 * 1024 * 1024
"""Bytes of one message: an answer may raise many events, and have a few MiB before it is checked."""

_MOST_TRANSPORTED_BYTES = 2 * MAX_RECEIVED_BYTES
"""Messages between the two limits are refused with a reason; gRPC refuses larger ones, without a reason."""

MAX_STREAMS = 4_096
"""Concurrent calls on one connection: 1,000 waiting clients may share a channel."""

MAX_CALLS = 20_000

_LONGEST_WAIT_SECONDS = 11 * 60
"""Old connections are closed only after every wait on them could have ended."""

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", MAX_STREAMS),
    # Calls that arrived and were not begun yet. gRPC would refuse some of more than 1,000, as CANCELLED and
    # without a reason; more than MAX_CALLS are refused with one.
    ("grpc.server.max_pending_requests", MAX_CALLS),
    ("grpc.server.max_pending_requests_hard_limit", MAX_CALLS),
    ("grpc.max_receive_message_length", _MOST_TRANSPORTED_BYTES),
    ("grpc.max_send_message_length", -1),
    # Makes clients look for new replicas behind a name from time to time.
    ("grpc.max_connection_age_ms", 5 * 60_000),
    ("grpc.max_connection_age_grace_ms", _LONGEST_WAIT_SECONDS * 1_000),
    # Below the clients' interval (channels.KEEPALIVE_MS), or their pings would count as abuse.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


PLAIN_TEXT = ServerTls()


class PortTaken(Exception):
    """The address to listen on is in use; the message names the setting to change."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service: its full name, and the function that adds its servicer to a server."""

    name: str
    add: Callable[[grpc.aio.Server], None]


class RpcServer:
    """A grpc.aio server with the common parts. Made in the running loop; serves after `start`."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        host: str,
        port: int,
        insecure: bool = False,
        tls: ServerTls = PLAIN_TEXT,
        callers_known: bool = False,
        access: Access | None = None,
        host_setting: str = "the host setting",
        port_setting: str = "the port setting",
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        around: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        """`interceptors` run inside the server's own, `around` outside. `access` decides who may call what; None: everybody may call everything. `callers_known`: callers must
        show who they are in another way than by a certificate. Raises BadSettings
        for a host off loopback that the settings do not allow, and for files of TLS that cannot be used."""
        if fault := open_to_strangers(
            host,
            setting=host_setting,
            insecure=insecure,
            tls=tls.on,
            callers_known=callers_known or tls.knows_callers,
            known_by=KNOWN_BY,
        ):
            raise BadSettings([fault])
        try:
            self._credentials = ServerCredentials(tls) if tls.paths() else None
        except BadTls as bad:
            raise BadSettings(bad.faults) from None
        self._watching: BackgroundLoop | None = None
        self._host = host
        self._wanted_port = port
        self._port_setting = port_setting
        self._names = ["", *(service.name for service in services)]
        self._server = grpc.aio.server(
            interceptors=(
                *around,
                CallGuard(most_bytes=MAX_RECEIVED_BYTES, access=access),
                *interceptors,
            ),
            options=_OPTIONS,
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        for service in services:
            service.add(self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._names[1:], health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self.port = 0
        """The port it listens on, once started."""

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host.strip("[]") else self._host
        return f"{host}:{self.port}"

    async def start(self) -> int:
        """Listens, NOT_SERVING until `set_serving`; returns the port. Raises PortTaken."""
        await self.set_serving(False)
        self._require_free()
        host = f"[{self._host}]" if ":" in self._host.strip("[]") else self._host
        try:
            self.port = self._bound(f"{host}:{self._wanted_port}")
        except RuntimeError:
            raise self._taken() from None
        if not self.port:
            raise self._taken()
        await self._server.start()
        if self._credentials is not None:
            watch = CertificateWatch(self._credentials, of="port")
            self._watching = run_loop("certificates of the port", watch.follow)
        return self.port

    def _bound(self, address: str) -> int:
        if self._credentials is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, self._credentials.of_grpc())

    @property
    def credentials(self) -> ServerCredentials | None:
        """The certificates of its port; None for plain text."""
        return self._credentials

    def _require_free(self) -> None:
        """Checks first: gRPC prints a stack trace if a port is taken."""
        if not self._wanted_port:
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self._host.strip("[]"), self._wanted_port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise self._taken() from None
                raise BadSettings(
                    [
                        f"{self._host}:{self._wanted_port} cannot be used to listen: {error.strerror}."
                    ]
                ) from None

    def _taken(self) -> PortTaken:
        return PortTaken(
            f"Port {self._wanted_port} on {self._host} is in use. Stop the process that uses it, or set "
            f"{self._port_setting} to another port."
        )

    async def set_serving(self, serving: bool) -> None:
        """Sets the answer of grpc.health.v1, for the server as a whole and for each service."""
        state = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in self._names:
            await self._health.set(name, state)

    async def stop(self, grace: float) -> None:
        """Takes no new calls, lets those in flight finish for `grace` seconds, then cuts them."""
        if self._watching is not None:
            self._watching.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
