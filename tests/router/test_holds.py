"""What waits for a place in a router, and what may happen to it meanwhile."""

from __future__ import annotations

import psycopg
from router.whole import WholeRouter, task
from support.waiting import eventually

from waystation_domain.model import Delivery, DeliveryState


async def test_what_may_expire_does_not_wait_for_a_place_under_a_lease(
    whole: WholeRouter, database_url: str
) -> None:
    """A leased delivery counts as called, so it would be called however late."""
    # Of the two places one is of a task that has nothing to do, so one delivery more is claimed than has a place.
    await whole.register(task(max_in_flight=1), task("other", max_in_flight=1))
    ids = []
    for _ in range(2):
        instance, event = await whole.engine.started()
        ready = Delivery(event.event_id, "score", DeliveryState.READY)
        await whole.engine.touch_rows(instance.key, event, ready)
        ids.append(event.event_id)
    # No server has the right to do that.
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(
            "UPDATE events SET expires_at = now() + interval '1 h' WHERE event_id = %s", (ids[1],)
        )
    await whole.engine.rows(
        "UPDATE deliveries SET due_at = now() - interval '1 s' WHERE event_id = %s", ids[0]
    )
    await whole.start()

    async def states() -> list[DeliveryState]:
        found = dict(await whole.engine.rows("SELECT event_id::text, state FROM deliveries"))
        return [DeliveryState(found[event_id]) for event_id in ids]

    await eventually(
        states,
        until=lambda found: found == [DeliveryState.LEASED, DeliveryState.AT_CAPACITY],
        what="what may expire to wait without a lease",
    )
    assert [made.request.event.event_id for made in whole.endpoints.calls] == ids[:1]
