"""Which lines of a log that would have very many are written: the first ones of each second. Who uses it decides what
is always written, whatever the number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LINES_EACH_SECOND = 20


class LogLimit:
    """The rule itself, for one log: whether there is room for a line in this second."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        """`tell` gets, at the end of a second with too many, how many there were and how many of them had no
        line."""
        self._tell = tell
        self._lines = 0
        self._left_out = 0
        self._second: asyncio.TimerHandle | None = None

    def has_room(self) -> bool:
        """Counts one line, and returns whether to write it."""
        if self._second is None:
            self._second = asyncio.get_running_loop().call_later(1.0, self.end_second)
        if self._lines >= LINES_EACH_SECOND:
            self._left_out += 1
            return False
        self._lines += 1
        return True

    def end_second(self) -> None:
        """Tells what was left out, and begins again."""
        if self._left_out:
            self._tell(self._lines + self._left_out, self._left_out)
        self._lines = self._left_out = 0
        if self._second is not None:
            self._second.cancel()
        self._second = None
