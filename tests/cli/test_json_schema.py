"""What a JSON Schema says of a value, as far as forms for people use it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from waystation_cli.json_schema import faults

FORM = {
    "type": "object",
    "properties": {
        "plate": {"type": "string", "minLength": 2, "maxLength": 8, "pattern": "^[A-Z]"},
        "seats": {"type": "integer", "minimum": 1, "maximum": 9, "exclusiveMaximum": 9},
        "colour": {"enum": ["red", "blue"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "minItems": 1},
        "owner": {"$ref": "#/$defs/owner"},
        "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    },
    "required": ["plate"],
    "additionalProperties": False,
    "$defs": {"owner": {"type": "object", "required": ["name"]}},
}
WRONG = [
    ({}, "'plate' is a required property"),
    ([], "[] is not of type 'object'"),
    ({"plate": 1}, "/plate: 1 is not of type 'string'"),
    ({"plate": "A"}, "/plate: 'A' is too short"),
    ({"plate": "ABCDEFGHI"}, "/plate: 'ABCDEFGHI' is too long"),
    ({"plate": "ab"}, "/plate: 'ab' does not match '^[A-Z]'"),
    ({"plate": "AB", "seats": 1.5}, "/seats: 1.5 is not of type 'integer'"),
    ({"plate": "AB", "seats": True}, "/seats: True is not of type 'integer'"),
    ({"plate": "AB", "seats": 0}, "/seats: 0 is less than the minimum of 1"),
    ({"plate": "AB", "colour": "green"}, "/colour: 'green' is not one of ['red', 'blue']"),
    ({"plate": "AB", "tags": ["a", 2]}, "/tags/1: 2 is not of type 'string'"),
    ({"plate": "AB", "owner": {}}, "/owner: 'name' is a required property"),
    (
        {"plate": "AB", "price": "dear"},
        "/price: 'dear' is not valid under any of the given schemas",
    ),
    (
        {"plate": "AB", "more": 1},
        "Additional properties are not allowed ('more' was unexpected)",
    ),
]


@pytest.mark.parametrize(("value", "fault"), WRONG, ids=lambda each: str(each)[:40])
def test_a_fault_names_its_place(value: Any, fault: str) -> None:
    assert faults(FORM, value) == [fault]


def test_what_fits_and_what_is_not_known_pass() -> None:
    whole = {"plate": "AB", "seats": 2.0, "colour": "red", "tags": ["a"], "owner": {"name": "Ada"}}
    assert faults(FORM, {**whole, "price": None}) == []
    assert faults({"type": "of-later-days", "format": "email"}, 3) == []
    assert faults({"pattern": "("}, "x") == []
    itself = {"$ref": "#"}
    assert faults(itself, 1) == []


def test_a_reference_to_another_place_is_not_followed() -> None:
    assert faults({"$ref": "http://127.0.0.1:1/schema"}, 1) == []
    assert faults({"$ref": "#/$defs/none"}, 1) == []


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"plate": {"type": "string", "required": True}}}, {"plate": {}}),
        ({"required": True}, {}),
        ({"required": "plate"}, {}),
        ({"required": [1]}, {}),
        ({"properties": ["plate"]}, {"plate": 1}),
        ({"enum": None}, 1),
        ({"type": 5}, 1),
        ({"minimum": "1"}, 0),
        ({"maxLength": None}, "x"),
        ({"allOf": True, "anyOf": {}, "oneOf": []}, 1),
        ({"items": 5}, [1]),
        (5, 1),
        ({"$defs": {"a": 5}, "type": ["no", "type"]}, 1),
        ({"properties": {"plate": {"pattern": "("}}}, {"plate": "x"}),
    ],
    ids=str,
)
def test_what_is_no_schema_is_passed_by(schema: Any, value: Any) -> None:
    for fault in faults(schema, value):
        assert fault == "/plate: {} is not of type 'string'"


def test_the_valid_parts_of_a_wrong_schema_are_checked() -> None:
    schema = {"required": True, "properties": {"n": {"type": "integer", "minimum": "1"}}}
    before = copy.deepcopy(schema)
    assert faults(schema, {"n": "x"}) == ["/n: 'x' is not of type 'integer'"]
    assert schema == before
