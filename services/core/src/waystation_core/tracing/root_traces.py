"""Ids of spans and traces. The id of a new trace may follow from something: then every process that begins it begins the
same one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator


class RootTraces(RandomIdGenerator):
    """The ids of one exporter. Not for several threads."""

    def __init__(self) -> None:
        self._next: int | None = None

    @contextmanager
    def following_from(self, trace_id: int) -> Iterator[None]:
        """A trace that begins here has this id."""
        self._next = trace_id
        try:
            yield
        finally:
            self._next = None

    def generate_trace_id(self) -> int:
        """See IdGenerator."""
        return super().generate_trace_id() if self._next is None else self._next
