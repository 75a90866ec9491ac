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
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from router.fault_rows import FIRST, SECOND, TABLE, Row
from router.faulted import FAULTS, PARTS, World
from router.whole import Made
from store.instances import TABLES, Engine
from structlog.testing import capture_logs
from support.databases import migrated

import waystation_router
from localservers.postgres import PostgresServer
from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core import decisions, registries, registry_copy
from waystation_core.background import owned
from waystation_core.ports.store import EngineStore, Locked, RegistryStore
from waystation_core.relay import relay
from waystation_core.store.connections import open_connections

EMPTIED = (*TABLES, "routers", "pools", "tasks", "handlers", "lost_announcements")


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> Iterator[str]:
    """One database for all rows: to make one takes longer than a row."""
    dsn = postgres.fresh_database(migrated)
    yield dsn
    postgres.drop_database(dsn)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connected(url: str) -> AsyncIterator[Engine]:
    """The connections too: to open those of a row takes as long as the row."""
    connections = open_connections(url, size=4, name="test")
    await connections.open(wait=True)
    yield Engine(connections)
    await connections.close()


@pytest_asyncio.fixture(loop_scope="module")
async def engine(connected: Engine) -> AsyncIterator[Engine]:
    await connected.rows("; ".join(f"DELETE FROM {table}" for table in EMPTIED))
    with capture_logs():
        # Tracebacks take longer than all the rest.
        yield connected


def _goes_on(made: Made) -> None:
    response = pb.HandleEventResponse(result={})
    if made.request.task_id == "first" and made.request.event.event_type == "workflow.started":
        response.result.events.add(event_type="went.on")
    made.answer(response)


def _id(row: Row) -> str:
    return f"{row.part}.{row.method}" + (f" ({row.note})" if row.note else "")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("row", TABLE, ids=_id)
async def test_whatever_a_fault_hits_is_done_once(
    engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch, row: Row, kind: str
) -> None:
    world = World(engine, url, monkeypatch, row.settings, answers=row.answers)
    if SECOND in row.tasks:
        world.on_call = _goes_on
    if row.tasks:
        await world.whole.register(*row.tasks)
    await row.before(world)
    world.faulty(*dict.fromkeys((row.part, *row.others)))
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
        if fault.gated:
            # Carried out by now.
            async with asyncio.timeout(20):
                await fault.reached.wait()
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
METHODS = {
    name
    for port in (EngineStore, RegistryStore)
    for name, _ in inspect.getmembers(port, inspect.isfunction)
}
IN_A_BLOCK = {name for name, found in vars(Locked).items() if inspect.iscoroutinefunction(found)}
OF_THE_API = {
    ("decisions", "locked.repeated"),
    ("decisions", "locked.record"),
    ("decisions", "locked.remember"),
    ("registry_copy", "handlers"),
}
"""What parts of both call for the API only."""


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


def test_every_method_of_the_store_that_a_router_calls_is_in_the_table() -> None:
    modules = [
        *Path(waystation_router.__file__).parent.rglob("*.py"),
        *(Path(part.__file__) for part in (relay, decisions, registries, registry_copy)),
    ]
    called = {
        (module.stem, name)
        for module in modules
        for name in _calls(module.read_text(encoding="utf-8"))
    }
    assert {(row.part, row.method) for row in TABLE} == called - OF_THE_API
    assert {part for part, _ in called} == set(PARTS)
