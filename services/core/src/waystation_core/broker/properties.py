"""Properties of a message, read so that nothing in them can break the connection.

pika reads headers while it takes a frame off the connection, and takes whatever that raises (for a time
beyond the year 9999, say) for a fault of the connection. The message would come again with the next one,
and no other would be handled any more. Here it comes as what can't be read.
"""

from __future__ import annotations

from pika import spec


class Properties(spec.BasicProperties):  # type: ignore[misc]
    """What was read, up to where it can't be."""

    unreadable: str = ""
    """Why the rest can't be read; empty where all was."""

    def decode(self, encoded: bytes, offset: int = 0) -> Properties:
        try:
            super().decode(encoded, offset)
        except Exception as fault:
            self.unreadable = str(fault) or type(fault).__name__
        return self


def install() -> None:
    """Has pika read properties so, in this process."""
    spec.props[spec.BasicProperties.INDEX] = Properties
