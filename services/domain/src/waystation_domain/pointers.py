"""JSON Pointers (RFC 6901): places in a context's data.

A pointer stays the text that was sent. Its escapes are unambiguous, so two pointers name the same place
exactly if their texts are equal, and only slashes separate tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from waystation_domain.errors import InvalidPath, shown

Tokens = tuple[str, ...]

RESERVED = "$waystation."
"""Prefixes of reserved members, which have a meaning for Waystation."""

_RESERVED_TOKEN = f"/{RESERVED}"
_STRAY_TILDE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def parse(pointer: str) -> Tokens:
    """The unescaped tokens of a pointer; the root, written "", has none.

    Raises InvalidPath when the text is not a pointer or holds a NUL.
    """
    if not pointer:
        return ()
    if pointer[0] != "/":
        raise _invalid(pointer, "it must be empty or begin with a slash")
    if "\0" in pointer:
        raise _invalid(pointer, "it contains a NUL character")
    if "~" not in pointer:
        return tuple(pointer[1:].split("/"))
    if _STRAY_TILDE.search(pointer):
        raise _invalid(pointer, "write a tilde as ~0 and a slash inside a key as ~1")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def parse_for_writing(pointer: str) -> Tokens:
    """As `parse`; also raises InvalidPath for reserved members, which may be read but not written."""
    if _RESERVED_TOKEN in pointer:
        problem = f'a member name that begins with "{RESERVED}" is reserved'
        raise InvalidPath(
            f'The path "{shown(pointer)}" cannot be changed: {problem}. Choose another name.',
            path=shown(pointer),
            problem=problem,
        )
    return parse(pointer)


def format(tokens: Iterable[str]) -> str:
    """The inverse of `parse`."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def child(pointer: str, key: str) -> str:
    """The pointer to a member of the container that `pointer` names."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def parent(pointer: str) -> str:
    """The pointer to the container of the place; the root's is the root."""
    return pointer.rpartition("/")[0]


def lies_in(place: str, container: str) -> bool:
    """Whether the place is this container, or lies inside it."""
    return place == container or place.startswith(container + "/")


def touches(a: str, b: str) -> bool:
    """Whether one place is the other, or lies inside it."""
    return lies_in(a, b) or lies_in(b, a)


def index(token: str) -> int | None:
    """The list index of a token, without leading zeros; None if it is not an index."""
    return int(token) if _INDEX.fullmatch(token) else None


def _invalid(pointer: str, problem: str) -> InvalidPath:
    return InvalidPath(
        f'"{shown(pointer)}" is not a JSON Pointer: {problem}. Write it like "/claim/amount".',
        path=shown(pointer),
        problem=problem,
    )
