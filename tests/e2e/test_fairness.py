"""Nobody is kept waiting permanently: not by one workflow type that floods, not by what goes first, and not by
an instance that feeds itself. Counted in events, not in seconds."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from support.system import Parts
from support.waiting import eventually

from waystation_worker import Client, HandlerService, TaskContext

pytestmark = pytest.mark.timeout(300)

MOST_EVENTS = 200


async def start_all(client: Client, workflow_type: str, count: int, **options: int) -> None:
    for at in range(0, count, 100):
        await asyncio.gather(
            *(client.start(workflow_type, **options) for _ in range(min(100, count - at)))
        )


async def test_one_type_that_floods_keeps_no_other_one_waiting(
    start_parts: Callable[..., Parts],
) -> None:
    """A quiet workflow that starts behind a flood is handled before most of the flood, whether both have
    a task of their own or the same one."""
    system = start_parts(routers=1, WAYSTATION_ROUTER_PREFETCH="20")
    service = HandlerService("fair")
    handled: Counter[str] = Counter()

    @service.task(events=["workflow.started"], workflow_types=["flood", "quiet"], max_in_flight=4)
    async def step(ctx: TaskContext) -> None:
        handled[ctx.workflow_type] += 1
        await asyncio.sleep(0.01)
        ctx.complete()

    async with (
        service.serving(address=system.address, port=0) as running,
        system.client() as client,
    ):
        await running.wait_registered()
        await client.run("quiet", timeout=60)
        await start_all(client, "flood", 1500)
        behind = 1500 - handled["flood"]
        assert behind > 500, "the flood has to be larger than what is handled meanwhile"
        before = handled["flood"]
        await client.start("quiet")

        async def both() -> bool:
            return handled["quiet"] == 2

        await eventually(both, timeout=60)
        # The first of a flood are not taken for one; the rest lets others pass.
        assert handled["flood"] - before < behind // 2
        assert handled["flood"] - before < 250


async def test_the_lowest_priority_keeps_a_share_while_the_highest_never_pauses(
    start_parts: Callable[..., Parts],
) -> None:
    system = start_parts(routers=1, WAYSTATION_ROUTER_PREFETCH="10")
    service = HandlerService("fair")
    handled: Counter[str] = Counter()

    @service.task(events=["workflow.started"], workflow_types=["urgent", "idle"])
    async def step(ctx: TaskContext) -> None:
        handled[ctx.workflow_type] += 1
        ctx.complete()

    async with (
        service.serving(address=system.address, port=0) as running,
        system.client() as client,
    ):
        await running.wait_registered()
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await client.run("urgent", priority=255, timeout=60)

        # Several times what the router takes at once: something urgent always waits.
        urgent = [asyncio.create_task(load()) for _ in range(60)]
        await start_all(client, "idle", 600, priority=0)

        async def begun() -> bool:
            return handled["idle"] > 20

        # What has waited for five seconds is what gets the share.
        await eventually(begun, timeout=60, what="the lowest level to be handled at all")
        before = handled.copy()

        async def enough() -> bool:
            return handled["urgent"] - before["urgent"] >= 600 or handled["idle"] >= 600

        await eventually(enough, timeout=120, what="600 urgent ones")
        share = handled - before
        stop.set()
        await asyncio.gather(*urgent)
        assert share["idle"] >= 0.05 * share.total(), share


async def test_an_instance_that_feeds_itself_stops_at_its_limit_and_says_why(
    start_parts: Callable[..., Parts],
) -> None:
    system = start_parts(routers=1, WAYSTATION_MAX_EVENTS_PER_WORKFLOW=str(MOST_EVENTS))
    service = HandlerService("endless")
    calls = 0

    @service.task(events=["workflow.started", "again"], workflow_types=["endless"])
    async def feeds_itself(ctx: TaskContext) -> None:
        nonlocal calls
        calls += 1
        ctx.emit("again")

    async with (
        service.serving(address=system.address, port=0) as running,
        system.client() as client,
    ):
        await running.wait_registered()
        started = await client.start("endless")

        async def status() -> str:
            return (await client.get(started.id)).status

        await eventually(status, until=lambda now: now != "ACTIVE", timeout=120, what="its end")
        ended = await client.get(started.id)
        assert ended.status == "FAILED"
        assert ended.failure is not None
        assert ended.failure.reason == "TOO_MANY_EVENTS"
        assert f"its limit of {MOST_EVENTS} events" in ended.failure.message
        assert "feeds_itself" in (await client.explain(started.id)).summary
        # It has ended: its last event is called once, and nothing after it.
        assert MOST_EVENTS - 5 <= calls <= MOST_EVENTS + 5
