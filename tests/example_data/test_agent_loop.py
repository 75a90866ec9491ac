"""The agent's steps: what each makes of a thought, a person, a failed tool, and of nonsense."""

from typing import Any

import pytest
from support.chat_server import ChatServer, Reply, fails, says

from chat_model.openai_model import OpenAIModel
from research_agent.agent.scripted import ScriptedModel
from research_agent.agent.service import APPROVAL_SECONDS, MAX_ROUNDS, build_service
from research_agent.calls import WORKFLOW_TYPE
from research_agent.demo import QUESTION
from research_agent.tools.service import build_service as build_tools
from waystation_worker.testing import Answer, TestEngine, WorkflowRun, run_task

SERVICE = build_service(ScriptedModel())
CALL = {"tool": "calculator", "input": "1 + 1"}
PLAN = {"idea": "Reckon.", "calls": [CALL]}
MORE = {"thought": "Not yet.", "answer": None, "calls": [CALL]}
DONE = {"thought": "Yes.", "answer": "Two.", "calls": []}


async def thinking(reply: Reply, task_id: str, **given: Any) -> tuple[Answer, dict[str, Any]]:
    """One step with a real client of a model that replies so, and what the model was asked."""
    async with ChatServer(reply) as server:
        service = build_service(OpenAIModel(server.client, "tester"))
        result = await run_task(service, task_id, **given)
        return result, server.requests[0]


def finished(number: int = 1, **more: Any) -> dict[str, Any]:
    """What `reflect` is called with after a round of two calls."""
    places = [f"{number}.1", f"{number}.2"]
    payload = {"round": number, "places": places, "failed_branches": [], **more}
    data = {"question": "1 + 1?", "findings": {place: dict(CALL) for place in places}}
    return {"payload": payload, "data": data}


def asked(seed: int = 0) -> tuple[TestEngine, WorkflowRun]:
    """The demo's question to the scripted agent and its tools."""
    engine = TestEngine(SERVICE, build_tools(), seed=seed)
    return engine, engine.start(WORKFLOW_TYPE, {"question": QUESTION})


@pytest.mark.parametrize("seed", range(6))
async def test_the_whole_loop_ends_alike_however_its_tools_meet(seed: int) -> None:
    engine, run = asked(seed)
    await run.until_waiting()
    assert "calls.wanted" not in run.raised
    run.provide_input({"approved": True})
    await run.until_quiet()
    # The phone is tried once more; everything waits for that branch, and for nothing else.
    assert run.raised.count("tools.finished") == 0
    await engine.advance(1)
    await run.until_ended()
    assert run.output
    assert (run.output["outcome"], run.output["rounds"]) == ("ANSWERED", 2)
    assert "150 nights" in run.output["answer"]
    assert run.data["findings"]["1.4"]["failed"] == "nobody answers"
    assert run.data["findings"]["2.1"]["result"] == "150"
    assert run.raised.count("tools.finished") == 2


async def test_a_plan_that_nobody_looks_at_is_not_carried_out() -> None:
    engine, run = asked()
    await run.until_waiting()
    await engine.advance(APPROVAL_SECONDS - 1)
    assert run.status == "WAITING_FOR_INPUT"
    await engine.advance(1)
    await run.until_ended()
    assert run.output
    assert run.output["outcome"] == "NOT_APPROVED"
    assert "calls.wanted" not in run.raised


async def test_a_plan_is_made_by_the_model_and_kept() -> None:
    question = {"question": "1 + 1?"}
    result, request = await thinking(says(PLAN), "make_plan", payload=question, data=question)
    assert result.raised == ["plan.made"]
    assert result.data["plan"] == PLAN
    assert result.data["thought_by"] == "model:tester"
    tools = request["response_format"]["json_schema"]["schema"]["$defs"]["ToolCall"]
    assert tools["properties"]["tool"]["enum"] == ["search", "calculator", "notes", "phone"]


@pytest.mark.parametrize(
    "plan",
    [
        {**PLAN, "calls": []},
        {**PLAN, "calls": [CALL] * 5},
        {**PLAN, "calls": [{**CALL, "input": "1" * 151}]},
        {**PLAN, "calls": [{"tool": "shell", "input": "rm"}]},
        {**PLAN, "approved": True},
        {**PLAN, "idea": "x" * 301},
        {**PLAN, "idea": "\0"},
    ],
)
async def test_a_plan_beyond_the_limits_is_refused(plan: dict[str, Any]) -> None:
    result, _ = await thinking(says(plan), "make_plan", payload={"question": "?"})
    assert result.failure
    assert (result.failure.reason, result.failure.permanent) == ("UnusableAnswer", False)


