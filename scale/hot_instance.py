"""The case of one instance that many deliveries change at once: those that may commit together, and a naive join, whose
branches may not."""

import asyncio
import time

from scale import handlers
from scale.report import Row
from scale.system import System
from waystation_worker import Client

COMMITS_A_SECOND = 500.0
CALLS_OF_A_JOIN = 2.5
"""For each delivery; all but the first of those that run at once lose against it, and are called again."""
PARALLEL = 16
JOINS = 50
WITHIN = 300.0


async def hot_instance(system: System, number: int, normal: float) -> list[Row]:
    """So many deliveries of one instance, sixteen at once; then joins of sixteen branches."""
    async with Client(system.address) as client:
        hot = await client.start(handlers.HOT, {"parallel": PARALLEL, "parts": number})
        await _until_settled(system, hot.id)
        data = (await client.get(hot.id)).data
        joins = JOINS if number >= 1_000 else 2
        began = time.monotonic()
        for _ in range(joins):
            await client.run(handlers.JOIN, {"parallel": PARALLEL}, timeout=60)
        joined = time.monotonic() - began
        counted = (await client.run(handlers.COUNTED, timeout=60)).output
    ((results, seconds),) = system.rows(
        "SELECT count(*), EXTRACT(epoch FROM max(processed_at) - min(processed_at)) FROM history "
        "WHERE processed_by = 'tally' AND result = 1"
    )
    print(
        f"hot-instance: {results:,} results in {seconds:.1f} s; {joins} joins of {PARALLEL} branches, {joined / joins * 1e3:.0f} ms each",
        flush=True,
    )
    assert counted is not None
    of_a_join = counted["calls"] / (joins * PARALLEL)
    return [
        Row("hot-instance", "results that took no effect", number - data["count"], "<=", 0, ""),
        Row(
            "hot-instance",
            "results committed to one instance",
            results / float(seconds),
            ">=",
            COMMITS_A_SECOND,
            "/s",
        ),
        Row(
            "hot-instance",
            "calls for each delivery of a naive join",
            of_a_join,
            "<=",
            CALLS_OF_A_JOIN,
            "",
        ),
    ]


async def _until_settled(system: System, workflow_instance_id: str) -> None:
    query = "SELECT unsettled FROM workflow_instances WHERE workflow_instance_id = %s"
    ends = time.monotonic() + WITHIN
    while await asyncio.to_thread(system.rows, query, (workflow_instance_id,)) != [(0,)]:
        if time.monotonic() > ends:
            raise RuntimeError(f"{workflow_instance_id} is not settled within {WITHIN:g} s")
        await asyncio.sleep(0.2)
