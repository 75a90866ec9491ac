"""The text of a gRPC status, short enough to arrive: a text that is too long takes its code with it."""

from __future__ import annotations

MAX_ENCODED_BYTES = 2_000
"""Well below the 8 KiB of metadata that callers take by default, details included."""


def short_enough(text: str) -> str:
    """The text, cut where it would be too long on the way. There, what is not printable ASCII is
    percent-encoded: three bytes for each of its UTF-8."""
    if len(text) * 12 <= MAX_ENCODED_BYTES:
        return text
    size = 0
    for at, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        size += 1 if plain else 3 * len(character.encode("utf-8", "replace"))
        if size > MAX_ENCODED_BYTES - 3:
            return text[:at] + "..."
    return text
