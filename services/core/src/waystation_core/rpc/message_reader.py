"""Reads messages, after counting what a large one would build.

A parser builds before anybody can count: 8 MB of empty submessages take over a second and hundreds of
megabytes, while nothing else on the event loop runs. So the bytes of a large message are walked first,
without building anything, and it is refused if it has more than it may. The walk lets other tasks run again
and again. Small messages, which nearly all are, are parsed directly: the conversions count the little that
they have.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from waystation_core.rpc.unknown_fields import drop_unknown
from waystation_domain.errors import InvalidField, NotYetAvailable, PayloadTooLarge
from waystation_domain.limits import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_NODES_OF_MESSAGE,
    MAX_PARTS,
    MAX_REPEATED,
)
from waystation_domain.storable import Unstorable

SMALL_BYTES = 64 * 1024
"""Smaller messages are parsed directly: the worst of them take 11 ms."""

_FIRST_PORTION = 2_000
_PORTION = 10_000
"""Parts that are walked before other tasks have their turn: some 5 ms."""

_STRUCTS = frozenset(
    {"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"}
)
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_DEPTH_OF_PARSER = 100
_FIXED_BYTES = (0, 8, 0, 0, 0, 4)
"""By wire type. Groups, which are not used here, have no length."""

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    inside: _Shape | None
    """The shape of a message field; None for a field without parts."""
    counted: bool
    """Whether it is repeated in a message of its own kind, outside Structs."""
    node: bool
    """Whether each is a node of a Struct."""
    packed: bool
    """Whether one part may have many of them: packed numbers."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a walk must know of one message type."""

    fields: dict[int, _Field]
    nests: bool
    """Whether it is a container of a Struct."""
    in_struct: bool


@cache
def _shape(descriptor: Descriptor) -> _Shape:
    in_struct = descriptor.full_name in _STRUCTS
    shape = _Shape({}, in_struct and descriptor.name != "Value", in_struct)
    _filled(shape, descriptor, {descriptor.full_name: shape})
    return shape


def _filled(shape: _Shape, descriptor: Descriptor, known: dict[str, _Shape]) -> None:
    """Fills a shape and those inside it; recursive types share theirs."""
    for field in descriptor.fields:
        inside = None
        kind = field.message_type
        if kind is not None:
            inside = known.get(kind.full_name)
            if inside is None:
                in_struct = kind.full_name in _STRUCTS or (shape.in_struct and _is_entry(kind))
                inside = known[kind.full_name] = _Shape(
                    {}, in_struct and kind.name in ("Struct", "ListValue"), in_struct
                )
                _filled(inside, kind, known)
        shape.fields[field.number] = _Field(
            field.name,
            inside,
            counted=field.is_repeated and not shape.in_struct,
            node=field.is_repeated and shape.in_struct,
            packed=kind is None and field.type not in _TEXTS,
        )


def _is_entry(descriptor: Descriptor) -> bool:
    return bool(descriptor.GetOptions().map_entry)


class _Frame:
    """One message on the path of the walk."""

    __slots__ = ("counts", "depth_left", "end", "name", "shape")

    def __init__(self, shape: _Shape, end: int, name: str, depth_left: int) -> None:
        self.shape = shape
        self.end = end
        self.name = name
        self.depth_left = depth_left
        self.counts: dict[int, int] | None = None


