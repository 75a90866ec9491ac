"""The registries of all namespaces, as one process follows them: a copy for each, and one look for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from waystation_core.background import Retries
from waystation_core.outcome_seal import OutcomeSeal
from waystation_core.ports.store import (
    NamespaceState,
    Registration,
    RegistrySnapshot,
    RegistryStore,
)
from waystation_core.registry_copy import RegistryCopy
from waystation_domain.errors import StoreUnavailable
from waystation_domain.model import DEFAULT_NAMESPACE
from waystation_domain.namespaces import NO_LIMITS, NamespaceLimits

log = structlog.get_logger(__name__)


class Registries:
    """All copies of one process. Call `refresh` once before using them; `follow` is a loop that keeps them
    fresh."""

    def __init__(
        self,
        store: RegistryStore,
        *,
        look_every: float,
        on_change: Callable[[RegistrySnapshot], None] = lambda snapshot: None,
    ) -> None:
        """`look_every`: seconds between two looks of `follow`. `on_change` is called with each new snapshot
        of any namespace, and with an empty one for a namespace that is gone."""
        self._store = store
        self._look_every = look_every
        self._on_change = on_change
        self._copies: dict[str, RegistryCopy] = {}
        self._states: dict[str, NamespaceState] = {}

    def of(self, namespace: str) -> RegistryCopy:
        """The copy of one namespace; empty, and with a generation that no registry has, until the first look
        at it."""
        copy = self._copies.get(namespace)
        if copy is None:
            copy = RegistryCopy(self._store, namespace, on_change=self._on_change)
            self._copies[namespace] = copy
        return copy

    def all(self) -> list[RegistryCopy]:
        """The copies of all namespaces that exist."""
        return [self.of(namespace) for namespace in self._states]

    def handlers(self) -> list[Registration]:
        """The endpoints of all namespaces."""
        return [handler for copy in self._copies.values() for handler in copy.snapshot.handlers]

    def exists(self, namespace: str) -> bool:
        """Whether there was such a namespace at the last look."""
        return namespace in self._states or namespace == DEFAULT_NAMESPACE

    def state(self, namespace: str) -> NamespaceState | None:
        """What the last look found of it."""
        return self._states.get(namespace)

    def limits(self, namespace: str) -> NamespaceLimits:
        """Its limits, as of the last look."""
        state = self._states.get(namespace)
        return state.limits if state is not None else NO_LIMITS

    def seal(self, namespace: str) -> OutcomeSeal | None:
        """What outcomes in its notices are sealed with, once that is known."""
        return self.of(namespace).outcome_seal

    async def refresh(self) -> None:
        """Looks at all namespaces, and reads the registries again whose counters changed. Raises
        StoreUnavailable."""
        states = {state.namespace: state for state in await self._store.namespaces()}
        self._states = states
        for namespace in [one for one in self._copies if one not in states]:
            log.info("namespace_gone", namespace=namespace)
            del self._copies[namespace]
            self._on_change(RegistrySnapshot(0, -1, (), (), namespace=namespace))
        for namespace, state in states.items():
            copy = self.of(namespace)
            if state.lapsed or (state.generation, state.changes) != copy.counters:
                await copy.refresh()

    async def refresh_one(self, namespace: str) -> None:
        """Reads the registry of one namespace again if its counters changed. One that no look has found yet is
        looked for: its tasks are not known before its limits. Raises StoreUnavailable."""
        if self.state(namespace) is None:
            await self.refresh()
        else:
            await self.of(namespace).refresh()

    async def follow(self) -> None:
        """Refreshes until cancelled."""
        retries = Retries("registry_not_read")
        while True:
            try:
                await self.refresh()
                retries.over()
            except StoreUnavailable as error:
                retries.failed(error)
            await asyncio.sleep(self._look_every)
