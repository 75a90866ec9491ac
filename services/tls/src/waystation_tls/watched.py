"""Files that may be replaced while they are used: the newest content that can be used is in use."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from waystation_tls.files import BadTls

Material = TypeVar("Material")
Read = TypeVar("Read", covariant=True)

LOOK_SECONDS = 5.0
"""How often processes look."""


class Files(Protocol[Read]):
    """Files that belong together."""

    def paths(self) -> Sequence[Path]:
        """The files."""

    def read(self) -> Read:
        """What they hold. Raises BadTls."""


class News(Enum):
    """What a look has found."""

    SAME = "same"
    CHANGED = "changed"
    """There is a new content, and it is in use."""
    BROKEN = "broken"
    """There is a new content that cannot be used; said once."""


class Watched(Generic[Material]):
    """The content of files. Compared byte by byte: neither a clock nor a link in the path can deceive it.

    What is made from the content is made in `_renew`, which is called when it has changed.
    """

    def __init__(self, files: Files[Material]) -> None:
        """Raises BadTls for files that cannot be used."""
        self._files = files
        self._used = self._content()
        self.material = files.read()
        self.trouble = ""
        """Why the newest content is not in use; empty if it is."""
        self._said = ""

    def look(self) -> News:
        """Reads the files again. What was in use stays in use unless the new content is in order."""
        content = self._content()
        if content == self._used:
            self.trouble = self._said = ""
            return News.SAME
        try:
            self.material = self._files.read()
        except BadTls as bad:
            before, self.trouble = self.trouble, str(bad)
            # Certificate and key are replaced one after the other: what is wrong for one look is no news.
            if before != self.trouble or self._said == self.trouble:
                return News.SAME
            self._said = self.trouble
            return News.BROKEN
        self._used = content
        self.trouble = self._said = ""
        self._renew()
        return News.CHANGED

    def _renew(self) -> None:
        """Nothing is made from the content."""

    def _content(self) -> tuple[bytes | None, ...]:
        return tuple(_bytes(path) for path in self._files.paths())


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
