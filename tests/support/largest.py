"""Values that are as large as they may be, and grow the most on their way from JSON to a Struct."""

from __future__ import annotations

import orjson

from waystation_core.domain import limits
from waystation_core.domain.model import JsonObject


def numbers(count: int) -> JsonObject:
    """Members that grow the most on their way from JSON to a Struct."""
    return {f"{at:x}": 7 for at in range(count)}


def worst(most_bytes: int = limits.MAX_BYTES, nodes: int = limits.MAX_NODES) -> JsonObject:
    """An object that takes exactly so many bytes as JSON, of so many values."""
    value: JsonObject = {**numbers(nodes - 2), "text": ""}
    while len(orjson.dumps(value)) > most_bytes:
        nodes -= 100
        value = {**numbers(nodes - 2), "text": ""}
    value["text"] = "x" * (most_bytes - len(orjson.dumps(value)))
    limits.check_json(value, "data")
    assert len(limits.encoded(value, "data", most_bytes)) == most_bytes
    return value
