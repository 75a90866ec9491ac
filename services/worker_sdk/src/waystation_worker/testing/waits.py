"""Questions to people in memory: opened, ended, and the branches in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from waystation_worker.testing import groups
from waystation_worker.testing.answers import Asked
from waystation_worker.testing.calling import Branch
from waystation_worker.testing.changes import (
    Change,
    Fault,
    apply,
    check_bytes,
    check_size,
    check_values,
)
from waystation_worker.testing.records import STATUS
from waystation_worker.values import MAX_DEPTH, Json, escape, parse_pointer
from waystation_worker.workflows import Wait

if TYPE_CHECKING:
    from waystation_worker.testing.instance import Instance


MAX_OPEN_WAITS = 100
MAX_FORM_BYTES = 64 * 1024


def waits_of(
    instance: Instance, questions: Sequence[Asked], task_id: str, data: dict[str, Json]
) -> list[Wait]:
    """The questions that an answer asks, which leaves this data. Raises Fault when an id is in use, too
    many or too large ones are open, or an answer could not be stored where it is to go."""
    taken = {wait.wait_id for wait in instance.waits}
    if questions and len(taken) + len(questions) > MAX_OPEN_WAITS:
        raise Fault("RESPONSE_INVALID", f"more than {MAX_OPEN_WAITS} questions are open at once")
    found = []
    for at, asked in enumerate(questions):
        wait_id = asked.wait_id or f"w-{instance.version + 1}" + (f"-{at + 1}" if at else "")
        if wait_id in taken:
            raise Fault("RESPONSE_INVALID", f"the wait {wait_id} is open already")
        taken.add(wait_id)
        if asked.schema is not None:
            check_size(asked.schema, "PAYLOAD_TOO_LARGE", "the form", MAX_FORM_BYTES)
        since, timeout = instance.clock(), asked.timeout
        deadline = None if timeout is None else since + timedelta(seconds=timeout)
        path = asked.answer_path
        if path is not None and len(parse_pointer(path)) >= MAX_DEPTH:
            raise Fault("RESPONSE_INVALID", f"an answer at {path} would be too deep")
        found.append(Wait(wait_id, task_id, asked.message, asked.schema, since, deadline, path))
    if found:
        _check_room([*instance.waits, *found])
    # Last of all, as the engine does: of several faults both tell the same one.
    for wait in found:
        if wait.answer_path is not None:
            apply(data, [Change("set", wait.answer_path, {})])
    return found


def _check_room(waits: Sequence[Wait]) -> None:
    what = f"the {len(waits)} questions that would be open"
    check_bytes([told(wait) for wait in waits], "CONTEXT_TOO_LARGE", what)
    check_values([wait.schema for wait in waits if wait.schema is not None], f"the forms of {what}")


def open_wait(instance: Instance, wait: Wait, branch: Branch | None) -> None:
    """The instance asks; the branch in which it does waits for the answer."""
    instance.waits = (*instance.waits, wait)
    if branch is not None and groups.enter(instance, branch):
        instance.branch_of_wait[wait.wait_id] = branch


def changes_of(wait: Wait, answer: dict[str, Json]) -> list[Change]:
    """What an answer changes of the data."""
    if wait.answer_path is not None:
        return [Change("set", wait.answer_path, answer)]
    return [Change("set", f"/{escape(key)}", value) for key, value in answer.items()]


def end_wait(instance: Instance, wait: Wait) -> list[Change]:
    """Takes a question away; the last one makes the instance ACTIVE again. Gives what that changes;
    `leave_wait` follows once it is recorded."""
    instance.waits = tuple(one for one in instance.waits if one is not wait)
    if instance.waits or instance.status != "WAITING_FOR_INPUT":
        return []
    instance.status = "ACTIVE"
    return [STATUS]


def leave_wait(instance: Instance, wait: Wait) -> None:
    """The branch no longer waits for it, but for the event that ended it."""
    branch = instance.branch_of_wait.pop(wait.wait_id, None)
    if branch is not None:
        groups.leave(instance, branch)


def named(wait: Wait) -> dict[str, Json]:
    """The question as the events that end it name it."""
    return {"wait_id": wait.wait_id, "task_id": wait.task_id, "message": wait.message}


def told(wait: Wait) -> dict[str, Json]:
    """The question as the event of the status carries it."""
    return {
        "wait_id": wait.wait_id,
        "task_id": wait.task_id,
        "message": wait.message,
        "since": wait.since.isoformat() if wait.since is not None else None,
        "input_schema": wait.schema,
        "answer_path": wait.answer_path,
        "deadline": wait.deadline.isoformat() if wait.deadline is not None else None,
    }
