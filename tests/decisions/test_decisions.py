"""What the one way to change an instance promises, whatever comes between decision and write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from decisions.memory import NOW, MemoryBroker, MemoryStore
from router import given
from support.scripted_store import Script, broken, reply_lost, unavailable

from waystation_core.decisions import TRIES, Decided, Decision, Decisions, Request
from waystation_core.ports.store import (
    AuditedCall,
    AuditEntry,
    RegistryMoved,
    Tally,
    WriteRefused,
)
from waystation_core.providers import PROVIDERS
from waystation_core.registries import Registries
from waystation_core.relay.relay import Relay
from waystation_domain import actions
from waystation_domain.commit import EventFacts
from waystation_domain.draft import Draft
from waystation_domain.errors import RequestIdReused, StoreUnavailable, TooManyEvents
from waystation_domain.model import Instance, JsonObject, NewEvent, Status

INSTANCE = replace(given.INSTANCE, key=1, unsettled=1, event_count=1)
REQUEST = Request("PublishEvent", "r-1", b"a body")
LIMIT = 10
FULL = replace(INSTANCE, event_count=LIMIT)


@dataclass
class Process:
    """What one process has to decide with; the registry was read."""

    store: MemoryStore
    script: Script = field(default_factory=Script)
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    tries: int = 0

    def __post_init__(self) -> None:
        store: Any = self.script.wrap(self.store)
        self.relay = Relay(store, cast(Any, self.broker))
        self.registries = Registries(store, look_every=1.0)
        self.registry = self.registries.of("default")
        self.decisions = Decisions(store, self.relay, self.registries, PROVIDERS, max_events=LIMIT)

    async def publish(
        self,
        *,
        meanwhile: Callable[[], None] = lambda: None,
        request: Request | None = None,
        by: AuditedCall | None = None,
    ) -> Decided[JsonObject]:
        """Raises an event. `meanwhile` happens when that is decided, and not written."""

        def raise_one(decision: Decision) -> JsonObject:
            return {"event_id": actions.publish(decision.draft(), NewEvent("noted", {})).event_id}

        return await self._carry_out(raise_one, meanwhile, request, by)

    async def cancel(
        self, *, meanwhile: Callable[[], None] = lambda: None, by: AuditedCall | None = None
    ) -> Decided[JsonObject]:
        """Ends it. That raises an event that no task handles."""

        def end(decision: Decision) -> JsonObject:
            actions.cancel(decision.draft(), "")
            return {}

        return await self._carry_out(end, meanwhile, None, by)

    async def _carry_out(
        self,
        act: Callable[[Decision], JsonObject],
        meanwhile: Callable[[], None],
        request: Request | None,
        by: AuditedCall | None,
    ) -> Decided[JsonObject]:
        async def decide(decision: Decision) -> JsonObject:
            self.tries += 1
            answer = act(decision)
            meanwhile()
            return answer

        return await self.decisions.under_lock(decide, key=1, request=request, by=by)

    async def told(self) -> list[str]:
        """The events that were announced to the broker."""
        await self.relay.close()
        return self.broker.announced

    def registers(self) -> None:
        """Some task comes."""
        self.store.generation += 1


@pytest.fixture
async def process() -> Process:
    process = Process(MemoryStore(INSTANCE))
    await process.registry.refresh()
    return process


# --- the registry ----------------------------------------------------------------------------


async def test_what_no_task_handles_is_settled_in_place(process: Process) -> None:
    decided = await process.cancel()
    assert decided.commit is not None
    assert decided.commit.fixes_tasks
    assert await process.told() == []


async def test_tasks_are_not_resolved_by_a_copy_that_is_not_the_registry_s(
    process: Process,
) -> None:
    process.registers()
    decided = await process.cancel()
    assert decided.commit is not None
    assert not decided.commit.fixes_tasks
    (ended,) = decided.commit.raised
    assert await process.told() == [ended.event_id], "a router resolves it"
    assert process.tries == 1


async def test_a_decision_that_depends_on_a_changed_registry_is_made_again(
    process: Process,
) -> None:
    moves = [process.registers]
    decided = await process.cancel(meanwhile=lambda: moves.pop()() if moves else None)
    assert process.tries == 2
    assert process.registry.generation == process.store.generation == 2
    assert process.store.written == [decided.commit]


async def test_a_registry_that_keeps_changing_is_given_up(process: Process) -> None:
    with pytest.raises(RegistryMoved):
        await process.cancel(meanwhile=process.registers)
    assert process.tries == TRIES
    assert process.store.written == []


async def test_a_decision_that_does_not_depend_on_the_registry_is_written(process: Process) -> None:
    await process.publish(meanwhile=process.registers)
    assert process.tries == 1
    assert len(await process.told()) == 1


# --- requests --------------------------------------------------------------------------------


async def test_a_repeated_request_has_one_effect_and_one_answer(process: Process) -> None:
    first = await process.publish(request=REQUEST)
    again = await process.publish(request=REQUEST)
    assert again == Decided(first.answer, process.store.instances[1], None)
    assert len(process.store.written) == 1
    with pytest.raises(RequestIdReused):
        await process.publish(request=replace(REQUEST, digest=b"another"))


async def test_a_twin_that_came_first_gives_the_answer(process: Process) -> None:
    place, twin = (REQUEST.rpc, REQUEST.request_id), {"event_id": "the twin's"}

    def comes() -> None:
        process.store.requests[place] = (REQUEST.digest, twin)

    decided = await process.publish(meanwhile=comes, request=REQUEST)
    assert decided.answer == twin
    assert process.store.written == []
    assert await process.told() == []


# --- what the store says ---------------------------------------------------------------------


async def test_what_the_store_refuses_is_refused_at_once(process: Process) -> None:
    process.script.on("locked.write", broken(WriteRefused("a value that no column takes")))
    with pytest.raises(WriteRefused):
        await process.publish()
    assert process.tries == 1
    assert process.store.instances == {1: INSTANCE}
    assert (await process.told(), process.store.due) == ([], [])


async def test_what_was_written_though_the_answer_was_lost_is_made_due(process: Process) -> None:
    process.script.on("locked.exit", reply_lost())
    with pytest.raises(StoreUnavailable):
        await process.publish()
    assert await process.told() == [], "it may not be there"
    (written,) = process.store.written
    assert process.store.due == [event.event_id for event in written.raised]


async def test_it_is_made_due_after_the_next_commit_where_it_could_not_be_at_once(
    process: Process,
) -> None:
    process.script.next("locked.exit", reply_lost())
    process.script.next("make_due", unavailable())
    with pytest.raises(StoreUnavailable):
        await process.publish()
    await process.told()
    assert process.store.due == []
    await process.publish()
    await process.told()
    assert process.store.due == [event.event_id for event in process.store.written[0].raised]


async def test_what_was_not_written_is_not_made_due(process: Process) -> None:
    process.script.on("locked.write", unavailable())
    with pytest.raises(StoreUnavailable):
        await process.publish()
    await process.told()
    assert process.store.due == []


async def test_the_limit_of_events_holds_for_every_decision() -> None:
    process = Process(MemoryStore(FULL))
    with pytest.raises(TooManyEvents):
        await process.publish()
    await process.registry.refresh()
    with pytest.raises(TooManyEvents):
        await process.publish()
    unmoved = await process.decisions.where_unmoved([Seen(FULL)], publish_one)
    assert (unmoved.written, unmoved.remaining) == ((), [1])
    assert process.store.written == []


async def test_an_instance_that_is_only_read_is_neither_written_nor_announced(
    process: Process,
) -> None:
    async def look(decision: Decision) -> Status:
        return decision.locked.instance.status

    decided = await process.decisions.under_lock(look, key=1)
    assert decided == Decided(INSTANCE.status, INSTANCE, None)
    assert process.script.calls["locked.write"] == 0


# --- without locks ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What was read of an instance."""

    instance: Instance
    facts: dict[str, EventFacts] = field(default_factory=dict)
    now: Any = NOW


