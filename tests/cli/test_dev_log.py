"""What `waystation dev` tells people while it runs: one line for each thing, with what to type."""

from __future__ import annotations

import asyncio
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from cli.test_dev import dev, ended
from rich.console import Console
from router.given import INSTANCE
from support.waiting import eventually

from waystation_cli.embedded.dev_log import DevLog
from waystation_core.log_limit import LINES_EACH_SECOND
from waystation_core.ports.store import Registration, RegistrySnapshot
from waystation_domain.actions import Start
from waystation_domain.commit import HistoryEntry, InstanceCommit
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import Result, Status, Wait
from waystation_domain.task_spec import TaskSpec
from waystation_worker import Backoff, Client, HandlerService, Reject, TaskContext

SERVICE = HandlerService("greetings")
TYPES = ["hello"]


@SERVICE.task(
    events=["workflow.started"], workflow_types=TYPES, max_attempts=2, backoff=Backoff(initial=0.1)
)
async def greet(ctx: TaskContext) -> None:
    if ctx.event.payload.get("impossible"):
        raise Reject("IMPOSSIBLE", "never\nwill\x1b[31m")
    ctx.emit(ctx.event.payload["name"])


@SERVICE.task(events=["greeting.made"], workflow_types=TYPES)
async def finish(ctx: TaskContext) -> None:
    ctx.complete()


@SERVICE.task(events=["question.due"], workflow_types=TYPES)
async def ask(ctx: TaskContext) -> None:
    ctx.wait_for_input("Who?")


@SERVICE.task(events=["user.input.provided"], workflow_types=TYPES)
async def hear(ctx: TaskContext) -> None:
    ctx.fail("NOBODY", "nobody is there")


EXPECTED = [
    r"greetings REGISTERED at 127\.0\.0\.1:\d+: greet, finish, ask, hear",
    r"well STARTED \(hello\)",
    r"well greet SUCCESS [\d.]+ m?s",
    r"well finish SUCCESS [\d.]+ m?s",
    r"well COMPLETED after [\d.]+ m?s",
    r"no-name greet FAILED 1/2 KeyError: 'name'; again in [\d.]+ ms",
    r"no-name greet FAILED 2/2 KeyError: 'name' -> dead letter; waystation explain no-name",
    r"no-name FAILED after [\d.]+ m?s",
    r"never greet FAILED 1/2 \(permanent\) IMPOSSIBLE: never\\nwill\N{REPLACEMENT CHARACTER}\[31m "
    r"-> dead letter; waystation explain never",
    r"lost IDLE `greeting.maid` was raised by greet; no task handles it; waystation explain lost",
    r"asks WAITING_FOR_INPUT ask asks: Who\?; waystation input asks",
    r"asks input by client",
    r"asks FAILED after [\d.]+ m?s NOBODY: nobody is there; waystation explain asks",
    r"greetings GONE from 127\.0\.0\.1:\d+; what its tasks should handle waits for it",
    r"late greet WAITS: its service greetings has no live endpoint",
    r"late CANCELLED after [\d.]+ m?s: no more",
]
"""In this order, as far as one waits for the other."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of a whole run."""
    folder = tmp_path_factory.mktemp("told") / "data"
    log = folder.with_suffix(".log")
    with dev(folder) as (process, address):
        asyncio.run(_run_each(address, log))
        assert ended(process) == 0
    return log.read_text().splitlines()


async def _run_each(address: str, log: Path) -> None:
    async with Client(address) as client:
        async with SERVICE.serving(address=address, port=0) as serving:
            await serving.wait_registered()
            for name, payload in (
                ("well", {"name": "greeting.made"}),
                ("no-name", {}),
                ("never", {"impossible": True}),
                ("lost", {"name": "greeting.maid"}),
                ("asks", {"name": "question.due"}),
            ):
                await client.run("hello", payload, workflow_instance_id=name, timeout=30)
            await client.provide_input("asks", {"name": "Ada"})
            await client.wait("asks", timeout=30)
        await client.start("hello", {}, workflow_instance_id="late")

        async def waits() -> bool:
            return await asyncio.to_thread(lambda: " WAITS: " in log.read_text())

        await eventually(waits)
        await client.cancel("late", reason="no more")


def test_a_line_tells_each_thing_that_people_care_about(told: list[str]) -> None:
    left = iter(told)
    for expected in EXPECTED:
        line = re.compile(rf"\d\d:\d\d:\d\d {expected}")
        assert any(line.fullmatch(each) for each in left), (expected, told)


def test_nothing_warns_without_a_cause_and_nothing_is_told_twice(told: list[str]) -> None:
    assert [line for line in told if re.search("WARNING|ERROR|NOT REACHABLE", line)] == []
    assert len(set(told)) == len(told)
    assert len(told) < 30


def test_machines_read_the_structured_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_LOG_FORMAT", "json")
    with dev(tmp_path / "data") as (process, _):
        assert ended(process) == 0
    lines = [json.loads(line) for line in (tmp_path / "data.log").read_text().splitlines()]
    assert {"serving", "router_started", "stopped"} <= {line["event"] for line in lines}
    assert all(line["process"] == "dev" for line in lines)


# --- without an engine ---------------------------------------------------------------------

TASK = TaskSpec("greet", "greetings", ("workflow.started",), ("claim",))
ENDPOINT = Registration("h-1", "greetings", "1", "127.0.0.1", 7500, static=False, tasks=(TASK,))
SNAPSHOT = RegistrySnapshot(1, 1, (TASK,), (ENDPOINT,))


