"""The conflict rule: what it lets through gives the same data in either order, and what it lets be
read was not changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from domain.json_values import OBJECTS, TOKENS, operations
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain import pointers
from waystation_domain.conflicts import STATUS_PATH, STATUS_WRITE, Write, Written, conflicts
from waystation_domain.errors import PathTypeMismatch
from waystation_domain.operations import COMMUTING, Operation, apply, write_of

CHANGES = st.lists(operations(), max_size=3)
MISSING = object()


def writes(changes: Sequence[Operation]) -> list[Write]:
    return [write_of(change) for change in changes]


def possible(data: dict[str, Any], changes: Sequence[Operation]) -> dict[str, Any] | None:
    try:
        return apply(data, changes)
    except PathTypeMismatch:
        return None


def unordered(value: Any) -> Any:
    """The value with every list as the bag of its items: appends commute up to their order."""
    if isinstance(value, dict):
        return {key: unordered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted((unordered(item) for item in value), key=spelled)
    return value


def spelled(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def read(data: Any, path: str) -> Any:
    """What a task sees at a place: its value, or that there is none."""
    for token in pointers.parse(path):
        if isinstance(data, dict) and token in data:
            data = data[token]
        elif isinstance(data, list) and token.isdigit() and int(token) < len(data):
            data = data[int(token)]
        else:
            return MISSING
    return data


@given(OBJECTS, CHANGES, CHANGES)
def test_changes_that_do_not_conflict_give_the_same_data_in_either_order(
    data: dict[str, Any], mine: list[Operation], since: list[Operation]
) -> None:
    if conflicts([], writes(mine), writes(since)):
        return
    after_mine, after_since = possible(data, mine), possible(data, since)
    if after_mine is None or after_since is None:
        return
    one, other = possible(after_mine, since), possible(after_since, mine)
    assert one is not None
    assert other is not None
    assert spelled(unordered(one)) == spelled(unordered(other))


@given(OBJECTS, TOKENS, CHANGES)
def test_a_place_that_may_be_read_still_holds_what_was_read(
    data: dict[str, Any], tokens: tuple[str, ...], since: list[Operation]
) -> None:
    path = pointers.format(tokens)
    after = possible(data, since)
    if after is None or conflicts([path], [], writes(since)):
        return
    before_there, after_there = read(data, path), read(after, path)
    if before_there is MISSING or after_there is MISSING:
        assert before_there is after_there
    else:
        assert spelled(before_there) == spelled(after_there)


def naive(reads: list[str] | None, mine: list[Write], since: list[Write]) -> bool:
    """The rule as the design words it, pair by pair."""
    if not since:
        return False
    if reads is None:
        return True
    return any(pointers.touches(path, there) for path in reads for there, _ in since) or any(
        pointers.touches(path, there)
        and not (path == there and kind == other and kind in COMMUTING)
        for path, kind in mine
        for there, other in since
    )


PATHS = TOKENS.map(pointers.format) | st.sampled_from(["", STATUS_PATH])
WRITES = st.lists(st.tuples(PATHS, st.sampled_from(["set", "append", "increment"])), max_size=4)


@given(st.none() | st.lists(PATHS, max_size=3), WRITES, WRITES, WRITES)
def test_it_is_the_rule_pair_by_pair_also_while_results_are_folded(
    reads: list[str] | None, mine: list[Write], first: list[Write], second: list[Write]
) -> None:
    written = Written(first)
    written.add(second)
    assert written.conflicts_with(reads, mine) is naive(reads, mine, first + second)
    assert conflicts(reads, mine, first) is naive(reads, mine, first)


def test_status_is_a_place_of_its_own() -> None:
    assert conflicts([], [STATUS_WRITE], [STATUS_WRITE])
    assert conflicts([STATUS_PATH], [], [STATUS_WRITE])
    assert not conflicts([], [("", "set")], [STATUS_WRITE])
    assert not conflicts([], [("/status", "set")], [STATUS_WRITE])


@pytest.mark.parametrize("kind", sorted(COMMUTING))
def test_kinds_commute_with_themselves_only(kind: str) -> None:
    assert not conflicts([], [("/n", kind)], [("/n", kind)])
    assert conflicts(["/n"], [("/n", kind)], [("/n", kind)])
    for other in ({*COMMUTING} - {kind}) | {"set", "remove"}:
        assert conflicts([], [("/n", kind)], [("/n", other)])


def test_removing_an_item_writes_the_list_whose_other_items_it_moves() -> None:
    assert write_of(Operation("/list/0", "remove")) == ("/list", "remove")
    assert write_of(Operation("/list/-", "set", 1)) == ("/list", "set")
    assert write_of(Operation("/map/key", "remove")) == ("/map/key", "remove")


def test_the_naive_join_of_parallel_branches_is_seen() -> None:
    """Each marks itself done and looks at all: the second must look again."""
    mine, since = [("/parallel_tasks/risk", "set")], [("/parallel_tasks/fraud", "set")]
    assert conflicts(["/parallel_tasks"], mine, since)
    assert not conflicts([], mine, since)
