"""Cases in which a great many deliveries or events wait, and then may flow: parked for want of an endpoint,
announced to a broker that lost its data, delayed and due at once, dead letters that are retried."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import grpc

from scale import copies, handlers
from scale.clients import Api, api, bystander, timed
from scale.report import Row
from scale.system import System
from waystation.v1 import dead_letter_service_pb2

FLOWS_WITHIN = 60.0
"""Seconds after which what comes back must flow, at half the rate of normal work at least."""
LOOK_EVERY = 1.0
NEW_WORK_WITHIN = 10.0
"""Seconds for a new workflow of one task while the backlog flows."""
LETTERS_WITHIN = 300.0
_FIRST = "first"


async def parked(system: System, number: int, normal: float) -> list[Row]:
    """The service of a great many parked deliveries comes back."""
    await asyncio.to_thread(system.stop_handlers)
    async with api(system.address) as one:
        await one.start(handlers.PARKED, _FIRST + "-parked")
        await _until(
            system, "SELECT count(*) FROM deliveries WHERE state = 3", lambda found: found == 1
        )
        await asyncio.to_thread(copies.copy, system, _FIRST + "-parked", number - 1)
        return await _flows(
            system,
            one,
            "parked",
            handlers.PARKED,
            normal,
            lambda: asyncio.to_thread(system.start_handlers, wait=False),
        )


async def lost(system: System, number: int, normal: float) -> list[Row]:
    """The broker loses its data while a great many events are announced and not handled yet."""
    await asyncio.to_thread(system.stop_router)
    async with api(system.address) as one:
        await one.start(handlers.LOST, _FIRST + "-lost")
        await asyncio.to_thread(copies.copy, system, _FIRST + "-lost", number - 1)
        system.rows("UPDATE outbox SET due_at = now() + interval '10 min'")

        async def lose() -> None:
            await asyncio.to_thread(system.start_router)
            await asyncio.to_thread(system.rabbitmq.restart, wipe=True)

        # Counted from when the broker is there again, as router and API need it.
        return await _flows(system, one, "lost", handlers.LOST, normal, lose)


async def delayed(system: System, number: int, normal: float) -> list[Row]:
    """A great many delayed events are due at the same time."""
    async with api(system.address) as one:
        await one.start(handlers.DELAYED, _FIRST + "-delayed")
        await _until(system, "SELECT count(*) FROM timers", lambda found: found == 1)
        await _until(system, "SELECT count(*) FROM outbox", lambda found: found == 0)
        await asyncio.to_thread(copies.copy, system, _FIRST + "-delayed", number - 1)

        async def fall_due() -> None:
            await asyncio.to_thread(system.rows, "UPDATE timers SET due_at = now()")

        return await _flows(system, one, "delayed", handlers.DELAYED, normal, fall_due)


async def letters(system: System, number: int, normal: float) -> list[Row]:
    """Dead letters of a great many instances are retried by one filter."""
    await asyncio.to_thread(system.stop_handlers)
    await asyncio.to_thread(system.start_handlers, rejects=True)
    async with api(system.address) as one:
        await one.start(handlers.LETTERS, _FIRST + "-letters")
        await _until(system, "SELECT count(*) FROM dead_letters", lambda found: found == 1)
        await asyncio.to_thread(system.stop_handlers)
        await asyncio.to_thread(copies.copy, system, _FIRST + "-letters", number - 1)
        await asyncio.to_thread(system.start_handlers)
        _, listing = await timed(
            one.letters.ListDeadLetters(
                dead_letter_service_pb2.ListDeadLettersRequest(page_size=1000), timeout=30
            )
        )
        request = dead_letter_service_pb2.RetryDeadLettersRequest(request_id="scale")
        request.filter.task_ids.append("reject")
        retried = 0
        async with bystander(one, _FIRST + "-letters") as looks:
            began = time.monotonic()
            # A call that broke off at its deadline is taken up by the same request.
            while time.monotonic() - began < 4 * LETTERS_WITHIN and not retried:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    retried = (await one.letters.RetryDeadLetters(request, timeout=60)).retried
            took = time.monotonic() - began
        # At half the rate of normal work at least, as any other backlog.
        left = await _open(system, handlers.LETTERS, max(LETTERS_WITHIN, 2 * number / normal))
    return [
        Row("letters", "a page of 1,000", listing, "<=", 2.0),
        Row("letters", f"retrying {number:,} by a filter", took, "<=", LETTERS_WITHIN),
        Row("letters", "a bystander's GetWorkflow meanwhile, the slowest", max(looks), "<=", 2.0),
        Row("letters", "not retried", number - retried, "<=", 0, ""),
        Row("letters", "not handled in the end", left, "<=", 0, ""),
    ]


async def _flows(
    system: System,
    one: Api,
    case: str,
    workflow_type: str,
    normal: float,
    release: Callable[[], Awaitable[object]],
) -> list[Row]:
    """How much was handled in the minute after the release, and how long new work took meanwhile."""
    waits = await _count(system, workflow_type)
    await release()
    began = time.monotonic()
    seen = [(0.0, waits)]
    fresh: list[asyncio.Task[float]] = []
    while seen[-1][1] and seen[-1][0] < FLOWS_WITHIN:
        await asyncio.sleep(LOOK_EVERY)
        left = await _count(system, workflow_type)
        if left < waits and len(fresh) < 10:
            fresh.append(asyncio.ensure_future(one.run(handlers.NOW)))
        seen.append((time.monotonic() - began, left))
    # The rate at the end of the minute; or of all of it, where nothing is left by then.
    ended, left = seen[-1]
    at, before = next((look for look in seen if left and look[0] >= FLOWS_WITHIN / 2), (0.0, waits))
    rate = (before - left) / max(ended - at, LOOK_EVERY)
    took = await asyncio.gather(*fresh)
    first = next((at for at, still in seen if still < waits), FLOWS_WITHIN * 10)
    return [
        Row(case, f"until the first of {waits:,} is handled", first, "<=", FLOWS_WITHIN),
        Row(case, "handled a second after that", rate, ">=", normal / 2, "/s"),
        Row(
            case,
            "a new workflow meanwhile, the slowest",
            max(took, default=0.0),
            "<=",
            NEW_WORK_WITHIN,
        ),
    ]


async def _open(system: System, workflow_type: str, seconds: float) -> int:
    """How many are left, after so many seconds at most."""
    ends = time.monotonic() + seconds
    while True:
        left = await _count(system, workflow_type)
        if not left or time.monotonic() > ends:
            return left
        await asyncio.sleep(LOOK_EVERY)


async def _count(system: System, workflow_type: str) -> int:
    ((number,),) = await asyncio.to_thread(
        system.rows,
        "SELECT count(*) FROM workflow_instances WHERE workflow_type = %s AND status < 3",
        (workflow_type,),
    )
    return int(number)


async def _until(system: System, query: str, holds: Callable[[int], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds(system.rows(query)[0][0]):
        if time.monotonic() > ends:
            raise RuntimeError(f"waited in vain for {query}")
        await asyncio.sleep(0.05)
