"""The pages on handlers, on testing and on sagas are true: their files are written out and run, as a stranger
would. Then the plugin: what it shows when a test fails."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from waystation_worker import TaskResult
from waystation_worker.testing import TestEngine, WorkflowRun

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "testing-workflows.md"
HANDLERS = DOCS / "handlers.md"
SAGAS = DOCS / "sagas.md"


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\naddopts = -p no:cacheprovider\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def files_of(page: Path) -> list[tuple[str, str]]:
    """The Python blocks of a page that begin with the name of a file."""
    return re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", page.read_text(), re.M | re.S)


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    blocks = files_of(PAGE)
    assert len(blocks) == PAGE.read_text().count("```python")
    for name, text in blocks + files_of(HANDLERS):
        (tmp_path / name).write_text(text)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # 4 of one task, 10 + 4 of workflows, 9 of what comes later, 1 + 5 with fixtures
    assert "33 passed" in done.stdout


def test_the_saga_of_the_page_holds(tmp_path: Path) -> None:
    for name, text in files_of(SAGAS):
        (tmp_path / name).write_text(text)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout


class ClientOfRun:
    """What a Client does for tasks whose result follows, for a workflow in the kit."""

    def __init__(self, run: WorkflowRun) -> None:
        self._run = run

    async def complete_delivery(self, token: str, result: TaskResult) -> None:
        self._run.complete_delivery(token, result)

    async def fail_delivery(
        self, token: str, reason: str, message: str, retry_after: float
    ) -> None:
        self._run.fail_delivery(token, reason, message, retry_after=retry_after)

    async def extend_delivery(self, token: str, extension: timedelta) -> None:
        self._run.extend_delivery(token, extension)


async def test_what_handlers_say_of_results_that_follow_runs() -> None:
    page: dict[str, Any] = {}
    exec(dict(files_of(HANDLERS))["letters.py"], page)

    class Printer:
        async def submit(self, text: str, key: str, token: str) -> None: ...

    engine = TestEngine(page["build_service"](Printer()))
    run = engine.start("letter", {"text": "Hi"})
    client = ClientOfRun(run)
    await run.until_quiet()
    await page["still_printing"](client, run.pending[0].completion_token)
    assert run.pending[0].until == engine.now + timedelta(hours=1)
    await page["jammed"](client, run.pending[0].completion_token)
    await engine.advance(600)
    await page["printed"](client, run.pending[0].completion_token, 2)
    assert (run.status, run.output) == ("COMPLETED", {"pages": 2})
    assert (run.data["pages"], run.data["stats"]) == (2, {"letters": 1})


def test_a_failing_test_shows_its_workflows(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        """
import pytest
from waystation_worker import HandlerService

service = HandlerService("s")

@service.task(events=["workflow.started"], workflow_types=["w"])
def first(ctx):
    ctx.emit("nobody.listens")

@pytest.fixture
def waystation_service():
    return [service]

async def test_it(waystation_engine):
    run = waystation_engine.start("w", {"secret": 1})
    await run.until_quiet()
    assert run.status == "COMPLETED"

async def test_no_such_task(waystation_task):
    await waystation_task("second")
"""
    )
    shown = pytest_in(tmp_path, "--waystation-seed", "7").stdout
    assert "Waystation workflows, seed 7" in shown
    assert "w-1 (w, seed 7): ACTIVE" in shown
    assert re.search(r"2  workflow\.started +first #1 +SUCCESS -> nobody\.listens", shown)
    assert "s has no task second; it hosts first" in shown


def test_the_plugin_asks_for_a_service(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(waystation_engine): ...\n")
    assert "define a fixture `waystation_service`" in pytest_in(tmp_path).stdout


def test_the_kit_needs_neither_pytest_nor_pydantic() -> None:
    program = """
import sys
for name in ("pytest", "pydantic", "waystation_core"):
    sys.modules[name] = None
import waystation_worker.testing
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
