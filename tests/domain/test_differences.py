"""Differences: every place that differs, nothing that is equal, each with what stands there."""

from __future__ import annotations

from typing import Any

from domain.json_values import OBJECTS
from hypothesis import given

from waystation_domain import pointers
from waystation_domain.differences import ABSENT, Difference, differences
from waystation_domain.operations import json_equal


def _at(value: Any, path: str) -> Any:
    for token in pointers.parse(path):
        if isinstance(value, list):
            if int(token) >= len(value):
                return ABSENT
            value = value[int(token)]
        elif token in value:
            value = value[token]
        else:
            return ABSENT
    return value


@given(OBJECTS, OBJECTS)
def test_each_difference_is_one_and_there_are_no_others(a: Any, b: Any) -> None:
    found = list(differences(a, b))
    assert (not found) == json_equal(a, b)
    for each in found:
        assert each.before is _at(a, each.path)
        assert each.after is _at(b, each.path)
    assert len({each.path for each in found}) == len(found)
    assert list(differences(b, a)) == [
        Difference(each.path, each.after, each.before) for each in found
    ]


def test_null_is_something_and_kinds_differ() -> None:
    assert list(
        differences({"a": None, "n": 1, "l": [1, 2]}, {"n": True, "l": [1.0], "~/": {}})
    ) == [
        Difference("/a", None, ABSENT),
        Difference("/l/1", 2, ABSENT),
        Difference("/n", 1, True),
        Difference("/~0~1", ABSENT, {}),
    ]
