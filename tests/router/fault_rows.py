"""The rows of the table of faults: what makes each part of a router call each method of the store, and what
must be true then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from router.faulted import ALL, CARRIED_OUT, NONE, OUTAGES, World
from router.whole import task
from store.instances import a_start
from support.scripted_store import Fault, broken, reply_lost
from support.waiting import eventually

from waystation_core.ids import new_id
from waystation_core.ports.broker import Announcement, AnnounceOutcome
from waystation_core.ports.store import WriteRefused
from waystation_domain import actions
from waystation_domain.model import Delivery, DeliveryState, NewEvent
from waystation_domain.outcomes import Reply
from waystation_domain.task_spec import TaskSpec
from waystation_router.endpoints import Cancelled

FIRST, SECOND = task("first"), task("second", "went.on")
REFUSED = broken(WriteRefused("a value that no column takes"))
OTHERS = frozenset({"other", "other, after"})

Arrange = Callable[[World], Awaitable[None]]


async def nothing(world: World) -> None:
    """The router's own start is enough."""


@dataclass(frozen=True)
class Row:
    part: str
    method: str
    before: Arrange = nothing
    """What is there when the router starts."""
    after: Arrange = nothing
    """What happens then."""
    late: frozenset[str] = NONE
    """The faults after which time must pass."""
    tasks: tuple[TaskSpec, ...] = (FIRST,)
    also: dict[str, Fault] = field(default_factory=dict)
    """What else befalls this part, or `others`, so that it comes to call the method."""
    others: tuple[str, ...] = ()
    """Parts that have the scripted store, too."""
    then: Arrange = nothing
    """What else must be true once the fault has been."""
    call: int = 1
    """Which call of the method runs into the fault."""
    when: Callable[[dict[str, Any]], bool] = lambda named: True
    counts: bool = True
    """Whether each event has a result of each task in the end."""
    answers: bool = True
    """Whether the first router's calls are answered."""
    stops: bool = False
    """Whether the router is told to stop, which is when it calls the method."""
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""


# --- what makes a part call a method -------------------------------------------------------


async def announced(world: World) -> None:
    await world.whole.begin(3)


async def untold(world: World) -> None:
    """Events that were never announced."""
    await world.engine.store.start([a_start() for _ in range(3)])


async def due(world: World) -> None:
    await untold(world)
    await world.time_passes()


async def starving(world: World) -> None:
    await untold(world)
    await world.engine.rows("UPDATE outbox SET created_at = now() - interval '2 h'")


async def lost(world: World) -> None:
    world.whole.router._sweeper.messages_lost("a test says so")


async def pool_is_over(world: World) -> None:
    """Its events were announced to it, and its queue is gone."""
    await untold(world)
    await world.engine.rows(
        "INSERT INTO pools (pool, bindings, seen_at, expires_seconds, lapses_at) "
        """VALUES ('agents', '["workflow.started"]', now(), 1, now())"""
    )


def rows(state: DeliveryState, *, suspect: bool = False, by: str = "", number: int = 3) -> Arrange:
    """Deliveries off the fast way. `by`: leased to this router, or to a dead one."""

    async def arrange(world: World) -> None:
        leased_by = {"": None, "us": world.whole.router.router_id, "a dead one": new_id()}[by]
        for _ in range(number):
            instance, event = await world.engine.started()
            row = Delivery(event.event_id, "first", state, suspect=suspect, leased_by=leased_by)
            await world.engine.touch_rows(instance.key, event, row)

    return arrange


ready, one_ready = rows(DeliveryState.READY), rows(DeliveryState.READY, number=1)


async def delayed(world: World) -> None:
    """Events that are due now."""
    for _ in range(3):
        _, event = await world.engine.started()
        later = NewEvent("went.on", {}, delay=60.0)
        await world.engine.handle(event, FIRST, Reply((later,), reads=()))
    await world.time_passes()


