"""How the parallel checks come together again: the last one to finish says so."""

from collections.abc import Mapping
from typing import Any

from waystation_worker import TaskContext


def finish_check(ctx: TaskContext, name: str, result: Mapping[str, Any]) -> None:
    """Marks one check as done; raises `parallel.processing.completed` when it was the last.

    Three checks run this at once, on the same copy of the data, and each of them may see the others
    unfinished. It is correct as written because they read each other's states: the results of those
    that finish later are refused by the conflict rule, and they are called again with what is true by then.
    """
    checks = ctx.data["parallel_tasks"]
    checks[name] = {"state": "done", **result}
    if all(check["state"] == "done" for check in checks.values()):
        ctx.emit("parallel.processing.completed", {"checks": sorted(checks)})
