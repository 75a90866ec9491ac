"""Every method of the store that a part of the router calls, crossed with every fault of the store: what was
to be done is done, once, by the same router, or by the next one where it was killed.

A row says what makes the part call the method. `ALL` and the like say after which faults the work waits
for a time that the database keeps (a claim that lapses, an announcement that is repeated): there the test
has the time pass. Everywhere else the router's next look brings it about.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from router.faulted import ALL, CARRIED_OUT, FAULTS, NONE, OUTAGES, PARTS, World
from router.whole import Made, task
from store.instances import TABLES, Engine, a_start
from structlog.testing import capture_logs
from support.databases import migrated
from support.scripted_store import Fault, broken, reply_lost
from support.waiting import eventually

import waystation_core.relay
import waystation_router
from localservers.postgres import PostgresServer
from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.domain import actions
from waystation_core.domain.ids import new_id
from waystation_core.domain.model import Delivery, DeliveryState, NewEvent
from waystation_core.domain.results import Reply
from waystation_core.domain.task_spec import TaskSpec
from waystation_core.ports.broker import Announcement, AnnounceOutcome
from waystation_core.ports.store import EngineStore, Locked, RegistryStore, WriteRefused
from waystation_core.running import owned
from waystation_core.store.pool import open_pool
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
    """What else befalls this part, so that it comes to call the method."""
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
    """Events that nobody was told of."""
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
    returned = iter([AnnounceOutcome.RETURNED])

    async def once(batch: list[Announcement]) -> list[AnnounceOutcome]:
        return [next(returned)] if returned.__length_hint__() else await announce(batch)

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
    copy = world.whole.router._registry
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
POOL = {"router_pool": "agents", "router_bindings": ("workflow.started",)}

TABLE = (
    Row("intake", "load", announced, late=OTHERS),
    # --- results
    Row("committer", "commit", announced, tasks=BOTH, late=OTHERS),
    Row(
        "committer",
        "make_due",
        announced,
        tasks=BOTH,
        also={"commit": reply_lost()},
        late=ALL - CARRIED_OUT,
        note="after a commit of unknown outcome",
    ),
    *(
        Row(
            "locked_commits",
            name,
            announced,
            tasks=BOTH,
            also=UNDER_LOCK,
            late=frozenset({"other, after"}) if name == "locked.exit" else NONE,
        )
        for name in ("locked", "locked.write", "locked.exit")
    ),
    Row("calls", "load", announced, tasks=(task("first", with_history=True),), late=OUTAGES),
    # --- events that nobody has
    Row("sweeper", "claim_due_events", due, late=CARRIED_OUT),
    Row("sweeper", "claim_starving_events", starving, late=CARRIED_OUT),
    Row("sweeper", "note_lost", untold, lost),
    Row("sweeper", "make_lost_due", untold, lost),
    Row("sweeper", "end_lapsed_pools", pool_is_over),
    Row("announcing", "make_due", not_taken, tasks=BOTH, late=ALL - CARRIED_OUT),
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
    Row("timers", "standing_timers", delayed, tasks=BOTH, late=ALL - OTHERS),
    Row("timers", "commit", delayed, tasks=BOTH, late=ALL - {"other"}),
    Row("timers", "make_due", delayed, tasks=BOTH, also={"commit": reply_lost()}, late=ALL),
    *(
        Row(
            "timers",
            name,
            delayed,
            tasks=BOTH,
            also=FIRED_UNDER_LOCK,
            late=ALL - {"reply lost"} if name == "locked.exit" else ALL,
        )
        for name in (
            "locked",
            "locked.timers",
            "locked.event",
            "locked.facts_of",
            "locked.write",
            "locked.exit",
        )
    ),
    Row("timers", "locked.open_deliveries", cancelled, counts=False, late=ALL),
    # --- the router itself
    Row("lease", "heartbeat", ready),
    Row(
        "lease",
        "join_pool",
        after=pool_is_forgotten,
        then=pool_is_there,
        call=2,
        settings=POOL,
    ),
    Row("registry", "changes", after=registered_late, then=known, call=2, tasks=()),
    Row("registry", "snapshot", after=registered_late, then=known, call=2, tasks=()),
    Row("app", "probe", announced, then=writes_again),
    Row("app", "leave", one_ready, in_call, answers=False, stops=True),
)


EMPTIED = (*TABLES, "routers", "pools", "tasks", "handlers", "lost_announcements")


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """One database for all rows: to make one takes longer than a row."""
    dsn = postgres.fresh_database(migrated)
    yield dsn
    postgres.drop_database(dsn)


@pytest.fixture
async def engine(url: str) -> AsyncIterator[Engine]:
    pool = open_pool(url, size=8, name="test")
    await pool.open(wait=True)
    engine = Engine(pool)
    for table in EMPTIED:
        await engine.rows(f"DELETE FROM {table}")
    with capture_logs():
        # Tracebacks take longer than all the rest.
        yield engine
    await pool.close()


def _goes_on(made: Made) -> None:
    response = pb.HandleEventResponse()
    if made.request.task_id == "first" and made.request.event.event_type == "workflow.started":
        response.events.add(event_type="went.on")
    made.answer(response)


def _id(row: Row) -> str:
    return f"{row.part}.{row.method}" + (f" ({row.note})" if row.note else "")


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("row", TABLE, ids=_id)
async def test_what_a_fault_befalls_is_done_once_all_the_same(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch, row: Row, kind: str
) -> None:
    world = World(engine, url, monkeypatch, row.settings, answers=row.answers)
    if SECOND in row.tasks:
        world.on_call = _goes_on
    if row.tasks:
        await world.whole.register(*row.tasks)
    await row.before(world)
    world.faulty(row.part)
    asked = [0]

    def is_the_one(given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        asked[0] += row.when(named)
        return row.when(named) and asked[0] == row.call

    fault = world.script.on(row.method, FAULTS[kind](), when=is_the_one)
    for name, other in row.also.items():
        world.script.on(name, other, calls=1 if other.after else None)
    try:
        await world.whole.start()
        loops = {kept.name for kept in owned.owner().kept}
        await row.after(world)
        if row.stops:
            stopping = asyncio.ensure_future(world.whole.router.stop())
        await world.bitten(row.method, fault.name)
        if row.stops:
            if not fault.gated:
                with contextlib.suppress(RuntimeError):
                    await stopping
            stopping.cancel()
        if row.stops or fault.gated:
            await world.dies()
        world.script.heal()
        await row.then(world)
        await world.settled(late=kind in row.late)
        if row.counts:
            await world.each_was_handled_once(row.tasks or (FIRST,))
        if len(world.routers) == 1:
            world.no_attempt_was_made_twice()
        assert owned.owner().death is None
        assert {kept.name for kept in owned.owner().kept} == loops, "each loop goes on"
        assert not await world.whole.leased()
    finally:
        await world.end()


# --- that none is forgotten ----------------------------------------------------------------

STORES = ("self._store", "store", "self._registry_store", "registry")
METHODS = {name for port in (EngineStore, RegistryStore) for name in vars(port)}
IN_A_BLOCK = {name for name, found in vars(Locked).items() if inspect.iscoroutinefunction(found)}
OF_THE_API = {"catching_up"}
"""Parts beside the router's that only the API calls."""


def _calls(source: str) -> set[str]:
    """The methods of the store that a module names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        if owner in STORES and node.attr in METHODS:
            found.add(node.attr)
            if node.attr == "locked":
                found.add("locked.exit")
        elif owner == "locked" and node.attr in IN_A_BLOCK:
            found.add(f"locked.{node.attr}")
    return found


def test_every_method_of_the_store_that_a_router_calls_stands_in_the_table() -> None:
    folders = [Path(room.__file__).parent for room in (waystation_router, waystation_core.relay)]
    called = {
        (module.stem, name)
        for folder in folders
        for module in folder.rglob("*.py")
        if module.stem not in OF_THE_API
        for name in _calls(module.read_text(encoding="utf-8"))
    }
    assert {(row.part, row.method) for row in TABLE} == called
    assert {part for part, _ in called} == set(PARTS)
