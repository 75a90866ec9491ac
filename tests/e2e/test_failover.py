"""The Postgres machine is lost and its synchronous standby takes its place: nothing that was answered is lost, no
attempt is spent, and calls that last longer than the outage go on."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from e2e.conftest import StartParts
from support.claims import check_claims, start_claims
from support.databases import migrated
from support.moody import Moody
from support.stories import history_of
from support.system import CLAIMS

from localservers.postgres import PostgresServer
from localservers.processes import wait_until

pytestmark = pytest.mark.timeout(420)


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """What the primary has confirmed is there, too."""
    with PostgresServer(standby_of=primary) as server:
        with psycopg.connect(primary.dsn(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            connection.execute("SELECT pg_reload_conf()")
            wait_until(
                lambda: bool(
                    connection.execute(
                        "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
                    ).fetchone()
                ),
                timeout=30,
                what="the standby to follow",
            )
        yield server


async def test_a_synchronous_standby_takes_over_under_load(
    start_parts: StartParts, primary: PostgresServer, standby: PostgresServer, tmp_path: Path
) -> None:
    name = primary.fresh_database().rpartition("/")[2]
    # The standby is named first: what leads to a server that only reads is not used.
    hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
    url = f"postgresql://postgres@{hosts}/{name}?target_session_attrs=read-write"
    migrated(url)
    parts = start_parts(database=url)
    parts.start_handlers(*CLAIMS)
    moody = Moody(parts, tmp_path)
    moody.start()
    async with parts.client() as client:
        long = await client.start("long", {"seconds": 8})
        await asyncio.to_thread(
            wait_until, lambda: bool(moody.seen(long.id)), timeout=30, what="the long call to begin"
        )
        starting = asyncio.ensure_future(start_claims(client, 40, at_once=10))
        await asyncio.wait({starting}, timeout=1.0)
        await asyncio.to_thread(primary.kill)
        # Every lease of a router is over by the database's own clock when it is back.
        with psycopg.connect(standby.dsn(name), autocommit=True) as connection:
            await asyncio.to_thread(
                wait_until,
                lambda: (
                    connection.execute("SELECT now() > max(lease_until) FROM routers").fetchone()
                    == (True,)
                ),
                timeout=30,
                what="the leases to end",
            )
            connection.execute("SELECT pg_promote()")
        started = await starting
        await check_claims(client, started, within=120)
        done = await client.wait(long.id, timeout=60)
        assert (done.status, done.output) == ("COMPLETED", {"attempt": 1})
        assert len(moody.seen(long.id)) == 1
        for workflow in started:
            attempts = [entry.attempt for entry in await history_of(client, workflow)]
            assert max(attempts) <= 1, workflow
    for router in parts.routers:
        assert "lease_lost" not in router.output()
        assert "leases_broken" not in router.output()
