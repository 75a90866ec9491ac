"""Bytes of messages, and what becomes of them on a bad way."""

from __future__ import annotations

import random


def varint(number: int) -> bytes:
    """A number as the wire has it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: bytes) -> bytes:
    """A field with a length."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def spoiled(data: bytes, rng: random.Random) -> bytes:
    """The message as it is, mostly; else cut, changed, lengthened, or something else altogether."""
    match rng.randrange(16):
        case 0:
            return data[: rng.randrange(len(data) + 1)]
        case 1:
            return _changed(data, rng)
        case 2:
            return data + _unknown(rng)
        case 3:
            return data + data
        case 4:
            return rng.randbytes(rng.choice((1, 3, 30, 3_000)))
        case 5 if rng.random() < 0.05:
            return data + _wide(rng)
        case _:
            return data


def _changed(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 20))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _unknown(rng: random.Random) -> bytes:
    number = rng.choice((15, 16, 100, 19_000, 536_870_911))
    match rng.randrange(4):
        case 0:
            return varint(number << 3) + b"\xff" * 9 + b"\x01"
        case 1:
            return varint(number << 3 | 3) + b"\x08\x01" + varint(number << 3 | 4)
        case 2:
            return varint(number << 3 | rng.choice((5, 1, 6, 7))) + rng.randbytes(8)
        case _:
            return field(number, rng.randbytes(rng.choice((0, 10, 1_000))))


def _wide(rng: random.Random) -> bytes:
    """Very many small parts: of a field that may be known, in 100 kB to 8 MB."""
    number = rng.randrange(1, 13)
    part = rng.choice((field(number, b""), varint(number << 3) + b"\x01", field(3, b"")))
    inside = part * (rng.choice((100_000, 2_000_000, 7_000_000)) // len(part))
    if rng.random() < 0.5:
        null = field(1, b"\x08\x00") * (len(inside) // 4)
        inside = field(1, field(1, b"a") + field(2, field(6, null)))
    return field(number, inside) if rng.random() < 0.5 else inside
