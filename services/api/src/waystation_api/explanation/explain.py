"""What an instance waits for, since when, and who or what can unblock it. `explain` is a pure function of
facts: what the store has of the instance, and what is registered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation_api.explanation import deliveries, events, timers
from waystation_api.explanation.blocker import WAITING_FOR_INPUT, Blocker
from waystation_api.explanation.endpoints import Registered
from waystation_core.ports.store import (
    OpenWork,
)
from waystation_domain.model import (
    Failure,
    Instance,
    Status,
)
from waystation_domain.pools import Pool

MAX_BLOCKERS = 200
"""Blockers that an explanation names."""

_SHOWN = 3
"""Blockers that the summary names."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one instance."""

    instance: Instance
    work: OpenWork
    pools: Sequence[Pool]
    broker: str = ""
    """What prevents announcements now (`broker_trouble`)."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an instance waits for."""

    summary: str
    blockers: Sequence[Blocker] = ()
    """Oldest first, the workflow's deadline last; a limited number."""
    left_out: int = 0
    """How many others there are."""


def explain(facts: Facts, registered: Registered) -> Explanation:
    """The summary and the blockers of an instance."""
    instance, work = facts.instance, facts.work
    if instance.status in (Status.COMPLETED, Status.CANCELLED):
        name = instance.workflow_instance_id
        return Explanation(f"{name} is {instance.status.name}; it waits for nothing.")
    blockers = [deliveries.failed(fact) for fact in work.dead_letters.shown]
    blockers += [
        deliveries.unsettled(instance, fact, registered, facts.pools)
        for fact in work.deliveries.shown
    ]
    left_out = work.dead_letters.left_out + work.deliveries.left_out
    if instance.status.is_open:
        blockers += [
            events.pending(instance, fact, registered, facts.pools, facts.broker)
            for fact in work.events.shown
        ]
        blockers += _waits(instance)
        blockers += timers.delayed(work.delayed.shown, facts.pools)
        blockers += timers.groups(instance)
        if instance.idle is not None:
            blockers.append(events.idle(instance, registered))
        left_out += work.events.left_out + work.delayed.left_out
    blockers.sort(key=lambda blocker: blocker.since.timestamp() if blocker.since else 0.0)
    last = [timers.deadline(instance)] if instance.status.is_open and work.has_deadline else []
    room = MAX_BLOCKERS - len(last)
    left_out += max(len(blockers) - room, 0)
    blockers = [*blockers[:room], *last]
    return Explanation(_summary(instance, blockers, left_out), blockers, left_out)


def _summary(instance: Instance, blockers: Sequence[Blocker], left_out: int) -> str:
    name, status = instance.workflow_instance_id, instance.status.name
    if not blockers:
        if instance.status is Status.FAILED:
            return (
                f"{_sentence(f'{name} is FAILED{_why(instance.failure)}')} It has nothing to retry: start another workflow, or "
                f"fork it from an earlier state: `waystation fork {name} --at SEQUENCE`."
            )
        return (
            f"{name} is {status}; nothing was found that it waits for, perhaps because it changed "
            f"meanwhile. Call again; if this persists, see `waystation show {name}`."
        )
    # Branches of a group often wait for the same. A Counter keeps the order of the blockers.
    told = [*Counter(blocker.message for blocker in blockers).items()][:_SHOWN]
    names_shown = "; ".join(
        f"{message} ({n} of these)" if n > 1 else message for message, n in told
    )
    more = len(blockers) - sum(n for _, n in told) + left_out
    return _sentence(
        f"{name} is {status}: {names_shown}" + (f"; and {more} more" if more > 0 else "")
    )


def _why(failure: Failure | None) -> str:
    """The message alone may be useless: that of a KeyError is a key."""
    if failure is None:
        return ""
    where = f" in {failure.task_id}" if failure.task_id else ""
    known = ": ".join(filter(None, (f"{failure.reason}{where}", failure.message)))
    return f": {known}"


def _sentence(text: str) -> str:
    """The text with a full stop; texts of others may have one."""
    text = text.rstrip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _waits(instance: Instance) -> list[Blocker]:
    return [
        Blocker(
            kind=WAITING_FOR_INPUT,
            since=datetime.fromisoformat(wait.since),
            message=f"{wait.task_id} asks: {wait.message}",
            remedy="Answer it: `waystation input "
            f"{instance.workflow_instance_id} --wait-id {wait.wait_id} --data '{{...}}'`.",
            task_id=wait.task_id,
            wait_id=wait.wait_id,
            due_at=datetime.fromisoformat(wait.deadline) if wait.deadline is not None else None,
        )
        for wait in instance.waits
    ]
