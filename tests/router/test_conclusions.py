"""What follows a commit, when something is wrong with one of its instances."""

from __future__ import annotations

from typing import Any

import pytest
from router.whole import Made, WholeRouter, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_router.conclusions import Conclusions

NUMBER = 4


async def test_a_fault_after_the_commit_of_one_instance_holds_up_no_other(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are in one batch, and the first one has the fault. It is decided again, and found to be committed."""
    await whole.register(task())
    await whole.start()
    await whole.begin(NUMBER)
    calls = await whole.endpoints.made(NUMBER)
    conclude, batches = Conclusions._conclude, []

    def faulty(self: Conclusions, touched: Any, revision: int) -> None:
        batches.append(touched.handling.event_id)
        if len(batches) == 1:
            raise RuntimeError("a fault of ours")
        conclude(self, touched, revision)

    monkeypatch.setattr(Conclusions, "_conclude", faulty)
    for made in calls:
        made.answer(completing(made))
    await whole.all_settled()

    async def in_hand() -> int:
        return len(whole.router._ledger.handlings) + whole.router._intake.unacknowledged

    await eventually(in_hand, until=lambda n: n == 0, what="all to be let go of")
    assert len(whole.endpoints.calls) == NUMBER


def completing(made: Made) -> pb.HandleEventResponse:
    response = pb.HandleEventResponse()
    response.result.data_patch.update({"done": made.request.task_id})
    return response
