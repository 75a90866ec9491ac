"""Background tasks that somebody owns: begun again while that helps, else the end of the process."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs
from support.waiting import eventually

from waystation_core.background import Retries, job, owned, owner, run_loop, wait_before
from waystation_core.rpc import process
from waystation_core.rpc.settings import Settings


class Loop:
    """Work that counts how often it began, and does as the test says."""

    def __init__(self, *, fails: int = 0, ends: bool = False) -> None:
        self.begun = 0
        self._fails = fails
        self._ends = ends

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= self._fails:
            raise RuntimeError(f"failure {self.begun}")
        if not self._ends:
            await asyncio.Event().wait()

    async def count(self) -> int:
        return self.begun


async def _death() -> object:
    return owner().death


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "LONGEST_WAIT_SECONDS", 0.01)
    # Its clock would end this process.
    monkeypatch.setattr(process, "_leave", lambda *_: None)


async def test_a_loop_that_fails_begins_again() -> None:
    work = Loop(fails=3)
    with capture_logs() as logs:
        kept = run_loop("it", work)
        await eventually(work.count, until=lambda begun: begun == 4)
    assert owner().death is None
    assert {kept.name for kept in owner().kept} == {"it"}
    assert [line["times"] for line in logs if line["event"] == "background_task_failed"] == [
        1,
        2,
        3,
    ]
    kept.cancel()
    await kept.wait()
    assert owner().death is None
    assert not owner().kept


@pytest.mark.parametrize(
    ("work", "again", "begun"),
    [
        pytest.param(Loop(fails=1_000), True, owned.MOST_FAILURES, id="fails again and again"),
        pytest.param(Loop(fails=1), False, 1, id="can't begin again"),
        pytest.param(Loop(ends=True), True, owned.MOST_FAILURES, id="ends, though it must not"),
    ],
)
async def test_a_loop_that_cannot_go_on_is_the_end(work: Loop, again: bool, begun: int) -> None:
    stopping = process.stop_signals(1.0)
    with capture_logs() as logs:
        run_loop("it", work, again=again)
        async with asyncio.timeout(30):
            await stopping.wait()
    assert "it" in str(owner().death)
    assert work.begun == begun
    assert any(line["event"] == "background_task_died" for line in logs)


async def test_a_loop_that_somebody_cancels_is_the_end() -> None:
    """Nobody does, but libraries have faults."""
    kept = run_loop("it", Loop())
    await asyncio.sleep(0)
    kept.task.cancel()
    assert "it" in str(await eventually(_death))


async def test_one_that_may_end_does() -> None:
    kept = run_loop("it", Loop(ends=True), ends=True)
    await kept.wait()
    assert owner().death is None


async def test_what_a_job_raises_is_logged() -> None:
    async def fails() -> None:
        raise RuntimeError("no luck")

    with capture_logs() as logs:
        await asyncio.wait({job("it", fails())})
        await asyncio.sleep(0)
    assert [(line["event"], line["job"]) for line in logs] == [("background_job_failed", "it")]


def test_the_process_of_a_dead_task_ends_with_1_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The log of the tests is not that of a process.
    monkeypatch.setattr(process.logs, "configure", lambda *_, **__: None)

    async def serve(_settings: Settings) -> None:
        stopping = process.stop_signals(1.0)
        run_loop("registry", Loop(fails=1), again=False)
        await stopping.wait()

    assert process.run("waystation-test", Settings, serve) == 1
    assert "registry" in capsys.readouterr().err


def test_waits_grow_and_have_a_bound() -> None:
    waits = [wait_before(attempt) for attempt in range(1, 40)]
    assert 0.16 <= waits[0] <= 0.2
    assert all(1.6 <= wait <= 2.0 for wait in waits[4:])


def test_a_thousand_tries_are_a_line_when_it_begins_and_one_when_it_ends() -> None:
    retries = Retries("commit_repeated")
    with capture_logs() as logs:
        for _ in range(1_000):
            retries.failed(RuntimeError("read-only"), waiting=3)
        retries.over()
        retries.over()
    assert [line["event"] for line in logs] == ["commit_repeated", "commit_repeated_over"]
    assert logs[0]["error"] == "RuntimeError: read-only"
    assert logs[1]["failures"] == 1_000
    with capture_logs() as logs:
        for _ in range(1_000):  # now and then one comes through
            retries.failed(RuntimeError("read-only"))
            retries.over()
    assert logs == []
