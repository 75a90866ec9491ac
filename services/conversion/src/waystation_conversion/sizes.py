"""The size of values as JSON, in the form that is stored and limited."""

from __future__ import annotations

import orjson

from waystation_domain.model import Json


def json_size(value: Json) -> int:
    """Bytes of a value as compact JSON. It must have passed `storable.check_json`: NaN counts as null."""
    return len(orjson.dumps(value))
