"""How large values are as JSON: as it is stored, and as limits count it."""

from __future__ import annotations

import orjson

from waystation_domain.model import Json


def json_size(value: Json) -> int:
    """Bytes of a value as compact JSON. It must have passed `storable.check_json`: NaN counts as null."""
    return len(orjson.dumps(value))
