"""The test kit's small copies of the engine's rules say what the engine says."""

from __future__ import annotations

from typing import Any

import pytest
from example_data.flow import CLAIMS, read_claim
from hypothesis import given
from hypothesis import strategies as st

from insurance_claim.service import WORKFLOW_TYPE, build_service
from waystation_core.domain import conflicts, lifecycle, operations, topics
from waystation_core.domain.errors import WaystationError
from waystation_core.domain.model import Status
from waystation_worker.testing import TestEngine
from waystation_worker.testing.calling import takes
from waystation_worker.testing.changes import Change, Fault, apply, in_conflict
from waystation_worker.testing.records import ENDS, EVENT_OF_STATUS
from waystation_worker.values import copied

KEYS = st.sampled_from(["a", "b", "a/b", "~"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-1e308, 1e308),
    st.sampled_from(["x", ""]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=5,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(
    lambda keys: "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
)
NUMBERS = st.one_of(
    st.integers(-9, 9),
    st.floats(-1e6, 1e6),
    st.floats(-1e308, 1e308),
    st.sampled_from([2**53 - 1, 2.0**53]),
)
CHANGES = st.lists(
    st.one_of(
        st.builds(Change, st.just("set"), PATHS, VALUES),
        st.builds(Change, st.just("set"), st.just(""), OBJECTS),
        st.builds(Change, st.just("remove"), PATHS, st.none()),
        st.builds(Change, st.sampled_from(["append", "add_to_set"]), PATHS, VALUES),
        st.builds(Change, st.sampled_from(["increment", "maximum"]), PATHS, NUMBERS),
    ),
    max_size=6,
)


def engines(changes: list[Change]) -> list[operations.Operation]:
    return [operations.Operation(path, kind, value) for kind, path, value in changes]


@given(OBJECTS, CHANGES)
def test_changes_apply_as_in_the_engine(data: dict[str, Any], changes: list[Change]) -> None:
    before = copied(data)
    try:
        expected: Any = operations.apply(data, engines(changes))
    except WaystationError as error:
        expected = error.reason
    try:
        mine: Any = apply(data, changes)
    except Fault as fault:
        mine = fault.reason
    # repr tells 1 from 1.0 and from True.
    assert repr(mine) == repr(expected)
    assert data == before


@given(st.lists(PATHS | st.just(""), max_size=3), CHANGES, CHANGES)
def test_answers_conflict_where_they_do_in_the_engine(
    reads: list[str], changes: list[Change], since: list[Change]
) -> None:
    mine = in_conflict(reads, changes, since)
    assert mine == conflicts.conflicts(
        reads,
        [operations.write_of(operation) for operation in engines(changes)],
        [operations.write_of(operation) for operation in engines(since)],
    )


WORDS = st.sampled_from(["a", "b", "*", "#"])


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(st.sampled_from(["a", "b"]), min_size=1))
def test_patterns_mean_what_they_mean_in_the_engine(pattern: list[str], words: list[str]) -> None:
    event_type = ".".join(words)
    assert takes([".".join(pattern)], event_type) == topics.matches(".".join(pattern), event_type)


def test_statuses_have_their_events() -> None:
    assert {
        status.name: name for status, name in lifecycle.EVENT_OF_STATUS.items()
    } == EVENT_OF_STATUS
    assert {name: Status[status] for name, status in ENDS.items()} == lifecycle.STATUS_OF_EVENT


@pytest.mark.parametrize("name", sorted(path.stem for path in CLAIMS.glob("*.json")))
async def test_the_example_ends_in_memory_as_its_files_say(name: str) -> None:
    file = read_claim(name)
    expected, service = file["expected"], build_service()
    for seed in range(4):
        engine = TestEngine(service, seed=seed)
        join = "structured" if seed % 2 else "naive"
        run = engine.start(WORKFLOW_TYPE, {**file["claim"], "join": join})
        answers, dead_letters = list(file["answers"]), 0
        await run.until_quiet()
        while run.dead_letters or run.waits:
            for letter in run.dead_letters:
                dead_letters += 1
                run.retry(letter, file["rescue"]["payload"])
            if run.waits:
                run.provide_input(answers.pop(0))
            await run.until_quiet()
        assert run.status == expected["status"], run.timeline()
        assert (answers, dead_letters) == ([], expected["dead_letters"])
        if run.status == "COMPLETED":
            assert run.output is not None
            assert run.output["decision"] == expected["outcome"]
            assert run.raised.count("parallel.processing.completed") == 1
        else:
            assert run.failure is not None
            assert run.failure.reason == expected["outcome"]
