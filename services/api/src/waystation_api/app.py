"""Composition of the API server: its parts, and the order in which they start and stop.

    server = ApiServer(settings, Store(engine, registry, queries, audit, tokens, namespaces), broker)
    await server.start()        # listens; NOT_SERVING, and calls are refused as UNAVAILABLE
    await server.serve()        # once Postgres and the schema are there
    await server.stop()

The creator of the store and the broker closes them afterwards: `main` here, or the embedded system.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
import structlog

from waystation.v1 import (
    audit_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    delivery_completion_service_pb2_grpc,
    handler_registry_service_pb2_grpc,
    namespace_service_pb2_grpc,
    system_service_pb2_grpc,
    token_service_pb2_grpc,
    workflow_service_pb2_grpc,
)
from waystation_api.audit.entries import denied_entry
from waystation_api.audit.interceptor import AuditInterceptor
from waystation_api.audit.refusals import FLUSH_SECONDS, Refusals
from waystation_api.audit.service import AuditService
from waystation_api.dead_letters.bulk import BulkDeadLetters
from waystation_api.dead_letters.portions import DeadLetterPortions
from waystation_api.dead_letters.service import DeadLetterService
from waystation_api.deliveries.completions import Completions
from waystation_api.deliveries.service import DeliveryCompletionService
from waystation_api.gate import Gate
from waystation_api.handlers.registrations import Registrations
from waystation_api.handlers.retirement import Retirement
from waystation_api.handlers.service import HandlerRegistryService
from waystation_api.namespaces.limits import TURN_SECONDS, StartLimits
from waystation_api.namespaces.service import NamespaceService
from waystation_api.settings import ApiSettings, static_registrations
from waystation_api.system.certificates import certificates_of
from waystation_api.system.flow import FlowReports
from waystation_api.system.gauges import SystemGauges
from waystation_api.system.service import SERVER_VERSION, SystemService
from waystation_api.tokens.service import TokenService
from waystation_api.workflows.backlog import LOOK_SECONDS, Backlog
from waystation_api.workflows.call_streams import CallStreams
from waystation_api.workflows.calls import WorkflowCalls
from waystation_api.workflows.changes import Changes
from waystation_api.workflows.forks import Forks
from waystation_api.workflows.instance_queues import InstanceQueues
from waystation_api.workflows.reads import Reads
from waystation_api.workflows.replays import Replays
from waystation_api.workflows.service import WorkflowService
from waystation_api.workflows.starts import Starter
from waystation_api.workflows.waiters import InstanceReader, Waiters
from waystation_api.workflows.watches import Watches
from waystation_core.background import BackgroundLoop, Contact, run_loop, through_outages, turns
from waystation_core.decisions import Decisions
from waystation_core.identity.access import Denial
from waystation_core.identity.configured_access import access_of
from waystation_core.identity.existing_namespaces import set_existing
from waystation_core.identity.signatures import Signatures
from waystation_core.metrics.definitions import SYSTEM_EVERY_SECONDS
from waystation_core.metrics.meters import Meters
from waystation_core.metrics.rpc_calls import CallMeter
from waystation_core.metrics.servers import read_certificates, read_server
from waystation_core.metrics.workflows import WorkflowMeter
from waystation_core.ports.broker import Broker
from waystation_core.ports.observer import Observer, Observers
from waystation_core.ports.store import (
    AuditStore,
    EngineStore,
    NamespaceStore,
    QueryStore,
    RegistryStore,
    TokenStore,
)
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.relay.ends_log import EndsLog
from waystation_core.relay.relay import Relay
from waystation_core.rpc.addresses import servers_of
from waystation_core.rpc.certificates import CertificateWatch
from waystation_core.rpc.server import RpcServer, Service
from waystation_core.store.connections import hot_share
from waystation_domain.endpoints import Allowlist
from waystation_tls import ClientCredentials

log = structlog.get_logger(__name__)

_SAY_AGAIN_SECONDS = 10.0
_HEALTH_SECONDS = 0.5
_REGISTRY_SECONDS = 1.0
"""Only answers use a copy this old: what is written is checked against the registry."""
_CATCH_UP_SECONDS = 2.0
_RETIRING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Store:
    """The interfaces of one store."""

    engine: EngineStore
    registry: RegistryStore
    queries: QueryStore
    audit: AuditStore
    tokens: TokenStore
    namespaces: NamespaceStore


class ApiServer:
    """The API of one process. `port` and `address` are known once it has started."""

    def __init__(
        self,
        settings: ApiSettings,
        store: Store,
        broker: Broker,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        observer: Observer | None = None,
        meters: Meters | None = None,
    ) -> None:
        """Made inside the running loop. `interceptors` run inside the server's own. `observer` gets what is
        committed here, and the registry; `meters` count it. Raises BadSettings."""
        self.meters = meters or Meters()
        observer = Observers(WorkflowMeter(self.meters), EndsLog(), observer)
        self._settings = settings
        self._broker = broker
        self._static = static_registrations(settings.handlers_file)
        self._relay = Relay(
            store.engine, broker, lambda name: self._registries.seal(name), observer
        )
        self._registries = Registries(
            store.registry,
            look_every=_REGISTRY_SECONDS,
            on_change=observer.registry_changed,
        )
        self._backlog = Backlog(store.engine, settings.max_backlog)
        self._contact = Contact(store.engine.probe)
        self._limits = StartLimits(self._registries, store.namespaces)
        self._starter = Starter(
            store.engine, self._relay, self._backlog, self._contact, self._limits
        )
        reader = InstanceReader(store.queries)
        self._waiters = Waiters(reader, broker, self._registries.seal)
        allowlist = replace(
            Allowlist.parse(settings.handler_allowlist),
            own=servers_of(
                settings.database_url.get_secret_value(), settings.broker_url.get_secret_value()
            ),
        )
        decisions = Decisions(
            store.engine,
            self._relay,
            self._registries,
            PROVIDERS,
            max_events=settings.max_events_per_workflow,
        )
        self._registrations = Registrations(
            store.registry, self._registries, decisions, allowlist, at_most=settings.max_handlers
        )
        self._retirement = Retirement(
            store.engine, store.registry, self._registries, decisions, settings.retire_after_seconds
        )
        self._calls_tls = ClientCredentials.if_on(settings.calls_to_handlers)
        changes = Changes(
            store.queries,
            decisions,
            InstanceQueues(hot_share(settings.api_database_connections) // 2),
        )
        portions = DeadLetterPortions(store.queries, decisions)
        bulk = BulkDeadLetters(store.engine, store.queries, changes, portions)
        calls = WorkflowCalls(self._starter, self._waiters, self._registries)
        self._streams = CallStreams(calls, reader)
        workflows = WorkflowService(
            calls=calls,
            streams=self._streams,
            reader=reader,
            reads=Reads(store.queries, reader),
            watches=Watches(store.queries, self._waiters),
            changes=changes,
            replays=Replays(
                store.queries,
                reader,
                self._registries,
                allowlist,
                signatures=Signatures(settings.signing_key),
                max_events=settings.max_events_per_workflow,
                tls=self._calls_tls,
            ),
            forks=Forks(store.queries, reader, self._starter, self._registries),
            registries=self._registries,
            backlog=self._backlog,
            queries=store.queries,
            broker=broker,
        )
        handlers = HandlerRegistryService(store.registry, self._registrations, self._retirement)
        self._refusals = Refusals(store.audit, time.monotonic)
        self._gate = Gate(self._registries.exists)
        self._rpc = RpcServer(
            [
                _service(
                    "WorkflowService",
                    workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server,
                    workflows,
                ),
                _service(
                    "HandlerRegistryService",
                    handler_registry_service_pb2_grpc.add_HandlerRegistryServiceServicer_to_server,
                    handlers,
                ),
                _service(
                    "DeadLetterService",
                    dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server,
                    DeadLetterService(store.queries, changes, bulk),
                ),
                _service(
                    "DeliveryCompletionService",
                    delivery_completion_service_pb2_grpc.add_DeliveryCompletionServiceServicer_to_server,
                    DeliveryCompletionService(
                        Completions(store.queries, changes, self._registries)
                    ),
                ),
                _service(
                    "SystemService",
                    system_service_pb2_grpc.add_SystemServiceServicer_to_server,
                    SystemService(
                        store.queries,
                        FlowReports(store.registry, store.queries),
                        broker,
                        lambda: certificates_of(self._rpc.credentials, self._calls_tls),
                    ),
                ),
                _service(
                    "AuditService",
                    audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
                    AuditService(store.audit),
                ),
                _service(
                    "TokenService",
                    token_service_pb2_grpc.add_TokenServiceServicer_to_server,
                    TokenService(store.tokens),
                ),
                _service(
                    "NamespaceService",
                    namespace_service_pb2_grpc.add_NamespaceServiceServicer_to_server,
                    NamespaceService(store.namespaces, self._registries),
                ),
            ],
            host=settings.api_host,
            port=settings.api_port,
            insecure=settings.insecure,
            tls=settings.server_tls,
            callers_known=settings.callers_known,
            access=access_of(settings, store.tokens, self._denied),
            host_setting="WAYSTATION_API_HOST",
            port_setting="WAYSTATION_API_PORT",
            around=(CallMeter(self.meters),),
            interceptors=(self._gate, AuditInterceptor(self._refusals), *interceptors),
        )
        read_server(
            self.meters,
            server="api",
            version=SERVER_VERSION,
            contact=self._contact,
            broker=broker,
            relay=self._relay,
        )
        read_certificates(self.meters, self._rpc.credentials, self._calls_tls)
        self._gauges = (
            SystemGauges(self.meters, store.queries, settings.max_backlog)
            if settings.metrics_port is not None
            else None
        )
        self._background: list[BackgroundLoop] = []
        self._serving = False
        self.ready = asyncio.Event()
        """Set once everything it waits for is there."""

    @property
    def port(self) -> int:
        return self._rpc.port

    @property
    def address(self) -> str:
        return self._rpc.address

    async def start(self) -> None:
        """Listens. Raises PortTaken."""
        await self._rpc.start()
        log.info("listening", address=self.address)

    async def serve(self) -> None:
        """Takes calls as soon as the store can be used; SERVING once the broker is there too."""
        await through_outages(self._registries.refresh, "start_postponed")
        self._gate.is_open = True
        set_existing(self._registries.exists)
        await through_outages(
            lambda: self._registrations.register_static(self._static), "start_postponed"
        )
        for name, work in (
            ("registry", self._registries.follow),
            ("probe", self._contact.watch),
            ("health", self._report_health),
        ):
            self._background.append(run_loop(name, work))
        if self._calls_tls is not None:
            watch = CertificateWatch(self._calls_tls, of="calls to handlers")
            self._background.append(run_loop("certificates of calls", watch.follow))
        for name, seconds, turn in (
            ("catch up", _CATCH_UP_SECONDS, self._registrations.look_again),
            ("retire tasks", _RETIRING_SECONDS, self._retirement.look),
            ("backlog", LOOK_SECONDS, self._backlog.turn),
            ("audit", FLUSH_SECONDS, self._refusals.turn),
            ("namespaces", TURN_SECONDS, self._limits.turn),
        ):
            self._background.append(run_loop(name, turns(name, seconds, turn)))
        if self._gauges is not None:
            gauges = turns("metrics", SYSTEM_EVERY_SECONDS, self._gauges.turn)
            self._background.append(run_loop("metrics", gauges))
        self._background.append(run_loop("become ready", self._become_ready, ends=True))

    async def stop(self) -> None:
        """Takes no new calls, answers those that wait, lets the others finish. Idempotent."""
        log.info("stopping")
        self._streams.close()
        self._waiters.close()
        await self._rpc.stop(self._settings.stop_grace_seconds)
        for task in self._background:
            task.cancel()
        for task in self._background:
            await task.wait()
        self._background.clear()
        await self._refusals.close()
        await self._starter.close()
        await self._relay.close()
        log.info("stopped")

    def _denied(self, denial: Denial) -> None:
        self._refusals.add(denied_entry(denial))

    # --- becoming ready --------------------------------------------------------------------

    async def _become_ready(self) -> None:
        while not await self._broker.wait_ready(_SAY_AGAIN_SECONDS):
            status = self._broker.status()
            log.warning("waiting", what=f"the broker at {status.target}", error=status.last_error)
        self._serving = True
        await self._rpc.set_serving(True)
        self.ready.set()
        log.info("serving", address=self.address)

    async def _report_health(self) -> None:
        """Serving means that a start would be written. Outages of the broker do not matter: what is accepted
        meanwhile is announced later."""
        await self.ready.wait()
        while True:
            writes = self._contact.writes
            if writes != self._serving:
                self._serving = writes
                if writes:
                    log.info("serving", address=self.address)
                else:
                    log.warning("not_serving", why=self._contact.trouble)
                await self._rpc.set_serving(writes)
            await asyncio.sleep(_HEALTH_SECONDS)


def _service(name: str, add: Callable[[Any, Any], None], servicer: object) -> Service:
    return Service(f"waystation.v1.{name}", lambda server: add(servicer, server))
