"""An instance as it was: what history tells, and nothing of what is open now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from domain.world import START, World, task

from waystation_domain.fold import Fold
from waystation_domain.model import Instance, NewEvent, Status, Turn
from waystation_domain.operations import Operation
from waystation_domain.outcomes import FanOut, Reply, WaitRequest
from waystation_domain.stored import StoredEntry

A = task("a")


def as_it_was(world: World, now: Instance, sequence: int) -> Instance:
    fold = Fold(now)
    for entry in world.history[:sequence]:
        fold.add(StoredEntry(entry, START + timedelta(seconds=entry.sequence)))
    return fold.moment()


def test_nothing_of_what_is_open_now_is_shown_of_then() -> None:
    world = World({"amount": 5})
    world.handle(
        world.first,
        A,
        Reply(
            change=(Operation("/seen", "set", True),),
            fan_outs=(FanOut((NewEvent("b", {}), NewEvent("b", {})), NewEvent("joined", {})),),
        ),
    )
    world.handle(world.raised("b")[0], A, Reply(waits=(WaitRequest("?", "w", timeout=60.0),)))
    now = replace(world.instance, turn=Turn((world.first.event_id, "a"), START), dead_letters=1)
    assert now.groups
    assert now.unsettled
    assert now.timers

    begun = as_it_was(world, now, 1)
    assert (begun.data, begun.status, begun.waits) == ({"amount": 5}, Status.ACTIVE, ())
    last = as_it_was(world, now, now.version)
    assert (last.data, last.status, last.waits) == (now.data, now.status, now.waits)
    assert last.updated_at == START + timedelta(seconds=now.version)
    for then in (begun, last):
        assert (then.groups, then.turn, then.idle) == ((), None, None)
        assert (then.unsettled, then.timers, then.dead_letters) == (0, 0, 0)