def publish_one(one: Seen, draft: Draft) -> int:
    actions.publish(draft, NewEvent("noted", {}))
    return 1


THREE = [replace(INSTANCE, key=key, workflow_instance_id=f"w-{key}") for key in (1, 2, 3)]


@pytest.fixture
async def several() -> Process:
    process = Process(MemoryStore(*THREE))
    await process.registry.refresh()
    return process


async def test_an_instance_that_moved_since_it_was_read_is_left(several: Process) -> None:
    several.store.instances[2] = replace(THREE[1], revision=99)
    unmoved = await several.decisions.where_unmoved([Seen(one) for one in THREE], publish_one)
    assert [commit.before.key for commit in unmoved.written] == [1, 3]
    assert unmoved.remaining == [2]
    assert len(await several.told()) == 2


async def test_the_fault_of_one_leaves_that_one(several: Process) -> None:
    def fails_for_two(one: Seen, draft: Draft) -> int:
        if one.instance.key == 2:
            raise RuntimeError("a fault of ours")
        return publish_one(one, draft)

    tally = Tally("RetryDeadLetters", "r-1", {})
    unmoved = await several.decisions.where_unmoved(
        [Seen(one) for one in THREE], fails_for_two, tally=tally
    )
    assert [commit.before.key for commit in unmoved.written] == [1, 3]
    assert unmoved.remaining == [2]
    assert several.store.tally == replace(tally, of={1: 1, 3: 1})