class Told:
    """A log and what it has written."""

    def __init__(self, *, all_of_engine: bool = False) -> None:
        self._text = io.StringIO()
        console = Console(file=self._text, width=80)
        self.log = DevLog(console, all_of_engine=all_of_engine)

    @property
    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in self._text.getvalue().splitlines()]

    def of_engine(self, level: str, event: str, **facts: Any) -> str | None:
        try:
            return self.log.line_of_engine(None, "", {"level": level, "event": event, **facts})
        except structlog.DropEvent:
            return None


def commit(result: Result, *, status: Status = Status.ACTIVE, **after: Any) -> InstanceCommit:
    entry = HistoryEntry(
        sequence=4,
        event_id="e",
        event_type="asked",
        processed_by="greet",
        result=result,
        status=status,
        attempt=1,
        error={"reason": "KeyError", "message": "'name'"} if result is Result.FAILED else None,
        will_retry=True,
    )
    return InstanceCommit(INSTANCE, replace(INSTANCE, status=status, **after), entries=[entry])


async def test_many_successes_are_counted_and_failures_are_all_told() -> None:
    told = Told()
    told.log.committed([commit(Result.SUCCESS)] * 500)
    told.log.committed([commit(Result.FAILED)] * 100)

    async def lines() -> list[str]:
        return told.lines

    seen = await eventually(lines, until=lambda lines: "more in this second" in str(lines[-1:]))
    assert sum(" SUCCESS" in line for line in seen) == LINES_EACH_SECOND
    assert sum(" FAILED 1" in line for line in seen) == 100
    assert seen[-1].startswith(f"... and {500 - LINES_EACH_SECOND} more in this second")


async def test_starts_waits_and_idle_ones_are_counted_too() -> None:
    told = Told()
    wait = Wait("w-1", "ask", "Who?", "2026-01-01T00:00:00Z")
    idle = Idle("e", "asked", "greet", Ending.UNHANDLED)
    told.log.started([Start(INSTANCE, None, None, b"", None)] * 100)  # type: ignore[arg-type]
    for after in ({"waits": (wait,)}, {"idle": idle}, {"status": Status.COMPLETED}):
        told.log.committed([commit(Result.UNHANDLED, **after)] * 100)

    async def lines() -> list[str]:
        return told.lines

    seen = await eventually(lines, until=lambda lines: "more in this second" in str(lines[-1:]))
    assert len(seen) == LINES_EACH_SECOND + 1


def test_a_service_that_registers_again_with_the_same_is_no_news() -> None:
    """After a restart of the engine within its lease, it gets another id."""
    told = Told()
    told.log.registry_changed(SNAPSHOT)
    again = replace(ENDPOINT, handler_id="another")
    told.log.registry_changed(replace(SNAPSHOT, handlers=(again,)))
    assert [line.split()[1] for line in told.lines] == ["REGISTERED"]


def test_a_service_that_is_lost_and_comes_back() -> None:
    told = Told()
    told.log.registry_changed(SNAPSHOT)
    lost = told.of_engine(
        "warning", "endpoint_not_reachable", endpoint="127.0.0.1:7500", error="no connection"
    )
    assert lost is not None
    assert "greetings NOT REACHABLE at 127.0.0.1:7500: no connection" in lost
    back = told.of_engine("info", "endpoint_connected", endpoint="127.0.0.1:7500")
    assert back is not None
    assert "greetings REACHABLE again" in back
    # Only where it was told to be lost.
    assert told.of_engine("info", "endpoint_connected", endpoint="127.0.0.1:7500") is None
    told.log.registry_changed(replace(SNAPSHOT, handlers=(replace(ENDPOINT, service_version="2"),)))
    told.log.registry_changed(replace(SNAPSHOT, handlers=()))
    assert [line.split()[1] for line in told.lines] == ["REGISTERED", "REGISTERED", "GONE"]
    # It has unregistered: that nobody listens there any more is no news.
    assert (
        told.of_engine(
            "warning", "endpoint_not_reachable", endpoint="127.0.0.1:7500", error="no connection"
        )
        is None
    )


def test_a_new_service_at_the_address_of_one_that_was_lost_does_not_come_back() -> None:
    told = Told()
    told.log.registry_changed(SNAPSHOT)
    told.of_engine("warning", "endpoint_not_reachable", endpoint="127.0.0.1:7500", error="gone")
    told.log.registry_changed(replace(SNAPSHOT, handlers=()))
    told.log.registry_changed(SNAPSHOT)
    assert told.of_engine("info", "endpoint_connected", endpoint="127.0.0.1:7500") is None


def test_of_the_engine_s_own_log_warnings_are_shown_with_their_trouble() -> None:
    told = Told()
    assert told.of_engine("info", "delivery", attempt=1) is None
    assert told.of_engine("warning", "attempt_failed", attempt=1) is None
    try:
        raise LookupError("nothing there")
    except LookupError as error:
        line = told.of_engine("error", "sweep_failed", sweep="due\n23:00:00 forged", exc_info=error)
    assert line is not None
    first, *trace = line.splitlines()
    assert first.endswith("ERROR sweep_failed sweep=due\\n23:00:00 forged")
    assert trace[-1] == "LookupError: nothing there"


@pytest.mark.parametrize("event", ["delivery", "attempt_failed", "endpoint_connected"])
def test_all_of_the_engine_s_log_can_be_had(event: str) -> None:
    line = Told(all_of_engine=True).of_engine("info", event, endpoint="127.0.0.1:7500")
    assert line is not None
    assert line.endswith(f"INFO {event} endpoint=127.0.0.1:7500")


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_colours_are_for_terminals_without_no_color(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = io.StringIO()
    log = DevLog(Console(file=text, force_terminal=True, width=80))
    log.registry_changed(SNAPSHOT)
    assert ("\x1b[32m" in text.getvalue()) is coloured
    assert "REGISTERED" in text.getvalue()
