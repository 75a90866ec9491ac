"""Pools: who may be there side by side, who takes what, and how many share a task."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain.pools import (
    EVERY_TYPE,
    EventTypes,
    Pool,
    PoolRefused,
    Pools,
    admit,
    caller_of,
    queue_of,
)

LAPSES = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def pool(name: str, *bindings: str, routers: int = 1, expires: float = 300.0) -> Pool:
    return Pool(name, bindings, routers, expires, LAPSES, LAPSES)


DEFAULT = Pool("default", routers=2)
FRAUD = pool("fraud", "fraud.#", "claim.risk", routers=3)
GONE = pool("gone", "gone.#", routers=0)
THERE = (DEFAULT, FRAUD, GONE)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (pool("claims", "claim.#"), '"claim.risk"'),
        (pool("all", "#"), "3 routers"),
        (pool("late", "scored", "gone.*"), "no router; its queue expires by 2026-01-01T12:00"),
        (pool("fraud", "fraud.#"), 'with the bindings "fraud.#", "claim.risk"'),
        (pool("gone", "gone.#", expires=60.0), "expires after 5 min"),
    ],
)
def test_a_pool_that_does_not_fit_is_refused_with_the_one_that_is_there(
    wanted: Pool, told: str
) -> None:
    with pytest.raises(PoolRefused) as caught:
        admit(wanted, THERE)
    assert told in str(caught.value)
    assert f'"{caught.value.other.name}"' in str(caught.value)
    assert "wait until" in str(caught.value)


@pytest.mark.parametrize(
    "wanted",
    [pool("fraud", "claim.risk", "fraud.#"), pool("gone", "gone.#"), pool("new", "new.scored")],
)
def test_a_pool_that_fits_is_admitted(wanted: Pool) -> None:
    admit(wanted, THERE)


def test_a_queue_outlives_its_routers_and_a_delivery_does_not_wait_for_it() -> None:
    for event_type, queue, caller in (
        ("fraud.scored", "fraud", "fraud"),
        ("claim.risk", "fraud", "fraud"),
        ("gone.by", "gone", "default"),
        ("claim.read", "default", "default"),
    ):
        assert queue_of(event_type, THERE).name == queue
        assert caller_of(event_type, THERE).name == caller


def test_what_a_router_leaves_to_other_pools() -> None:
    default, fraud = Pools(DEFAULT, THERE), Pools(FRAUD, THERE)
    assert default.announced == EventTypes(("fraud.#", "claim.risk", "gone.#"), but=True)
    assert default.called == EventTypes(("fraud.#", "claim.risk"), but=True)
    assert fraud.announced == fraud.called == EventTypes(("fraud.#", "claim.risk"), but=False)
    assert Pools(DEFAULT, [DEFAULT]).announced == Pools(DEFAULT, [DEFAULT]).called == EVERY_TYPE


@pytest.mark.parametrize(
    ("event_types", "routers"),
    [
        (("claim.read",), 2),
        (("fraud.scored",), 3),
        (("fraud.#",), 3),  # the very binding
        (("fraud.scored", "claim.read"), 5),
        (("claim.*",), 5),  # claim.risk is fraud's, claim.read is not
        (("gone.by",), 2),  # by the default pool, as that pool has no router
    ],
)
def test_max_in_flight_is_shared_by_all_routers_that_can_call(
    event_types: tuple[str, ...], routers: int
) -> None:
    for own in (DEFAULT, FRAUD):
        assert Pools(own, THERE).sharing(event_types) == routers


PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=3).map(".".join)
TYPES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@given(
    st.lists(st.tuples(PATTERNS, st.integers(0, 2)), max_size=4),
    st.lists(PATTERNS, min_size=1, max_size=2).map(tuple),
    st.lists(TYPES, min_size=1, max_size=8),
)
def test_nobody_who_can_call_is_left_out_of_the_count(
    wanted: list[tuple[str, int]], task_types: tuple[str, ...], happening: list[str]
) -> None:
    there: list[Any] = [DEFAULT]
    for at, (binding, routers) in enumerate(wanted):
        try:
            admit(new := pool(f"p{at}", binding, routers=routers), there)
        except PoolRefused:
            continue
        there.append(new)
    task = Pool("task", task_types)
    callers = {caller_of(kind, there) for kind in happening if task.takes(kind)}
    assert Pools(DEFAULT, there).sharing(task_types) >= sum(each.routers for each in callers)
    # And admitted pools never claim the same type.
    assert all(sum(each.takes(kind) for each in there) <= 1 for kind in happening)
