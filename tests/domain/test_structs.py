"""Struct walkers, against json_format, and every limit at this door."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from domain.json_values import JSON, OBJECTS
from google.protobuf import json_format
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given

from waystation.v1 import workflow_pb2
from waystation_conversion.structs import from_value, to_dict, to_struct, to_value
from waystation_domain.errors import InvalidStruct


@given(OBJECTS)
def test_a_dict_comes_back_as_it_went(data: dict[str, Any]) -> None:
    struct = to_struct(data)
    expected = json_format.ParseDict(data, Struct())
    assert struct == expected
    back = to_dict(Struct.FromString(struct.SerializeToString()))
    assert orjson.dumps(back, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        data, option=orjson.OPT_SORT_KEYS
    )


@given(JSON)
def test_a_value_comes_back_as_it_went(data: Any) -> None:
    back = from_value(to_value(data))
    assert orjson.dumps(back, option=orjson.OPT_SORT_KEYS) == orjson.dumps(
        data, option=orjson.OPT_SORT_KEYS
    )


def test_numbers_have_one_spelling() -> None:
    struct = to_struct({"a": 1.0, "b": -0.0, "c": 2.0**53 - 1, "d": 0.5, "e": -(2.0**53) + 1})
    assert repr(dict(sorted(to_dict(struct).items()))) == (
        "{'a': 1, 'b': 0, 'c': 9007199254740991, 'd': 0.5, 'e': -9007199254740991}"
    )


@pytest.mark.parametrize("number", [2.0**53, 2.0**53 + 2, -(2.0**53), 1e20, -1e300])
def test_a_whole_number_that_may_have_been_rounded_is_refused_with_its_place(number: float) -> None:
    """`9007199254740993` as JSON arrives as 2^53: nobody could tell."""
    for data, path in (({"a": {"b": number}}, "/a/b"), ({"a": [0, number]}, "/a/1")):
        with pytest.raises(InvalidStruct) as refused:
            to_dict(to_struct(data))
        assert refused.value.metadata["path"] == path
        assert refused.value.message.endswith("Send it as a string.")
    with pytest.raises(InvalidStruct):
        from_value(Value(number_value=number))


def test_members_that_are_waystations_own_are_refused_at_any_depth() -> None:
    for data, path in (
        ({"$waystation.blob": "b-1"}, "/$waystation.blob"),
        ({"a": [{"b": {"$waystation.": 1}}]}, "/a/0/b/$waystation."),
    ):
        with pytest.raises(InvalidStruct) as refused:
            to_dict(to_struct(data))
        assert refused.value.metadata["path"] == path
    fine = {"$waystation": 1, "$enc": "x", "a$waystation.": 2}
    assert to_dict(to_struct(fine)) == fine


def test_a_field_is_written_in_place_and_an_empty_object_is_present() -> None:
    context = workflow_pb2.WorkflowContext()
    to_struct({"a": 1}, into=context.data)
    to_struct({}, into=context.data)
    assert context.HasField("data")
    assert to_dict(context.data) == {}


def value_at(path: str, value: Value) -> Struct:
    """A Struct with this Value at the end of a path of objects."""
    struct = Struct()
    here = struct
    *around, last = path.split("/")[1:]
    for key in around:
        here = here.fields[key].struct_value
    here.fields[last].CopyFrom(value)
    return struct


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Value(number_value=math.nan), "NaN"),
        (Value(number_value=-math.inf), "infinity"),
        (Value(string_value="x\0"), "a NUL character"),
        (Value(), "a Value without a kind"),
    ],
)
def test_what_may_not_be_held_is_named_by_its_place(value: Value, problem: str) -> None:
    with pytest.raises(InvalidStruct) as refused:
        to_dict(value_at("/a/b", value), "payload")
    assert refused.value.metadata == {"field": "payload", "path": "/a/b", "problem": problem}
    in_list = Value(list_value=ListValue(values=[Value(bool_value=True), value]))
    with pytest.raises(InvalidStruct) as refused:
        to_dict(value_at("/a/b", in_list), "payload")
    assert refused.value.metadata["path"] == "/a/b/1"
    with pytest.raises(InvalidStruct) as refused:
        from_value(value, "set")
    assert refused.value.metadata == {"field": "set", "path": "", "problem": problem}


def test_keys_are_looked_at_too() -> None:
    with pytest.raises(InvalidStruct) as refused:
        to_dict(value_at("/a/b\0", Value(bool_value=True)))
    assert refused.value.metadata["path"] == "/a/b\\x00"


def test_depth_and_nodes_are_counted_to_the_border() -> None:
    deep = Struct()
    here = deep
    for _ in range(15):
        here = here.fields["a"].struct_value
    here.SetInParent()
    assert to_struct(to_dict(deep)) == deep
    here.fields["a"].list_value.SetInParent()
    with pytest.raises(InvalidStruct) as refused:
        to_dict(deep)
    assert refused.value.metadata["path"] == "/a" * 16

    wide = Struct()
    items = wide.fields["a"].list_value.values
    items.extend([Value(bool_value=True)] * 9_998)
    assert len(to_dict(wide)["a"]) == 9_998
    items.add().bool_value = True
    with pytest.raises(InvalidStruct, match="10000 nodes"):
        to_dict(wide)
