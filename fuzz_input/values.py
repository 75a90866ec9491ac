"""Messages filled from their descriptors, with the extremes of every type and what breaks rules."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

Make = Callable[[random.Random], str]

INTEGERS = (0, 1, 2, 3, 5, 50, 100, 255, 256, 1_000, 1_001, 100_000, 2**31 - 1, -1, -(2**31))
LONGS = (*INTEGERS, 2**53 + 1, 2**63 - 1, -(2**63), 2**32)
DOUBLES = (
    0.0,
    -0.0,
    1.0,
    0.5,
    -1.0,
    1e308,
    5e-324,
    2.0**53 - 1,
    2.0**53 + 2,
    math.nan,
    math.inf,
    -math.inf,
)
SECONDS = (
    *(0, 1, 60, 3_600, 86_400, -1, 253_402_300_799, 253_402_300_800, -62_135_596_800),
    *(-62_135_596_801, 315_576_000_000, 315_576_000_001, 2**63 - 1, -(2**63), 1_900_000_000),
)
NANOS = (0, 0, 0, 1, 999_999_999, 10**9, -1, -(10**9), 2**31 - 1, -(2**31))
TEXTS = (
    *("", "a", "a.b", "claim.processed", "a b", "a/b", "a:b", "-", ".", "..", "*", "#", "a*"),
    *(
        "workflow.started",
        "workflow.failed",
        "user.input.provided",
        "waystation.x",
        "waystation-x",
        "$waystation.x",
        "client",
        "x" * 200,
        "x" * 201,
        "x" * 5_000,
    ),
    *("\0", "a\0b", "a\r\nb: c", "\u202eabc", "e\u0301", "\N{GRINNING FACE}", "\ufffe", "\x7f"),
    *("'; DROP TABLE events; --", "../../../etc/passwd", "%s%n%x", "{0.__class__}", "${jndi:x}"),
    *(
        "NaN",
        "null",
        "1e131071",
        "-1",
        "0x7f000001",
        "true",
        "\ud7ff",
        "\N{HIRAGANA LETTER A}" * 2_400,
    ),
)
POINTERS = (
    "",
    "/",
    "/a",
    "/a/0",
    "/a/-",
    "/~0",
    "/~1",
    "/~2",
    "a",
    "/a/b/c",
    "/a/$waystation.x",
    "//",
    "/" * 200,
    "/\0",
)
HOSTS = (
    *("127.0.0.1", "localhost", "unix:/x", "dns://a/b", "xds:a", "vsock:1", "http://a", "a@b"),
    *(
        "2130706433",
        "0x7f000001",
        "127.1",
        "[::ffff:127.0.0.1]",
        "::1",
        "169.254.169.254",
        "0.0.0.0",
    ),
    *("x" * 10_000, "xn--e1afmkfd", "127.0.0.1:80", "a..b", "-a"),
)
TOKENS = ("", "a", "AAAA", "=", "x" * 10_000, "\N{GRINNING FACE}", "eyJhIjoxfQ")
DEEPEST = 6


class Filler:
    """Fills messages. `known` gives ids that exist, by the name of their field."""

    def __init__(self, known: dict[str, Make]) -> None:
        self._known = known

    def fill(self, message: Message, rng: random.Random, depth: int = 0) -> None:
        """Sets some of the fields, of which some are as they should be."""
        name = message.DESCRIPTOR.full_name
        if name == "google.protobuf.Struct":
            message.CopyFrom(struct_of(rng))
        elif name == "google.protobuf.Value":
            _value(message, rng, 3)  # type: ignore[arg-type]
        elif name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            message.seconds = rng.choice(SECONDS)  # type: ignore[attr-defined]
            message.nanos = rng.choice(NANOS)  # type: ignore[attr-defined]
        else:
            share = rng.choice((0.3, 0.6, 0.95)) if depth < DEEPEST else 0.1
            for field in message.DESCRIPTOR.fields:
                if rng.random() < share:
                    self._set(message, field, rng, depth)

    def _set(self, message: Any, field: Any, rng: random.Random, depth: int) -> None:
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            for _ in range(rng.choice((0, 1, 3, 40))):
                getattr(message, field.name)[rng.choice(TEXTS)] = rng.choice(TEXTS)
        elif field.is_repeated:
            target = getattr(message, field.name)
            if depth <= 1 and rng.random() < 0.01:
                # Many of them, and nothing in them: what is in them grows elsewhere.
                _many(target, field, self._scalar, rng)
                return
            for _ in range(rng.choice((0, 1, 1, 2, 3))):
                if kind is not None:
                    self.fill(target.add(), rng, depth + 1)
                else:
                    target.append(self._scalar(field, rng))
        elif kind is not None:
            if depth < DEEPEST:
                target = getattr(message, field.name)
                target.SetInParent()
                self.fill(target, rng, depth + 1)
        else:
            setattr(message, field.name, self._scalar(field, rng))

    def _scalar(self, field: Any, rng: random.Random) -> Any:
        kinds = FieldDescriptor
        if field.type == kinds.TYPE_STRING:
            return self._text(field.name, rng)
        if field.type == kinds.TYPE_BOOL:
            return rng.random() < 0.5
        if field.type == kinds.TYPE_DOUBLE:
            return rng.choice(DOUBLES)
        if field.type == kinds.TYPE_ENUM:
            return rng.choice((0, 1, 2, 3, 4, 9, -1, 2**31 - 1))
        if field.type == kinds.TYPE_INT64:
            return rng.choice(LONGS)
        if field.type == kinds.TYPE_UINT32:
            return rng.choice((0, 1, 2, 7, 2**31, 2**32 - 1))
        if field.type == kinds.TYPE_BYTES:
            return rng.randbytes(rng.choice((0, 1, 50)))
        return rng.choice(INTEGERS)

    def _text(self, name: str, rng: random.Random) -> str:
        known = self._known.get(name)
        if known is not None and rng.random() < 0.75:
            return known(rng)
        if rng.random() < 0.1:
            return "".join(
                chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xD800)))) for _ in range(9)
            )
        return rng.choice(TEXTS)


def _many(target: Any, field: Any, scalar: Callable[..., Any], rng: random.Random) -> None:
    number = rng.choice((101, 1_001, 10_001))
    if field.message_type is None:
        target.extend(
            [scalar(field, rng)[:300] if field.type == FieldDescriptor.TYPE_STRING else 1] * number
        )
    else:
        for _ in range(number):
            target.add()


def struct_of(rng: random.Random) -> Struct:
    """A Struct: mostly a small one, now and then a deep or a wide one."""
    made = Struct()
    chance = rng.random()
    if chance < 0.02:
        _deep(made, rng.choice((14, 15, 16, 17, 30)), rng)
    elif chance < 0.025:
        width = rng.choice((9_997, 9_998, 9_999, 10_000, 20_000))
        made.fields["wide"].list_value.CopyFrom(
            ListValue(values=[Value(null_value=0)] * width)  # type: ignore[arg-type]
        )
    elif chance < 0.03:
        made.fields["long"].string_value = "x" * rng.choice((2**20 - 12, 2**20, 3 * 2**20))
    else:
        for _ in range(rng.choice((0, 1, 2, 5))):
            _value(made.fields[rng.choice(TEXTS)], rng, 3)
    return made


def _deep(struct: Struct, levels: int, rng: random.Random) -> None:
    value = struct.fields["a"]
    for _ in range(levels):
        if rng.random() < 0.5:
            value = value.struct_value.fields["a"]
        else:
            value = value.list_value.values.add()
    value.bool_value = True


def _value(value: Value, rng: random.Random, left: int) -> None:
    match rng.randrange(8 if left else 5):
        case 0:
            value.null_value = 0  # type: ignore[assignment]
        case 1:
            value.number_value = rng.choice(DOUBLES)
        case 2 | 3:
            value.string_value = rng.choice(TEXTS)
        case 4:
            # No kind at all, now and then.
            if rng.random() < 0.9:
                value.bool_value = True
        case 5 | 6:
            value.struct_value.SetInParent()
            for _ in range(rng.randrange(3)):
                _value(value.struct_value.fields[rng.choice(TEXTS)], rng, left - 1)
        case _:
            value.list_value.SetInParent()
            for _ in range(rng.randrange(3)):
                _value(value.list_value.values.add(), rng, left - 1)


def uuid_text(rng: random.Random) -> str:
    """An id in one of the forms that somebody may take for one of ours."""
    made = uuid.UUID(int=rng.getrandbits(128))
    return rng.choice((str(made), str(made).upper(), made.hex, "{" + str(made) + "}", made.urn))
