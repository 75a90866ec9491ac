"""Fixtures for pytest. Only pytest imports this file, by its entry point.

Define `waystation_service` (one service, or a list of them) and use

    waystation_engine   a TestEngine; when the test fails, its workflows' timelines are shown
    waystation_task     run_task of these services: `await waystation_task("price", data=...)`
    waystation_seed     `--waystation-seed`, default 0; parametrize it to test many orders
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from waystation_worker import HandlerService
    from waystation_worker.testing import Answer, TestEngine

_ENGINE = pytest.StashKey["TestEngine"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--waystation-seed`."""
    group = parser.getgroup("waystation")
    group.addoption(
        "--waystation-seed",
        type=int,
        default=0,
        help="the seed for the order in which deliveries are called and committed",
    )


@pytest.fixture
def waystation_seed(request: pytest.FixtureRequest) -> int:
    """Seed for the order of deliveries in `waystation_engine`."""
    seed: int = request.config.getoption("--waystation-seed")
    return seed


@pytest.fixture
def waystation_service() -> HandlerService | Sequence[HandlerService]:
    """The services under test: define this fixture in your tests."""
    raise pytest.UsageError(
        "define a fixture `waystation_service` that returns your HandlerService, or a list of them"
    )


@pytest.fixture
def waystation_engine(
    request: pytest.FixtureRequest, waystation_service: Any, waystation_seed: int
) -> TestEngine:
    """A TestEngine over `waystation_service`, with duplicates."""
    from waystation_worker.testing import TestEngine

    engine = TestEngine(*_services(waystation_service), seed=waystation_seed)
    request.node.stash[_ENGINE] = engine
    return engine


@pytest.fixture
def waystation_task(waystation_service: Any) -> Callable[..., Awaitable[Answer]]:
    """`run_task` without its first argument."""
    from waystation_worker.testing import run_task

    services = _services(waystation_service)

    def run(task_id: str, **options: Any) -> Awaitable[Answer]:
        host = next((one for one in services if task_id in one.tasks), services[0])
        return run_task(host, task_id, **options)

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows what the workflows of a failed test did."""
    report = yield
    engine = item.stash.get(_ENGINE, None)
    if report.failed and engine is not None:
        timelines = "\n".join(run.timeline() for run in engine.runs)
        report.sections.append((f"Waystation workflows, seed {engine.seed}", timelines))
    return report


def _services(given: Any) -> Sequence[HandlerService]:
    return [given] if hasattr(given, "tasks") else list(given)
