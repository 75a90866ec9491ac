"""The case of too much work: starts come faster than slow tasks handle them, until the backlog is full and
starts are refused; meanwhile Postgres gets slow and RabbitMQ goes away. API and router must not grow, and
what was accepted must end."""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2, status_pb2

from localservers.behaviours import Delay, Pass
from localservers.proxy import TcpProxy
from scale import handlers
from scale.clients import Api, api
from scale.memory import watched
from scale.report import Row
from scale.system import System

CLIENTS = 64
POSTGRES_DELAY = 0.02
"""Each way: a statement takes 40 ms longer."""
SPELL_SECONDS = 30.0
FULL_WITHIN = 900.0
MOST_MEGABYTES = 300.0
MOST_GROWTH = 60.0
"""Megabytes, from when the backlog was full for the first time until the end of the load."""
AFTER_A_REFUSAL = 0.2
"""Seconds: these clients wait for less time than they are told, so that refusing is under load too."""


@dataclass
class Load:
    """How many starts had which outcome."""

    accepted: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    without_retry: int = 0
    """BACKLOG_FULL that does not say when to come again."""
    is_full: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first BACKLOG_FULL."""


async def overload(system: System, number: int, normal: float) -> list[Row]:
    """A backlog of so many events is all that the API allows."""
    load = Load()
    spell = SPELL_SECONDS if number >= 1_000 else 3.0
    async with TcpProxy(system.postgres.port) as link, api(system.address) as one:
        database = system.postgres.dsn().replace(str(system.postgres.port), str(link.port))
        await asyncio.to_thread(system.stop_handlers)
        await asyncio.to_thread(system.start_handlers, slow=True)
        await asyncio.to_thread(
            system.restart_engine,
            WAYSTATION_DATABASE_URL=database,
            WAYSTATION_MAX_BACKLOG=str(number),
        )
        async with watched(system.engine()) as memory:
            loops = [asyncio.ensure_future(_start_on(one, load)) for _ in range(CLIENTS)]
            began = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FULL_WITHIN):
                    await load.is_full.wait()
            filled = time.monotonic() - began
            full = {name: seen[-1] for name, seen in memory.items()}
            await asyncio.sleep(spell)
            await link.behave(Delay(POSTGRES_DELAY))
            await asyncio.sleep(spell)
            await link.behave(Pass())
            await asyncio.to_thread(system.rabbitmq.stop_server)
            await asyncio.sleep(spell)
            most = await _count(
                system, "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deliveries)"
            )
            await asyncio.to_thread(system.rabbitmq.start)
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            # From here on tasks are quick.
            await asyncio.to_thread(system.stop_handlers)
            await asyncio.to_thread(system.start_handlers)
            ended = time.monotonic()
            within = 120.0 + 4 * number / max(normal, 1.0)
            left = await _drained(system, within)
            drained = time.monotonic() - ended
    done = await _count(
        system,
        f"SELECT count(*) FROM workflow_instances WHERE workflow_type = '{handlers.SLOW}' "
        "AND status = 3",
    )
    other = {name: n for name, n in load.answers.items() if name not in _EXPECTED}
    if other:
        print(f"overload: other answers: {other}", flush=True)
    return [
        Row("overload", f"until {number:,} wait and starts are refused", filled, "<=", FULL_WITHIN),
        Row("overload", "BACKLOG_FULL", load.answers["BACKLOG_FULL"], ">=", 1, ""),
        Row("overload", "of these without a RetryInfo", load.without_retry, "<=", 0, ""),
        Row("overload", "answers of another kind", sum(other.values()), "<=", 0, ""),
        Row("overload", "events that wait at the end", most, "<=", number * 1.1, ""),
        *(
            row
            for name, seen in memory.items()
            for row in (
                Row("overload", f"{name}: memory at most", max(seen), "<=", MOST_MEGABYTES, "MB"),
                Row(
                    "overload",
                    f"{name}: growth once starts are refused",
                    max(seen) - full[name],
                    "<=",
                    MOST_GROWTH,
                    "MB",
                ),
            )
        ),
        Row("overload", "until all is handled, when the load has ended", drained, "<=", within),
        Row("overload", "left after that", left, "<=", 0, ""),
        Row("overload", "accepted and not completed", max(load.accepted - done, 0), "<=", 0, ""),
    ]


_EXPECTED = {"BACKLOG_FULL", "STORE_UNAVAILABLE"}


async def _start_on(one: Api, load: Load) -> None:
    """Starts one workflow after the other."""
    while True:
        try:
            await one.start(handlers.SLOW)
        except grpc.aio.AioRpcError as error:
            reason, retry = _told(error)
            load.answers[reason] += 1
            if reason == "BACKLOG_FULL":
                load.without_retry += not retry
                load.is_full.set()
            await asyncio.sleep(AFTER_A_REFUSAL)
        else:
            load.accepted += 1


def _told(error: grpc.aio.AioRpcError) -> tuple[str, bool]:
    """The reason that a refusal names, and whether it says when to come again."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            status.ParseFromString(value)
    says_when = False
    for detail in status.details:
        detail.Unpack(info)
        says_when = says_when or detail.Unpack(retry)
    return info.reason or error.code().name, says_when


async def _drained(system: System, within: float) -> int:
    """How many are still open, after so many seconds at most."""
    ends = time.monotonic() + within
    query = (
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deliveries) + "
        "(SELECT count(*) FROM workflow_instances WHERE status < 3)"
    )
    while True:
        left = await _count(system, query)
        if not left or time.monotonic() > ends:
            return left
        await asyncio.sleep(1.0)


async def _count(system: System, query: str) -> int:
    ((number,),) = await asyncio.to_thread(system.rows, query)
    return int(number)
