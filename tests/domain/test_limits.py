"""The limits at the doors: exactly at the border, named by place and problem, never echoed at length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from waystation_conversion.sizes import json_size
from waystation_domain import limits, storable
from waystation_domain.errors import (
    ContextTooLarge,
    InvalidEventType,
    InvalidField,
    InvalidId,
    InvalidPath,
    InvalidPriority,
    InvalidStruct,
    PayloadTooLarge,
    WaystationError,
    shown,
)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_depth_and_nodes_are_counted_to_the_border() -> None:
    storable.check_json(nested(16), "data")
    storable.check_json({"a": [0] * 9_998}, "data")
    with pytest.raises(InvalidStruct) as deep:
        storable.check_json(nested(17), "data")
    assert deep.value.metadata["path"] == "/a" * 16
    with pytest.raises(InvalidStruct) as wide:
        storable.check_json({"a": [0] * 9_999}, "data")
    assert wide.value.metadata["path"] == "/a/9998"


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({"a": {"b/c": math.nan}}, "/a/b~1c", "NaN"),
        ({"a": [1, -math.inf]}, "/a/1", "infinity"),
        ({"a": "x\0y"}, "/a", "a NUL character"),
        ({"a\0": 1}, "/a\\x00", "a NUL character"),
        ({"a": 2**53}, "/a", "an integer of 2^53 or more"),
        ({"a": [-(2.0**53)]}, "/a/0", "an integer of 2^53 or more"),
        ({"a": 1e300}, "/a", "an integer of 2^53 or more"),
        (
            {"a": [{"$waystation.blob": "b-1"}]},
            "/a/0/$waystation.blob",
            'a member name that begins with "$waystation.", which is reserved,',
        ),
        ({"a": "\ud800"}, "/a", "a lone surrogate"),
        ({"a": b"x"}, "/a", "a bytes, which is not a JSON value,"),
        ({"a": {1: 2}}, "/a/1", "a key that is not a string"),
    ],
)
def test_what_a_struct_may_not_hold_is_named(value: Any, path: str, problem: str) -> None:
    with pytest.raises(InvalidStruct) as refused:
        storable.check_json(value, "payload")
    assert refused.value.metadata == {"field": "payload", "path": path, "problem": problem}


def test_what_is_just_within_is_stored() -> None:
    storable.check_json(
        {"a": [2**53 - 1, -(2**53 - 1), 2.0**53 - 1, 0.5], "$waystation": 1}, "data"
    )
    storable.check_json({"waystation.blob": 1, "$way": {"$schema": "x"}}, "data")


def test_bytes_are_counted_to_the_border() -> None:
    limits.check_size(json_size({"a": "x" * (limits.MAX_BYTES - len('{"a":""}'))}), "payload")
    with pytest.raises(PayloadTooLarge) as refused:
        limits.check_size(json_size({"a": "x" * (limits.MAX_BYTES - 7)}), "payload")
    assert refused.value.metadata["limit_bytes"] == "1048576"
    with pytest.raises(ContextTooLarge):
        limits.check_size(json_size([0] * 9), "data", limit=18, error=ContextTooLarge)


IDS = ["", "a b", "a" * 201, "a\n", "\u202eabc", "caf\u00e9", "a/b", "x" * 100_000]


@pytest.mark.parametrize("text", IDS)
@pytest.mark.parametrize(
    ("check", "error"),
    [(limits.check_id, InvalidId), (limits.check_event_type, InvalidEventType)],
)
def test_ids_have_one_charset(
    check: Callable[[str, str], str], error: type[WaystationError], text: str
) -> None:
    with pytest.raises(error) as refused:
        check(text, "the_field")
    assert refused.value.metadata["field"] == "the_field"
    assert len(refused.value.message) < 300
    assert refused.value.message.isprintable()
    assert check("Claim-7_a.b:c", "the_field") == "Claim-7_a.b:c"


def test_small_fields() -> None:
    assert limits.check_priority(0) == 0
    assert limits.check_priority(255) == 255
    for priority in (-1, 256, 10**9):
        with pytest.raises(InvalidPriority):
            limits.check_priority(priority)
    assert [limits.page_size(n) for n in (0, 1, 1_000, 10**9)] == [50, 1, 1_000, 1_000]
    with pytest.raises(InvalidField):
        limits.page_size(-1)
    assert limits.check_text("\u00e9" * 2048, "message") == "\u00e9" * 2048
    for text in ("a\0", "\u00e9" * 2049):
        with pytest.raises(InvalidField):
            limits.check_text(text, "message")


@pytest.mark.parametrize(
    "metadata", [{str(n): "" for n in range(33)}, {"a": "x" * 4_096}, {"": "x"}, {"a": "\0"}]
)
def test_metadata_has_limits(metadata: dict[str, str]) -> None:
    with pytest.raises(InvalidField):
        limits.check_metadata(metadata)
    fits = {"a": "x" * 4_095}
    assert limits.check_metadata(fits) == fits


@pytest.mark.parametrize("task_id", ["", "a:b", "t:edit-1", "a b", "x" * 201, "a\n"])
def test_a_task_id_has_no_colon_which_parts_idempotency_keys(task_id: str) -> None:
    with pytest.raises(InvalidId) as refused:
        limits.check_task_id(task_id, "task_id")
    assert refused.value.metadata["field"] == "task_id"


def test_a_list_of_names_may_be_so_long_and_says_what_to_do_otherwise() -> None:
    limits.check_number_of_names(limits.MAX_NAMES, "task_ids", "Leave it out.")
    with pytest.raises(
        InvalidField, match=r"task_ids has 1001 .* 1000\. Leave it out\."
    ) as refused:
        limits.check_number_of_names(limits.MAX_NAMES + 1, "task_ids", "Leave it out.")
    assert refused.value.metadata == {"field": "task_ids", "limit": "1000"}


def test_a_path_leads_no_deeper_than_data_is() -> None:
    limits.check_path("/a" * limits.MAX_PATH_TOKENS)
    with pytest.raises(InvalidPath):
        limits.check_path("/" * 8_000_000)


def test_an_echo_costs_nothing_in_proportion_to_what_it_echoes() -> None:
    assert len(shown("\N{HIRAGANA LETTER A}" * 8_000_000)) == 100
