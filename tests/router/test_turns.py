"""Many that contend for one instance: each waits for the turn, and is not called without effect meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime

from router.whole import Made, WholeRouter, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_core.providers import PROVIDERS
from waystation_domain.draft import Draft, Rules
from waystation_domain.model import Delivery, DeliveryState
from waystation_domain.results import CONFLICTS_BEFORE_TURN, EventTouch, apply_touch, take_turn
from waystation_router.turns import FIRST_LOOK_AFTER, LAST_LOOK_AFTER

COUNT = task("count", "counted")
NUMBER = 40


def counted(made: Made) -> pb.HandleEventResponse:
    """One more than there was: of two that read the same number, one is lost."""
    response = pb.HandleEventResponse()
    response.result.data_patch.update({"n": _number(made) + 1})
    return response


def _number(made: Made) -> float:
    fields = made.request.context.data.fields
    return fields["n"].number_value if "n" in fields else 0


def raising(number: int) -> pb.HandleEventResponse:
    response = pb.HandleEventResponse(result={})
    for _ in range(number):
        response.result.events.add(event_type="counted")
    return response


async def test_a_delivery_that_many_contend_with_is_called_so_often_and_no_more(
    whole: WholeRouter,
) -> None:
    def answer(made: Made) -> None:
        made.answer(counted(made) if made.request.task_id == "count" else raising(NUMBER))

    whole.endpoints.on_call = answer
    await whole.register(task(), COUNT)
    await whole.start()
    await whole.begin()
    await whole.all_settled()
    assert await whole.engine.rows("SELECT (data->>'n')::float FROM workflow_instances") == [
        (NUMBER,)
    ], "no update was lost"
    times = Counter(made.place for made in whole.endpoints.calls)
    assert max(times.values()) <= CONFLICTS_BEFORE_TURN + 1
    # Once to lose, but for the first one, and once to win; some more where not all came in hand at once.
    assert sum(times.values()) <= 2.25 * NUMBER
    assert await whole.engine.rows("SELECT turn_holder FROM workflow_instances") == [(None,)]


async def test_a_waiting_result_is_submitted_when_a_turn_ends_elsewhere(
    whole: WholeRouter,
) -> None:
    """Somebody else gives the turn and ends it: this router's own commits tell it nothing."""
    await whole.register(task(), task("other"))
    await whole.start()
    await whole.begin()
    made = {call.request.task_id: call for call in await whole.endpoints.made(2)}
    event_id, workflow_instance_id = made["score"].place[0], made["score"].request.context
    key = workflow_instance_id.workflow_instance_id
    async with whole.engine.store.locked(workflow_instance_id=key, event_ids=[event_id]) as locked:
        event = await locked.event(event_id)
        assert event is not None
        draft = Draft(locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=locked.now)
        touch = EventTouch(event, (task(), task("other")))
        assert take_turn(draft, touch, task("other"), router_id=whole.router.router_id)
        await locked.write(draft.commit())
    locks, began = whole.script.calls["locked"], time.monotonic()
    made["score"].answer(counted(made["score"]))
    await eventually(
        lambda: _are(whole.script.calls["locked"] >= locks + 5), what="it to ask several times"
    )
    assert time.monotonic() - began > 10 * FIRST_LOOK_AFTER, "it asks less and less often"
    assert await whole.open_events() == 1
    async with whole.engine.store.locked(workflow_instance_id=key, event_ids=[event_id]) as locked:
        draft = Draft(
            locked.instance, facts=locked.facts, rules=Rules(PROVIDERS), now=datetime.now(UTC)
        )
        row = Delivery(event_id, "other", DeliveryState.READY, due_in=600.0)
        apply_touch(
            draft, EventTouch(event, (), {}, {"other": row}), router_id=whole.router.router_id
        )
        await locked.write(draft.commit())

    async def left() -> list[tuple[object, ...]]:
        return await whole.engine.rows("SELECT task_id FROM deliveries")

    await eventually(
        left,
        until=lambda rows: rows == [("other",)],
        timeout=20 * LAST_LOOK_AFTER,
        what="the result to be committed",
    )


async def _are(condition: bool) -> bool:
    return condition
