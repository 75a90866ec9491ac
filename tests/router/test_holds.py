"""What waits for a place in a router, and what may happen to it meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from router.given import INSTANCE, NO_REGISTRY

from waystation_core.ports.store import Loaded
from waystation_domain.commit import EventFacts
from waystation_domain.model import Delivery, DeliveryState, Event
from waystation_domain.pools import Pool
from waystation_domain.task_spec import TaskSpec
from waystation_router.calls import Calls
from waystation_router.ledger import Call, Handling, Ledger
from waystation_router.pools import PoolsSeen
from waystation_router.sweeper import Sweeper

TASK = TaskSpec("score", "claims", ("asked",), ("claim",), max_in_flight=1)


class InCall:
    """Endpoints whose calls never end."""

    def call(self, *arguments: Any, **more: Any) -> Any:
        class Running:
            outcome = cast(Any, type("Never", (), {"add_done_callback": lambda *_: None})())

        return Running()


@pytest.mark.parametrize("expires", [True, False])
async def test_what_may_expire_does_not_wait_for_a_place_under_a_lease(expires: bool) -> None:
    """Its message is acked with the lease, so nothing else would ever take it out of the line; and a
    leased delivery counts as called, so it would be called however late."""
    ledger = Ledger()
    told: list[Handling] = []
    pools = PoolsSeen(Pool("default", routers=1))
    calls = Calls(ledger, cast(Any, None), cast(Any, InCall()), pools, NO_REGISTRY, told.append)
    sweeper = Sweeper(
        router_id="r-1",
        pool="default",
        pools=pools,
        prefetch=100,
        ledger=ledger,
        calls=calls,
        **dict.fromkeys(("store", "broker", "relay", "claims", "committer", "timers", "lease")),  # type: ignore[arg-type]
    )
    handlings = []
    for number in (1, 2):
        event = Event(
            f"01a20000-0000-7000-8000-00000000000{number}",
            "asked",
            {},
            "split",
            version=2,
            expires_at=datetime.now(UTC) + timedelta(hours=1) if expires else None,
        )
        row = Delivery(event.event_id, "score", DeliveryState.LEASED, leased_by="r-1")
        facts = EventFacts(False, {"score": row})
        ledger.learn(Loaded({event.event_id: (event, 1)}, {1: INSTANCE}, {event.event_id: facts}))
        handling = ledger.open(event, ledger.state(1), facts, 3)
        handling.calls["score"] = Call(TASK)
        calls.start(handling, handling.calls["score"])
        handlings.append(handling)
    await sweeper._holds()
    if expires:
        assert told == [handlings[1]]
        parked = handlings[1].calls["score"].row
        assert parked is not None
        assert parked.state is DeliveryState.AT_CAPACITY
    else:
        assert not told
    assert [handling for handling, _ in calls.waiting()] == ([] if expires else [handlings[1]])
