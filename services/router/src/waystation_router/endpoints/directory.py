"""All endpoints of a router, as registered; the only place that calls tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.background import job
from waystation_core.identity.signatures import UNSIGNED, Signatures
from waystation_core.ports.store import Registration
from waystation_core.rpc.attempts import NotSent
from waystation_core.rpc.message_reader import MessageReader
from waystation_domain.endpoints import Allowlist, host_and_port
from waystation_domain.model import JsonObject
from waystation_domain.task_spec import TaskKey
from waystation_router.endpoints.connected_endpoint import ConnectedEndpoint
from waystation_router.endpoints.endpoint_call import EndpointCall
from waystation_tls import ClientCredentials

MAX_WAIT_SECONDS = 2.0
"""How long a call waits for an endpoint that is just being connected."""
DRAIN_SECONDS = 24 * 3600.0
"""How long an endpoint that left the registry may finish its calls; calls have their own deadlines."""
_REMEMBERED_ROUTES = 10_000

REPORTED_CALLS = 20
"""Calls of an endpoint that a report names: the oldest, as somebody asks where a call is that takes long."""


class EndpointDirectory:
    """Calls tasks on the live endpoint of their service that has the fewest calls in flight. Lives on one
    event loop.

    `on_change` is called when the set of callable tasks may have changed, so that parked deliveries can be
    woken.
    """

    def __init__(
        self,
        allowlist: Allowlist,
        *,
        tls: ClientCredentials | None = None,
        signatures: Signatures = UNSIGNED,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        """`tls` None: plain text."""
        self._allowlist = allowlist
        self._tls = tls
        self._signatures = signatures
        self._reader = MessageReader()
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        # The same address in two namespaces is two endpoints.
        self._links: dict[tuple[str, str, str, int], ConnectedEndpoint] = {}
        self._routes: dict[tuple[str, ...], tuple[ConnectedEndpoint, ...]] = {}
        self._waiting: dict[EndpointCall, None] = {}
        self._leaving: dict[ConnectedEndpoint, asyncio.Task[None]] = {}
        self._suspects = asyncio.Lock()
        self._turn = 0
        self._closed = False

    # --- the registry's side ---------------------------------------------------------------------

    def update(self, handlers: Iterable[Registration]) -> None:
        """Connects new endpoints, removes those that are gone (calls in flight may end), and updates the
        registration of the others."""
        if self._closed:
            return
        registered = {
            (each.namespace, each.service_name, each.host, each.port): each for each in handlers
        }
        for address in [address for address in self._links if address not in registered]:
            self._release(self._links.pop(address))
        for address, handler in registered.items():
            link = self._links.get(address)
            if link is not None and link.endpoint.static == handler.static:
                link.update(handler)
                continue
            if link is not None:
                self._release(link)
            self._links[address] = self._connected(handler)
        self._routes.clear()
        self._on_endpoint_changed()

    def credentials_changed(self) -> None:
        """Connects all endpoints anew: a connection keeps the certificates that it was made with. Calls in flight
        end on the old one."""
        if self._closed:
            return
        for address, link in list(self._links.items()):
            self._release(link)
            self._links[address] = self._connected(link.endpoint)
        self._routes.clear()
        self._on_endpoint_changed()

    def _connected(self, handler: Registration) -> ConnectedEndpoint:
        return ConnectedEndpoint(
            handler,
            self._allowlist,
            reader=self._reader,
            signatures=self._signatures,
            tls=self._tls,
            again=self._dispatch,
            changed=self._on_endpoint_changed,
        )

    def live_tasks(self) -> frozenset[TaskKey]:
        """The tasks that can be called now."""
        return frozenset(
            spec.key
            for link in self._links.values()
            for spec in link.endpoint.tasks
            if link.condition.usable(spec.task_id)
        )

    def report(self) -> dict[str, JsonObject]:
        """The state of each endpoint, by handler_id."""
        return {
            link.endpoint.handler_id: {
                "reachable": link.condition.reachable,
                "last_error": link.condition.trouble,
                "calls_in_flight": link.in_flight,
                "address": host_and_port(link.endpoint.host, link.endpoint.port),
                "calls": link.oldest_calls(REPORTED_CALLS),
            }
            for link in self._links.values()
        }

    def states(self) -> list[tuple[str, str, str]]:
        """The namespace, the service and the state of each endpoint, in one word; from any thread."""
        return [
            (link.endpoint.namespace, link.endpoint.service_name, link.condition.state)
            for link in self._links.copy().values()
        ]

    @property
    def in_flight(self) -> int:
        """Calls that are sent and not answered, over all endpoints of the registry."""
        return sum(link.in_flight for link in self._links.values())

    # --- calling ---------------------------------------------------------------------------------

    def call(
        self,
        service_name: str,
        request: pb.HandleEventRequest,
        timeout: float,
        *,
        alone: bool = False,
    ) -> EndpointCall:
        """Calls the request's task; await the EndpointCall for its outcome, or cancel it. The request is
        encoded at once and may be changed afterwards. `timeout` is in seconds, from sending. `alone` is for
        suspects, inside `alone()`: the call shares no stream, so that a cut affects no other call."""
        call = EndpointCall(self._loop, service_name, request, timeout, alone=alone)
        call.wait_until = self._loop.time() + MAX_WAIT_SECONDS
        self._dispatch(call)
        return call

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Waits until no other suspect is in call from this router. Record the attempt and call with
        `alone=True` inside."""
        async with self._suspects:
            yield

    async def close(self, grace: float = 0.0) -> None:
        """Takes no more calls, lets those in flight end within `grace` seconds, cancels the rest, and closes
        all connections."""
        self._closed = True
        for call in list(self._waiting):
            call.end(NotSent("this router is stopping"))
        links, self._links = list(self._links.values()), {}
        self._routes.clear()
        leaving = dict(self._leaving)
        for task in leaving.values():
            task.cancel()
        await asyncio.gather(*leaving.values(), return_exceptions=True)
        await asyncio.gather(*(link.drain(grace) for link in (*links, *leaving)))

    # --- Carrier: calls that wait for a connection -----------------------------------------------

    def abandon(self, call: EndpointCall) -> None:
        """See Carrier."""

    def release(self, call: EndpointCall) -> None:
        """See Carrier."""
        self._waiting.pop(call, None)

    def _dispatch(self, call: EndpointCall) -> None:
        if call.outcome.done():
            return
        links = self._route(call)
        best: ConnectedEndpoint | None = None
        may_recover = False
        # Starts at another endpoint each time, so that idle endpoints share single calls.
        self._turn += 1
        start = self._turn % len(links) if links else 0
        for link in (*links[start:], *links[:start]):
            if link in call.tried:
                continue
            if link.condition.usable(call.task_id):
                if best is None or link.in_flight < best.in_flight:
                    best = link
            elif link.condition.may_recover(call.wait_until):
                may_recover = True
        if best is not None:
            best.take(call)
        elif may_recover and self._loop.time() < call.wait_until:
            call.carrier = self
            self._waiting[call] = None
            call.timer = self._loop.call_at(call.wait_until, self._give_up, call)
        else:
            call.end(self._not_sent(call, links))

    def _route(self, call: EndpointCall) -> tuple[ConnectedEndpoint, ...]:
        """The endpoints that declared the call's task for its types."""
        key = (
            *(call.namespace, call.service_name, call.task_id),
            *(call.event_type, call.workflow_type),
        )
        links = self._routes.get(key)
        if links is None:
            links = tuple(
                link
                for link in self._links.values()
                if link.endpoint.namespace == call.namespace
                and link.endpoint.service_name == call.service_name
                and link.hosts(call)
            )
            if len(self._routes) >= _REMEMBERED_ROUTES:
                self._routes.clear()
            self._routes[key] = links
        return links

    def _give_up(self, call: EndpointCall) -> None:
        call.timer = None
        call.end(self._not_sent(call, self._route(call)))

    def _not_sent(self, call: EndpointCall, links: Sequence[ConnectedEndpoint]) -> NotSent:
        return NotSent(self._why(call, links), unannounced=not links and not self._closed)

    def _why(self, call: EndpointCall, links: Sequence[ConnectedEndpoint]) -> str:
        if self._closed:
            return "this router is stopping"
        if not links:
            return f"no live endpoint of {call.service_name} declares {call.task_id} for this event"
        problems = [f"{link.name}: {link.condition.trouble or 'connecting'}" for link in links[:3]]
        more = f" and {len(links) - 3} more" if len(links) > 3 else ""
        return f"no endpoint of {call.service_name} can be called ({'; '.join(problems)}{more})"

    def _on_endpoint_changed(self) -> None:
        waiting = list(self._waiting)
        for call in waiting:
            call.leave()
            self._dispatch(call)
        if self._on_change is not None and not self._closed:
            self._on_change()

    def _release(self, link: ConnectedEndpoint) -> None:
        task = job("drain endpoint", link.drain(DRAIN_SECONDS))
        self._leaving[link] = task
        task.add_done_callback(lambda _: self._leaving.pop(link, None))
