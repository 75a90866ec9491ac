"""Topics match and overlap as AMQP has it, against regular expressions and trying words out."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain.errors import InvalidEventType
from waystation_domain.topics import Matcher, check_pattern, matches, overlaps

WORDS = st.sampled_from(["a", "b", "claim"])
TYPES = st.lists(WORDS, min_size=1, max_size=5).map(".".join)
PATTERNS = st.lists(WORDS | st.sampled_from("*#"), min_size=1, max_size=4).map(".".join)


def as_regex(pattern: str) -> re.Pattern[str]:
    """Every word carries a dot behind it, so that no border needs care."""
    parts = {"*": r"[^.]*\.", "#": r"(?:[^.]*\.)*"}
    return re.compile("".join(parts.get(w, re.escape(w) + r"\.") for w in pattern.split(".")))


@given(PATTERNS, TYPES)
def test_matching_is_the_regular_expression(pattern: str, event_type: str) -> None:
    expected = as_regex(pattern).fullmatch(event_type + ".") is not None
    assert matches(pattern, event_type) is expected


SHORT = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=3).map(".".join)
ALL_SHORT_TYPES = [
    ".".join(words) for size in range(1, 7) for words in itertools.product("abz", repeat=size)
]


@given(SHORT, SHORT)
def test_patterns_overlap_exactly_when_some_type_is_meant_by_both(one: str, other: str) -> None:
    # Two patterns of three words have, where they overlap, a common type of at most six.
    left, right = as_regex(one), as_regex(other)
    witness = any(left.fullmatch(t + ".") and right.fullmatch(t + ".") for t in ALL_SHORT_TYPES)
    assert overlaps(one, other) is witness
    assert overlaps(other, one) is witness


@given(st.lists(PATTERNS, max_size=6), TYPES)
def test_a_matcher_gives_every_value_in_order_each_time(patterns: list[str], kind: str) -> None:
    matcher = Matcher((pattern, at) for at, pattern in enumerate(patterns))
    expected = tuple(at for at, pattern in enumerate(patterns) if matches(pattern, kind))
    assert matcher.match(kind) == expected
    assert matcher.match(kind) == expected


def test_many_wildcards_cost_no_more_than_their_words() -> None:
    pattern = ".".join(["#", "a"] * 49) + ".#"
    assert not matches(pattern, ".".join(["b"] * 100))
    assert not matches(pattern + ".z", ".".join(["a"] * 100))
    assert overlaps(pattern, pattern)


@pytest.mark.parametrize(
    "pattern",
    ["", "claim*", "#claim", "a.**", "claim processed", "claim.\n", "a" * 201, "\u0421laim"],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidEventType):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["claim.processed", "claim.*", "#", "*.b.#", "a:b-c_d"])
def test_patterns_and_exact_types_are_accepted(pattern: str) -> None:
    assert check_pattern(pattern) == pattern
