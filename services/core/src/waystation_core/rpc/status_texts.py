"""Texts of a gRPC status, short enough to arrive: the code of a status that is too long is lost too.

A status travels as metadata, of which callers accept 8 KiB by default: the message, and the details in
base64, which have the message twice more.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_MESSAGE_BYTES = 1_200
MAX_DETAIL_BYTES = 1_500


def short_enough(text: str, maximum: int = MAX_MESSAGE_BYTES) -> str:
    """The text, cut if it is sent as more than `maximum` bytes: everything except printable ASCII is
    percent-encoded, three bytes for each of its UTF-8."""
    if len(text) * 12 <= maximum:
        return text
    size = 0
    for at, character in enumerate(text):
        plain = " " <= character <= "~" and character != "%"
        size += 1 if plain else 3 * len(character.encode("utf-8", "replace"))
        if size > maximum - 3:
            return text[:at] + "..."
    return text


def short_details(metadata: Mapping[str, str]) -> dict[str, str]:
    """The values of an ErrorInfo; later ones are cut if all together are too long."""
    left = MAX_DETAIL_BYTES
    kept = {}
    for key, value in metadata.items():
        kept[key] = short_enough(value, max(left - len(key), 3))
        left -= len(key) + len(kept[key])
    return kept
