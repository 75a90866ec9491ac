"""Fires due timers: delayed events, deadlines, groups, and cleaning up after an end.

Delayed events, of which very many may be due at the same time, are fired in batches, without locks.
Everything else, and what changed meanwhile, is fired under the instance's lock. A timer that cannot be fired
now (Postgres is away, the registry changed) is claimed again a few seconds later, by this router or another
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from waystation_core.decisions import Decision, Decisions
from waystation_core.ports.store import EngineStore, Locked, RegistryMoved
from waystation_domain import timers
from waystation_domain.commit import EventFacts
from waystation_domain.draft import Draft
from waystation_domain.errors import StoreUnavailable, WorkflowNotFound
from waystation_domain.model import Event, Instance, Timer, TimerKind
from waystation_router.ledger import Ledger
from waystation_router.meters import RouterMeters

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.1
CLAIMED_AT_ONCE = 200
INSTANCES_AT_ONCE = 2
"""Each holds a connection."""

_ABOUT_EVENTS = (TimerKind.EVENT, TimerKind.EXPIRY)


@dataclass(frozen=True, slots=True)
class _Delayed:
    """An instance all of whose due timers are for delayed events."""

    instance: Instance
    facts: Mapping[str, EventFacts]
    now: datetime
    due: Sequence[Timer]
    """Those that are unchanged since the claim."""
    material: timers.FiringFacts


class Timers:
    """Fires due timers; `turn` is called again and again by the sweeper."""

    def __init__(
        self, ledger: Ledger, store: EngineStore, decisions: Decisions, meters: RouterMeters
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._decisions = decisions
        self._meters = meters
        self._places = asyncio.Semaphore(INSTANCES_AT_ONCE)

    async def turn(self) -> bool:
        """Fires what is due now; returns whether there may be more."""
        claimed = await self._store.claim_timers(CLAIMED_AT_ONCE)
        if not claimed:
            return False
        self._meters.timers_taken(claimed)
        delayed = {
            key: due
            for key, due in claimed.items()
            if all(timer.kind is TimerKind.EVENT for timer in due)
        }
        fired: frozenset[int] = frozenset()
        if delayed:
            try:
                fired = await self._fire_at_once(delayed)
            except StoreUnavailable:
                raise
            except Exception:
                # A fault in one instance must not prevent the timers of others.
                log.exception("timers_fired_one_by_one", instances=len(delayed))
        await asyncio.gather(
            *(self._of_instance(key, due) for key, due in claimed.items() if key not in fired)
        )
        return sum(map(len, claimed.values())) == CLAIMED_AT_ONCE

    async def _fire_at_once(self, due: Mapping[int, Sequence[Timer]]) -> frozenset[int]:
        """Announces delayed events of many instances; returns the keys of the finished ones."""

        def fire(one: _Delayed, draft: Draft) -> int:
            for timer in one.due:
                timers.fire(draft, timer, one.material)
            return len(one.due)

        found = await self._delayed(due)
        unmoved = await self._decisions.where_unmoved(found, fire)
        for commit in unmoved.written:
            self._ledger.moved(commit)
        if unmoved.written:
            log.info(
                "timers_fired", timers=sum(len(due[one.before.key]) for one in unmoved.written)
            )
        return frozenset(one.instance.key for one in found) - set(unmoved.remaining)

    async def _delayed(self, due: Mapping[int, Sequence[Timer]]) -> list[_Delayed]:
        loaded = await self._store.load([timer.ref for timers in due.values() for timer in timers])
        # Read after the instances: a timer that is set now, in an instance that has not changed since, was
        # set all the time.
        current = await self._store.timers_of_instances(list(due))
        found = []
        for key, claimed in due.items():
            if key not in loaded.instances:
                continue
            current_timers = set(current.get(key, ()))
            to_fire = [timer for timer in claimed if timer in current_timers]
            timed = frozenset(
                timer.ref for timer in current_timers if timer.kind is TimerKind.EVENT
            )
            facts = {
                timer.ref: replace(loaded.facts[timer.ref], timed=timer.ref in timed)
                for timer in to_fire
            }
            events = {timer.ref: loaded.events[timer.ref][0] for timer in to_fire}
            material = timers.FiringFacts(events=events, timed=timed)
            assert loaded.now is not None, "something was found"
            found.append(_Delayed(loaded.instances[key], facts, loaded.now, to_fire, material))
        return found

    async def _of_instance(self, key: int, due: Sequence[Timer]) -> None:
        async def fire(decision: Decision) -> None:
            locked = decision.locked
            current = await locked.timers()
            # A timer that was set again since the claim has another time.
            as_claimed = set(current)
            to_fire = [timer for timer in due if timer in as_claimed]
            material = await _material(locked, to_fire, current)
            draft = decision.draft(await _facts(locked, material))
            for timer in to_fire:
                timers.fire(draft, timer, material)

        try:
            async with self._places:
                decided = await self._decisions.under_lock(fire, key=key)
        except (StoreUnavailable, RegistryMoved) as error:
            log.warning("timers_postponed", instance_key=key, error=type(error).__name__)
        except WorkflowNotFound:
            log.error("timers_without_workflow", instance_key=key)
        except Exception:
            # A fault in one instance must not prevent the timers of others.
            log.exception("timers_failed", instance_key=key)
        else:
            commit = decided.commit
            if commit is not None and not commit.is_empty:
                log.info(
                    "timers_fired",
                    workflow_instance_id=commit.after.workflow_instance_id,
                    timers=[timer.kind.name for timer in due],
                )
                self._ledger.moved(commit)


async def _material(
    locked: Locked, to_fire: Sequence[Timer], current: Sequence[Timer]
) -> timers.FiringFacts:
    cleans = any(timer.kind is TimerKind.CLEANUP for timer in to_fire)
    delayed = [timer.ref for timer in current if timer.kind is TimerKind.EVENT]
    ids = {timer.ref for timer in to_fire if timer.kind in _ABOUT_EVENTS}
    events: dict[str, Event] = {}
    for event_id in ids | (set(delayed) if cleans else set()):
        event = await locked.event(event_id)
        assert event is not None, "a timer's event was written before it"
        events[event_id] = event
    return timers.FiringFacts(
        events=events,
        timed=frozenset(delayed),
        delayed=[events[event_id] for event_id in delayed] if cleans else (),
        open=await locked.open_deliveries() if cleans else (),
        others=[(timer.kind, timer.ref) for timer in current] if cleans else (),
    )


async def _facts(locked: Locked, material: timers.FiringFacts) -> dict[str, EventFacts]:
    ids = {*material.events, *(event.event_id for _, event in material.open)}
    if not ids:
        return {}
    return {
        event_id: EventFacts(facts.in_outbox, facts.deliveries, timed=event_id in material.timed)
        for event_id, facts in (await locked.facts_of(list(ids))).items()
    }
