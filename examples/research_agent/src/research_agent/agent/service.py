"""The agent loop. Each task is one step of it; which event a step handles is the loop.

    workflow.started ─► make_plan ─► plan.made ─► ask_person ─► (a person) ─► take_approval
                                                                                  │
          ┌──────────────────────────── calls.wanted ◄────────────────────────────┤
          ▼                                                                       │
      call_tools ─► one event for each tool, all at once ─► tools.finished ─► reflect ─► the end

Between two steps nothing runs: a person may think for days, and any process may be restarted.
"""

from functools import partial
from typing import Any

from chat_model import ASKING_SECONDS, ChatModel
from research_agent.agent.thoughts import PLANNING, REFLECTING, Plan, Reflection
from research_agent.calls import TOOLS, WORKFLOW_TYPE, call_event, requested
from waystation_worker import HandlerService, NewEvent, Reject, TaskContext

MAX_ROUNDS = 3
APPROVAL_SECONDS = 600.0
TOOLS_SECONDS = 60.0

APPROVAL = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}},
    "required": ["approved"],
}


def build_service(
    model: ChatModel, *, approval_seconds: float = APPROVAL_SECONDS
) -> HandlerService:
    """The agent, thinking with this model; not yet running."""
    service = HandlerService("research-agent", version="1.0.0")
    step = partial(service.task, workflow_types=[WORKFLOW_TYPE])

    @step(events=["workflow.started"], may_emit=["plan.made"], timeout=ASKING_SECONDS)
    async def make_plan(ctx: TaskContext) -> None:
        """Asks the model what to look up. Nothing is looked up yet."""
        question = ctx.event.payload.get("question")
        if not isinstance(question, str) or not question.strip():
            raise Reject("NO_QUESTION", "start it with a `question`, or retry it with one")
        plan = await model.ask(PLANNING, {"question": question, "tools": TOOLS}, Plan)
        ctx.data["question"] = question
        ctx.data["thought_by"] = model.name
        ctx.data["plan"] = plan.model_dump()
        ctx.data["findings"] = {}
        ctx.emit("plan.made")

    @step(events=["plan.made"])
    async def ask_person(ctx: TaskContext) -> None:
        """Shows the plan to a person; who does not answer in time has not approved. The answer is kept
        apart: whoever gives it can't change the plan."""
        plan = ctx.data_as(Plan, "/plan")
        calls = "; ".join(f"{call.tool}({call.input})" for call in plan.calls)
        ctx.wait_for_input(
            f"{plan.idea} May I call {calls}?",
            APPROVAL,
            timeout=approval_seconds,
            answer_path="/approval",
        )

    @step(events=["user.input.provided", "user.input.timed_out"], may_emit=["calls.wanted"])
    async def take_approval(ctx: TaskContext) -> None:
        """Goes on with a clear yes, and ends politely with anything else."""
        if ctx.event.event_type == "user.input.timed_out":
            ctx.complete(outcome("NOT_APPROVED", "Nobody answered in time."))
        elif ctx.event.payload["input"].get("approved") is True:
            ctx.emit("calls.wanted", {"round": 1, "calls": ctx.data["plan"]["calls"]})
        else:
            ctx.complete(outcome("DECLINED", "The plan was not approved."))

    @step(events=["calls.wanted"], may_emit=[*map(requested, TOOLS), "tools.finished"])
    async def call_tools(ctx: TaskContext) -> None:
        """Calls all tools at once; `tools.finished` follows when the last one has answered, failed
        for good, or run out of time."""
        number, calls = ctx.event.payload["round"], ctx.event.payload["calls"]
        places = [f"{number}.{at}" for at in range(1, len(calls) + 1)]
        for place, call in zip(places, calls, strict=True):
            ctx.data["findings"][place] = call
        ctx.fan_out(
            [call_event(place, **call) for place, call in zip(places, calls, strict=True)],
            then=NewEvent("tools.finished", {"round": number, "places": places}),
            timeout=TOOLS_SECONDS,
        )

    @step(events=["tools.finished"], may_emit=["calls.wanted"], timeout=ASKING_SECONDS)
    async def reflect(ctx: TaskContext) -> None:
        """Asks the model whether the findings answer the question: then that is the end, else there
        is another round, while there may be one."""
        note_failures(ctx)
        number = ctx.event.payload["round"]
        material = {
            "question": ctx.data["question"],
            "findings": dict(sorted(ctx.data_as(dict[str, Any], "/findings").items())),
            "rounds_left": MAX_ROUNDS - number,
            "tools": TOOLS,
        }
        reflection = await model.ask(REFLECTING, material, Reflection)
        ctx.data.append("/thoughts", reflection.thought)
        if reflection.answer is not None:
            ctx.complete(outcome("ANSWERED", reflection.answer, number))
        elif reflection.calls and number < MAX_ROUNDS:
            wanted = reflection.model_dump(include={"calls"})
            ctx.emit("calls.wanted", {"round": number + 1, **wanted})
        else:
            ctx.complete(outcome("NOT_FOUND", reflection.thought, number))

    return service


def note_failures(ctx: TaskContext) -> None:
    """A tool that failed is a value, not the end: the model reads why, as it reads results."""
    finished = ctx.event.payload
    for failed in finished["failed_branches"]:
        place = finished["places"][failed["branch"]]
        ctx.data["findings"][place]["failed"] = failed.get("message", failed["reason"])
    for branch in finished.get("open_branches", []):
        ctx.data["findings"][finished["places"][branch]]["failed"] = "it took too long"


def outcome(name: str, answer: str, rounds: int = 0) -> dict[str, Any]:
    """The output of the workflow."""
    return {"outcome": name, "answer": answer, "rounds": rounds}
