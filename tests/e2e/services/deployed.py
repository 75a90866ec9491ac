"""A handler service in two versions, by `VERSION`: its second one has a task under another name.

The task that both have waits in mid-call for the file that `GATE` names, where its workflow asks for that.
"""

import os
import time
from pathlib import Path

from waystation_worker import HandlerService, TaskContext

version = os.environ["VERSION"]
service = HandlerService("deployed", version=version)


@service.task("stays", events=["workflow.started"], workflow_types=["steady"], timeout=120.0)
def stays(ctx: TaskContext) -> None:
    """In both versions."""
    ctx.data["called_by"] = version
    while ctx.event.payload["wait"] and not Path(os.environ["GATE"]).exists():
        time.sleep(0.05)
    ctx.complete({"version": version})


@service.task(
    "old_name" if version == "1" else "new_name",
    events=["workflow.started"],
    workflow_types=["renamed"],
)
async def renamed(ctx: TaskContext) -> None:
    """Under another name in each."""
    ctx.complete({"task": ctx.task_id})


if __name__ == "__main__":
    service.run(grace=120.0)
