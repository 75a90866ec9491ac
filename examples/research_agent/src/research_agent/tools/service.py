"""Every tool as a task of its own: asked by an event, retried and given up apart from the others."""

from collections.abc import Callable

from research_agent.calls import WORKFLOW_TYPE, put_result, requested
from research_agent.tools.calculator import calculate
from research_agent.tools.phone import ring_up
from research_agent.tools.reading import read_note, search
from waystation_worker import Backoff, HandlerService, Reject, TaskContext

Tool = Callable[[str], str]

TOOLS: dict[str, Tool] = {
    "search": search,
    "calculator": calculate,
    "notes": read_note,
    "phone": ring_up,
}


def build_service() -> HandlerService:
    """The tools, not yet running. One that fails for good is told of in its group's `then`; the
    workflow goes on without it."""
    service = HandlerService("research-tools", version="1.0.0")
    for name, tool in TOOLS.items():
        service.task(
            name,
            events=[requested(name)],
            workflow_types=[WORKFLOW_TYPE],
            on_failure="continue",
            max_attempts=2,
            backoff=Backoff(initial=0.5),
        )(as_task(tool))
    return service


def as_task(tool: Tool) -> Callable[[TaskContext], None]:
    """The task that calls a tool. A plain function: it runs in a thread, as tools may block."""

    def call(ctx: TaskContext) -> None:
        try:
            result = tool(ctx.event.payload["input"])
        except ValueError as wrong:
            # The same input would be wrong again.
            raise Reject("INPUT_REFUSED", str(wrong)) from None
        put_result(ctx, result)

    return call
