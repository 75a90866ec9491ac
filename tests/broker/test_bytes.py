"""The decoder takes anything, messages stay small, and acks in bulk never cover too much."""

import orjson
import pytest
from broker.announcing import event_id
from hypothesis import given
from hypothesis import strategies as st

from waystation_core.broker import wire
from waystation_core.broker.subscription import _Ledger
from waystation_core.ports.broker import (
    LEVELS,
    MAX_BODY_BYTES,
    MAX_EVENTS_PER_ANNOUNCEMENT,
    AnnouncedEvent,
    Announcement,
    level_of,
    lowest_priority_of,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["events", "id", "type", "instance", "workflow_type", "version"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.binary(max_size=200) | json_values.map(lambda value: repr(value).encode()))
def test_arbitrary_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        decoded = wire.announcement_from(body)
    except wire.UndecodableError:
        return
    assert decoded.events


@given(json_values)
def test_arbitrary_json_is_decoded_or_refused(value: object) -> None:
    try:
        body = orjson.dumps({"events": [value]})
    except TypeError:  # Integers beyond 64 bits.
        return
    try:
        decoded = wire.announcement_from(body, level=255)
    except wire.UndecodableError:
        return
    assert wire.announcement_from(wire.announcement_body(decoded)).events == decoded.events


def test_notices_of_any_size_are_refused_before_they_are_read() -> None:
    body = b'{"notices":[' + b"0," * 1_000_000 + b"0]}"
    with pytest.raises(wire.UndecodableError, match="more than"):
        wire.notices_from(body)


def test_an_outcome_that_is_no_base64_is_refused() -> None:
    body = b'{"notices":[{"instance":"w-1","version":2,"status":4,"outcome":"@@"}]}'
    with pytest.raises(wire.UndecodableError, match="not notices"):
        wire.notices_from(body)


def test_the_largest_announcement_fits() -> None:
    longest = "x" * 200
    event = AnnouncedEvent(event_id("e-1"), longest, longest, 2**31 - 1, longest)
    full = Announcement(longest, 0, (event,) * MAX_EVENTS_PER_ANNOUNCEMENT)
    body = wire.announcement_body(full)
    assert len(body) <= MAX_BODY_BYTES
    assert wire.announcement_from(body) == full


def test_every_priority_has_its_level() -> None:
    assert [level_of(priority) for priority in (0, 25, 26, 100, 230, 231, 255)] == [
        0, 0, 1, 3, 8, 9, 9,
    ]  # fmt: skip
    for level in range(LEVELS):
        assert level_of(lowest_priority_of(level)) == level
        assert level == 0 or level_of(lowest_priority_of(level) - 1) == level - 1


@given(st.lists(st.lists(st.integers(-2, 25), max_size=8), max_size=12), st.integers(0, 20))
def test_acks_in_bulk_cover_exactly_what_was_settled(
    calls: list[list[int]], delivered: int
) -> None:
    ledger = _Ledger()
    ledger.delivered = delivered
    outstanding = set(range(1, delivered + 1))
    asked: set[int] = set()
    for tags in calls:
        asked |= outstanding.intersection(tags)
        together, singly = ledger.split(ledger.settle(tags))
        if together:
            # RabbitMQ refuses a tag that it does not wait for, and takes all below it.
            assert together in outstanding
            outstanding -= set(range(1, together + 1))
        for tag in singly:
            outstanding.remove(tag)
        assert outstanding == set(range(1, delivered + 1)) - asked
