"""The workflow in memory: no server, and no time passes while an attempt is waited for."""

import pytest
from service import service

from waystation_worker.testing import TestEngine, run_task


@pytest.mark.parametrize("seed", range(5))
async def test_an_order_is_paid(seed: int) -> None:
    # Each seed calls the tasks in another order, and each of them twice.
    run = TestEngine(service, seed=seed).start("order", {"item": "tea", "count": 2})
    await run.until_ended()
    assert run.output == {"paid": 8}


@pytest.mark.parametrize(
    ("order", "reason"),
    [({"item": "lamp", "count": 1}, "UNKNOWN_ITEM"), ({"item": "tea"}, "INVALID_COUNT")],
)
async def test_what_cannot_be_sold_is_refused_at_once(
    order: dict[str, object], reason: str
) -> None:
    answer = await run_task(service, "price", payload=order)
    assert answer.failure is not None
    assert (answer.failure.reason, answer.failure.permanent) == (reason, True)
