"""Messages of streams with many items: joined from the bytes of each, and split without a parser, so that an
invalid item affects no other. In each of them the items are field 1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError

from waystation_core.rpc.message_reader import varint_at

MAX_MESSAGE_BYTES = 1024 * 1024
"""Items in one message, unless a single one is larger. Receivers with gRPC's defaults refuse messages above 4
MiB, and that breaks the whole stream."""

_ITEM = b"\x0a"
"""Field 1, length-delimited."""
_LENGTH_DELIMITED = 2


def joined(items: Iterable[bytes]) -> bytes:
    """A message of these items."""
    parts: list[bytes] = []
    for item in items:
        parts += (_ITEM, _varint(len(item)), item)
    return b"".join(parts)


def fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and values of a message's own fields; those of fixed length are left out. Raises DecodeError if
    it cannot be split."""
    at, end = 0, len(data)
    try:
        while at < end:
            tag, at = varint_at(data, at)
            wire = tag & 7
            if wire == _LENGTH_DELIMITED:
                length, at = varint_at(data, at)
                if at + length > end:
                    raise DecodeError("truncated")
                yield tag >> 3, data[at : at + length]
                at += length
            elif wire == 0:
                number, at = varint_at(data, at)
                yield tag >> 3, number
            elif wire == 1:
                at += 8
            elif wire == 5:
                at += 4
            else:
                raise DecodeError("groups are not used")
    except IndexError:
        raise DecodeError("truncated") from None


def numbers(value: bytes | int) -> Iterator[int]:
    """The numbers of one part of a repeated field, packed or not. Raises DecodeError."""
    if isinstance(value, int):
        yield value
        return
    at = 0
    try:
        while at < len(value):
            number, at = varint_at(value, at)
            yield number
    except IndexError:
        raise DecodeError("truncated") from None


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
