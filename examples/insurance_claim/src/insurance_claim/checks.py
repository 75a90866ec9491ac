"""How the parallel checks come together again, in two ways. `data.join` says which one a claim takes:
`naive`, where nothing is said, or `structured`. Both end alike."""

from collections.abc import Mapping
from typing import Any

from waystation_worker import NewEvent, TaskContext

JOINED = "parallel.processing.completed"


def start_checks(ctx: TaskContext, requests: Mapping[str, NewEvent]) -> None:
    """Raises one request for each check, and notes under `data.parallel_tasks` that it did.

    Structured, the requests are a group: Waystation itself raises `JOINED` when all that came of
    them is settled.
    """
    ctx.data["parallel_tasks"] = {name: {"state": "requested"} for name in requests}
    if is_structured(ctx):
        ctx.fan_out(requests.values(), then=NewEvent(JOINED, {"checks": sorted(requests)}))
        return
    for request in requests.values():
        ctx.emit(request.event_type, request.payload)


def finish_check(ctx: TaskContext, name: str, result: Mapping[str, Any]) -> None:
    """Marks one check as done; naive, raises `JOINED` when it was the last.

    Three checks run this at once, on the same copy of the data, and each of them may see the others
    unfinished. It is correct as written because they read each other's states: the results of those
    that finish later are refused by the conflict rule, and they are called again with what is true by then.
    Structured, they read nothing of each other, and none is called twice.
    """
    checks = ctx.data["parallel_tasks"]
    checks[name] = {"state": "done", **result}
    if is_structured(ctx):
        return
    if all(check["state"] == "done" for check in checks.values()):
        ctx.emit(JOINED, {"checks": sorted(checks)})


def is_structured(ctx: TaskContext) -> bool:
    """Which way this claim goes."""
    return bool(ctx.data.get("join") == "structured")
