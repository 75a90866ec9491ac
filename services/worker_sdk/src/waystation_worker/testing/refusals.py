"""Errors of the rules as errors of the client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from waystation_domain import errors
from waystation_worker.errors import error_of


@contextmanager
def refusing() -> Iterator[None]:
    """Raises the errors that `Client` would raise for a refusal in the block."""
    try:
        yield
    except errors.WaystationError as refused:
        raise error_of(refused.code, refused.reason, refused.message, refused.metadata) from None
