"""Exceptions of a conversion that no check expected: still the fault of the request."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from waystation_domain.errors import InvalidField, WaystationError

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def refuses_unexpected(field: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Turns every exception of a conversion that is no WaystationError into InvalidField naming `field`: a
    conversion depends only on the request, so the same request would fail again."""

    def around(convert: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(convert)
        def converted(*arguments: P.args, **named: P.kwargs) -> T:
            try:
                return convert(*arguments, **named)
            except WaystationError:
                raise
            except Exception:
                _log.exception("input_not_read", extra={"field": field})
                raise InvalidField(
                    f"{field} cannot be read. Correct it; the server's log has the details.",
                    field=field,
                ) from None

        return converted

    return around
