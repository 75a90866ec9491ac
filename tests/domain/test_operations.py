"""Applying operations, against a model that copies everything and follows the contract's words."""

from __future__ import annotations

import copy
import math
from typing import Any

import orjson
import pytest
from domain.json_values import JSON, OBJECTS, operations
from hypothesis import given
from hypothesis import strategies as st

from waystation_domain.errors import InvalidPath, PathTypeMismatch, ResponseInvalid, TaskFault
from waystation_domain.operations import (
    Operation,
    apply,
    from_json,
    json_equal,
    patch_to_operations,
    replacement_to_operations,
    to_json,
)

OPERATIONS = st.lists(operations(), max_size=6)


class Mismatch(Exception):
    """The model's word for an operation that cannot be done."""


def model(data: Any, operation: Operation) -> Any:
    """The data after one operation, by recursion over deep copies."""
    if operation.path == "":
        return copy.deepcopy(operation.value)
    tokens = [t.replace("~1", "/").replace("~0", "~") for t in operation.path[1:].split("/")]
    return model_at(copy.deepcopy(data), tokens, operation)


def model_at(here: Any, tokens: list[str], operation: Operation) -> Any:
    token, rest = tokens[0], tokens[1:]
    if isinstance(here, dict):
        if rest:
            if token not in here:
                if operation.kind == "remove":
                    return here
                here[token] = {}
            here[token] = model_at(here[token], rest, operation)
        elif operation.kind == "remove":
            here.pop(token, None)
        else:
            here[token] = model_value(here.get(token, ...), operation)
        return here
    if isinstance(here, list):
        if token == "-" and not rest and operation.kind == "set":
            return [*here, copy.deepcopy(operation.value)]
        if token != "-" and not (token.isdigit() and str(int(token)) == token):
            raise Mismatch
        if token == "-" or int(token) >= len(here):
            if operation.kind == "remove":
                return here
            raise Mismatch
        at = int(token)
        if rest:
            here[at] = model_at(here[at], rest, operation)
        elif operation.kind == "remove":
            here.pop(at)
        else:
            here[at] = model_value(here[at], operation)
        return here
    raise Mismatch


def model_value(old: Any, operation: Operation) -> Any:
    value = copy.deepcopy(operation.value)
    if operation.kind == "set":
        return value
    if operation.kind in ("increment", "maximum"):
        if old is ...:
            return value
        if isinstance(old, bool) or not isinstance(old, (int, float)):
            raise Mismatch
        return old + value if operation.kind == "increment" else max(old, value)
    if old is ...:
        return [value]
    if not isinstance(old, list):
        raise Mismatch
    present = any(text(item) == text(value) for item in old)
    return old if operation.kind == "add_to_set" and present else [*old, value]


def text(value: Any) -> bytes:
    """JSON in one spelling: whole doubles as integers, keys sorted."""
    return orjson.dumps(whole(value), option=orjson.OPT_SORT_KEYS)


def whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(OBJECTS, OPERATIONS)
def test_apply_does_what_the_model_does_and_leaves_its_input(
    data: dict[str, Any], changes: list[Operation]
) -> None:
    before = text(data), [text(to_json(change)) for change in changes]
    expected: Any = data
    try:
        for change in changes:
            expected = model(expected, change)
    except Mismatch:
        with pytest.raises(PathTypeMismatch):
            apply(data, changes)
    else:
        assert text(apply(data, changes)) == text(expected)
    assert (text(data), [text(to_json(change)) for change in changes]) == before


@given(OBJECTS, st.lists(operations(), max_size=8), st.integers(0, 8))
def test_recorded_operations_fold_bit_for_bit_wherever_they_are_cut(
    data: dict[str, Any], changes: list[Operation], cut: int
) -> None:
    stored = [orjson.dumps(to_json(change)) for change in changes]
    again = [from_json(orjson.loads(line)) for line in stored]
    assert again == changes
    try:
        at_once = apply(data, changes)
    except PathTypeMismatch:
        return
    in_parts = apply(apply(orjson.loads(orjson.dumps(data)), again[:cut]), again[cut:])
    assert orjson.dumps(in_parts) == orjson.dumps(at_once)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, as it is printed there."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge_patch(target.get(name), value)
    return target


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_does_what_its_rfc_says(data: dict[str, Any], patch: dict[str, Any]) -> None:
    changed = apply(data, patch_to_operations(patch, data))
    assert text(changed) == text(merge_patch(data, patch))


