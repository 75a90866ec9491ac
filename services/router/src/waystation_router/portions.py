"""The parts of a batch of commits: one portion for each instance, one touch for each event."""

from __future__ import annotations

from dataclasses import dataclass

from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.model import Delivery, DeliveryState
from waystation_domain.outcomes import Verdict
from waystation_domain.results import EventTouch
from waystation_domain.task_spec import TaskSpec
from waystation_router.ledger import Handling, InstanceState


@dataclass(slots=True)
class Touched:
    """The outcome of one event's touch."""

    handling: Handling
    verdicts: dict[str, Verdict]
    """Of results, by task_id."""
    rows: frozenset[str]
    """Tasks whose deliveries went off the fast way."""
    facts: EventFacts
    """The facts of the event after the commit."""
    asked: TaskSpec | None = None
    """The task for which it asked for the instance's turn; the commit then did nothing else."""
    has_turn: bool = True
    """Whether it may be called now: no other delivery has the turn."""

    @property
    def must_wait(self) -> bool:
        """Whether another delivery has the instance's turn."""
        return not self.has_turn or Verdict.WAIT in self.verdicts.values()


@dataclass(slots=True, eq=False)
class Portion:
    """One instance in one batch: its events in hand, and the decision about them."""

    state: InstanceState
    handlings: list[Handling]
    commit: InstanceCommit | None = None
    touched: list[Touched] | None = None


def touch_of(handling: Handling, router_id: str) -> EventTouch:
    """What there is to write of an event, for the domain."""
    results, rows = {}, {}
    for task_id, call in handling.calls.items():
        if call.result is not None:
            results[task_id] = call.result
        elif call.row is not None:
            rows[task_id] = call.row
        elif handling.holds:
            rows[task_id] = Delivery(
                event_id=handling.event_id,
                task_id=task_id,
                state=DeliveryState.LEASED,
                attempts=call.attempt - 1,
                suspect=call.suspect,
                leased_by=router_id,
                edit=call.edit,
                payload=call.payload,
            )
    return EventTouch(handling.event, handling.tasks, results, rows, lease=handling.holds)


def written_rows(handling: Handling) -> frozenset[str]:
    """Tasks of this event that are finished here once the commit is written."""
    return frozenset(
        task_id
        for task_id, call in handling.calls.items()
        if call.row is not None and call.result is None
    )
