"""A service is deployed again: a call in flight at the old address counts, new ones go to the new one,
and a task that has another name now leaves dead letters and holds nothing up."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.operators import Operator
from support.stories import attempts, read_story
from support.system import ROOT, Parts, System, logged
from support.waiting import eventually

from localservers.processes import ChildProcess
from waystation_worker import Client

pytestmark = pytest.mark.timeout(240)

SCRIPT = ROOT / "tests" / "e2e" / "services" / "deployed.py"


async def test_a_new_version_takes_over_in_mid_call_and_a_renamed_task_is_retired(
    start_parts: Callable[..., Parts], tmp_path: Path
) -> None:
    system = start_parts(routers=2, WAYSTATION_RETIRE_AFTER_SECONDS="1")
    gate = tmp_path / "gate"
    (old,) = deploy(system, "1", gate)
    async with system.client() as client:
        under_way = await client.start("steady", {"wait": True})
        await eventually(lambda: waits_for(client, under_way.id), until=lambda s: "handling" in s)

        stopping = asyncio.create_task(asyncio.to_thread(old.stop, 130))
        for router in system.routers:
            await logged(router, r"endpoints=1\b(.|\n)*endpoints=0\b")
        left_over = await client.start("renamed")
        await eventually(
            lambda: waits_for(client, left_over.id),
            until=lambda said: "waits for old_name: its service deployed has no live" in said,
            what="its delivery to be parked",
        )

        deploy(system, "2", gate)
        new_port = (await ports(system)).pop()
        done = await client.run("steady", {"wait": False}, timeout=60)
        assert (done.status, done.output) == ("COMPLETED", {"version": "2"})
        (called,) = attempts(await read_story(client, done.id), "stays")
        assert called.endpoint == f"127.0.0.1:{new_port}"

        operator = Operator(system.address)
        (letter,) = await eventually(
            lambda: operator.open_dead_letters(left_over.id), timeout=60, what="the dead letter"
        )
        assert (letter.task_id, letter.error.reason) == ("old_name", "TASK_RETIRED")
        assert (await client.get(left_over.id)).status == "ACTIVE"
        fresh = await client.run("renamed", timeout=60)
        assert (fresh.status, fresh.output) == ("COMPLETED", {"task": "new_name"})

        assert not stopping.done()
        gate.touch()
        finished = await client.wait(under_way.id, timeout=60)
        assert (finished.status, finished.output) == ("COMPLETED", {"version": "1"})
        (called,) = attempts(await read_story(client, finished.id), "stays")
        assert (called.attempt, called.service_version) == (1, "1")
        assert await stopping == 0
        await read_story(client, left_over.id)


def deploy(system: System, version: str, gate: Path) -> list[ChildProcess]:
    return system.start_handlers(SCRIPT, environment={"VERSION": version, "GATE": str(gate)})


async def waits_for(client: Client, workflow_instance_id: str) -> str:
    return (await client.explain(workflow_instance_id)).summary


async def ports(system: System) -> set[int]:
    return await asyncio.to_thread(system.registered_ports)
