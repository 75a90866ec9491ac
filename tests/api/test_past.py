"""Any past can be taken up again: recorded results compare as the same, others as what they differ
in, and a fork at any sequence number has the data of then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from domain.test_folding_programs import PROGRAMS, InCall, Life, take
from domain.world import START, World
from hypothesis import given
from support.examples import examples

from waystation_core.ports.store import StoredEntry
from waystation_core.providers import PROVIDERS
from waystation_domain.details import ForkedFrom
from waystation_domain.draft import Rules
from waystation_domain.fold import Fold
from waystation_domain.forks import again, fork
from waystation_domain.model import Event, Instance, NewEvent, Result
from waystation_domain.operations import Operation, apply, from_json
from waystation_domain.outcomes import AttemptError, Reply
from waystation_domain.replays import Comparison, Recorded, compare


def _moments(world: World) -> dict[int, Instance]:
    """The instance after each entry of its history, by sequence."""
    fold = Fold(world.instance)
    found = {}
    for entry in world.history:
        fold.add(StoredEntry(entry, START))
        found[entry.sequence] = fold.moment()
    return found


def _recorded(life: Life) -> dict[int, Recorded]:
    """Every attempt, by the sequence of its entry."""
    world = life.world
    past = _moments(world)
    for sequence, data in world.data_at.items():
        assert orjson.dumps(past[sequence].data) == orjson.dumps(data)
    last = past[len(world.history)]
    assert (last.status, last.waits, last.output, last.event_count) == (
        world.instance.status,
        world.instance.waits,
        world.instance.output,
        world.instance.event_count,
    )
    return {
        entry.sequence: Recorded(
            entry,
            world.events[entry.event_id or ""],
            tuple(world.events[event_id] for event_id in entry.raised),
            past[entry.sequence - 1],
            past[entry.sequence],
        )
        for entry in world.history
        if entry.attempt and not entry.action
    }


def _replay(recorded: Recorded, call: InCall, outcome: Any) -> Comparison:
    return compare(
        recorded, outcome, call.task, rules=Rules(PROVIDERS, max_events=60), processed_at=START
    )


@examples(0.5)
@given(PROGRAMS)
def test_recorded_state_is_found_and_missing_state_is_reported(
    steps: list[tuple[Any, ...]],
) -> None:
    life = Life(resolves=False)
    for step in steps:
        take(life, step)
    life.drain()
    for one in _recorded(life).values():
        entry = one.entry
        if entry.result is not Result.SUCCESS:
            continue
        # What a delivery answered comes twice now and then; only one of its answers was committed.
        same = [
            (call, outcome)
            for call, outcome in life.done
            if isinstance(outcome, Reply)
            and (call.event.event_id, call.task.task_id, call.base)
            == (entry.event_id, entry.processed_by, entry.base_version)
            and _replay(one, call, outcome).same
        ]
        assert same, entry
        call, reply = same[0]
        _tell_more(one, call, reply)
        failed = _replay(one, call, AttemptError("UNAVAILABLE", "BUSY", "later"))
        assert (failed.same, failed.error is not None) == (False, True)


def _tell_more(one: Recorded, call: InCall, reply: Reply) -> None:
    """An answer that writes a number and raises an event more differs in these and nothing else."""
    data = one.after.data
    noted = Operation("/noted", "set", len(data))
    change = reply.change if isinstance(reply.change, tuple) else ()
    if change is not reply.change:
        return
    more = replace(
        reply,
        change=(*change, noted),
        events=(NewEvent("noted", {"n": 1}), *reply.events),
    )
    told = _replay(one, call, more)
    assert not told.same
    if told.error is None:
        assert [(found.path, found.after) for found in told.data] == [("/noted", len(data))]
        assert [(event.event_type, event.recorded_index) for event in told.events] == [
            ("noted", None)
        ]
        assert told.instance == ()
    else:
        assert told.error.reason == "TOO_MANY_EVENTS"


@examples(0.3)
@given(PROGRAMS)
def test_a_fork_has_the_data_of_then_and_nothing_else(steps: list[tuple[Any, ...]]) -> None:
    life = Life(resolves=False)
    for step in steps:
        take(life, step)
    world = life.world
    event: Event = world.first
    for sequence, then in _moments(world).items():
        begun = fork(
            then,
            providers=PROVIDERS,
            workflow_instance_id="fork",
            edits=[Operation("/edited", "set", sequence)],
            event=again(event),
            digest=b"",
            request_id=None,
        )
        folded = apply({}, [from_json(operation) for operation in begun.entry.change or ()])
        expected = {**world.data_at.get(sequence, then.data), "edited": sequence}
        assert orjson.dumps(folded) == orjson.dumps(begun.instance.data) == orjson.dumps(expected)
        assert (begun.instance.status, begun.instance.version) == (1, 1)
        assert (begun.instance.waits, begun.instance.output, begun.instance.failure) == (
            (),
            None,
            None,
        )
        assert begun.entry.detail == ForkedFrom("w", sequence)
        assert begun.event.event_id != event.event_id
        assert (begun.event.event_type, begun.event.correlation_id) == (event.event_type, "c")
    assert world.instance.version == len(world.history)
