"""The record of what clients asked for and got: each call with its begin, end and outcome."""

import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from chaos.folder import Lines
from waystation_worker.errors import Unavailable, WaystationError

T = TypeVar("T")

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"
"""Carried out; refused with a reason; no answer, so that it may have happened or not."""


class Operations:
    """The record of one client process."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def record(
        self,
        kind: str,
        instance: str,
        call: Awaitable[T],
        *,
        expected: tuple[str, ...] = (),
        **more: Any,
    ) -> T:
        """The answer of the call. `expected` names reasons with which it may be refused in good
        order. Raises what the call raises."""
        began = time.time()
        outcome, reason, message = OK, "", ""
        try:
            return await call
        except WaystationError as error:
            unclear = isinstance(error, Unavailable) or error.code in ("UNKNOWN", "INTERNAL")
            outcome = UNKNOWN if unclear else REFUSED
            reason, message = error.reason or error.code, error.message[:300]
            raise
        except BaseException as error:
            outcome, reason = UNKNOWN, type(error).__name__
            raise
        finally:
            self._lines.write(
                kind=kind,
                instance=instance,
                began=began,
                outcome=outcome,
                reason=reason,
                message=message,
                fine=outcome == OK or reason in expected,
                **more,
            )
