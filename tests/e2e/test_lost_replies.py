"""Replies of Postgres get lost after it did what it was asked to: whatever a router holds then for no
good reason, it finds and gives back by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from urllib.parse import urlsplit

import psycopg
import pytest
from e2e.conftest import StartParts
from support.moody import Moody
from support.system import wait_serving
from support.waiting import eventually

from localservers.behaviours import DropReplies, Pass
from localservers.proxy import TcpProxy
from waystation_worker import Client

pytestmark = pytest.mark.timeout(300)

SPELLS = 3
SPELL_SECONDS = 4.0
LOST_IN_A_SPELL = 15
STARTED_IN_A_SPELL = 25
FAILURES = 2
"""Of each task, so that each workflow has two retries: claimed, loaded, called, committed."""


async def test_75_workflows_end_though_replies_to_claims_and_commits_were_lost(
    start_parts: StartParts, database_url: str
) -> None:
    """No router is started again, and nothing stays leased to one that lives."""
    parts = start_parts(routers=0)
    moody = Moody(parts, parts.folder)
    await asyncio.to_thread(moody.start)
    target = urlsplit(database_url)
    assert target.port is not None
    async with TcpProxy(target.port, seed=7) as proxy, parts.client() as client:
        through = target._replace(netloc=target.netloc.replace(str(target.port), str(proxy.port)))
        routers = [
            parts.spawn_router(
                WAYSTATION_DATABASE_URL=through.geturl(), WAYSTATION_ROUTER_LEASE_SECONDS="10"
            )
            for _ in range(2)
        ]
        for process, address in routers:
            await asyncio.to_thread(wait_serving, process, address)
        started: list[str] = []
        for _ in range(SPELLS):
            await proxy.behave(DropReplies(0.2))
            started += await _during_a_spell(client, proxy)
            await proxy.behave(Pass())
        done = [
            await client.wait(workflow_instance_id, timeout=60) for workflow_instance_id in started
        ]
        # Nobody's attempt was spent by an outage.
        ends = Counter((one.status, (one.output or {}).get("attempt")) for one in done)
        assert ends == {("COMPLETED", FAILURES + 1): SPELLS * STARTED_IN_A_SPELL}
        assert proxy.counts.dropped_replies >= SPELLS * LOST_IN_A_SPELL
    await eventually(
        lambda: _deliveries(database_url), until=lambda left: left == [], what="no row to be left"
    )
    assert all(process.running for process, _ in routers)


async def _during_a_spell(client: Client, proxy: TcpProxy) -> list[str]:
    """Starts workflows while replies get lost; returns when the spell has lasted and enough are."""
    loop = asyncio.get_running_loop()
    until, lost = loop.time() + SPELL_SECONDS, proxy.counts.dropped_replies + LOST_IN_A_SPELL
    starts = [client.start("flaky", {"failures": FAILURES}) for _ in range(STARTED_IN_A_SPELL)]
    started = await asyncio.gather(*starts)

    async def is_over() -> bool:
        return loop.time() >= until and proxy.counts.dropped_replies >= lost

    await eventually(is_over, timeout=60, what="enough replies to be lost")
    return [one.id for one in started]


async def _deliveries(database_url: str) -> list[tuple[object, ...]]:
    """What is off the fast way still, past the proxy."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute("SELECT state, task_id, leased_by::text FROM deliveries")
        return await found.fetchall()
