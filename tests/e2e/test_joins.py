"""The naive and the structured join side by side: under load, and with processes being killed in the
middle of it. Half of the claims go each way, and `check_claims` holds their ends equal."""

import asyncio
from pathlib import Path

import pytest
from e2e.conftest import StartParts
from support.claims import check_claims, start_claims
from support.system import CLAIMS, Embedded
from support.waiting import eventually

from waystation_worker import Client

pytestmark = pytest.mark.timeout(900)


async def test_joins_fire_once_each_with_three_routers_and_three_handler_processes(
    start_parts: StartParts, long_form: bool
) -> None:
    parts = start_parts(routers=3)
    parts.start_handlers(*CLAIMS, count=3)
    async with parts.client() as client:
        for _ in range(3 if long_form else 1):
            started = await start_claims(client, 500 if long_form else 80, at_once=500)
            await check_claims(client, started, within=240)


async def test_joins_fire_once_each_in_one_process(tmp_path: Path, long_form: bool) -> None:
    with Embedded(tmp_path) as system:
        system.start_handlers(*CLAIMS, count=2)
        async with system.client() as client:
            started = await start_claims(client, 500 if long_form else 50, at_once=500)
            await check_claims(client, started, within=240)


async def ended(client: Client, workflow_ids: list[str]) -> int:
    """How many of them have ended."""
    found = await asyncio.gather(
        *(client.get(workflow_instance_id) for workflow_instance_id in workflow_ids)
    )
    return sum(workflow.ended for workflow in found)


async def test_killed_routers_and_handler_processes_change_no_outcome(
    start_parts: StartParts, long_form: bool
) -> None:
    parts = start_parts(routers=3)
    parts.start_handlers(*CLAIMS, count=3)
    count = 500 if long_form else 50
    async with parts.client() as client:
        started = await start_claims(client, count)
        ids = list(started)
        for share in (0.1, 0.3, 0.5, 0.7) if long_form else (0.1, 0.4):
            await eventually(
                lambda: ended(client, ids),
                until=lambda number, share=share: number >= share * count,
                timeout=120,
                what=f"{share:.0%} of the claims to end",
            )
            await asyncio.to_thread(parts.kill_a_router)
            await asyncio.to_thread(parts.kill_a_handler, 0, *CLAIMS)
        await check_claims(client, started, within=240)


async def test_an_embedded_system_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, long_form: bool
) -> None:
    with Embedded(tmp_path) as system:
        system.start_handlers(*CLAIMS)
        count = 200 if long_form else 30
        async with system.client() as client:
            started = await start_claims(client, count)
            await asyncio.to_thread(system.kill_a_router)
            await check_claims(client, started, within=240)
