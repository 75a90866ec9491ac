"""The router put together: the one place that knows all its parts, used by `waystation-router` and by
`waystation dev`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.metadata import version

import structlog

from waystation_core.background import BackgroundLoop, Contact, run_loop, through_outages
from waystation_core.decisions import Decisions
from waystation_core.failpoints import Plan
from waystation_core.identity.signatures import Signatures
from waystation_core.ids import new_id
from waystation_core.metrics.meters import Meters
from waystation_core.metrics.servers import read_certificates, read_server
from waystation_core.metrics.workflows import WorkflowMeter
from waystation_core.ports.broker import Broker, Subscription
from waystation_core.ports.observer import Observer, Observers
from waystation_core.ports.store import (
    EngineStore,
    RegistrySnapshot,
    RegistryStore,
    RouterReport,
)
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.relay.ends_log import EndsLog
from waystation_core.relay.relay import Relay
from waystation_core.rpc.addresses import servers_of
from waystation_core.rpc.certificates import CertificateWatch
from waystation_domain.endpoints import Allowlist
from waystation_domain.errors import StoreUnavailable
from waystation_domain.pools import Pool, PoolRefused
from waystation_router.admission import Admission
from waystation_router.attempt_spans import AttemptSpans, NoSpans
from waystation_router.calls import Calls
from waystation_router.claims import Claims
from waystation_router.committer import Committer
from waystation_router.continuation import Continuation
from waystation_router.endpoints import EndpointDirectory
from waystation_router.endpoints.pointed import PointedEndpoints
from waystation_router.flood_window import FloodWindow
from waystation_router.intake import Intake
from waystation_router.lease import Lease
from waystation_router.ledger import DeliveryCall, Handling, Ledger
from waystation_router.meters import RouterMeters
from waystation_router.pools import PoolsSeen
from waystation_router.readings import read_router
from waystation_router.reconciler import Reconciler
from waystation_router.settings import RouterSettings
from waystation_router.sweeper import Sweeper
from waystation_router.timers import Timers
from waystation_tls import ClientCredentials

log = structlog.get_logger(__name__)

REGISTRY_EVERY = 0.25
"""How old a copy of the registry may be, in seconds: a new task waits that long for its first event."""


class Router:
    """One router. Call `start` when store and schema are there; it does not wait for the broker."""

    def __init__(
        self,
        settings: RouterSettings,
        *,
        store: EngineStore,
        registry_store: RegistryStore,
        broker: Broker,
        failpoints: Plan | None = None,
        observer: Observer | None = None,
        meters: Meters | None = None,
        spans: AttemptSpans | None = None,
    ) -> None:
        """`observer` gets what is committed here; `meters` count it, and `spans` trace its calls."""
        self.meters = meters or Meters()
        observer = Observers(WorkflowMeter(self.meters), EndsLog(), observer)
        self.router_id = new_id()
        self._settings = settings
        self._store = store
        self._broker = broker
        self._relay = Relay(store, broker, lambda name: self._registries.seal(name), observer)
        self._contact = Contact(store.probe)
        self._ledger = Ledger()
        counted = RouterMeters(self.meters, self._ledger.clock)
        self._pool = Pool(
            settings.router_pool,
            settings.router_bindings,
            routers=1,
            expires_seconds=settings.router_pool_expires_seconds,
        )
        pools = PoolsSeen(self._pool)
        window = FloodWindow(settings.router_prefetch)
        allowlist = replace(
            Allowlist.parse(settings.handler_allowlist),
            own=servers_of(
                settings.database_url.get_secret_value(), settings.broker_url.get_secret_value()
            ),
        )
        self._tls = ClientCredentials.if_on(settings.calls_to_handlers)
        signatures = Signatures(settings.signing_key)
        self._endpoints = (
            EndpointDirectory(
                allowlist,
                tls=self._tls,
                signatures=signatures,
                on_change=self._endpoints_changed,
            )
            if failpoints is None
            else PointedEndpoints(
                allowlist,
                failpoints,
                tls=self._tls,
                signatures=signatures,
                on_change=self._endpoints_changed,
            )
        )
        self._registries = Registries(
            registry_store, look_every=REGISTRY_EVERY, on_change=self._registry_changed
        )
        self._decisions = Decisions(
            store,
            self._relay,
            self._registries,
            PROVIDERS,
            max_events=settings.max_events_per_workflow,
        )
        # Set when rows may be leased to this router that nothing here has in hand.
        in_doubt = asyncio.Event()
        self._committer = Committer(
            ledger=self._ledger,
            store=store,
            registries=self._registries,
            relay=self._relay,
            decisions=self._decisions,
            router_id=self.router_id,
            call_again=self._call,
            on_parked=lambda since: self._sweeper.parked(since),
            continue_with=lambda portions: self._continuation.continue_with(portions),
            contact=self._contact,
            window=window,
            in_doubt=in_doubt,
            lease_is_held=lambda: self._lease.is_held,
            meters=counted,
        )
        self._calls = Calls(
            self._ledger,
            store,
            self._endpoints,
            pools,
            self._registries,
            self._committer.submit,
            floods=window.is_for,
            meters=counted,
            spans=spans or NoSpans(),
        )
        admission = Admission(self._registries, self._calls, self._committer.submit)
        self._intake = Intake(self._ledger, store, admission, window)
        self._continuation = Continuation(
            enabled=settings.router_continues_locally,
            window=window,
            most_in_hand=settings.router_prefetch // 2,
            ledger=self._ledger,
            pools=pools,
            admit=lambda handling: admission.admit(handling, suspect=False),
            unacknowledged=lambda: self._intake.unacknowledged,
            buffered=lambda: self._intake.buffered,
            calls_in_flight=lambda: self._calls.places.taken,
            has_places=lambda event_type, instance: all(
                self._calls.places.free(task) > 0
                for task in self._registries.of(instance.namespace).resolve(
                    event_type, instance.workflow_type
                )
            ),
        )
        self._lease = Lease(
            store,
            self.router_id,
            self._pool,
            settings.router_lease_seconds,
            self._report,
            pools.update,
            in_doubt.set,
        )
        claims = Claims(
            router_id=self.router_id,
            ledger=self._ledger,
            store=store,
            registries=self._registries,
            endpoints=self._endpoints,
            calls=self._calls,
            committer=self._committer,
            pools=pools,
            lease=self._lease,
            in_doubt=in_doubt,
        )
        self._reconciler = Reconciler(
            router_id=self.router_id,
            ledger=self._ledger,
            store=store,
            claims=claims,
            calls=self._calls,
            committer=self._committer,
            in_doubt=in_doubt,
        )
        self._sweeper = Sweeper(
            router_id=self.router_id,
            pool=self._pool.name,
            pools=pools,
            prefetch=settings.router_prefetch,
            ledger=self._ledger,
            store=store,
            broker=broker,
            relay=self._relay,
            claims=claims,
            calls=self._calls,
            committer=self._committer,
            timers=Timers(self._ledger, store, self._decisions, counted),
            lease=self._lease,
        )
        read_router(
            self.meters,
            calls=self._calls,
            committer=self._committer,
            ledger=self._ledger,
            endpoints=self._endpoints,
            continued=lambda: self._continuation.events,
            leases_broken=lambda: self._sweeper.leases_broken,
        )
        read_server(
            self.meters,
            server="router",
            version=version("waystation-router"),
            contact=self._contact,
            broker=broker,
            relay=self._relay,
        )
        read_certificates(self.meters, self._tls)
        self._subscription: Subscription | None = None
        self._tasks: list[BackgroundLoop] = []
        self._taking: BackgroundLoop | None = None

    async def start(self) -> None:
        """Begins to work, once Postgres answers. Raises PoolRefused."""
        await through_outages(self._lease.join, "start_postponed")
        await through_outages(self._registries.refresh, "start_postponed")
        self._lease.start()
        self._committer.start()
        self._broker.on_messages_lost(self._sweeper.messages_lost)
        self._broker.subscribe_notices(self._calls.cancel_ended)
        self._subscription = await self._broker.consume(
            pool=self._pool.name,
            bindings=self._pool.bindings,
            prefetch=self._settings.router_prefetch,
            expires_seconds=self._pool.expires_seconds,
        )
        self._tasks = [
            run_loop("registry", self._registries.follow),
            run_loop("probe", self._contact.watch),
            run_loop("reconciler", self._reconciler.run),
        ]
        if self._tls is not None:
            watch = CertificateWatch(
                self._tls, of="calls to handlers", changed=self._endpoints.credentials_changed
            )
            self._tasks.append(run_loop("certificates of calls", watch.follow))
        subscription = self._subscription
        self._taking = run_loop(
            "intake", lambda: self._intake.run(subscription), again=False, ends=True
        )
        self._sweeper.start()
        log.info("router_started", router_id=self.router_id, pool=self._pool.name)

    async def stop(self) -> None:
        """Takes nothing new, lets calls in flight finish within the grace, commits, and gives back the rest."""
        self._continuation.stop()
        await self._sweeper.stop()
        if self._subscription is not None:
            await self._subscription.stop()
        for task in self._tasks:
            task.cancel()
        if self._taking is not None:
            await self._taking.wait()
        await self._calls.drain(self._settings.stop_grace_seconds)
        await self._sweeper.stop_leasing()
        self._calls.stop_reporting()
        await self._committer.close()
        await self._endpoints.close()
        await self._relay.close()
        if self._subscription is not None:
            await self._subscription.close()
        await self._lease.stop()
        try:
            # Messages go back to the queue; what came without one goes by its outbox row.
            if left := self._continuation.left():
                await self._store.make_due(left)
            await self._store.leave(self.router_id)
        except StoreUnavailable:
            log.warning("lease_left_to_lapse", router_id=self.router_id)
        log.info("router_stopped", router_id=self.router_id)

    @property
    def ready(self) -> bool:
        """Whether it can take work now."""
        return not self.trouble

    @property
    def trouble(self) -> str:
        """What prevents it from taking work; empty if nothing does."""
        if self._subscription is None:
            return "it has not started yet"
        status = self._broker.status()
        if status.blocked:
            return f"the broker at {status.target} blocks publishers (memory or disk alarm)"
        if not status.ready:
            return f"the broker at {status.target} cannot be reached"
        return "" if self._contact.writes else self._contact.trouble

    @property
    def refused(self) -> PoolRefused | None:
        """Why it must stop: its pool lapsed while it could not reach Postgres, and other pools have its event
        types."""
        return self._lease.refused

    def _call(self, handling: Handling, call: DeliveryCall) -> None:
        self._calls.start(handling, call)

    def _registry_changed(self, snapshot: RegistrySnapshot) -> None:
        self._endpoints.update(self._registries.handlers())

    def _endpoints_changed(self) -> None:
        self._sweeper.endpoints_changed()

    def _report(self) -> RouterReport:
        return RouterReport(
            calls_in_flight=self._calls.places.taken,
            results_committed=self._committer.results_committed,
            events_announced=self._relay.events_announced,
            events_continued=self._continuation.events,
            endpoints=self._endpoints.report(),
        )
