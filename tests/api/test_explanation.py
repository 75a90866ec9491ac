"""Explanations: each kind of blocker, with a remedy that can be typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from support.running_api import Api
from support.scripted_engine import failure, reply, task
from support.waiting import eventually

from waystation.v1 import blocker_pb2
from waystation.v1 import workflow_service_pb2 as pb
from waystation.v1.dead_letter_service_pb2 import DiscardDeadLetterRequest, RetryDeadLetterRequest
from waystation.v1.handler_pb2 import TaskSpec
from waystation.v1.handler_registry_service_pb2 import (
    ListHandlersRequest,
    RegisterHandlerRequest,
    RetireTaskRequest,
)
from waystation.v1.system_service_pb2 import GetSystemStatusRequest
from waystation_api.workflows import service
from waystation_core.broker.in_process import InProcessBroker
from waystation_core.ids import new_id
from waystation_core.ports.broker import BrokerStatus
from waystation_core.ports.store import RouterReport
from waystation_core.providers import PROVIDERS
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import (
    Delivery,
    DeliveryState,
    NewEvent,
    OnFailure,
    TimerKind,
)
from waystation_domain.outcomes import Completion, FanOut, Pending, Reply, WaitRequest
from waystation_domain.pools import Pool
from waystation_domain.results import EventTouch, take_turn


@pytest.fixture(autouse=True)
async def default_router(api: Api) -> str:
    """A router is alive."""
    return await router(api)


async def router(api: Api, pool: str = "default", *bindings: str) -> str:
    """A router that is alive, and its pool; what it is called."""
    router_id = new_id()
    if bindings:
        await api.store.engine.join_pool(Pool(pool, bindings, expires_seconds=300.0), 10.0)
    await api.store.engine.heartbeat(
        router_id, pool, "host/1", 60.0, RouterReport(0, 0, {}), bindings
    )
    return router_id


async def compared(api: Api, router_id: str, before: timedelta = timedelta()) -> None:
    """This router has in hand what was leased to it that long ago, or longer."""
    now, _ = await api.store.engine.leased(router_id, after=None, limit=1)
    await api.store.engine.compared(router_id, now - before)


async def started(api: Api, name: str = "w-1") -> str:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id=name)
    )
    return name


async def register(api: Api, *task_ids: str, event_type: str = "workflow.started") -> None:
    await api.handlers.RegisterHandler(
        RegisterHandlerRequest(
            service_name="claims",
            host="127.0.0.1",
            port=7500,
            tasks=[
                TaskSpec(
                    task_id=task_id,
                    event_types=[event_type],
                    workflow_types=["t"],
                    catch_up=2,  # type: ignore[arg-type]
                )
                for task_id in task_ids
            ],
        )
    )


async def explained(api: Api, name: str = "w-1") -> tuple[str, dict[str, Any]]:
    """The summary, and the blockers by kind."""
    answer = await api.workflows.ExplainWorkflow(
        pb.ExplainWorkflowRequest(workflow_instance_id=name)
    )
    assert not answer.context.HasField("data")
    kinds = {blocker_pb2.BlockerKind.Name(found.kind)[13:]: found for found in answer.blockers}
    assert len(kinds) == len(answer.blockers)
    assert all(found.message and found.remedy and found.since.seconds for found in answer.blockers)
    return answer.summary, kinds


async def test_an_event_that_nobody_handles(api: Api) -> None:
    name = await started(api)
    summary, found = await explained(api)
    assert list(found) == ["PENDING_EVENT"]
    assert "`workflow.started` was raised by client; no task handles it" in summary
    await api.engine.handle(name, "workflow.started", None)
    summary, found = await explained(api)
    assert list(found) == ["IDLE"]
    assert "`workflow.started` was raised by client; no task handles it" in summary
    assert "Register a task for `workflow.started` of workflow type `t`" in found["IDLE"].remedy
    assert found["IDLE"].remedy.endswith(f"misspelt, end it: `waystation cancel {name}`.")


async def test_an_event_on_its_way_and_one_whose_service_is_gone(api: Api) -> None:
    await register(api, "claim_validator")
    await started(api)
    _, found = await explained(api)
    assert list(found) == ["PENDING_EVENT"]
    assert found["PENDING_EVENT"].task_id == "claim_validator"
    (handler,) = await api.store.registry.handlers()
    await api.store.registry.unregister(handler.handler_id)
    _, found = await explained(api)
    assert list(found) == ["NO_LIVE_ENDPOINT"]
    assert found["NO_LIVE_ENDPOINT"].service_name == "claims"
    assert "waystation handlers register --service claims" in found["NO_LIVE_ENDPOINT"].remedy
    assert "--task ID:EVENT:TYPE" in found["NO_LIVE_ENDPOINT"].remedy  # refused without


async def test_deliveries_off_the_fast_way(api: Api, default_router: str) -> None:
    tasks = [task(name) for name in ("retried", "called", "crowded", "gone", "next")]
    await register(api, *(one.task_id for one in tasks))
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    await api.engine.handle(
        name,
        "workflow.started",
        failure("NO_LUCK"),
        by=tasks[0],
        tasks=tasks,
        rows=[
            Delivery(event.event_id, "crowded", DeliveryState.AT_CAPACITY),
            Delivery(event.event_id, "gone", DeliveryState.NO_ENDPOINT),
            Delivery(event.event_id, "next", DeliveryState.READY),
        ],
        router_id=default_router,
    )
    await compared(api, default_router)
    summary, found = await explained(api)
    assert set(found) == {
        "RETRYING",
        "IN_CALL",
        "AT_CAPACITY",
        "NO_LIVE_ENDPOINT",
        "PENDING_EVENT",
    }
    assert summary.endswith("and 2 more.")
    retrying = found["RETRYING"]
    assert (retrying.task_id, retrying.attempts, retrying.last_error.reason) == (
        "retried",
        1,
        "NO_LUCK",
    )
    assert retrying.due_at.ToDatetime(UTC) > datetime.now(UTC).replace(year=2000)
    assert found["IN_CALL"].task_id == "called"
    assert found["NO_LIVE_ENDPOINT"].task_id == "gone"


async def test_why_a_parked_delivery_is_not_called(api: Api) -> None:
    await register(api, "claim_validator")
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    row = Delivery(event.event_id, "claim_validator", DeliveryState.NO_ENDPOINT)
    await api.engine.handle(name, "workflow.started", None, tasks=[task()], rows=[row])

    async def why() -> tuple[str, str]:
        _, found = await explained(api)
        blocker = found["NO_LIVE_ENDPOINT"]
        return blocker.message, blocker.remedy

    assert "no endpoint of claims could be called" in (await why())[0]
    (handler,) = await api.store.registry.handlers()
    router = new_id()
    # One that cannot be called, and one that does not host what it announces.
    for reachable, trouble in (
        (False, "circuit open"),
        (True, "returned UNIMPLEMENTED for claim_validator"),
    ):
        seen = {"reachable": reachable, "last_error": trouble, "calls_in_flight": 0}
        report = RouterReport(0, 0, endpoints={handler.handler_id: seen})
        await api.store.engine.heartbeat(router, "default", "host", 30, report)
        message, remedy = await why()
        assert f"claims cannot be called (127.0.0.1:7500: {trouble})" in message
        assert "waystation handlers list" in remedy
        listed = await api.handlers.ListHandlers(ListHandlersRequest())
        assert (listed.handlers[0].reachable, listed.handlers[0].last_error) == (reachable, trouble)
    await register(api, "claim_validator", event_type="other")
    message, remedy = await why()
    assert "declares the task for this event any more" in message
    assert "`workflow.started` of `t`" in remedy
    await register(api, "renamed")
    message, remedy = await why()
    assert "no live endpoint of claims declares the task any more" in message
    assert "the task is retired" in remedy
    await api.handlers.RetireTask(RetireTaskRequest(task_id="claim_validator"))

    async def kinds() -> list[str]:
        return list((await explained(api))[1])

    await eventually(kinds, until=lambda found: found == ["DEAD_LETTER"], timeout=20)


async def test_waits_with_the_command_that_answers_them(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(
        name, "workflow.started", reply(waits=(WaitRequest("How much? ", wait_id="w-a"),))
    )
    summary, found = await explained(api)
    assert summary.endswith("How much?")
    waiting = found["WAITING_FOR_INPUT"]
    assert (waiting.wait_id, waiting.task_id) == ("w-a", "claim_validator")
    assert f"waystation input {name} --wait-id w-a --data" in waiting.remedy


async def test_a_failed_workflow_names_its_dead_letter_and_what_is_held(api: Api) -> None:
    await register(api, "claim_validator", "other", event_type="#")
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply("a", "b"))
    await api.engine.handle(name, "a", failure("BAD", permanent=True))
    await api.engine.handle(name, "b", reply(), by=task("other"))
    summary, found = await explained(api)
    assert {"DEAD_LETTER", "HELD"} == set(found)
    letter = found["DEAD_LETTER"]
    assert f"waystation dead-letters retry {letter.dead_letter_id}" in letter.remedy
    assert (letter.task_id, letter.last_error.reason) == ("claim_validator", "BAD")
    assert "FAILED" in summary
    await api.dead_letters.DiscardDeadLetter(
        DiscardDeadLetterRequest(dead_letter_id=letter.dead_letter_id)
    )
    summary, found = await explained(api)
    assert not found
    # The reason too: a message alone may say nothing.
    assert summary.startswith(f"{name} is FAILED: BAD in claim_validator: ")
    assert f"waystation fork {name}" in summary
    assert ".." not in summary


async def test_a_dead_letter_under_continue_is_named_too(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(
        name,
        "workflow.started",
        failure(permanent=True),
        by=task(on_failure=OnFailure.CONTINUE),
    )
    _, found = await explained(api)
    assert list(found) == ["DEAD_LETTER"]


async def test_what_has_ended_waits_for_nothing(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply(end=Completion()))
    summary, found = await explained(api)
    assert (summary, found) == (f"{name} is COMPLETED; it waits for nothing.", {})


async def test_events_and_deliveries_that_no_router_takes(api: Api, default_router: str) -> None:
    await register(api, "scorer", event_type="#")
    name = await started(api)
    special = await router(api, "fraud", "fraud.#", "*.risk")
    await api.engine.handle(
        name, "workflow.started", reply("fraud.scored", "fraud.retried", "news"), by=task("scorer")
    )
    await api.engine.handle(name, "fraud.retried", failure("BUSY"), by=task("scorer"))

    async def blockers() -> dict[str, Any]:
        request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
        found = (await api.workflows.ExplainWorkflow(request)).blockers
        return {one.event_type: one for one in found}

    async def kinds() -> dict[str, tuple[str, str]]:
        return {
            event_type: (blocker_pb2.BlockerKind.Name(one.kind)[13:], one.pool)
            for event_type, one in (await blockers()).items()
        }

    on_its_way = ("PENDING_EVENT", "")
    assert await kinds() == {
        "fraud.scored": on_its_way,
        "fraud.retried": ("RETRYING", ""),
        "news": on_its_way,
    }
    await api.store.engine.leave(special)
    # A delivery is in no queue, so the default pool has it at once.
    assert await kinds() == {
        "fraud.scored": ("NO_ROUTER", "fraud"),
        "fraud.retried": ("RETRYING", ""),
        "news": on_its_way,
    }
    held = (await blockers())["fraud.scored"]
    assert "belongs to pool fraud, which has had no router since" in held.message
    assert "`waystation-router --pool fraud --bind 'fraud.#' --bind '*.risk'`" in held.remedy
    assert "then the pool `default` takes the event" in held.remedy
    assert 290 < held.due_at.seconds - held.since.seconds < 310

    await api.store.engine.leave(default_router)
    assert await kinds() == {
        "fraud.scored": ("NO_ROUTER", "fraud"),
        "fraud.retried": ("NO_ROUTER", "default"),
        "news": ("NO_ROUTER", "default"),
    }
    found = await blockers()
    assert not found["fraud.scored"].HasField("due_at")
    assert found["news"].message == "`news` waits: no router is running"
    assert "`waystation-router`" in found["news"].remedy
    assert (found["fraud.retried"].task_id, found["fraud.retried"].attempts) == ("scorer", 1)


async def test_a_group_of_one_is_one_branch(api: Api) -> None:
    await register(api, "claim_validator")
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id="w-1")
    )
    group = FanOut((NewEvent("checked", {}),), NewEvent("joined", {}))
    await api.engine.handle("w-1", "workflow.started", Reply(fan_outs=(group,)))
    answer = await api.workflows.ExplainWorkflow(
        pb.ExplainWorkflowRequest(workflow_instance_id="w-1")
    )
    assert any("follows the 1 branch that" in one.message for one in answer.blockers)


async def test_groups_timers_and_what_follows_later(api: Api) -> None:
    await register(api, "claim_validator")
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(
            workflow_type="t", workflow_instance_id="w-1", timeout=Duration(seconds=3600)
        )
    )
    group = FanOut(
        (NewEvent("checked", {}), NewEvent("lost", {})), NewEvent("joined", {}), timeout=600.0
    )
    await api.engine.handle(
        "w-1",
        "workflow.started",
        Reply((NewEvent("reminder", {}, delay=60.0),), fan_outs=(group,)),
    )
    await api.engine.handle("w-1", "lost", None)
    await api.engine.handle("w-1", "checked", Pending(60.0))
    answer = await api.workflows.ExplainWorkflow(
        pb.ExplainWorkflowRequest(workflow_instance_id="w-1")
    )
    told = {blocker_pb2.BlockerKind.Name(one.kind)[13:]: one for one in answer.blockers[:-1]}
    assert sorted(told) == ["FAN_OUT", "PENDING_COMPLETION", "TIMER"]
    assert told["TIMER"].message.startswith(
        "`reminder` was raised by claim_validator and is delivered at "
    )
    assert told["FAN_OUT"].message.startswith(
        "`joined` follows the 2 branches that claim_validator opened: 1 is settled, 1 with failures, "
        "and it waits for all of them, or for "
    )
    # The event that is to follow has no id yet.
    assert told["FAN_OUT"].group_id
    assert not told["FAN_OUT"].event_id
    assert told["PENDING_COMPLETION"].message.startswith(
        "claim_validator answered `checked` with `pending`"
    )
    # The deadline comes last: it only ends what waits for the others.
    last = answer.blockers[-1]
    assert (last.kind, last.message[:12]) == (blocker_pb2.BLOCKER_KIND_TIMER, "it fails at ")
    assert all(one.remedy and one.since.seconds and one.due_at.seconds for one in answer.blockers)
    assert answer.context.HasField("deadline")


async def test_an_idle_workflow_with_a_deadline_reports_both(api: Api) -> None:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(
            workflow_type="t", workflow_instance_id="w-1", timeout=Duration(seconds=3600)
        )
    )
    await api.engine.handle("w-1", "workflow.started", None)
    _, found = await explained(api)
    assert list(found) == ["IDLE", "TIMER"]


async def test_without_any_router_nothing_is_reported_to_continue_automatically(
    api: Api, default_router: str
) -> None:
    await register(api, "claim_validator")
    name = await started(api)
    states = (DeliveryState.LEASED, DeliveryState.AT_CAPACITY, DeliveryState.NO_ENDPOINT)
    raised = [NewEvent(state.name, {}) for state in states]
    raised += [NewEvent("PENDING", {}), NewEvent("DELAYED", {}, delay=60.0)]
    await api.engine.handle(name, "workflow.started", Reply(tuple(raised)))
    for state in states:
        event = await api.engine.pending(name, state.name)
        row = Delivery(event.event_id, "claim_validator", state)
        await api.engine.handle(name, state.name, None, tasks=[task()], rows=[row])
    await api.engine.handle(name, "PENDING", Pending(60.0))

    async def without_router() -> dict[str, bool]:
        request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
        found = (await api.workflows.ExplainWorkflow(request)).blockers
        return {one.event_type: "o router is running" in one.message + one.remedy for one in found}

    names = [event.event_type for event in raised]
    assert await without_router() == dict.fromkeys(names, False)
    await api.store.engine.leave(default_router)
    assert await without_router() == dict.fromkeys(names, True)


async def test_a_suspect_is_distinguished_from_a_delivery_about_to_be_called(api: Api) -> None:
    await register(api, "claim_validator")
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    row = Delivery(event.event_id, "claim_validator", DeliveryState.READY, suspect=True)
    await api.engine.handle(name, "workflow.started", None, tasks=[task()], rows=[row])
    _, found = await explained(api)
    assert found["PENDING_EVENT"].message == (
        "a call of claim_validator for `workflow.started` was interrupted; it will be called again, with "
        "no other such call at the same time"
    )


async def test_a_due_time_is_reported_as_observed_and_not_as_promised(api: Api) -> None:
    await register(api, "claim_validator", "again")
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    rows = [
        Delivery(event.event_id, "claim_validator", DeliveryState.READY),
        Delivery(
            event.event_id, "again", DeliveryState.READY, attempts=1, last_error={"reason": "BAD"}
        ),
    ]
    tasks = [task("claim_validator"), task("again")]
    await api.engine.handle(name, "workflow.started", None, tasks=tasks, rows=rows)
    _, found = await explained(api)
    for kind, told in (
        ("PENDING_EVENT", "`workflow.started` waits for a router to call claim_validator"),
        (
            "RETRYING",
            "again failed on `workflow.started` (BAD) after 1 attempt; the next is due at",
        ),
    ):
        assert told in found[kind].message
        for promise in ("about to", "soon", "moment", "takes it"):
            assert promise not in found[kind].message + found[kind].remedy


async def test_a_deadline_that_was_over_before_a_retry_is_reported_no_more(api: Api) -> None:
    await api.workflows.StartWorkflow(
        pb.StartWorkflowRequest(
            workflow_type="t", workflow_instance_id="w-1", timeout=Duration(seconds=3600)
        )
    )
    await api.engine.handle("w-1", "workflow.started", failure(permanent=True))
    await api.engine.fire("w-1", TimerKind.DEADLINE)
    _, found = await explained(api)
    retry = RetryDeadLetterRequest(dead_letter_id=found["DEAD_LETTER"].dead_letter_id)
    await api.dead_letters.RetryDeadLetter(retry)
    _, found = await explained(api)
    assert "TIMER" not in found


async def test_in_call_is_said_only_of_what_a_router_has_in_hand(api: Api) -> None:
    await register(api, "claim_validator")
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    row = Delivery(event.event_id, "other", DeliveryState.AT_CAPACITY)
    holder, tasks = new_id(), [task(), task("other")]
    await api.engine.handle(
        name, "workflow.started", None, tasks=tasks, rows=[row], router_id=holder
    )

    async def said() -> tuple[str, str]:
        _, found = await explained(api)
        (blocker,) = (one for one in found.values() if one.task_id == "claim_validator")
        return blocker_pb2.BlockerKind.Name(blocker.kind).removeprefix(
            "BLOCKER_KIND_"
        ), blocker.message

    kind, message = await said()
    assert kind == "PENDING_EVENT"
    assert "has not renewed its lease" in message
    await api.store.engine.heartbeat(holder, "default", "host/2", 60.0, RouterReport(0, 0, {}))
    assert await said() == (
        "PENDING_EVENT",
        "a router took `workflow.started` for claim_validator",
    )
    await compared(api, holder)
    assert await said() == ("IN_CALL", "claim_validator is handling `workflow.started`")
    _, found = await explained(api)
    assert found["IN_CALL"].endpoint == ""
    # What the router reports of where its calls are.
    waiting = found["IN_CALL"]
    place = {"address": "127.0.0.1:7500", "calls": [[waiting.event_id, "claim_validator"]]}
    other = {"address": "127.0.0.1:7501", "calls": [[waiting.event_id, "another"]]}
    report = RouterReport(0, 0, {"h-0": {}, "h-1": other, "h-2": place})
    await api.store.engine.heartbeat(holder, "default", "host/2", 60.0, report)
    assert (await explained(api))[1]["IN_CALL"].endpoint == "127.0.0.1:7500"
    # It was leased after that look.
    await compared(api, holder, timedelta(seconds=10))
    assert (await said())[0] == "PENDING_EVENT"


async def test_who_has_the_turn_is_what_the_others_wait_for(api: Api, default_router: str) -> None:
    await register(api, "claim_validator")
    name = await started(api)
    event = await api.engine.pending(name, "workflow.started")
    async with api.store.engine.locked(
        workflow_instance_id=name, event_ids=[event.event_id]
    ) as locked:
        draft = Draft(locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now)
        take_turn(draft, EventTouch(event, (task(),)), task(), router_id=default_router)
        await locked.write(draft.commit())
    await compared(api, default_router)
    _, found = await explained(api)
    told = found["IN_CALL"].message
    assert told.startswith(
        "claim_validator is handling `workflow.started`, and has the turn after 3 conflicts: "
        "other results wait for it until "
    )


async def test_the_summary_says_once_what_many_branches_wait_for(api: Api) -> None:
    name = await started(api)
    await api.engine.handle(name, "workflow.started", reply(*["part.wanted"] * 5), by=task())
    answer = await api.workflows.ExplainWorkflow(
        pb.ExplainWorkflowRequest(workflow_instance_id=name)
    )
    [message] = {blocker.message for blocker in answer.blockers}
    assert answer.summary == f"w-1 is ACTIVE: {message} (5 of these)."


async def test_blockers_beyond_the_limit_are_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await started(api)
    by = task(on_failure=OnFailure.CONTINUE)
    many = reply(*(f"e{at}" for at in range(230)))
    await api.engine.handle(name, "workflow.started", many, by=by)
    for at in range(15):
        gone = failure(permanent=at < 5)
        await api.engine.handle(name, f"e{at}", gone, by=by)
    request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
    answer = await api.workflows.ExplainWorkflow(request)
    # 5 dead letters, 10 deliveries that are tried again, 215 events; the events are the oldest.
    assert (len(answer.blockers), answer.blockers_left_out) == (200, 30)
    kinds = [blocker_pb2.BlockerKind.Name(one.kind)[13:] for one in answer.blockers]
    assert set(kinds) == {"PENDING_EVENT"}
    since = [one.since.ToNanoseconds() for one in answer.blockers]
    assert since == sorted(since)
    assert answer.summary.endswith("; and 227 more.")
    room = sum(one.ByteSize() + 8 for one in answer.blockers[:7])
    monkeypatch.setattr(service, "MAX_PAGE_BYTES", room)
    cut = await api.workflows.ExplainWorkflow(request)
    assert (list(cut.blockers), cut.blockers_left_out) == (list(answer.blockers[:7]), 223)
    work = await api.store.queries.open_work(
        (await api.store.queries.instances([name]))[name].key, limit=3
    )
    found = work.events, work.deliveries, work.delayed, work.dead_letters
    assert [(len(one.shown), one.left_out) for one in found] == [(3, 212), (3, 7), (0, 0), (3, 2)]


async def test_its_own_deadline_is_reported_whatever_is_left_out(api: Api) -> None:
    start = pb.StartWorkflowRequest(workflow_type="t", workflow_instance_id="w-1")
    start.timeout.CopyFrom(Duration(seconds=60))
    await api.workflows.StartWorkflow(start)
    await api.engine.handle("w-1", "workflow.started", reply(*(f"e{at}" for at in range(201))))
    request = pb.ExplainWorkflowRequest(workflow_instance_id="w-1")
    answer = await api.workflows.ExplainWorkflow(request)
    assert (len(answer.blockers), answer.blockers_left_out) == (200, 2)
    assert "unless it has ended" in answer.blockers[-1].message


async def test_details_of_failures_are_not_reported_and_tasks_not_all_named(api: Api) -> None:
    await register(api, *(f"t{at}" for at in range(7)))
    name = await started(api)
    request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
    (waits,) = (await api.workflows.ExplainWorkflow(request)).blockers
    assert "waits to be handled by t0, t1, t2, t3, t4 and 2 more" in waits.message
    gone = replace(failure(permanent=True), metadata={"much": "x"})
    await api.engine.handle(name, "workflow.started", gone, by=task(on_failure=OnFailure.CONTINUE))
    _, found = await explained(api)
    assert found["DEAD_LETTER"].last_error.reason == "NO_LUCK"
    assert not found["DEAD_LETTER"].last_error.HasField("metadata")


@pytest.mark.parametrize(("blocked", "says"), [(True, "disk alarm"), (False, "cannot be reached")])
async def test_a_broker_that_takes_nothing_is_named(
    api: Api, monkeypatch: pytest.MonkeyPatch, blocked: bool, says: str
) -> None:
    register = RegisterHandlerRequest(service_name="claims", host="127.0.0.1", port=7500)
    register.tasks.add(task_id="a", event_types=["workflow.started"], workflow_types=["*"])
    await api.handlers.RegisterHandler(register)
    name = await started(api)
    request = pb.ExplainWorkflowRequest(workflow_instance_id=name)
    (before,) = (await api.workflows.ExplainWorkflow(request)).blockers
    assert "alarm" not in before.remedy
    assert "within moments" not in before.remedy

    there = BrokerStatus(
        "mq:5672", connected=blocked, consuming=True, blocked=blocked, last_error=""
    )
    monkeypatch.setattr(InProcessBroker, "status", lambda _: there)
    (blocker,) = (await api.workflows.ExplainWorkflow(request)).blockers
    assert says in blocker.remedy
    status = await api.system.GetSystemStatus(GetSystemStatusRequest())
    assert (status.broker_connected, status.broker_blocked) == (blocked, blocked)
