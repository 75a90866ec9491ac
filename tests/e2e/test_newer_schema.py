"""A newer release has migrated the database while claims run: servers of this release go on, and may restart."""

import pytest
from e2e.conftest import StartParts
from support.claims import check_claims, start_claims
from support.databases import migrated_by_a_newer_release
from support.system import CLAIMS, logged

pytestmark = pytest.mark.timeout(120)


async def test_servers_work_on_a_newer_schema_and_restart_on_it(
    start_parts: StartParts, database_url: str
) -> None:
    parts = start_parts()
    parts.start_handlers(*CLAIMS)
    async with parts.client() as client:
        before = await start_claims(client, 20)
        migrated_by_a_newer_release(database_url)
        under_way = await start_claims(client, 20)
        parts.kill_a_router()
        parts.kill_the_api()
        after = await start_claims(client, 20)
        await check_claims(client, {**before, **under_way, **after}, within=60)
    for server in parts.engine[-2:]:
        await logged(server, "schema_is_newer.*9999")
