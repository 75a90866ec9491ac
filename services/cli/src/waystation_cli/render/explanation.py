"""What a workflow waits for, for the person who can unblock it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from waystation.v1.blocker_pb2 import Blocker
from waystation.v1.workflow_service_pb2 import ExplainWorkflowResponse
from waystation_cli.render import names
from waystation_cli.render.text import (
    addressed,
    age,
    error_text,
    localized,
    plain,
    quoted,
    stdout,
    when,
)


def print_explanation(response: ExplainWorkflowResponse) -> None:
    """The summary, then each blocker with who or what can unblock it."""
    out, context = stdout(), response.context
    word = names.status(context.status)
    out.print(
        Text.assemble(
            (plain(context.workflow_instance_id), "bold"),
            plain(f" ({context.workflow_type}) "),
            (word, names.style(word)),
        )
    )
    out.print(quoted(localized(response.summary)))
    # The summary is made of what the first ones say: of a single one it says all.
    alone = len(response.blockers) == 1 and not response.blockers_left_out
    for blocker, number in alike(response.blockers):
        kind = names.blocker(blocker.kind)
        line = Text.assemble("- ", (kind, names.style(kind)))
        if not alone:
            line.append(quoted(localized(blocker.message), " "))
        if blocker.HasField("since"):
            line.append(f" (since {when(blocker.since)}, {age(blocker.since)})", style="dim")
        if number > 1:
            line.append(f" ({number} of these; --json has each)", style="dim")
        out.print(line)
        facts = {
            "event": f"{blocker.event_type} {blocker.event_id}".strip(),
            "task": blocker.task_id,
            "service": blocker.service_name,
            "endpoint": blocker.endpoint,
            "pool": blocker.pool,
            "wait": blocker.wait_id,
            "dead letter": blocker.dead_letter_id,
            "attempts": str(blocker.attempts) if blocker.attempts else "",
            "due": when(blocker.due_at) if blocker.HasField("due_at") else "",
        }
        named = ", ".join(f"{key} {value}" for key, value in facts.items() if value)
        if named:
            out.print(plain(f"    {named}"), style="dim")
        if blocker.HasField("last_error"):
            error = blocker.last_error
            said = error_text(error)
            out.print(quoted(said, "    last error: "), style="red")
        if blocker.remedy:
            out.print(plain(f"    {addressed(localized(blocker.remedy))}"))
        if number > 1 and blocker.dead_letter_id:
            where = f"--workflow {context.workflow_instance_id} --task {blocker.task_id}"
            listed = f"All {number} are listed by `waystation dead-letters list {where}`."
            out.print(plain(f"    {addressed(listed)}"))
    if response.blockers_left_out:
        out.print(f"... and {response.blockers_left_out} more, not shown.", style="dim")


def alike(blockers: Iterable[Blocker]) -> list[tuple[Blocker, int]]:
    """The first of each cause, with how many have it: a hundred branches wait for one thing, or fail for one reason."""
    found: dict[tuple[object, ...], list[Blocker]] = {}
    for blocker in blockers:
        found.setdefault(_cause(blocker), []).append(blocker)
    return [(same[0], len(same)) for same in found.values()]


def _cause(blocker: Blocker) -> tuple[object, ...]:
    """Attempts that failed for one reason differ in their ids, their times and perhaps their words."""
    if not blocker.HasField("last_error"):
        return (blocker.kind, blocker.message, blocker.remedy, blocker.endpoint)
    error = blocker.last_error
    said = error.reason or error.message
    return (blocker.kind, blocker.task_id, blocker.event_type, error.code, said)
