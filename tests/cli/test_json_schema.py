"""What a JSON Schema says of a value, as far as forms for people use it."""

from __future__ import annotations

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
    ({}, "/plate is missing"),
    ([], "it must be object"),
    ({"plate": 1}, "/plate must be string"),
    ({"plate": "A"}, "/plate is shorter than 2 characters"),
    ({"plate": "ABCDEFGHI"}, "/plate is longer than 8 characters"),
    ({"plate": "ab"}, "/plate does not match ^[A-Z]"),
    ({"plate": "AB", "seats": 1.5}, "/seats must be integer"),
    ({"plate": "AB", "seats": True}, "/seats must be integer"),
    ({"plate": "AB", "seats": 0}, "/seats is below 1"),
    ({"plate": "AB", "seats": 9}, "/seats is not below 9"),
    ({"plate": "AB", "colour": "green"}, "/colour must be 'red' or 'blue'"),
    ({"plate": "AB", "tags": ["a", 2]}, "/tags/1 must be string"),
    ({"plate": "AB", "tags": []}, "/tags has fewer than 1 items"),
    ({"plate": "AB", "owner": {}}, "/owner/name is missing"),
    ({"plate": "AB", "price": "dear"}, "/price is none of what is possible"),
    ({"plate": "AB", "more": 1}, "/more is not expected"),
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
    ],
    ids=str,
)
def test_what_is_no_schema_is_passed_by(schema: Any, value: Any) -> None:
    for fault in faults(schema, value):
        assert fault == "/plate must be string"