async def cancelled(world: World) -> None:
    """An ended instance with something left to settle."""
    instance, event = await world.engine.started()
    parked = Delivery(event.event_id, "first", DeliveryState.NO_ENDPOINT)
    await world.engine.touch_rows(instance.key, event, parked)
    async with world.engine.drafting(instance.key) as (_, draft):
        actions.cancel(draft, "")


async def lease_is_lost(world: World) -> None:
    """What is in call got its outcome elsewhere."""
    await world.until(lambda: world.script.calls["compared"] > 0, "the call to be in hand")
    await world.engine.rows("DELETE FROM deliveries")


async def given_up(world: World) -> None:
    """By the router that made the call, if it lives."""
    if len(world.routers) > 1:
        return
    for made in world.routers[0].endpoints.calls:
        async with asyncio.timeout(20):
            assert isinstance(await made.outcome, Cancelled)


async def in_call(world: World) -> None:
    await world.whole.endpoints.made(1)


async def one_announced(world: World) -> None:
    await world.whole.begin()


async def second_in_call(world: World) -> None:
    """For the event that the router's own commit of the first call raised."""
    (first,) = await world.whole.endpoints.made(1)
    world.on_call(first)
    await world.whole.endpoints.made(2)


async def told(world: World) -> None:
    """That the call is in hand; then it is answered. The next router's are at once."""
    if len(world.routers) > 1:
        return
    await world.until(lambda: world.script.calls["compared"] > 1, "it to be told")
    world.answers = True
    for made in world.routers[0].endpoints.calls:
        made.answer()


async def not_taken(world: World) -> None:
    """The broker returns what the router announces first."""
    await announced(world)
    announce = world.whole.broker.announce
    returned = [AnnounceOutcome.RETURNED]

    async def once(batch: list[Announcement]) -> list[AnnounceOutcome]:
        return [returned.pop()] if returned else await announce(batch)

    world.monkeypatch.setattr(world.whole.broker, "announce", once)


async def pool_is_forgotten(world: World) -> None:
    await world.engine.rows("DELETE FROM pools")


async def pool_is_there(world: World) -> None:
    async def there() -> bool:
        return bool(await world.engine.rows("SELECT 1 FROM pools WHERE pool = 'agents'"))

    await eventually(there, what="the pool to be joined again")
    await announced(world)


async def registered_late(world: World) -> None:
    await world.whole.register(FIRST)


async def known(world: World) -> None:
    copy = world.whole.router._registries.of("default")
    await world.until(lambda: copy.resolve("workflow.started", "claim") != (), "the new task")
    await announced(world)


async def writes_again(world: World) -> None:
    """As far as the router that lives can see, after one more probe."""
    contact = world.whole.router._contact
    if len(world.routers) == 1:
        await world.until(lambda: world.script.calls["probe"] > 1, "the next probe")
    await world.until(lambda: contact.answers and contact.writes, "the database to be seen")


# --- the table -----------------------------------------------------------------------------

BOTH = (FIRST, SECOND)
UNDER_LOCK = {"commit": REFUSED}
FIRED_UNDER_LOCK = {"commit": broken(RuntimeError("so each under its lock"))}
ALL_ANNOUNCED = {"router_continues_locally": False}
POOL = {"router_pool": "agents", "router_bindings": ("workflow.started",)}