async def test_where_the_registry_moved_only_what_rests_on_it_is_left(several: Process) -> None:
    def end_two(one: Seen, draft: Draft) -> int:
        several.store.generation = 2
        if one.instance.key != 2:
            return publish_one(one, draft)
        actions.cancel(draft, "")
        return 1

    unmoved = await several.decisions.where_unmoved([Seen(one) for one in THREE], end_two)
    assert unmoved.remaining == [2]


async def test_what_changes_nothing_is_done_and_not_written(several: Process) -> None:
    unmoved = await several.decisions.where_unmoved(
        [Seen(one) for one in THREE], lambda one, draft: 0
    )
    assert (unmoved.written, unmoved.remaining) == ((), [])
    assert several.script.calls["commit"] == 0


async def test_a_batch_whose_answer_was_lost_is_made_due(several: Process) -> None:
    several.script.on("commit", reply_lost())
    with pytest.raises(StoreUnavailable):
        await several.decisions.where_unmoved([Seen(one) for one in THREE], publish_one)
    assert await several.told() == []
    assert several.store.due == [
        event.event_id for commit in several.store.written for event in commit.raised
    ]
    assert len(several.store.due) == 3


# --- audited calls ------------------------------------------------------------------------------


def call() -> AuditedCall:
    return AuditedCall(AuditEntry("token:ada", "PublishEvent"))


async def test_the_entry_of_a_call_is_stored_once_however_often_it_is_decided(
    process: Process,
) -> None:
    by = call()
    await process.publish(by=by)
    await process.publish(by=by)
    assert process.store.audit == [by.entry]
    # The registry moves, and everything is decided again.
    process.tries, moves, other = 0, iter([process.registers]), call()
    await process.cancel(meanwhile=lambda: next(moves, lambda: None)(), by=other)
    assert process.tries == 2
    assert process.store.audit == [by.entry, other.entry]


async def test_a_call_that_changes_nothing_has_no_entry(process: Process) -> None:
    await process.cancel()
    by = call()
    await process.cancel(by=by)
    assert process.store.audit == []
    assert not by.stored


async def test_a_call_that_fails_has_no_entry_yet(process: Process) -> None:
    process.script.on("locked.exit", unavailable(), calls=1)
    by = call()
    with pytest.raises(StoreUnavailable):
        await process.publish(by=by)
    assert process.store.audit == []
    assert not by.stored
