"""Every command that a report advises works in the state in which they advise it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import pytest
from api.test_handlers import register
from support.running_api import Api
from support.scripted_engine import failure, reply, task
from typer.testing import CliRunner, Result

from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import UnregisterHandlerRequest
from waystation_cli.app import app
from waystation_cli.outcome import REFUSED, USAGE
from waystation_cli.render import live
from waystation_domain.model import OnFailure
from waystation_domain.outcomes import Completion, Failing, WaitRequest

CONTINUE = task(on_failure=OnFailure.CONTINUE)

# What stands for something that whoever reads the advice knows.
FILLED = {"'{...}'": "{}", "EVENT_TYPE": "claim.amended", "SEQUENCE": "1"}


async def _started(api: Api, name: str) -> None:
    request = pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    await api.workflows.StartWorkflow(request)


async def _waits(api: Api, name: str) -> None:
    waits = (WaitRequest("How much?"), WaitRequest("By when?"))
    await api.engine.handle(name, "workflow.started", reply(waits=waits))


async def _failed(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", failure(permanent=True))


async def _failed_by_itself(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", reply(end=Failing("NO", "no")))


async def _open_with_a_dead_letter(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", failure(permanent=True), by=CONTINUE)


async def _ended_with_dead_letters(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", reply("one", "other"))
    await api.engine.handle(name, "one", failure(permanent=True), by=CONTINUE)
    await api.engine.handle(name, "other", reply(end=Completion()))
    late = failure(permanent=True)
    await api.engine.handle(name, "workflow.completed", late, by=CONTINUE)


async def _idle(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", reply())


async def _retried(api: Api, name: str) -> None:
    await api.engine.handle(name, "workflow.started", failure())


async def _fresh(api: Api, name: str) -> None:
    pass


Prepare = Callable[[Api, str], Awaitable[None]]
STATES: dict[str, tuple[Prepare, int]] = {
    "fresh": (_fresh, 1),
    "waits": (_waits, 2),
    "failed": (_failed, 2),
    "failed by itself": (_failed_by_itself, 1),
    "open with a dead letter": (_open_with_a_dead_letter, 2),
    "ended with dead letters": (_ended_with_dead_letters, 2),
    "idle": (_idle, 2),
    "retried": (_retried, 1),
}
"""How a workflow comes there, and how many commands are advised at least."""


async def _watched(api: Api, name: str) -> str:
    """What `watch` shows on a terminal of a workflow that is open: it ends with it."""
    view = live.WorkflowView(name)
    request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
    view.show([], [], await api.workflows.ExplainWorkflow(request))
    return "\n".join(line.plain for line in view.whole())


async def _nobody_to_call(api: Api, name: str) -> None:
    """Its task has no endpoint any more, and another endpoint does not answer."""
    made = await api.handlers.RegisterHandler(register(port=1, tasks=[_spec("gone")]))
    await _started(api, name)
    await api.engine.pending(name, "workflow.started")
    await api.handlers.UnregisterHandler(
        UnregisterHandlerRequest(handler_id=made.handler.handler_id)
    )


def _spec(task_id: str) -> TaskSpec:
    return TaskSpec(task_id=task_id, event_types=["workflow.started"], workflow_types=["t"])


REPORTS: list[tuple[str, Prepare, int]] = [
    ("inbox", _waits, 2),
    ("status", _failed, 2),
    ("status", _nobody_to_call, 1),
    ("top", _failed, 1),
    ("lint", _fresh, 1),
    ("list", _failed, 0),
]
"""What is told of the whole installation; how many commands are advised at least."""


@pytest.mark.parametrize(
    ("report", "prepare", "least"), REPORTS, ids=lambda value: getattr(value, "__name__", value)
)
async def test_no_advice_of_a_report_about_all_is_refused(
    report: str, prepare: Prepare, least: int, api: Api
) -> None:
    if prepare is not _nobody_to_call:
        await _started(api, "w-0")
    await prepare(api, "w-0")

    async def run(*arguments: str) -> Result:
        words = [*arguments, "--address", api.server.address]
        return await asyncio.to_thread(CliRunner().invoke, app, words)

    told = (await run(report)).output
    found = sorted(set(re.findall(r"(?:`|answer: |: )waystation ([a-z][^`\n]*)", told)))
    assert len(found) >= least, told
    for command in found:
        # Without data it asks, where there is a terminal.
        more = ["--data", "{}"] if command.startswith("input") else []
        done = await run(*command.split(), *more)
        assert done.exit_code not in (USAGE, REFUSED), f"{command}: {done.output}"


@pytest.mark.parametrize("state", STATES)
async def test_no_advice_is_refused(api: Api, state: str) -> None:
    prepare, least = STATES[state]

    async def run(*arguments: str) -> Result:
        words = [*arguments, "--address", api.server.address]
        return await asyncio.to_thread(CliRunner().invoke, app, words)

    async def advised(name: str) -> list[str]:
        await _started(api, name)
        await prepare(api, name)
        told = ""
        for command in (
            ["show", name],
            ["explain", name],
            ["wait", name, "--timeout", "10ms"],
            ["dead-letters", "list", "--workflow", name],
        ):
            told += (await run(*command)).output
        told += await _watched(api, name)
        # `waystation dead-letters list` also says what can be done with ids, in general.
        found = re.findall(r"waystation ((?:[a-z-]+ )+[^`\n]*)", told)
        return sorted({each.strip().rstrip(".") for each in found if " ID " not in each})

    number = len(await advised("w-0"))
    assert number >= least
    for at in range(number):
        # Each in a workflow of its own: what one does may end what another is about.
        command = (await advised(f"w-{at + 1}"))[at]
        for placeholder, value in FILLED.items():
            command = command.replace(placeholder, value)
        if command.startswith(("waystation-", "watch", "handlers register")):
            continue
        done = await run(*command.split())
        assert done.exit_code not in (USAGE, REFUSED), f"{command}: {done.output}"
