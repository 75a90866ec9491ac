"""Failpoints: what can be asked for, what then happens, and that nothing is there when nothing was asked for."""

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from waystation_core.failpoints import POINTS, BadFailpoints, Failpoints, Plan, plan_of
from waystation_core.ports.broker import AnnounceOutcome
from waystation_core.ports.store import BrokenLeases, EngineStore, RegistryStore
from waystation_domain.errors import StoreUnavailable

BINARIES = Path(sys.executable).parent


def plan(text: str, **more: str) -> Plan:
    found = plan_of({"WAYSTATION_TEST_PROFILE": "true", "WAYSTATION_FAILPOINTS": text, **more})
    assert found is not None
    return found


async def failures(plan: Plan, point: str, times: int) -> list[int]:
    """Which of so many times there was an error, from 1."""
    failed = []
    for at in range(1, times + 1):
        try:
            await plan.at(point)
        except StoreUnavailable:
            failed.append(at)
    return failed


class Witness:
    """Stands for any port object: notes what reached it, and answers with what it was given."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def method(*args: object, **kwargs: object) -> object:
            self.seen.append(name)
            return self.answer

        return method

    @asynccontextmanager
    async def locked(self, **how: object) -> AsyncIterator["Witness"]:
        self.seen.append("locked")
        yield self
        self.seen.append("committed")


def test_each_awaited_method_of_the_stores_has_points_on_both_sides() -> None:
    for port in (EngineStore, RegistryStore):
        for name, method in vars(port).items():
            if inspect.iscoroutinefunction(method):
                assert {f"{name}.before", f"{name}.after"} <= set(POINTS)
    assert all(meaning.endswith(".") for meaning in POINTS.values())


def test_a_server_without_failpoints_has_its_own_ports() -> None:
    assert plan_of({}) is None
    failpoints = Failpoints.of({})
    store, broker = cast(Any, Witness()), cast(Any, Witness())
    assert failpoints.engine_store(store) is store
    assert failpoints.registry_store(store) is store
    assert failpoints.broker(broker) is broker
    assert failpoints.interceptors() == ()
    assert failpoints.plan is None


async def test_a_point_counts_or_draws_and_the_same_seed_draws_the_same() -> None:
    assert await failures(plan("commit.before=error"), "commit.before", 3) == [1, 2, 3]
    assert await failures(plan("commit.before=error@2"), "commit.before", 4) == [2]
    assert await failures(plan("commit.before=error@2+"), "commit.before", 4) == [2, 3, 4]
    assert await failures(plan("commit.before=error"), "commit.after", 3) == []
    assert await failures(plan("*=error@1"), "load.after", 3) == [1]
    drawn = await failures(plan("commit.before=error%0.2"), "commit.before", 500)
    assert 50 < len(drawn) < 150
    assert drawn == await failures(plan("commit.before=error%0.2"), "commit.before", 500)
    other = plan("commit.before=error%0.2", WAYSTATION_FAILPOINTS_SEED="8")
    assert drawn != await failures(other, "commit.before", 500)


@pytest.mark.parametrize(
    "text",
    [
        "commit.befor=kill",
        "commit.before",
        "commit.before=explode",
        "commit.before=sleep",
        "commit.before=sleep(-1)",
        "commit.before=kill@0",
        "commit.before=kill%2",
        "call.sent=error",
        "commit.before=kill,load.before=kill",
    ],
)
def test_an_unknown_failpoint_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadFailpoints, match="WAYSTATION_FAILPOINTS"):
        plan(text)


async def test_an_error_before_leaves_nothing_done_and_one_after_loses_the_answer() -> None:
    for side, seen in (("before", []), ("after", ["commit"])):
        witness = Witness()
        store = Failpoints(plan(f"commit.{side}=error")).engine_store(cast(Any, witness))
        with pytest.raises(StoreUnavailable):
            await store.commit([], generations={})
        assert witness.seen == seen


async def test_under_a_lock_there_are_points_before_and_after_the_write_and_the_commit() -> None:
    expected = {
        "locked.before": [],
        "locked.after": ["locked"],
        "locked.write.before": ["locked"],
        "locked.write.after": ["locked", "write"],
        "locked.exit.before": ["locked", "write"],
        "locked.exit.after": ["locked", "write", "committed"],
    }
    for point, seen in expected.items():
        witness = Witness()
        store = Failpoints(plan(f"{point}=error")).engine_store(cast(Any, witness))
        with pytest.raises(StoreUnavailable):
            async with store.locked(key=1) as locked:
                await locked.write(cast(Any, None))
        assert witness.seen == seen


@pytest.mark.parametrize(
    ("method", "nothing", "something"),
    [
        ("claim_timers", {}, {1: []}),
        ("wake_parked", 0, 2),
        ("break_leases", BrokenLeases(0, 0), BrokenLeases(0, 1)),
    ],
)
async def test_a_claim_that_found_nothing_does_not_count(
    method: str, nothing: object, something: object
) -> None:
    witness = Witness(nothing)
    asked = plan(f"{method}.after=error@1")
    store = Failpoints(asked).engine_store(cast(Any, witness))
    await getattr(store, method)()
    witness.answer = something
    with pytest.raises(StoreUnavailable):
        await getattr(store, method)()


async def test_an_announcement_that_fails_is_one_without_a_confirm() -> None:
    for side, seen in (("before", []), ("after", ["announce"])):
        witness = Witness([AnnounceOutcome.CONFIRMED])
        broker = Failpoints(plan(f"announce.{side}=error")).broker(cast(Any, witness))
        outcomes = await broker.announce([cast(Any, None)])
        assert outcomes == [AnnounceOutcome.UNCONFIRMED]
        assert witness.seen == seen


async def test_a_sleep_waits_and_lets_the_others_go_on() -> None:
    asked = plan("commit.before=sleep(0.2)")
    waiting = asyncio.ensure_future(asked.at("commit.before"))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with asyncio.timeout(10):
        await waiting


@pytest.mark.parametrize("server", ["waystation-api", "waystation-router"])
def test_a_server_with_failpoints_does_not_start_unless_it_is_a_test(server: str) -> None:
    environment = {
        **os.environ,
        "WAYSTATION_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "WAYSTATION_BROKER_URL": "memory://",
        "WAYSTATION_FAILPOINTS": "commit.before=kill;nowhere=kill",
    }
    ended = subprocess.run(
        [BINARIES / server], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 78
    assert "they set WAYSTATION_TEST_PROFILE=true" in ended.stderr
    assert "'nowhere=kill' is not a failpoint" in ended.stderr
