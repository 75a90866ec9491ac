"""Lists of the contract, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from waystation_worker.arguments import flag, text, whole
from waystation_worker.connection import Connection
from waystation_worker.messages import texts
from waystation_worker.times import moment

PAGE_SIZE = 1000

Item = TypeVar("Item")


async def items_of(
    connection: Connection,
    method: Callable[[], Callable[..., Any]],
    request: Any,
    items: Callable[[Any], Iterable[Item]],
    limit: int | None = None,
) -> AsyncGenerator[Item, None]:
    """The items of all pages, or the first `limit`. Pages are read as they are used.

    `method` is the RPC, asked for page by page: meanwhile the connection may be another one. `items` makes the items
    of a page.
    """
    left = None if limit is None else whole(limit, "limit", 0)
    while left is None or left > 0:
        request.page_size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        response = await connection.call(method(), request)
        for item in items(response):
            if left is not None:
                if not left:
                    return
                left -= 1
            yield item
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


def write_filter(
    given: dict[str, Any], known: Iterable[str], enums: dict[str, tuple[Any, str]], into: Any
) -> None:
    """Writes the conditions of a filter into its message. `enums`: the fields that take names of an enum, with
    it and its prefix. Raises TypeError for an unknown condition and a value of the wrong kind, ValueError for an
    unknown name and a time without a zone.
    """
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"there is no condition {name!r}; there are {', '.join(sorted(known))}")
        if value is None:
            continue
        field = getattr(into, name)
        if name in enums:
            field.extend(enum_numbers(*enums[name], value, name))
        elif isinstance(field, Timestamp):
            field.FromDatetime(moment(value, name))
        elif isinstance(field, bool):
            setattr(into, name, flag(value, name))
        elif isinstance(field, str):
            setattr(into, name, text(value, name))
        else:
            field.extend(texts(value, name))


def enum_numbers(kind: Any, prefix: str, names: Iterable[str], what: str) -> list[Any]:
    """The values of an enum by their names without prefix. Raises ValueError for an unknown one."""
    numbers = dict(kind.items())
    # The first one is never sent.
    known = [name.removeprefix(prefix) for name, number in numbers.items() if number]
    found = []
    for name in texts(names, what):
        if name not in known:
            raise ValueError(f"{what}: {name!r} is not one of {', '.join(known)}")
        found.append(numbers[prefix + name])
    return found
