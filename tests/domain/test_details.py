"""What entries and idle instances tell: stored and read back as values, and in words for people."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import orjson
import pytest

from waystation_domain import details
from waystation_domain.commit import HistoryEntry
from waystation_domain.details import (
    Action,
    Cancelled,
    DeadLetterRetried,
    Detail,
    FannedIn,
    ForkedFrom,
    SkipCause,
    Skipped,
    WaitEnded,
    WaitsOpened,
)
from waystation_domain.idle import Ending, Idle
from waystation_domain.model import Result, Status
from waystation_domain.notes import note_of

ENTRY = HistoryEntry(1, "e", "bought", "ship", Result.SUCCESS, Status.CANCELLED)

NOTES: dict[Detail | None, str] = {
    None: "",
    ForkedFrom("o-1", 4): "forked from o-1 at sequence 4",
    WaitEnded("w-3", "ada"): "",
    WaitsOpened(("w-3", "w-3-2")): "",
    Cancelled("changed my mind, with an edited payload"): "changed my mind, with an edited payload",
    DeadLetterRetried("ship", edited=False): "ship",
    DeadLetterRetried("ship", edited=True): "ship with an edited payload",
    FannedIn(3, 2, 5, timed_out=False): "3 of 5 branches settled, 2 of them successfully",
    FannedIn(3, 2, 5, timed_out=True): (
        "3 of 5 branches settled, 2 of them successfully, at the timeout"
    ),
    Skipped(SkipCause.EXPIRED): "it expired",
    Skipped(SkipCause.ENDED): "the workflow is CANCELLED",
    Skipped(SkipCause.STAYS_ENDED): "the workflow stays CANCELLED",
    Skipped(SkipCause.ANSWERED_LATE): "the workflow had ended",
}

IDLE = {
    Ending.HANDLED: "pack, ship handled it and raised no further event",
    Ending.UNHANDLED: "no task handles it",
    Ending.SKIPPED: "it was skipped",
    Ending.RETIRED: "pack, ship is retired",
    Ending.DISCARDED: "its dead letter was discarded",
    Ending.NEWS_OF_DISCARD: "the dead letter of pack, ship for `paid` is discarded",
}


def test_every_kind_is_reported() -> None:
    assert {type(detail) for detail in NOTES} == {*get_args(Detail), type(None)}
    assert {one.cause for one in NOTES if isinstance(one, Skipped)} == set(SkipCause)
    assert set(IDLE) == set(Ending)


@pytest.mark.parametrize("detail", [one for one in NOTES if one is not None], ids=repr)
def test_a_detail_comes_back_as_it_was_stored(detail: Detail) -> None:
    assert details.from_json(orjson.loads(orjson.dumps(details.to_json(detail)))) == detail


@pytest.mark.parametrize("detail", NOTES, ids=repr)
def test_a_note_says_what_the_detail_is(detail: Detail | None) -> None:
    assert note_of(replace(ENTRY, detail=detail)) == NOTES[detail]


def test_a_deadline_needs_no_detail() -> None:
    told = note_of(replace(ENTRY, action=Action.DEADLINE))
    assert told == "The workflow did not end before its deadline."


@pytest.mark.parametrize("ending", Ending)
def test_an_idle_instance_says_why_and_is_stored_as_values(ending: Ending) -> None:
    idle = Idle("e", "bought", "client", ending, ("pack", "ship"), "paid")
    assert idle.message == f"`bought` was raised by client; {IDLE[ending]}"
    assert Idle.from_json(orjson.loads(orjson.dumps(idle.to_json()))) == idle


def test_who_handled_an_event_may_be_unknown() -> None:
    idle = Idle("e", "bought", "client", Ending.HANDLED)
    assert idle.message.endswith("; its tasks handled it and raised no further event")