def test_a_replacement_replaces_everything() -> None:
    assert apply({"a": 1}, replacement_to_operations({"b": None})) == {"b": None}


@given(JSON, JSON)
def test_json_equality_is_equality_of_texts(a: Any, b: Any) -> None:
    assert json_equal(a, b) is (text(a) == text(b))
    assert json_equal(a, copy.deepcopy(a))


def test_true_is_not_one() -> None:
    assert apply({"s": [1]}, [Operation("/s", "add_to_set", True)]) == {"s": [1, True]}
    assert apply({"s": [1]}, [Operation("/s", "add_to_set", 1.0)]) == {"s": [1]}
    with pytest.raises(PathTypeMismatch) as refused:
        apply({"n": True}, [Operation("/n", "increment", 1)])
    assert refused.value.metadata == {"path": "/n", "found": "boolean"}


def test_numbers_are_stored_in_one_spelling() -> None:
    assert repr(apply({"n": 0.5}, [Operation("/n", "increment", 0.5)])) == "{'n': 1}"
    assert repr(apply({"n": -1}, [Operation("/n", "increment", 1.0)])) == "{'n': 0}"
    assert repr(apply({}, [Operation("/n", "maximum", -0.0)])) == "{'n': 0}"
    assert repr(apply({"n": 2**53 - 2}, [Operation("/n", "increment", 1.0)])) == (
        "{'n': 9007199254740991}"
    )


@pytest.mark.parametrize(
    ("there", "kind", "value"),
    [
        (2**53 - 1, "increment", 1),
        (2**53 - 1, "increment", 0.5),
        (-(2**53) + 1, "increment", -1),
        (0, "maximum", 2.0**53),
    ],
)
def test_a_number_that_could_be_two_is_a_fault_of_the_task(
    there: int, kind: str, value: float
) -> None:
    with pytest.raises(ResponseInvalid) as refused:
        apply({"n": {"m": there}}, [Operation("/n/m", kind, value)])
    assert refused.value.metadata == {"path": "/n/m", "problem": "number out of range"}


def test_what_is_waystations_own_can_not_be_changed() -> None:
    for path in ("/$waystation.blob", "/a/$waystation.int/b"):
        for kind, value in (("set", 1), ("remove", None), ("append", 1)):
            with pytest.raises(InvalidPath) as refused:
                apply({"a": {}}, [Operation(path, kind, value)])
            assert refused.value.metadata["path"] == path
    assert apply({}, [Operation("/$waystation", "set", 1)]) == {"$waystation": 1}


@pytest.mark.parametrize(
    ("kind", "value"),
    [("increment", 1.7e308), ("increment", math.nan), ("maximum", math.nan), ("maximum", math.inf)],
)
def test_what_leaves_the_doubles_is_a_fault_of_the_task(kind: str, value: float) -> None:
    with pytest.raises(TaskFault):
        apply({"n": 1.7e308}, [Operation("/n", kind, value)])


@pytest.mark.parametrize("kind", ["remove", "increment", "append", "add_to_set", "maximum"])
def test_only_set_may_name_the_root(kind: str) -> None:
    with pytest.raises(InvalidPath):
        apply({}, [Operation("", kind, 1)])
    with pytest.raises(InvalidPath):
        apply({}, [Operation("", "set", [1])])


def test_what_did_not_change_is_shared() -> None:
    data = {"kept": {"deep": [1]}, "changed": {"n": 1}}
    after = apply(data, [Operation("/changed/n", "increment", 1)])
    assert after["kept"] is data["kept"]
    assert data == {"kept": {"deep": [1]}, "changed": {"n": 1}}
