"""A router's idea of the store's time: what the store said last, and on from there."""

from datetime import UTC, datetime, timedelta

import pytest

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
