"""The case of a database that has grown: a great many instances that have ended and a good many that are open. New work
must be as fast as in an empty database, and every list quick, whatever it is filtered by."""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.handlers import CLAIM_3
from scale import copies, handlers
from scale.clients import Api, api, timed
from scale.report import Row
from scale.system import System
from waystation.v1 import dead_letter_service_pb2, system_service_pb2, workflow_service_pb2
from waystation_worker import Client

CALLERS = 64
TURNS = 5
WINDOW_SECONDS = 6.0
SLOWER_AT_MOST = 1.15
LIST_WITHIN = 0.2
AT_ONCE = 100_000
"""Instances in one transaction."""
DAYS = 30

_pb = workflow_service_pb2
_letters = dead_letter_service_pb2
_OLD = {
    "created_at": "now() - k.n * %(step)s::float8 * interval '1 second'",
    "correlation_id": "'customer-' || k.n / 10",
}
OF_OTHERS = {
    # For so many finished ones there is one of these.
    handlers.WAITS: 21,
    handlers.IDLE: 1_000,
    handlers.FAILS: 1_000,
    handlers.LETTERS: 1_000,
}


async def growth(system: System, number: int, normal: float) -> list[Row]:
    """So many that have ended, and one open one for each twenty of them."""
    with contextlib.ExitStack() as exits:
        empty = None
        if system.is_own:
            # In turns with an empty one: a shared machine is faster one minute and slower the next.
            folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="waystation-scale-"))
            empty = exits.enter_context(System(Path(folder), None))
            await asyncio.to_thread(empty.start_more, "bench.handlers", "bench-claims")
        await asyncio.to_thread(system.start_more, "bench.handlers", "bench-claims")
        turns = TURNS if number >= 100_000 else 1
        before = [] if empty else [await _window(system, number) for _ in range(turns)]
        await _fill(system, number)
        after = []
        for _ in range(turns):
            if empty:
                before.append(await _window(empty, number))
            after.append(await _window(system, number))
    rows = _compared(before, after)
    async with api(system.address) as one:
        for name, look in _looks(one, f"{handlers.WAITS}-first-{number // 50}"):
            took = [(await timed(look()))[1] for _ in range(3)]
            rows.append(Row("growth", name, statistics.median(took), "<=", LIST_WITHIN))
    return rows


