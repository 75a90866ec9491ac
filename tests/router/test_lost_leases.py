"""What a router believes it has in call, and what the database says, come together again (H1, H8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from router.whole import Made, WholeRouter, task
from structlog.testing import capture_logs
from support.registries import of_default
from support.scripted_store import Fault, broken, held, reply_lost, unavailable
from support.waiting import eventually

from waystation_core.ids import new_id
from waystation_router.endpoints import Cancelled


def fails_twice(made: Made) -> None:
    if made.attempt < 3:
        made.fail()
    else:
        made.answer()


def attempts_of(whole: WholeRouter) -> list[int]:
    return sorted(made.attempt for made in whole.endpoints.calls)


@pytest.mark.parametrize("fault", [reply_lost(), broken(RuntimeError("ours"), after=True)])
async def test_what_a_claim_leased_whose_answer_was_lost_is_called(
    whole: WholeRouter, fault: Fault
) -> None:
    """(a): the rows are leased to a router that lives and never learned of them."""
    await whole.register(task())
    whole.endpoints.on_call = fails_twice
    # Two sweeps claim: of due deliveries, and of suspects.
    whole.script.on("claim_deliveries", fault, calls=range(1, 3))
    await whole.begin(20)
    await whole.start()
    await whole.all_settled()
    assert attempts_of(whole) == [1] * 20 + [2] * 20 + [3] * 20, "each attempt is made once"


async def test_a_retry_that_is_claimed_while_the_commit_that_made_it_is_repeated_is_called(
    whole: WholeRouter,
) -> None:
    """(b): the claim finds the call in hand whose outcome is in doubt, and that is a duplicate later."""
    await whole.register(task())
    whole.endpoints.on_call = fails_twice
    lost = whole.script.on("commit", held(after=True, then=reply_lost().error()), calls=1)
    await whole.begin()
    await whole.start()
    async with asyncio.timeout(20):
        await lost.reached.wait()
    # The attempt failed and its retry is due, as far as the database knows.
    await eventually(whole.leased, what="the retry to be claimed")
    lost.open()
    await whole.all_settled()
    assert attempts_of(whole) == [1, 2, 3]


async def test_a_retry_that_was_just_claimed_is_no_new_task_to_another_result_of_its_event(
    whole: WholeRouter,
) -> None:
    """What the result's commit reads under its lock is leased to this router, and not in hand yet."""
    await whole.register(task("quick"), task("long"))
    await whole.start()
    await whole.begin()
    first = {made.request.task_id: made for made in await whole.endpoints.made(2)}
    late = whole.script.on("load", held())
    first["quick"].fail()
    async with asyncio.timeout(20):
        await late.reached.wait()
    whole.script.next("commit", broken(RuntimeError("a fault of ours, so under locks")))
    first["long"].answer()

    async def of_the_long_one() -> int:
        rows = await whole.engine.rows("SELECT 1 FROM deliveries WHERE task_id = 'long'")
        return len(rows)

    await eventually(of_the_long_one, until=lambda rows: rows == 0, what="the other result")
    whole.endpoints.on_call = lambda made: made.answer()
    whole.script.heal()
    await whole.all_settled()
    quick = [made.attempt for made in whole.endpoints.calls if made.request.task_id == "quick"]
    assert quick == [1, 2]


@pytest.mark.parametrize("fault", [broken(RuntimeError("a column is gone")), unavailable()])
async def test_a_fault_while_claimed_deliveries_are_loaded_leaves_none_of_them(
    whole: WholeRouter, fault: Fault
) -> None:
    """(c): whatever goes wrong between the claim and the call."""
    await whole.register(task())
    whole.endpoints.on_call = fails_twice
    bites = iter([True])

    def is_a_retry(given: tuple[Any, ...], named: dict[str, Any]) -> bool:
        called = {made.place[0] for made in whole.endpoints.calls}
        return called.issuperset(given[0]) and next(bites, False)

    whole.script.on("load", fault, when=is_a_retry)
    await whole.begin(20)
    await whole.start()
    await whole.all_settled()
    assert attempts_of(whole) == [1] * 20 + [2] * 20 + [3] * 20
    assert len(whole.script.bites) == 1


async def test_one_failed_load_gives_back_nothing_that_is_in_call(whole: WholeRouter) -> None:
    """H8: long calls are not made a second time because a retry could not be loaded."""
    await whole.register(task("long"), task("quick"))

    def on_call(made: Made) -> None:
        if made.request.task_id == "quick":
            fails_twice(made)

    whole.endpoints.on_call = on_call
    await whole.begin(10)
    await whole.start()
    await whole.endpoints.made(20)
    whole.script.next("load", unavailable())

    async def another_router_gets() -> int:
        stolen = await whole.engine.store.claim_deliveries(
            new_id(), 10, of_default("long"), suspects=False
        )
        assert stolen == []
        return len(whole.endpoints.calls)

    await eventually(another_router_gets, until=lambda calls: calls == 40, what="the retries")
    assert [bite[0] for bite in whole.script.bites] == ["load"]
    long = [made for made in whole.endpoints.calls if made.request.task_id == "long"]
    assert len({made.place for made in long}) == 10
    await eventually(
        whole.leased,
        until=lambda leased: sorted(leased) == sorted(made.place for made in long),
        what="the database to say what is in call",
    )
    for made in long:
        made.answer()
    await whole.all_settled()
    assert attempts_of(whole) == [1] * 20 + [2] * 10 + [3] * 10


