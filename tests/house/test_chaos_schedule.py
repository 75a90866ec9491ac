"""What a seed of `make chaos` gives: programs and faults, the same each time, that can be kept."""

import json
import random
from collections import Counter
from itertools import combinations, islice
from pathlib import Path

import pytest

from chaos import schedule
from chaos.expectation import expect
from chaos.faults import links
from chaos.faults.catalogue import CATALOGUE
from chaos.programs import KINDS, Programs

TWENTY_MINUTES = 1200.0


def test_a_seed_gives_the_same_faults_again_and_from_a_file(tmp_path: Path) -> None:
    planned = schedule.plan(7, TWENTY_MINUTES, lost_replies=0.1)
    assert schedule.plan(7, TWENTY_MINUTES, lost_replies=0.1) == planned
    assert schedule.plan(8, TWENTY_MINUTES, lost_replies=0.1) != planned
    schedule.write(planned, tmp_path / "schedule.json")
    assert schedule.read(tmp_path / "schedule.json") == planned


@pytest.mark.parametrize("seed", range(3))
def test_streams_overlap_and_never_act_on_the_same(seed: int) -> None:
    planned = schedule.plan(seed, TWENTY_MINUTES)
    overlapping = [
        (one, other)
        for one, other in combinations(planned, 2)
        if one.at < other.at + other.seconds and other.at < one.at + one.seconds
    ]
    assert overlapping
    for one, other in overlapping:
        touched = [CATALOGUE[each.kind].touches(each.params) for each in (one, other)]
        assert not touched[0] & touched[1]


def test_two_long_runs_meet_every_kind_of_fault() -> None:
    met = {entry.kind for seed in (7, 8) for entry in schedule.plan(seed, TWENTY_MINUTES)}
    assert met == set(CATALOGUE)


def test_only_the_kinds_that_were_asked_for_are_planned() -> None:
    wanted = ("kill-router", "link")
    assert {entry.kind for entry in schedule.plan(1, 300.0, wanted)} == set(wanted)


def test_every_behaviour_of_a_link_can_be_written_down() -> None:
    pick = random.Random(1)
    for link in ("api-1>postgres", "router-1>rabbitmq", "handler-1>api"):
        for _ in range(50):
            behaviour = links.plan_behaviour(pick, link)
            assert links.read(json.loads(json.dumps(links.describe(behaviour)))) == behaviour


def test_programs_take_turns_and_are_the_same_again() -> None:
    first, again = (list(islice(Programs(3, late=2), 200)) for _ in range(2))
    assert first == again
    assert Counter(program.kind for program in first) == dict.fromkeys(KINDS, 20)
    assert len({program.instance for program in first}) == 200
    for program in first:
        written = json.loads(json.dumps(program.as_dict()))
        expected = expect(written)
        assert expected.statuses
        # Whatever must happen has a block of its own: its token could not be told apart else.
        assert set(expected.must.values()) <= {0, 1}


def test_no_service_comes_late_where_none_does() -> None:
    assert "late" not in {program.kind for program in islice(Programs(3), 100)}
