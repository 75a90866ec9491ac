"""A router's idea of the store's time: what the store said last, and on from there."""

from datetime import UTC, datetime, timedelta

import pytest
from router.whole import WholeRouter

from waystation_core.ports.store import Loaded
from waystation_router import store_clock
from waystation_router.ledger import Ledger
from waystation_router.store_clock import StoreClock

# Far from what the clock of this machine shows.
SAID = datetime(2001, 1, 1, tzinfo=UTC)


def test_it_goes_on_from_what_the_store_said_last(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 100.0
    monkeypatch.setattr(store_clock.time, "monotonic", lambda: passed)
    clock = StoreClock()
    assert clock.now() is None
    clock.set(SAID)
    passed += 2.5
    assert clock.now() == SAID + timedelta(seconds=2.5)
    # The store was moved to a machine whose clock is behind.
    clock.set(SAID - timedelta(hours=1))
    assert clock.now() == SAID - timedelta(hours=1)


def test_each_load_sets_it() -> None:
    ledger = Ledger()
    ledger.learn(Loaded({}, {}, {}))
    assert ledger.clock.now() is None
    ledger.learn(Loaded({}, {}, {}, SAID))
    now = ledger.clock.now()
    assert now is not None
    assert timedelta(0) <= now - SAID < timedelta(minutes=10)


async def test_a_router_that_loads_nothing_for_long_sets_it_all_the_same(
    whole: WholeRouter,
) -> None:
    """It handles what its own commits raise without a load; and its own clock stands still while a machine sleeps."""
    clock = whole.router._ledger.clock
    clock.set(SAID)
    await whole.router._reconciler.look()
    ((now,),) = await whole.engine.rows("SELECT clock_timestamp()")
    believed = clock.now()
    assert believed is not None
    assert abs(now - believed) < timedelta(minutes=1)
