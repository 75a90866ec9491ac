"""JSON read into pydantic models. The only file that needs pydantic; imported on first use, so that
the package itself does without it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, TypeVar, cast

from waystation_worker.errors import Reject
from waystation_worker.values import Json, escape

try:
    import pydantic
except ImportError as error:
    raise ImportError(
        "typed payloads need pydantic: pip install 'waystation-worker[pydantic]'"
    ) from error

ModelT = TypeVar("ModelT")


def read_as(value: Json, model: type[ModelT], place: str, reason: str) -> ModelT:
    """The plain value as this model, by pydantic's rules for JSON.

    Raises Reject with this reason, naming each field and its problem but not its value: messages of
    failures are logged, payloads must not be.
    """
    try:
        # As text, because models have other rules for Python values: a strict one takes no date
        # that is a str.
        read: ModelT = _adapter(cast(Any, model)).validate_json(json.dumps(value))
    except pydantic.ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        fields = {_pointer(one["loc"]): str(one["msg"]) for one in wrong}
        listed = "; ".join(f"{path or 'as a whole'}: {problem}" for path, problem in fields.items())
        name = getattr(model, "__name__", str(model))
        raise Reject(reason, f"{place} does not fit {name}: {listed}", {"fields": fields}) from None
    return read


@lru_cache(maxsize=256)
def _adapter(model: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(model)


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{escape(str(part))}" for part in location)
