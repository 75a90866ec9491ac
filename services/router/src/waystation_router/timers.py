"""Fires what is due: delayed events, deadlines, groups, and cleaning up after an end.

Delayed events, of which a great many may be due at the same time, are fired in batches by the first form
of the commit rule: an instance that did not move since it was read is as it was. All else, and what moved,
is fired under the instance's lock, by one commit. What is raised is announced like everything else. A timer that can't be fired now (Postgres goes away, the registry moves) is claimed
again a few seconds later, by this router or another one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from waystation_core.ports.store import Committed, EngineStore, Locked, RegistryMoved
from waystation_core.relay.announcing import Relay
from waystation_domain import timers
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.draft import Draft, Rules
from waystation_domain.errors import StoreUnavailable, WorkflowNotFound
from waystation_domain.model import Event, Timer, TimerKind
from waystation_router.ledger import Ledger
from waystation_router.registry import RegistryCopy

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.1
CLAIMED_AT_ONCE = 200
INSTANCES_AT_ONCE = 2
"""Each holds a connection."""

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
        self._places = asyncio.Semaphore(INSTANCES_AT_ONCE)

    async def turn(self) -> bool:
        """Fires what is due now; says whether there may be more."""
        claimed = await self._store.claim_timers(CLAIMED_AT_ONCE)
        if not claimed:
            return False
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
                # One instance's fault must not keep the others' timers from firing.
                log.exception("timers_fired_one_by_one", instances=len(delayed))
        await asyncio.gather(
            *(self._of_instance(key, due) for key, due in claimed.items() if key not in fired)
        )
        return sum(map(len, claimed.values())) == CLAIMED_AT_ONCE

    async def _fire_at_once(self, due: Mapping[int, Sequence[Timer]]) -> frozenset[int]:
        """Announces delayed events of many instances; the keys of those that are done."""
        loaded = await self._store.load([timer.ref for timers in due.values() for timer in timers])
        # Read after the instances: what stands now and moved with none of them stood all the time.
        standing = await self._store.standing_timers(list(due))
        commits = []
        for key, claimed in due.items():
            if key not in loaded.instances:
                continue
            stands = set(standing.get(key, ()))
            wanted = [timer for timer in claimed if timer in stands]
            timed = {timer.ref for timer in stands if timer.kind is TimerKind.EVENT}
            draft = Draft(
                loaded.instances[key],
                facts={
                    timer.ref: replace(loaded.facts[timer.ref], timed=timer.ref in timed)
                    for timer in wanted
                },
                rules=self._rules,
                now=datetime.now(UTC),
            )
            events = {timer.ref: loaded.events[timer.ref][0] for timer in wanted}
            for timer in wanted:
                timers.fire(draft, timer, timers.Material(events=events, timed=frozenset(timed)))
            commits.append(draft.commit())
        # Of those that another one fired meanwhile nothing is left to do.
        done = {commit.before.key for commit in commits if commit.is_empty}
        commits = [commit for commit in commits if not commit.is_empty]
        if commits:
            written = await self._commit(commits)
            fired = [commit for commit in commits if commit.before.key in written.keys]
            log.info("timers_fired", timers=sum(len(due[one.before.key]) for one in fired))
            for commit in fired:
                self._ledger.moved(commit)
            self._relay.committed(fired)
            done |= written.keys
        return frozenset(done)

    async def _commit(self, commits: Sequence[InstanceCommit]) -> Committed:
        try:
            return await self._store.commit(commits, generation=self._registry.generation)
        except StoreUnavailable:
            await self._perhaps_raised(commits)
            raise

    async def _perhaps_raised(self, commits: Sequence[InstanceCommit]) -> None:
        """What was written though its answer was lost: nobody else would announce it soon."""
        raised = [event.event_id for commit in commits for event in commit.outbox_add]
        if raised:
            with contextlib.suppress(StoreUnavailable):
                await self._store.make_due(raised)

    async def _of_instance(self, key: int, due: Sequence[Timer]) -> None:
        try:
            async with self._places:
                commit = await self._fire(key, due)
        except (StoreUnavailable, RegistryMoved) as error:
            log.warning("timers_postponed", instance_key=key, error=type(error).__name__)
        except WorkflowNotFound:
            log.error("timers_without_workflow", instance_key=key)
        except Exception:
            # One instance's fault must not keep the others' timers from firing.
            log.exception("timers_failed", instance_key=key)
        else:
            if not commit.is_empty:
                log.info(
                    "timers_fired",
                    workflow_id=commit.after.workflow_instance_id,
                    timers=[timer.kind.name for timer in due],
                )
                self._ledger.moved(commit)
                self._relay.committed([commit])

    async def _fire(self, key: int, due: Sequence[Timer]) -> InstanceCommit:
        decided: list[InstanceCommit] = []
        try:
            return await self._fire_locked(key, due, decided)
        except StoreUnavailable:
            await self._perhaps_raised(decided)
            raise

    async def _fire_locked(
        self, key: int, due: Sequence[Timer], decided: list[InstanceCommit]
    ) -> InstanceCommit:
        """Adds to `decided` what it is about to write."""
        async with self._store.locked(key=key) as locked:
            if locked.generation != self._registry.generation:
                await self._registry.refresh(at_least=locked.generation)
            standing = await locked.timers()
            # One that was set anew since it was claimed has a time of its own.
            as_claimed = set(standing)
            wanted = [timer for timer in due if timer in as_claimed]
            material = await _material(locked, wanted, standing)
            draft = Draft(
                locked.instance,
                facts=await _facts(locked, material),
                rules=self._rules,
                now=locked.now,
            )
            for timer in wanted:
                timers.fire(draft, timer, material)
            commit = draft.commit()
            decided.append(commit)
            await locked.write(commit)
        return commit


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
