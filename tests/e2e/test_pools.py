"""Two pools on real servers: events go to the right one, and what becomes of them when it is gone."""

import asyncio
from pathlib import Path

import pytest
from e2e.conftest import StartParts
from support.stories import read_story
from support.system import logged
from support.waiting import eventually

from localservers.processes import ProcessFailed
from waystation.v1.blocker_pb2 import BLOCKER_KIND_NO_ROUTER, Blocker
from waystation_worker import Client

pytestmark = pytest.mark.timeout(180)

HANDLERS = """
from waystation_worker import HandlerService, TaskContext

service = HandlerService("scoring")

@service.task(events=["workflow.started"], workflow_types=["scoring"])
async def begin(ctx: TaskContext) -> None:
    ctx.emit("fraud.wanted")

@service.task(events=["fraud.*"], workflow_types=["scoring"])
async def score(ctx: TaskContext) -> None:
    ctx.complete({"scored": True})

service.run()
"""


async def test_events_go_to_the_pool_that_is_bound_to_them_and_back_when_it_is_gone(
    start_parts: StartParts, tmp_path: Path
) -> None:
    parts = start_parts(
        routers=1,
        WAYSTATION_ROUTER_LEASE_SECONDS="2",
        WAYSTATION_ROUTER_POOL_EXPIRES_SECONDS="4",
        WAYSTATION_LOG_FORMAT="json",
    )
    (default,) = parts.routers
    fraud = await asyncio.to_thread(parts.start_router, "--pool", "fraud", "--bind", "fraud.#")
    (tmp_path / "scoring.py").write_text(HANDLERS, encoding="utf-8")
    await asyncio.to_thread(parts.start_handlers, tmp_path / "scoring.py")

    with pytest.raises(ProcessFailed, match="fraud"):
        await asyncio.to_thread(parts.start_router, "--pool", "late", "--bind", "*.wanted")
    assert parts.routers[-1].returncode == 78

    async with parts.client() as client:
        done = await client.run("scoring", {}, timeout=60)
        assert done.output == {"scored": True}
        await logged(fraud, _delivered("score", done.id))
        await logged(default, _delivered("begin", done.id))

        await asyncio.to_thread(fraud.kill)
        held = await client.start("scoring", {})
        (blocker,) = await eventually(
            lambda: without_router(client, held.id), what="the pool without a router to be named"
        )
        assert (blocker.pool, blocker.event_type) == ("fraud", "fraud.wanted")
        assert "waystation-router --pool fraud --bind 'fraud.#'" in blocker.remedy

        # Nobody comes: its queue expires, and what that held is announced to the default pool.
        taken_over = await client.wait(held.id, timeout=60)
        assert taken_over.output == {"scored": True}
        await logged(default, _delivered("score", held.id))
        await logged(default, '"pool": ?"fraud".*"pool_lapsed"|"pool_lapsed".*"pool": ?"fraud"')
        await read_story(client, held.id)


async def without_router(client: Client, workflow_instance_id: str) -> list[Blocker]:
    """What an instance waits for because no router takes it."""
    found = (await client.explain(workflow_instance_id)).blockers
    return [blocker for blocker in found if blocker.kind == BLOCKER_KIND_NO_ROUTER]


def _delivered(task_id: str, workflow_instance_id: str) -> str:
    """The line of a router that committed a result of this task."""
    facts = (
        f'"task_id": ?"{task_id}"',
        f'"workflow_instance_id": ?"{workflow_instance_id}"',
        '"delivery"',
    )
    return "^" + "".join(f"(?=.*{fact})" for fact in facts)