TABLE = (
    Row("intake", "load", announced, late=OTHERS),
    # --- results
    Row("committer", "commit", announced, tasks=BOTH, late=OTHERS),
    *(
        Row(
            "decisions",
            name,
            announced,
            tasks=BOTH,
            also=UNDER_LOCK,
            others=("committer",),
            note="results",
        )
        for name in ("locked", "locked.write", "locked.exit")
    ),
    Row(
        "calls",
        "newest_history",
        announced,
        tasks=(task("first", history_entries=5),),
        late=OUTAGES,
    ),
    # --- events that nobody has
    Row("sweeper", "claim_due_events", due, late=CARRIED_OUT),
    Row("sweeper", "claim_starving_events", starving, late=CARRIED_OUT),
    Row("sweeper", "note_lost", untold, lost),
    Row("sweeper", "make_lost_due", untold, lost),
    Row("sweeper", "end_lapsed_pools", pool_is_over),
    Row("relay", "make_due", not_taken, tasks=BOTH, late=ALL - CARRIED_OUT, settings=ALL_ANNOUNCED),
    *(
        Row(
            "relay",
            "make_due",
            begins,
            tasks=BOTH,
            also={"commit": reply_lost()},
            others=(part,),
            # Where it hangs, later commits' events wait behind it: on a slow machine for longer than the leases
            # that a dead router's events are looked for by, and what starves is not looked for here.
            late=ALL - CARRIED_OUT | {"hangs until killed"},
            note=f"after a commit of the {part} whose reply is lost",
        )
        for part, begins in (("committer", announced), ("decisions", delayed))
    ),
    # --- deliveries off the fast way
    Row("sweeper", "wake_parked", rows(DeliveryState.NO_ENDPOINT)),
    Row("sweeper", "break_leases", rows(DeliveryState.LEASED, by="a dead one")),
    Row("claims", "claim_deliveries", ready, when=lambda named: not named["suspects"]),
    Row(
        "claims",
        "claim_deliveries",
        rows(DeliveryState.READY, suspect=True),
        when=lambda named: bool(named["suspects"]),
        note="suspects",
    ),
    Row("claims", "claim_overdue", rows(DeliveryState.PENDING)),
    Row("claims", "load", ready),
    Row("claims", "give_back", one_ready, also={"load": broken(RuntimeError("ours"))}, late=ALL),
    Row("reconciler", "leased", rows(DeliveryState.LEASED, by="us")),
    Row("reconciler", "give_back", rows(DeliveryState.LEASED, by="us")),
    Row("reconciler", "compared", one_ready, answers=False, then=told),
    Row("reconciler", "load", one_ready, lease_is_lost, answers=False, counts=False, then=given_up),
    # --- timers: claimed for some seconds
    Row("timers", "claim_timers", delayed, tasks=BOTH, late=CARRIED_OUT),
    Row("timers", "load", delayed, tasks=BOTH, late=ALL - OTHERS),
    Row("timers", "timers_of_instances", delayed, tasks=BOTH, late=ALL - OTHERS),
    Row("decisions", "commit", delayed, tasks=BOTH, late=ALL - {"other"}, note="timers"),
    *(
        Row(
            part,
            name,
            delayed,
            tasks=BOTH,
            also=FIRED_UNDER_LOCK,
            others=("decisions",),
            late=late,
            note=note,
        )
        for part, name, late, note in (
            ("decisions", "locked", ALL, "timers"),
            ("timers", "locked.timers", ALL, ""),
            ("timers", "locked.event", ALL, ""),
            ("timers", "locked.facts_of", ALL, ""),
            ("decisions", "locked.write", ALL, "timers"),
            ("decisions", "locked.exit", ALL - {"reply lost", "other, after"}, "timers"),
        )
    ),
    Row(
        "timers", "locked.open_deliveries", cancelled, others=("decisions",), counts=False, late=ALL
    ),
    # --- the router itself
    Row("sweeper", "forget_requests", announced),
    Row("lease", "heartbeat", ready),
    Row(
        "lease",
        "join_pool",
        after=pool_is_forgotten,
        then=pool_is_there,
        call=2,
        settings=POOL,
    ),
    Row("registries", "namespaces", after=registered_late, then=known, call=2, tasks=()),
    Row("registry_copy", "changes", after=registered_late, then=known, call=2, tasks=()),
    Row("registry_copy", "snapshot", after=registered_late, then=known, call=2, tasks=()),
    Row("app", "probe", announced, then=writes_again),
    Row("app", "make_due", one_announced, second_in_call, tasks=BOTH, answers=False, stops=True),
    Row("app", "leave", one_ready, in_call, answers=False, stops=True),
)
