"""Properties of a message, read so that nothing in them can break the connection.

pika reads headers while it takes a frame off the connection, and treats any exception there (for a time
beyond the year 9999, say) as a fault of the connection. The message would come again on the next one, and no
other would ever be handled. Here it is received as an undecodable message.
"""

from __future__ import annotations

from pika import spec


class Properties(spec.BasicProperties):  # type: ignore[misc]
    """The properties, up to the first that cannot be read."""

    unreadable: str = ""
    """Why the rest cannot be read; empty if all was read."""

    def decode(self, encoded: bytes, offset: int = 0) -> Properties:
        try:
            super().decode(encoded, offset)
        except Exception as fault:
            self.unreadable = str(fault) or type(fault).__name__
        return self


def install() -> None:
    """Makes pika use these properties, in this process."""
    spec.props[spec.BasicProperties.INDEX] = Properties
