"""Two versions of a service live side by side, and lose their leases and come back in every order: what
either of them announces is handled all the while it lives."""

import asyncio
import signal
from collections.abc import Callable

import psycopg
import pytest
from support.stories import read_story
from support.system import ROOT, Parts, System
from support.waiting import eventually

from localservers.processes import ChildProcess
from waystation_worker import Client

pytestmark = pytest.mark.timeout(240)

SCRIPT = ROOT / "tests" / "e2e" / "services" / "rolling.py"


async def test_versions_that_come_back_take_nothing_from_each_other(
    start_parts: Callable[..., Parts], database_url: str
) -> None:
    system = start_parts(routers=2)
    (v1,) = await asyncio.to_thread(deploy, system, "1")
    old = set(await registered(system))
    (v2,) = await asyncio.to_thread(deploy, system, "2")
    both = set(await registered(system))
    new = both - old
    async with system.client() as client:
        await handled(client, both="12", only1="1", only2="2")

        # The old one is paused for longer than its lease, and comes back.
        v1.send(signal.SIGSTOP)
        await known(system, new)
        v1.send(signal.SIGCONT)
        await known(system, both)
        await handled(client, both="12", only1="1", only2="2")

        # The engine was away for longer than their leases, and they come back in either order.
        for first, last, ports in ((v1, v2, old), (v2, v1, new)):
            first.send(signal.SIGSTOP)
            last.send(signal.SIGSTOP)
            await eventually(
                lambda: none_live(database_url), timeout=30, what="their leases to end"
            )
            first.send(signal.SIGCONT)
            await known(system, ports)
            last.send(signal.SIGCONT)
            await known(system, both)
            await handled(client, both="12", only1="1", only2="2")

        # The old one ends, and the new one's word stands.
        assert await asyncio.to_thread(v1.stop, 60) == 0
        await known(system, new)
        await handled(client, both="2", only2="2")


def deploy(system: System, version: str) -> list[ChildProcess]:
    return system.start_handlers(SCRIPT, environment={"VERSION": version})


async def registered(system: System) -> set[int]:
    return await asyncio.to_thread(system.registered_ports)


async def known(system: System, ports: set[int]) -> None:
    await eventually(
        lambda: registered(system), until=lambda seen: seen == ports, timeout=60, what="endpoints"
    )


async def none_live(database_url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        cursor = await connection.execute("SELECT FROM handlers WHERE lease_until > now()")
        return await cursor.fetchone() is None


async def handled(client: Client, **by: str) -> None:
    """Each of these events is handled by one of these versions; none is idle."""
    for event_type, versions in by.items():
        done = await client.run("rolling", {"raise": f"step.{event_type}"}, timeout=60)
        assert done.status == "COMPLETED", (event_type, (await client.explain(done.id)).summary)
        assert done.output is not None
        assert done.output["version"] in versions
        await read_story(client, done.id)
