"""The connection to one endpoint: made only if the allowlist admits the address, kept, and watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc import ChannelConnectivity as Connectivity
from grpc_health.v1 import health_pb2

from waystation_core.background import BackgroundLoop, run_loop
from waystation_core.rpc.addresses import admitted_addresses, target
from waystation_core.rpc.endpoint_channels import HEALTH_CHECK, open_endpoint_channel
from waystation_domain.endpoints import Address, Allowlist, check_endpoint, host_and_port
from waystation_domain.errors import WaystationError
from waystation_tls import ClientCredentials, Diagnosis, diagnose
from waystation_tls.clients import OF_ROUTERS

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 5.0
HEALTH_SECONDS = 5.0
HEALTH_TIMEOUT = 2.0

_log = structlog.get_logger(__name__)


class Connection:
    """Keeps one endpoint connected. A literal address is left to gRPC's own reconnection; a name is resolved,
    and all its addresses checked, again for each attempt.

    A `static` endpoint has to be healthy before it is called, and is checked again and again: nothing else
    shows that a process is there. A leased one, which renews its lease, counts as healthy until it answers
    that it is not; if it is too busy to answer a health check, its calls decide. `lost` is called when a
    connection is lost, `changed` whenever `up` changes.
    """

    def __init__(
        self,
        host: str,
        port: int,
        allowlist: Allowlist,
        *,
        streams: bool,
        static: bool,
        tls: ClientCredentials | None = None,
        lost: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.name = host_and_port(host, port)
        self.channel: grpc.aio.Channel | None = None
        """Set while it is connected."""
        self.may_recover = True
        """Whether it may connect soon: it is being dialled, and was not refused yet."""
        self.losses = 0
        """How often the connection was lost."""
        self.last_error = ""
        self._host = host
        self._port = port
        self._allowlist = allowlist
        self._streams = streams
        self._static = static
        self._tls = tls
        self._diagnosis: Diagnosis | None = None
        self._lost = lost
        self._changed = changed
        self._healthy = not static
        self._backoff = FIRST_BACKOFF
        self._closed = False
        self._keeper = run_loop(f"endpoint {self.name}", self._keep)

    @property
    def up(self) -> bool:
        """Whether calls can be sent."""
        return self.channel is not None and self._healthy

    def is_ready(self) -> bool:
        """Whether it is connected at this moment, according to gRPC."""
        return self.channel is not None and self.channel.get_state() is Connectivity.READY

    def connect_now(self) -> None:
        """Dials at once if it is down: a process has just registered."""
        if self.channel is None and not self._closed:
            self._keeper.cancel()
            self._backoff = FIRST_BACKOFF
            self.may_recover = True
            self._keeper = run_loop(f"endpoint {self.name}", self._keep)

    async def close(self) -> None:
        """Closes the connection."""
        self._closed = True
        self._keeper.cancel()
        await self._keeper.wait()

    async def _keep(self) -> None:
        while True:
            try:
                addresses = await admitted_addresses(self._host, self._port, self._allowlist)
                literal = check_endpoint(self._host, self._port) is not None
            except WaystationError as refusal:
                self._on_unreachable(refusal.message)
            except OSError:
                self._on_unreachable(f"{self._host} does not resolve")
            else:
                for address in addresses:
                    await self._use(address, forever=literal)
                await self._on_no_connection(addresses[-1])
            await asyncio.sleep(self._backoff)
            self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)

    async def _use(self, address: Address, *, forever: bool) -> None:
        """Connects to an address and stays until the connection is lost; for ever, if `forever`."""
        channel = open_endpoint_channel(
            target(address, self._port), streams=self._streams, host=self._host, tls=self._tls
        )
        health: BackgroundLoop | None = None
        try:
            while True:
                state = channel.get_state(try_to_connect=True)
                if state is Connectivity.READY:
                    if self.channel is None:
                        self._on_connected(channel)
                        health = self._watched(channel)
                else:
                    if self.channel is not None:
                        if health is not None:
                            health.cancel()
                        self._on_disconnected()
                    if state is Connectivity.TRANSIENT_FAILURE:
                        if not forever:
                            return
                        await self._on_no_connection(address)
                await channel.wait_for_state_change(state)
        finally:
            if health is not None:
                health.cancel()
            if self.channel is not None:
                self._on_disconnected()
            await channel.close()

    def _on_connected(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self._diagnosis = None
        self.may_recover = self._static
        self._backoff = FIRST_BACKOFF
        if not self._static:
            self.last_error = ""
        _log.info("endpoint_connected", endpoint=self.name)
        self._changed()

    def _on_disconnected(self) -> None:
        self.channel = None
        self.losses += 1
        # The server may only have closed this connection: a new one often succeeds at once.
        self.may_recover = not self._closed
        self._healthy = not self._static
        self.last_error = f"the connection to {self.name} was lost"
        _log.info("endpoint_disconnected", endpoint=self.name)
        self._lost()
        self._changed()

    def _on_unreachable(self, why: str) -> None:
        self.last_error = why
        if self.may_recover:
            self.may_recover = False
            _log.warning("endpoint_not_reachable", endpoint=self.name, error=why)
            self._changed()

    async def _on_no_connection(self, address: Address) -> None:
        self._on_unreachable(self._no_connection())
        material = None if self._tls is None else self._tls.material
        found = await diagnose(
            str(address), self._port, tls=material, name=self._host, words=OF_ROUTERS
        )
        if found is not None and found != self._diagnosis:
            _log.warning(
                "endpoint_tls_failed", endpoint=self.name, reason=found.reason, error=found.message
            )
        self._diagnosis = found
        if self.channel is None:
            self.last_error = self._no_connection()

    def _no_connection(self) -> str:
        found = self._diagnosis
        why = f": {found.reason}: {found.message}" if found is not None else ""
        return f"no connection to {self.name}{why}"

    def _watched(self, channel: grpc.aio.Channel) -> BackgroundLoop:
        return run_loop(f"health {self.name}", lambda: self._watch_health(channel), ends=True)

    async def _watch_health(self, channel: grpc.aio.Channel) -> None:
        """Calls grpc.health periodically; if that is not served, being connected is enough."""
        check: Any = channel.unary_unary(HEALTH_CHECK)
        while True:
            problem = ""
            try:
                data = await check(b"", timeout=HEALTH_TIMEOUT)
                status = health_pb2.HealthCheckResponse.FromString(data).status
                if status != health_pb2.HealthCheckResponse.SERVING:
                    problem = f"{self.name} is not serving (health check)"
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._static:
                    problem = f"{self.name} did not answer a health check"
            except DecodeError:
                problem = f"{self.name} returned an invalid health check"
            if self.channel is not channel:
                return
            healthy = not problem
            has_changed = healthy is not self._healthy or self.may_recover
            self._healthy, self.may_recover = healthy, False
            if has_changed or problem:
                self.last_error = problem
            if has_changed:
                _log.info("endpoint_health", endpoint=self.name, serving=healthy)
                self._changed()
            await asyncio.sleep(HEALTH_SECONDS)