async def _two_looks(whole: WholeRouter) -> None:
    """Returns when the reconciler has looked twice from now."""
    looks = whole.script.calls["leased"] + 2

    async def looked() -> int:
        return whole.script.calls["leased"]

    await eventually(looked, until=lambda calls: calls >= looks, what="two looks")


async def test_what_is_being_claimed_is_not_given_back(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    late = whole.script.on("load", held())
    made.fail()
    async with asyncio.timeout(20):
        await late.reached.wait()
    await _two_looks(whole)
    assert whole.script.calls["give_back"] == 0
    assert await whole.leased()
    assert not await whole.leased(in_hand=True)
    whole.endpoints.on_call = lambda made: made.answer()
    whole.script.heal()
    await whole.all_settled()
    assert attempts_of(whole) == [1, 2]


async def test_deliveries_in_call_are_reported_as_in_hand(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    made.fail()
    (_, again) = await whole.endpoints.made(2)
    told = await eventually(lambda: whole.leased(in_hand=True), what="the look to be told")
    assert told == [again.place] == await whole.leased()
    again.answer()
    await whole.all_settled()


async def test_what_is_being_committed_is_not_given_back(whole: WholeRouter) -> None:
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    made.fail()
    (_, again) = await whole.endpoints.made(2)
    late = whole.script.on("commit", held())
    locked = whole.script.on("locked", held())
    again.answer()

    async def on_its_way() -> bool:
        return late.reached.is_set() or locked.reached.is_set()

    await eventually(on_its_way, what="the commit")
    await _two_looks(whole)
    assert whole.script.calls["give_back"] == 0
    whole.script.heal()
    await whole.all_settled()
    assert attempts_of(whole) == [1, 2]


async def _a_second_attempt_in_call(whole: WholeRouter) -> Made:
    """One whose lease the database knows."""
    await whole.register(task())
    await whole.start()
    await whole.begin()
    (first,) = await whole.endpoints.made(1)
    first.fail()
    (_, second) = await whole.endpoints.made(2)
    return second


async def test_a_call_whose_lease_was_broken_goes_on_and_its_late_result_counts(
    whole: WholeRouter,
) -> None:
    made = await _a_second_attempt_in_call(whole)
    await whole.engine.rows(
        "UPDATE deliveries SET state = 1, leased_by = NULL, due_at = now() + interval '1 hour' RETURNING 1"
    )
    await _two_looks(whole)
    assert not made.outcome.done()
    made.answer()
    await whole.all_settled()
    assert attempts_of(whole) == [1, 2]


async def test_a_call_whose_delivery_another_router_settled_is_cancelled(
    whole: WholeRouter,
) -> None:
    made = await _a_second_attempt_in_call(whole)
    await whole.engine.rows("DELETE FROM deliveries RETURNING 1")
    async with asyncio.timeout(20):
        assert isinstance(await made.outcome, Cancelled)
    assert attempts_of(whole) == [1, 2]


async def test_what_a_commit_leased_is_not_given_back_before_the_router_knows_of_it(
    whole: WholeRouter,
) -> None:
    """A task that came between the first look and the commit gets its row by the commit, and is called
    when that has been answered."""
    await whole.register(task("early"))
    await whole.start()
    await whole.begin()
    (made,) = await whole.endpoints.made(1)
    await whole.register(task("early"), task("late"))
    answered = whole.script.on("locked.exit", held(after=True))
    made.answer()
    async with asyncio.timeout(20):
        await answered.reached.wait()
    await _two_looks(whole)
    assert whole.script.calls["give_back"] == 0
    whole.endpoints.on_call = lambda made: made.answer()
    whole.script.heal()
    await whole.all_settled()
    assert [made.request.task_id for made in whole.endpoints.calls] == ["early", "late"]


async def test_an_outage_is_reported_once_and_not_at_each_look(whole: WholeRouter) -> None:
    whole.script.on("leased", unavailable())
    with capture_logs() as logs:
        await whole.start()

        async def looks() -> int:
            return whole.script.calls["leased"]

        await eventually(looks, until=lambda number: number >= 4)
        whole.script.heal()

        async def told() -> list[str]:
            return [line["event"] for line in logs if line["event"].startswith("look_postponed")]

        await eventually(told, until=lambda events: len(events) == 2)
        assert await told() == ["look_postponed", "look_postponed_over"]