async def _fill(system: System, number: int) -> None:
    """The engine makes an instance of each kind, which is copied."""
    # For the dead letters.
    await asyncio.to_thread(system.stop_handlers)
    await asyncio.to_thread(system.start_handlers, rejects=True)
    async with Client(system.address) as client:
        claim = {"claim": {"text": "The other car hit mine.", "amount": 1200.0, "number": "CLM-1"}}
        for kind in (CLAIM_3, *OF_OTHERS):
            await client.start(kind, claim, workflow_instance_id=f"{kind}-first")
        await asyncio.to_thread(_wait_until_quiet, system, len(OF_OTHERS) + 1)
    for kind, share in {CLAIM_3: 1, **OF_OTHERS}.items():
        copied, wanted = 0, max(number // share, 1)
        step = DAYS * 86_400 / wanted
        others = {name: text.replace("%(step)s", str(step)) for name, text in _OLD.items()}
        while copied < wanted:
            now = min(AT_ONCE, wanted - copied)
            await asyncio.to_thread(
                copies.copy, system, f"{kind}-first", now, first=copied + 1, others=others
            )
            copied += now
            print(f"growth: {copied:,} of {kind}", flush=True)
    # What the copies left to be written is written before anything is measured.
    system.rows("VACUUM ANALYZE")
    system.rows("CHECKPOINT")


def _wait_until_quiet(system: System, number: int) -> None:
    system.until(
        "SELECT count(*) FROM workflow_instances WHERE workflow_instance_id LIKE '%%-first' "
        "AND (status > 1 OR idle IS NOT NULL OR dead_letters > 0)",
        number,
    )


async def _window(system: System, number: int) -> dict[str, Any]:
    seconds = WINDOW_SECONDS if number >= 100_000 else 1.0
    return await asyncio.to_thread(system.run_claims, CALLERS, seconds)


def _compared(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Row]:
    pairs = [*zip(before, after, strict=True)]
    rates = [one["ended"] / one["seconds"] for one in before + after]
    print(f"growth: workflows/s empty, then grown: {[round(rate) for rate in rates]}", flush=True)
    slower = statistics.median(
        a["ended"] / a["seconds"] / (b["ended"] / b["seconds"]) for a, b in pairs
    )
    tails = [(_p99(a), _p99(b)) for a, b in pairs]
    later = statistics.median(b / a for a, b in tails)
    return [
        Row(
            "growth",
            "rate in the empty database to that in the grown one",
            slower,
            "<=",
            SLOWER_AT_MOST,
            "times",
        ),
        Row(
            "growth",
            "p99 in the grown database to that in the empty one",
            later,
            "<=",
            SLOWER_AT_MOST,
            "times",
        ),
    ]


def _p99(found: dict[str, Any]) -> float:
    ordered = sorted(found["latencies"])
    return float(ordered[int(len(ordered) * 0.99)])


Look = Callable[[], Awaitable[None]]


def _looks(one: Api, an_id: str) -> Iterator[tuple[str, Look]]:
    """Every list by every filter, with values that many, few and no instances have, and the status."""
    old = datetime.now(UTC) - timedelta(days=DAYS - 1)
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        "a common type": {"workflow_types": [CLAIM_3]},
        "a rare type": {"workflow_types": [handlers.FAILS]},
        "an unknown type": {"workflow_types": ["unknown"]},
        "two rare types": {"workflow_types": [handlers.FAILS, handlers.IDLE]},
        "completed ones": {"statuses": [3]},
        "failed ones": {"statuses": [4]},
        "cancelled ones, of which there are none": {"statuses": [5]},
        "open ones": {"statuses": [1, 2]},
        "idle ones": {"idle": True},
        "those that are not idle": {"idle": False},
        "a correlation id": {"correlation_ids": ["customer-77"]},
        "an unknown correlation id": {"correlation_ids": ["unknown"]},
        "an id": {"id_prefix": an_id},
        "a common prefix": {"id_prefix": CLAIM_3},
        "an unknown prefix": {"id_prefix": "unknown"},
        "those after a time": {"created_after": old},
        "those before a time": {"created_before": old},
        "failed ones of a type": {"statuses": [4], "workflow_types": [handlers.FAILS]},
        "failed ones of a type that does not fail": {
            "statuses": [4],
            "workflow_types": [handlers.IDLE],
        },
        "waiting ones of a type before a time": {
            "statuses": [2],
            "workflow_types": [handlers.WAITS],
            "created_before": old,
        },
    }
    for name, filter in filters.items():
        yield f"workflows: {name}", _workflows(one, filter)
    letters: dict[str, dict[str, Any]] = {
        "all": {},
        "open ones": {"states": [1]},
        "discarded ones, of which there are none": {"states": [3]},
        "a task": {"task_ids": ["reject"]},
        "an unknown task": {"task_ids": ["unknown"]},
        "a type": {"workflow_types": [handlers.LETTERS]},
        "an unknown type": {"workflow_types": ["unknown"]},
        "an event type": {"event_types": ["workflow.started"]},
        "a reason": {"reasons": ["REJECTED"]},
        "an instance": {"workflow_instance_ids": [f"{handlers.LETTERS}-first"]},
        "a prefix": {"id_prefix": "0"},
        "those before a time": {"created_before": old},
    }
    for name, filter in letters.items():
        yield f"dead letters: {name}", _dead_letters(one, filter)
    yield (
        "dead letters: counted",
        lambda: _ask(one.letters.CountDeadLetters(_letters.CountDeadLettersRequest(), timeout=30)),
    )
    yield (
        "ids that begin so",
        lambda: _ask(
            one.workflows.FindWorkflowIds(_pb.FindWorkflowIdsRequest(prefix=CLAIM_3), timeout=30)
        ),
    )
    yield (
        "status",
        lambda: _ask(
            one.system.GetSystemStatus(system_service_pb2.GetSystemStatusRequest(), timeout=30)
        ),
    )


async def _ask(call: Awaitable[Any]) -> None:
    await call


def _workflows(one: Api, filter: dict[str, Any]) -> Look:
    """Pages until there is something on one, or the list ends: as somebody would who looks for it."""

    async def look() -> None:
        request = _pb.ListWorkflowsRequest(filter=filter)  # type: ignore[arg-type]
        while True:
            page = await one.workflows.ListWorkflows(request, timeout=30)
            request.page_token = page.next_page_token
            if page.workflows or not page.next_page_token:
                return

    return look


def _dead_letters(one: Api, filter: dict[str, Any]) -> Look:
    async def look() -> None:
        request = _letters.ListDeadLettersRequest(filter=filter)  # type: ignore[arg-type]
        await one.letters.ListDeadLetters(request, timeout=30)

    return look