async def test_a_busy_model_is_asked_again_by_the_task() -> None:
    busy = fails(429, retry_after="7")
    result, _ = await thinking(busy, "make_plan", payload={"question": "?"})
    assert result.failure
    assert (result.failure.reason, result.failure.retry_after) == ("MODEL_BUSY", 7)


@pytest.mark.parametrize("payload", [{}, {"question": " "}, {"question": 5}])
async def test_without_a_question_nothing_is_thought(payload: dict[str, Any]) -> None:
    result = await run_task(SERVICE, "make_plan", payload=payload)
    assert result.failure
    assert result.failure.reason == "NO_QUESTION"


async def test_a_person_sees_the_plan_before_anything_is_called() -> None:
    result = await run_task(SERVICE, "ask_person", data={"plan": PLAN})
    assert result.status == "WAITING_FOR_INPUT"
    [asked] = result.waits
    assert asked.message == "Reckon. May I call calculator(1 + 1)?"
    assert asked.timeout == APPROVAL_SECONDS
    longest = {"idea": "\U0001f4a1" * 300, "calls": [{**CALL, "input": "\U0001f522" * 150}] * 4}
    result = await run_task(SERVICE, "ask_person", data={"plan": longest})
    [asked] = result.waits
    assert len(asked.message.encode()) <= 4096


@pytest.mark.parametrize(
    ("event", "payload", "outcome"),
    [
        ("user.input.provided", {"input": {"approved": True}}, None),
        ("user.input.provided", {"input": {"approved": False}}, "DECLINED"),
        ("user.input.provided", {"input": {"approved": "no"}}, "DECLINED"),
        ("user.input.provided", {"input": {}}, "DECLINED"),
        ("user.input.timed_out", {"wait_id": "w"}, "NOT_APPROVED"),
    ],
)
async def test_only_a_clear_yes_goes_on(
    event: str, payload: dict[str, Any], outcome: str | None
) -> None:
    data = {"plan": PLAN}
    result = await run_task(SERVICE, "take_approval", event=event, payload=payload, data=data)
    if outcome is None:
        assert result.events[0].payload == {"round": 1, "calls": [CALL]}
    else:
        assert result.output
        assert (result.status, result.output["outcome"]) == ("COMPLETED", outcome)


async def test_an_answer_is_the_end_and_says_after_how_many_rounds() -> None:
    result, request = await thinking(says(DONE), "reflect", **finished(2))
    assert result.output == {"outcome": "ANSWERED", "answer": "Two.", "rounds": 2}
    assert result.data["thoughts"] == ["Yes."]
    assert '"rounds_left": 1' in request["messages"][1]["content"]


async def test_the_model_may_want_more_but_not_for_ever() -> None:
    result, _ = await thinking(says(MORE), "reflect", **finished(MAX_ROUNDS - 1))
    assert result.events[0].payload == {"round": MAX_ROUNDS, "calls": [CALL]}
    result, _ = await thinking(says(MORE), "reflect", **finished(MAX_ROUNDS))
    assert result.output == {"outcome": "NOT_FOUND", "answer": "Not yet.", "rounds": MAX_ROUNDS}
    result, _ = await thinking(says({**MORE, "calls": []}), "reflect", **finished())
    assert result.output
    assert result.output["outcome"] == "NOT_FOUND"


async def test_tools_that_failed_or_took_too_long_are_values_that_the_model_reads() -> None:
    failed = {"branch": 0, "reason": "ConnectionError", "message": "nobody answers"}
    given = finished(failed_branches=[failed], timed_out=True, open_branches=[1])
    result, request = await thinking(says(DONE), "reflect", **given)
    assert result.data["findings"] == {
        "1.1": {**CALL, "failed": "nobody answers"},
        "1.2": {**CALL, "failed": "it took too long"},
    }
    assert "nobody answers" in request["messages"][1]["content"]


async def test_the_script_thinks_the_same_each_time_and_copes_with_any_question() -> None:
    for question in (QUESTION, "What is love? " * 1000):
        result = await run_task(SERVICE, "make_plan", payload={"question": question})
        assert [call["tool"] for call in result.data["plan"]["calls"]] == [
            "search",
            "search",
            "notes",
            "phone",
        ]
    result = await run_task(SERVICE, "reflect", **finished())
    assert result.output
    assert result.output["answer"] == "The library says nothing about it."
