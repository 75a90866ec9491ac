"""What a router may still believe of the events in its hands when the instance moved."""

from dataclasses import replace

import pytest
from router.given import INSTANCE

from waystation_core.ports.store import Loaded
from waystation_domain.commit import EventFacts, InstanceCommit
from waystation_domain.model import Delivery, DeliveryState, Event, Status
from waystation_router.ledger import Handling, Ledger

MOVED = replace(INSTANCE, version=4, revision=4)


def in_hand(ledger: Ledger, number: int, *, outbox: bool) -> Handling:
    """An event of which one task is in call here, and another one's delivery is to be retried."""
    event = Event(f"01a20000-0000-7000-8000-00000000000{number}", "asked", {}, "split", version=2)
    rows = {
        "a": Delivery(event.event_id, "a", DeliveryState.LEASED, leased_by="r-1"),
        "b": Delivery(event.event_id, "b", DeliveryState.READY),
    }
    facts = EventFacts(outbox, {} if outbox else rows)
    ledger.learn(Loaded({event.event_id: (event, 1)}, {1: INSTANCE}, {event.event_id: facts}))
    return ledger.open(event, ledger.state(1), facts, INSTANCE.revision)


def test_a_timer_that_moved_an_event_in_hand_leaves_nothing_known_of_it() -> None:
    """Else the next fast commit would be decided by rows that are gone, and count them as open."""
    skipped, expired = (f"01a20000-0000-7000-8000-00000000000{number}" for number in (1, 2))
    put = Delivery(skipped, "b", DeliveryState.HELD)
    for commit, moved in (
        (InstanceCommit(INSTANCE, MOVED, deliveries_remove={(skipped, "b")}), 0),
        (InstanceCommit(INSTANCE, MOVED, deliveries_put={(skipped, "b"): put}), 0),
        (InstanceCommit(INSTANCE, MOVED, outbox_remove=[expired]), 1),
    ):
        ledger = Ledger()
        handlings = [in_hand(ledger, number, outbox=number == 2) for number in (1, 2, 3)]
        ledger.moved(commit)
        assert ledger.state(1).instance is MOVED
        known = [handling.known == MOVED.revision for handling in handlings]
        assert known == [at != moved for at in range(3)]


@pytest.mark.parametrize("known_before", [False, True])
def test_an_event_of_an_instance_that_has_ended_can_be_taken_in_hand(known_before: bool) -> None:
    """What its end raised is delivered, what else is open of it skipped: by whichever router is told."""
    ledger = Ledger()
    if known_before:
        ledger.learn(Loaded({}, {1: INSTANCE}, {}))
    ended = replace(INSTANCE, status=Status.CANCELLED, revision=4)
    event = Event("01a20000-0000-7000-8000-000000000001", "workflow.cancelled", {}, "client", 3)
    ledger.learn(Loaded({event.event_id: (event, 1)}, {1: ended}, {}))
    handling = ledger.open(event, ledger.state(1), EventFacts(True), ended.revision)
    assert handling.state.instance is ended
    # Nothing of it is kept longer than that.
    ledger.close(handling)
    assert ledger.states_of("default", "claim-1") is None


def test_a_commit_after_somebody_elses_begins_a_new_lineage() -> None:
    """What was written in between is not known here, so nothing may be decided by what is."""
    ledger = Ledger()
    handling = in_hand(ledger, 1, outbox=True)
    theirs = replace(INSTANCE, version=5, revision=5)
    ours = replace(INSTANCE, version=6, revision=6)
    handling.state.advance(InstanceCommit(theirs, ours))
    assert handling.state.instance is ours
    assert handling.state.log_from == ours.version
    assert handling.known == INSTANCE.revision, "and the event has to be read anew"