class Walk:
    """A walk through the bytes of one message, in portions.

    It refuses what holds too much, by the reasons that the conversions have for it, and where it is
    strict a field that is not known; what can't be walked it leaves to the parser, which refuses it at
    the same place.
    """

    def __init__(self, data: bytes, kind: Descriptor, *, strict: bool = False) -> None:
        self._data = data
        self._kind = kind
        self._strict = strict
        self._at = 0
        self._frames = [_Frame(_shape(kind), len(data), "", MAX_DEPTH)]
        self.parts = 0
        """Number of fields so far."""
        self._nodes = 0
        self._nodes_left = MAX_NODES

    def advance(self, parts: int) -> bool:
        """Walks over so many parts more; whether that was all.

        Raises InvalidStruct for a Struct with too many nodes or too deep, InvalidField for too many
        entries in a repeated field, PayloadTooLarge for too many parts in all, NotYetAvailable for
        a field that is not known.
        """
        try:
            return self._advance(self.parts + parts)
        except IndexError:
            # It ends in the middle of a field.
            return True
        except Unstorable as found:
            raise found.refused(self._place()) from None

    def _advance(self, until: int) -> bool:
        data, at, frames = self._data, self._at, self._frames
        frame = frames[-1]
        while True:
            while at >= frame.end:
                frames.pop()
                if not frames:
                    return True
                frame = frames[-1]
            if self.parts >= until:
                self._at = at
                return False
            self.parts += 1
            if self.parts > MAX_PARTS:
                raise self._too_much("parts", MAX_PARTS)
            tag = data[at]
            at += 1
            if tag > 127:
                tag, at = varint_at(data, at - 1)
            wire = tag & 7
            if wire == 2:
                length = data[at]
                at += 1
                if length > 127:
                    length, at = varint_at(data, at - 1)
                if at + length > frame.end:
                    return True
                field = frame.shape.fields.get(tag >> 3)
                if field is None:
                    self._unknown(tag >> 3)
                    at += length
                    continue
                if field.node:
                    self._nodes_left -= 1
                    if self._nodes_left < 0:
                        raise Unstorable(f"more than {MAX_NODES} nodes")
                    self._nodes += 1
                    if self._nodes > MAX_NODES_OF_MESSAGE:
                        raise self._too_much("nodes", MAX_NODES_OF_MESSAGE)
                elif field.counted:
                    # Packed numbers are in one part; one takes at most ten bytes.
                    self._count(frame, tag >> 3, field, 1 + length // 10 if field.packed else 1)
                inside = field.inside
                if inside is None or not length:
                    at += length
                    continue
                if len(frames) > _DEPTH_OF_PARSER:
                    return True
                depth_left = frame.depth_left
                if inside.in_struct:
                    if not frame.shape.in_struct:
                        self._nodes_left, depth_left = MAX_NODES, MAX_DEPTH
                    if inside.nests:
                        depth_left -= 1
                        if depth_left < 0:
                            raise Unstorable(f"nesting deeper than {MAX_DEPTH}")
                frame = _Frame(inside, at + length, field.name, depth_left)
                frames.append(frame)
            elif wire == 0:
                while data[at] > 127:
                    at += 1
                at += 1
                field = frame.shape.fields.get(tag >> 3)
                if field is None:
                    self._unknown(tag >> 3)
                elif field.counted:
                    self._count(frame, tag >> 3, field, 1)
            elif wire > 5:
                return True
            else:
                if tag >> 3 not in frame.shape.fields:
                    self._unknown(tag >> 3)
                at += _FIXED_BYTES[wire]

    def _unknown(self, number: int) -> None:
        if self._strict:
            raise NotYetAvailable(f"{self._kind.name}.{self._place(str(number))}")

    def _count(self, frame: _Frame, number: int, field: _Field, more: int) -> None:
        counts = frame.counts
        if counts is None:
            counts = frame.counts = {}
        count = counts[number] = counts.get(number, 0) + more
        if count > MAX_REPEATED:
            place = self._place(field.name)
            raise InvalidField(
                f"{place} has more than {MAX_REPEATED} entries. Split them into several calls.",
                field=place,
                limit=str(MAX_REPEATED),
            )

    def _too_much(self, what: str, limit: int) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The message has more than {limit} {what} in total. Split it into several calls.",
            field=self._place() or "request",
            limit=str(limit),
        )

    def _place(self, last: str = "") -> str:
        """The field of the walk's position, without the inside of a Struct."""
        names = []
        for frame in self._frames[1:]:
            names.append(frame.name)
            if frame.shape.in_struct:
                break
        return ".".join([*names, last] if last else names)


def varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The number at this position, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128 or shift > 63:
            return number, at
        shift += 7


def refuse_by_walking(data: bytes, kind: Descriptor) -> None:
    """Says better than the parser what is wrong with a message that it could not read, where that is
    its depth or its size. Raises as `Walk.advance`."""
    Walk(data, kind).advance(_FIRST_PORTION)


class MessageReader:
    """Reads large messages for one event loop. What takes long is done one after the other, so that
    many of them take no more of a turn of the loop than one."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def read(self, data: bytes, kind: type[M], *, strict: bool = False) -> M:
        """The message; `strict` refuses unknown fields. Raises as `Walk.advance`, and DecodeError for invalid
        bytes."""
        walk = Walk(data, cast(Descriptor, kind.DESCRIPTOR), strict=strict)
        if walk.advance(_FIRST_PORTION):
            return _walked(data, kind, strict=strict)
        async with self._turn:
            done = False
            while not done:
                await asyncio.sleep(0)
                done = walk.advance(_PORTION)
            return _walked(data, kind, strict=strict)

    async def read_request(self, data: bytes, kind: type[M], *, strict: bool) -> M:
        """The same; a small message is parsed directly. For callers that read few of them in one turn."""
        if len(data) <= SMALL_BYTES:
            return parsed(data, kind, strict=strict)
        return await self.read(data, kind, strict=strict)


def parsed(data: bytes, kind: type[M], *, strict: bool = False) -> M:
    """The message of a few parts; `strict` refuses unknown fields. Raises as `Walk.advance`, and DecodeError
    for invalid bytes."""
    message = _built(data, kind)
    if strict and drop_unknown(message):
        Walk(data, cast(Descriptor, kind.DESCRIPTOR), strict=True).advance(len(data))
        raise _of_another_type()
    return message


def _walked(data: bytes, kind: type[M], *, strict: bool) -> M:
    """The message whose bytes were walked."""
    message = _built(data, kind)
    if strict and drop_unknown(message):
        raise _of_another_type()
    return message


def _built(data: bytes, kind: type[M]) -> M:
    """The message. Raises DecodeError, or a more precise error."""
    try:
        return kind.FromString(data)
    except DecodeError:
        refuse_by_walking(data, cast(Descriptor, kind.DESCRIPTOR))
        raise


def _of_another_type() -> DecodeError:
    """The walk accepts all field numbers; the parser treats another wire type as unknown."""
    return DecodeError("a field with the wrong type")
