"""The page on testing is true: its files are written out and run, as a stranger would. Then the
plugin: what it shows when a test fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "testing-workflows.md"


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


def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == PAGE.read_text().count("```python")
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # 4 of one task, 10 + 4 of workflows, 1 + 5 with fixtures
    assert "24 passed" in done.stdout


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
