"""Values that are as large as they may be, and grow the most on their way from JSON to a Struct."""

from __future__ import annotations

from waystation_conversion.sizes import json_size
from waystation_domain import limits, storable
from waystation_domain.model import JsonObject


def numbers(count: int) -> JsonObject:
    """Members that grow the most on their way from JSON to a Struct."""
    return {f"{at:x}": 7 for at in range(count)}


def worst(most_bytes: int = limits.MAX_BYTES, nodes: int = limits.MAX_NODES) -> JsonObject:
    """An object that takes exactly so many bytes as JSON, of so many values."""
    value: JsonObject = {**numbers(nodes - 2), "text": ""}
    while json_size(value) > most_bytes:
        nodes -= 100
        value = {**numbers(nodes - 2), "text": ""}
    value["text"] = "x" * (most_bytes - json_size(value))
    storable.check_json(value, "data")
    assert json_size(value) == most_bytes
    return value
