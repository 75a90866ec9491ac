"""Admits an event that was taken in hand: fixes its tasks, and has them called."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from waystation_core.registries import Registries
from waystation_domain import lifecycle
from waystation_domain.lifecycle import Treatment
from waystation_domain.model import Delivery, DeliveryState
from waystation_router.calls import Calls
from waystation_router.ledger import DeliveryCall, Handling

log = structlog.get_logger(__name__)


class Admission:
    """Admits events; `submit` gets those with something to commit first."""

    def __init__(
        self, registries: Registries, calls: Calls, submit: Callable[[Handling], None]
    ) -> None:
        self._registries = registries
        self._calls = calls
        self._submit = submit

    def admit(self, handling: Handling, *, suspect: bool) -> None:
        """Fixes the event's tasks by the current registry, and has them called."""
        event, instance = handling.event, handling.state.instance
        registry = self._registries.of(instance.namespace)
        handling.tasks = registry.resolve(event.event_type, instance.workflow_type)
        handling.generation = registry.generation
        treatment = lifecycle.treatment(instance, event)
        if not handling.tasks or treatment is not Treatment.DELIVER:
            self._submit(handling)
            return
        if event.expires_at is not None and not suspect:
            # Leased or expired first, by the database's clock; the commit has its tasks called.
            handling.holds = True
            self._submit(handling)
            return
        for task in handling.tasks:
            call = DeliveryCall(task)
            handling.calls[task.task_id] = call
            if suspect:
                call.row = Delivery(event.event_id, task.task_id, DeliveryState.READY, suspect=True)
        if suspect:
            log.info("suspect", event_id=event.event_id, event_type=event.event_type)
            self._submit(handling)
        else:
            for call in handling.calls.values():
                self._calls.start(handling, call)
