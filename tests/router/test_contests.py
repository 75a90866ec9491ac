"""Of several deliveries that lost against one commit, those go first that would not lose against each other."""

from __future__ import annotations

import pytest
from router.whole import Made, WholeRouter, task
from support.waiting import eventually

from waystation.v1 import task_handler_service_pb2 as pb
from waystation_router import contests

FIRST, SECOND, THIRD = (task(name) for name in ("first", "second", "third"))


def answer(made: Made, *, reads: list[str]) -> None:
    """Read these paths and wrote one of its own."""
    response = pb.HandleEventResponse()
    response.result.data_patch.update({made.request.task_id: 1})
    response.result.reads.paths.extend(reads)
    made.answer(response)


async def lost(whole: WholeRouter, reads: dict[str, list[str]]) -> dict[str, Made]:
    """The first call of each task, once the first one has committed what both others read."""
    await whole.register(FIRST, SECOND, THIRD)
    await whole.start()
    await whole.begin()
    calls = {made.request.task_id: made for made in await whole.endpoints.made(3)}
    answer(calls["first"], reads=[])

    async def committed() -> list[tuple[object, ...]]:
        return await whole.engine.rows("SELECT data->>'first' FROM workflow_instances")

    await eventually(committed, until=lambda rows: rows == [("1",)], what="the first to commit")
    for name in ("second", "third"):
        answer(calls[name], reads=reads[name])
    return calls


async def test_those_that_do_not_touch_each_other_are_called_again_together(
    whole: WholeRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contests, "LEAST_PATIENCE", 1_000.0)
    await lost(whole, {"second": ["/first"], "third": ["/first"]})
    again = (await whole.endpoints.made(5))[3:]
    assert {made.request.task_id for made in again} == {"second", "third"}
    # Neither has been answered.
    for made in again:
        answer(made, reads=["/first"])
    await whole.all_settled()
    assert len(whole.endpoints.calls) == 5


async def test_one_behind_another_is_called_with_what_that_committed(whole: WholeRouter) -> None:
    await lost(whole, {"second": ["/first"], "third": ["/first", "/second"]})
    (ahead,) = (await whole.endpoints.made(4))[3:]
    assert ahead.request.task_id == "second"
    answer(ahead, reads=["/first"])
    behind = (await whole.endpoints.made(5))[4]
    assert behind.request.task_id == "third"
    assert behind.request.context.data.fields["second"].number_value == 1
    answer(behind, reads=["/first", "/second"])
    await whole.all_settled()
    assert len(whole.endpoints.calls) == 5


async def test_what_the_one_ahead_reads_is_not_written_beside_it(whole: WholeRouter) -> None:
    """Whoever commits first: none of the two is to lose again."""
    await lost(whole, {"second": ["/first", "/third"], "third": ["/first"]})
    (ahead,) = (await whole.endpoints.made(4))[3:]
    assert ahead.request.task_id == "second"
    answer(ahead, reads=["/first", "/third"])
    behind = (await whole.endpoints.made(5))[4]
    answer(behind, reads=["/first"])
    await whole.all_settled()
    assert len(whole.endpoints.calls) == 5


async def test_one_behind_another_that_fails_is_called(whole: WholeRouter) -> None:
    await lost(whole, {"second": ["/first"], "third": ["/first", "/second"]})
    (ahead,) = (await whole.endpoints.made(4))[3:]
    ahead.fail()
    again = {made.request.task_id: made for made in (await whole.endpoints.made(6))[4:]}
    assert set(again) == {"second", "third"}
    for made in again.values():
        answer(made, reads=[])
    await whole.all_settled()


async def test_nobody_waits_for_long_for_one_that_hangs(whole: WholeRouter) -> None:
    """Calls of these tests count as a tenth of a second long."""
    await lost(whole, {"second": ["/first"], "third": ["/first", "/second"]})
    ahead, behind = (await whole.endpoints.made(5, timeout=5))[3:]
    assert [ahead.request.task_id, behind.request.task_id] == ["second", "third"]
    assert not ahead.outcome.done()
    answer(behind, reads=["/first", "/second"])

    async def left() -> list[tuple[object, ...]]:
        return await whole.engine.rows("SELECT data->>'third' FROM workflow_instances")

    await eventually(left, until=lambda rows: rows == [("1",)], what="the one behind to commit")
    answer(ahead, reads=["/first"])
    await whole.all_settled()
