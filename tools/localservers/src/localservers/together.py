"""Several servers and processes that are there for the length of a block."""

import contextlib
from types import TracebackType
from typing import Self


class Together:
    """A context manager: all of it starts with the block and ends with it, also where the start fails."""

    def __init__(self) -> None:
        self._exits = contextlib.ExitStack()
        """What ends with the block, the last first."""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            self._exits = exits
            self._start()
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()

    def _start(self) -> None:
        """Starts everything, and has `_exits` end it."""
        raise NotImplementedError
