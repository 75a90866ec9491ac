"""An endpoint that keeps failing is left alone, and tried again: the rule, and the pool that keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from router_endpoints.handlers import Handler, registration, request, serving, task
from support.waiting import eventually

from waystation_core.rpc.attempts import Answered, Failed, NotSent
from waystation_domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_domain.retry_policy import RetryPolicy, steady_delay
from waystation_router.endpoints import CallCut, EndpointDirectory
from waystation_router.endpoints.circuit import FAULTS_TO_OPEN, Circuit

POLICY = RetryPolicy()


def wait(opening: int) -> float:
    return min(steady_delay(opening, POLICY), 30.0)


@given(
    st.lists(
        st.tuples(st.sampled_from(["send", "answer", "fail"]), st.floats(0.001, 40.0)), max_size=60
    )
)
def test_a_circuit_opens_after_faults_in_a_row_and_admits_a_probe_after_each_wait(
    steps: list[tuple[str, float]],
) -> None:
    circuit, now, sent = Circuit(wait), 0.0, [0.0]
    in_a_row, last_fault, openings, last_probe = 0, -1.0, 0, 0.0
    for what, passed in steps:
        now += passed
        if what == "answer":
            assert circuit.answered() == (in_a_row >= FAULTS_TO_OPEN)
            in_a_row = openings = 0
        elif what == "fail":
            sent_at = sent[-1]
            opened = circuit.failed(now, sent_at)
            if sent_at >= last_fault:
                in_a_row, last_fault = in_a_row + 1, now
                openings += in_a_row >= FAULTS_TO_OPEN
            else:
                assert not opened, "what was under way together counts once"
        elif circuit.admits(now):
            if circuit.is_open:
                assert now - max(last_fault, last_probe) >= wait(openings)
                last_probe = now
            circuit.sent(now)
            sent.append(now)
        assert circuit.is_open == (in_a_row >= FAULTS_TO_OPEN)
        assert circuit.faults == in_a_row
        # It never keeps anybody waiting for longer than a retry would wait after as many failures.
        if circuit.is_open:
            assert (
                circuit.probe_at - now
                <= wait(openings)
                <= max(30.0, steady_delay(in_a_row, POLICY))
            )
        assert circuit.admits(now + wait(max(openings, 1)))


ECHO, WAIT = task("echo", batching=True), task("wait", batching=True)
PATIENT = RetryPolicy(initial_backoff=20.0)


@asynccontextmanager
async def pool_with_news() -> AsyncIterator[tuple[EndpointDirectory, asyncio.Event]]:
    news = asyncio.Event()
    pool = EndpointDirectory(Allowlist.parse(DEFAULT_ALLOWLIST), on_change=news.set)
    yield pool, news
    await pool.close()


async def hang(pool: EndpointDirectory, times: int) -> None:
    """Calls that have no answer in time, one after the other."""
    for number in range(times):
        outcome = await pool.call("claims", request("wait", f"w{number}"), 0.05)
        assert isinstance(outcome, Failed)
        assert outcome.error.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("batching", [False, True], ids=["unary", "stream"])
async def test_an_endpoint_that_hangs_is_left_alone_and_a_probe_finds_that_it_is_well(
    batching: bool,
) -> None:
    async with serving(Handler()) as port, pool_with_news() as (pool, news):
        tasks = [replace(one, batching=batching) for one in (ECHO, WAIT)]
        pool.update([registration(port, *tasks)])
        await hang(pool, FAULTS_TO_OPEN)
        (report,) = pool.report().values()
        assert report["reachable"] is False
        for said in (
            "circuit open since",
            "3 consecutive faults",
            "CALL_TIMED_OUT",
            "next probe at",
        ):
            assert said in report["last_error"]
        assert pool.live_tasks() == frozenset()
        news.clear()
        # The first of them waits for the probe's time and is the probe, the others for its answer.
        calls = [pool.call("claims", request("echo", str(number)), 5) for number in range(5)]
        assert all([isinstance(await call, Answered) for call in calls])
        assert news.is_set()
        assert pool.live_tasks() == {("default", "echo"), ("default", "wait")}
        (report,) = pool.report().values()
        assert (report["reachable"], report["last_error"]) == (True, "")


async def test_others_are_called_meanwhile_and_a_new_process_is_not_what_the_old_one_was() -> None:
    hanging, well = Handler(), Handler()
    async with (
        serving(hanging) as first,
        serving(well) as second,
        pool_with_news() as (pool, _),
    ):
        tasks = [replace(one, retry=PATIENT) for one in (ECHO, WAIT)]
        pool.update([registration(first, *tasks)])
        await hang(pool, FAULTS_TO_OPEN)
        outcome = await pool.call("claims", request("echo"), 5)
        assert isinstance(outcome, NotSent)
        assert "circuit open since" in outcome.reason

        pool.update([registration(first, *tasks), registration(second, *tasks)])
        for number in range(6):
            assert isinstance(await pool.call("claims", request("echo", str(number)), 5), Answered)
        assert len(well.calls) == 6

        # Registered again at the same address.
        pool.update([replace(registration(first, *tasks), handler_id="anew")])
        assert isinstance(await pool.call("claims", request("echo"), 5), Answered)
        assert hanging.calls[-1].task_id == "echo"


async def test_a_task_that_hangs_among_others_that_answer_is_no_fault_of_the_endpoint() -> None:
    async with serving(Handler()) as port, pool_with_news() as (pool, _):
        pool.update([registration(port, ECHO, WAIT, task("NOT_FOUND", batching=True))])
        for other in ("echo", "NOT_FOUND", "echo"):
            await hang(pool, FAULTS_TO_OPEN - 1)
            assert not isinstance(await pool.call("claims", request(other), 5), NotSent)
        (report,) = pool.report().values()
        assert report["reachable"] is True


async def test_calls_that_are_cut_off_together_count_once(
    handler_process: object,
) -> None:
    process, port = await handler_process()  # type: ignore[operator]
    async with pool_with_news() as (pool, _):
        pool.update([registration(port, ECHO, WAIT)])
        calls = [pool.call("claims", request("wait", str(number)), 30) for number in range(5)]

        async def in_call() -> bool:
            return pool.in_flight == 5

        await eventually(in_call)
        assert isinstance(await pool.call("claims", request("echo"), 30), Answered)
        process.kill()
        assert all([isinstance(await call, CallCut) for call in calls])
        (report,) = pool.report().values()
        assert "circuit" not in report["last_error"]
