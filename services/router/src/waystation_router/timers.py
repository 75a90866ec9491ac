"""Fires what is due: delayed events, deadlines, groups, and cleaning up after an end.

Nothing is claimed: whoever fires the due timers of an instance has its lock, and they are gone with that
commit. So a router that dies, or hears nothing more of Postgres, leaves them as they were, due, and the
next one that looks fires them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from waystation_core.domain import timers
from waystation_core.domain.commit import EventFacts, InstanceCommit
from waystation_core.domain.draft import Draft, Rules
from waystation_core.domain.errors import StoreUnavailable
from waystation_core.domain.model import Event, Timer, TimerKind
from waystation_core.ports.store import EngineStore, Locked, NothingDue, RegistryMoved
from waystation_core.relay.announcing import Relay
from waystation_router.ledger import Ledger
from waystation_router.registry import RegistryCopy

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.1
INSTANCES_AT_ONCE = 2
"""Each holds a connection."""
INSTANCES_IN_TURN = 100
TIMERS_AT_ONCE = 200
"""Of one instance, in one commit."""
PUT_OFF_SECONDS = 10.0
"""Until an instance whose timers could not be fired, by a fault of ours, is looked at again."""

_ABOUT_EVENTS = (TimerKind.EVENT, TimerKind.EXPIRY)


class Timers:
    """Fires due timers; `turn` is called again and again by the sweeper."""

    def __init__(
        self,
        ledger: Ledger,
        store: EngineStore,
        registry: RegistryCopy,
        relay: Relay,
        rules: Rules,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._registry = registry
        self._relay = relay
        self._rules = rules
        self._put_off: dict[int, float] = {}
        """Keys of instances, and until when."""
        self._untold: list[str] = []
        """Events that were raised if a commit of unknown outcome was carried out."""

    async def turn(self) -> bool:
        """Fires what is due now; says whether there may be more."""
        if self._untold:
            untold, self._untold = self._untold, []
            try:
                await self._store.make_due(untold)
            except StoreUnavailable:
                self._untold += untold
                raise
        if not await self._store.timers_due():
            return False
        more = await asyncio.gather(
            *(self._fire_some() for _ in range(INSTANCES_AT_ONCE)), return_exceptions=True
        )
        for one in more:
            if isinstance(one, BaseException):
                raise one
        return any(more)

    async def _fire_some(self) -> bool:
        for _ in range(INSTANCES_IN_TURN):
            if not await self._fire_one():
                return False
        return True

    async def _fire_one(self) -> bool:
        """Fires the due timers of one instance that nobody else has locked; False: there is none."""
        key: int | None = None
        commit: InstanceCommit | None = None
        now = time.monotonic()
        self._put_off = {key: until for key, until in self._put_off.items() if until > now}
        try:
            async with self._store.locked(due_but=list(self._put_off)) as locked:
                key = locked.instance.key
                due, commit = await self._decide(locked)
                await locked.write(commit)
        except NothingDue:
            return False
        except RegistryMoved:
            # Decided anew, under the next lock.
            return True
        except StoreUnavailable:
            if commit is not None:
                self._untold += [event.event_id for event in commit.outbox_add]
            raise
        except Exception:
            if key is None:
                raise
            # One instance's fault must not keep the others' timers from firing.
            log.exception("timers_failed", instance_key=key)
            self._put_off[key] = now + PUT_OFF_SECONDS
            return True
        if not commit.is_empty:
            log.info(
                "timers_fired",
                workflow_id=commit.after.workflow_instance_id,
                timers=[timer.kind.name for timer in due],
            )
            self._ledger.moved(commit)
            self._relay.committed([commit])
        return True

    async def _decide(self, locked: Locked) -> tuple[list[Timer], InstanceCommit]:
        if locked.generation != self._registry.generation:
            await self._registry.refresh(at_least=locked.generation)
        standing = await locked.timers()
        due = [
            timer for timer in standing if timer.due_at is not None and timer.due_at <= locked.now
        ][:TIMERS_AT_ONCE]
        material = await _material(locked, due, standing)
        draft = Draft(
            locked.instance,
            facts=await _facts(locked, material),
            rules=self._rules,
            now=locked.now,
        )
        for timer in due:
            timers.fire(draft, timer, material)
        return due, draft.commit()


async def _material(
    locked: Locked, wanted: Sequence[Timer], standing: Sequence[Timer]
) -> timers.Material:
    cleans = any(timer.kind is TimerKind.CLEANUP for timer in wanted)
    delayed = [timer.ref for timer in standing if timer.kind is TimerKind.EVENT]
    ids = {timer.ref for timer in wanted if timer.kind in _ABOUT_EVENTS}
    events: dict[str, Event] = {}
    for event_id in ids | (set(delayed) if cleans else set()):
        event = await locked.event(event_id)
        assert event is not None, "a timer's event was written before it"
        events[event_id] = event
    return timers.Material(
        events=events,
        timed=frozenset(delayed),
        delayed=[events[event_id] for event_id in delayed] if cleans else (),
        open=await locked.open_deliveries() if cleans else (),
        others=[(timer.kind, timer.ref) for timer in standing] if cleans else (),
    )


async def _facts(locked: Locked, material: timers.Material) -> dict[str, EventFacts]:
    ids = {*material.events, *(event.event_id for _, event in material.open)}
    if not ids:
        return {}
    return {
        event_id: EventFacts(facts.in_outbox, facts.deliveries, timed=event_id in material.timed)
        for event_id, facts in (await locked.facts_of(list(ids))).items()
    }
