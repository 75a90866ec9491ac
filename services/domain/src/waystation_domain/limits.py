"""The limits of all input: what is too large, too deep or not storable is refused.

Each check returns nothing, or the value, or raises one typed error with the field in its metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from waystation_domain import pointers, units
from waystation_domain.errors import (
    InvalidEventType,
    InvalidField,
    InvalidId,
    InvalidPath,
    InvalidPriority,
    PayloadTooLarge,
    ResourceExhausted,
    TooManyEvents,
    shown,
)

MAX_BYTES = 1024 * 1024
"""Of one payload or one context, as JSON."""
MAX_DEPTH = 16
"""Nested containers, with the outermost one."""
MAX_NODES = 10_000
"""Values of any kind, containers included."""
MAX_NODES_OF_MESSAGE = 50_000
"""Values in all Structs of one message: an answer may carry 1,000 events with payloads."""
MAX_PARTS = 250_000
"""Fields of one message and of all messages inside it. A node takes 2 to 5."""
MAX_REPEATED = 10_000
"""Entries of a list in a message, unless a smaller limit is stated."""
MAX_EVENTS_PER_ANSWER = 1_000
MAX_EVENTS_PER_INSTANCE = 10_000
"""Default of the setting."""
MAX_OPERATIONS = 10_000
MAX_OPEN_WAITS = 100
MAX_SCHEMA_BYTES = 64 * 1024
"""The input schema of a wait, as JSON."""
MAX_WAITS_BYTES = MAX_BYTES
"""All open waits of one instance with their input schemas, as JSON: they are part of its context. The schemas
have at most `MAX_NODES` nodes together."""
MAX_CHANGE_BYTES = 2 * MAX_BYTES
"""The operations of one result, as history stores them: they are read back in one message. Data is at most
`MAX_BYTES`, so a larger change overwrites itself."""
MAX_DETAILS_BYTES = 64 * 1024
"""The details of a failure, as JSON."""
MAX_TASKS_TOLD = 1_000
"""Task ids in an answer that names the tasks of an event."""
MAX_HISTORY_ENTRIES = 1_000
"""History entries that a call gets."""
MAX_HISTORY_BYTES = 1024 * 1024
"""The same, in bytes of the message."""
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Any message that a server sends: gRPC's default for received messages, in every language. Stored data is
bounded so that this holds, and pages of lists end before it."""
MAX_PATH_TOKENS = 32
"""A path into data, which is at most `MAX_DEPTH` deep."""
MAX_METADATA_ENTRIES = 32
MAX_METADATA_BYTES = 4 * 1024
MAX_TEXT_BYTES = 4 * 1024
"""A message for people."""
MAX_PRIORITY = 255
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1_000
LARGEST_INTEGER = 2**53 - 1
"""Beyond it two whole numbers share one double, so the caller's number is not known."""
MAX_THEN_BYTES = MAX_BYTES // 2
MAX_THEN_NODES = 2_000
"""The payload that a task gives `then` of a group; the rest is for the list of failures."""
RESERVED_METADATA = "waystation-"
"""Prefixes of metadata keys that users cannot set."""
MAX_REASON = 200
"""Characters of the reason of a failure."""
MAX_SHORT_TEXT = 200
"""Characters of a version of a schema or a service, and of who answered."""
MAX_TASKS = 1_000
"""Tasks of one registration."""
MAX_NAMES = 1_000
"""Event types, workflow types or paths in one list of a task's spec, and in a filter."""
MAX_NAMES_OF_REGISTRATION = 10_000
"""In all lists of all its tasks."""
MAX_BYTES_OF_REGISTRATION = 1024 * 1024
"""All its tasks as encoded messages: a list shows at least one registration in one message."""

MAX_CALL_SECONDS = 24 * 3600.0
"""A call, and the time between two attempts."""
MAX_PENDING_SECONDS = 24 * 3600.0
"""The time within which a pending delivery must be completed or extended."""
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
MAX_DELAY_SECONDS = 366 * 24 * 3600.0
"""A delay, and every deadline except those of calls."""
MAX_LEASE_SECONDS = 3600.0
FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_799
"""Times are those of the years 1 to 9999, in whole seconds since 1970."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")
_TASK_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


def check_size(
    size: int,
    field: str,
    limit: int = MAX_BYTES,
    error: type[ResourceExhausted] = PayloadTooLarge,
) -> None:
    """Raises `error` for what takes more than `limit` bytes as JSON."""
    if size > limit:
        raise error(
            f"{field} takes {units.size(size)} as JSON; the limit is {units.size(limit)}. "
            "Store large content elsewhere and send a reference.",
            field=field,
            limit_bytes=str(limit),
            bytes=str(size),
        )


def check_id(value: str, field: str) -> str:
    """Returns the id; raises InvalidId unless it is 1-200 characters of `[A-Za-z0-9._:-]`."""
    if _ID.fullmatch(value) is None:
        raise InvalidId(
            f'{field} "{shown(value)}" is not an id: 1-200 characters of [A-Za-z0-9._:-]. '
            "Choose another one.",
            field=field,
            value=shown(value),
        )
    return value


def check_task_id(value: str, field: str) -> str:
    """Returns the task's id; raises InvalidId unless it is 1-200 characters of `[A-Za-z0-9._-]`. It has no
    colon, which separates event, task and edit in an idempotency key."""
    if _TASK_ID.fullmatch(value) is None:
        raise InvalidId(
            f'{field} "{shown(value)}" is not a task id: 1-200 characters of [A-Za-z0-9._-], '
            "without a colon. Choose another one.",
            field=field,
            value=shown(value),
        )
    return value


def check_event_type(value: str, field: str = "event_type") -> str:
    """Returns the event type; raises InvalidEventType unless it follows the rule for ids."""
    if _ID.fullmatch(value) is None:
        raise InvalidEventType(
            f'{field} "{shown(value)}" is not an event type: 1-200 characters of '
            '[A-Za-z0-9._:-], such as "claim.processed".',
            field=field,
            value=shown(value),
        )
    return value


def check_number_of_names(number: int, field: str, otherwise: str) -> None:
    """Raises InvalidField for a list of more than MAX_NAMES; `otherwise` is what to do instead."""
    if number > MAX_NAMES:
        raise InvalidField(
            f"{field} has {number} entries; the limit is {MAX_NAMES}. {otherwise}",
            field=field,
            limit=str(MAX_NAMES),
        )


def check_priority(value: int, field: str = "priority") -> int:
    """Returns the priority; raises InvalidPriority outside 0-255."""
    if not 0 <= value <= MAX_PRIORITY:
        raise InvalidPriority(
            f"{field} {shown(value)} is outside 0-{MAX_PRIORITY}. Omit it for 100.",
            field=field,
            value=shown(value),
        )
    return value


def check_path(path: str) -> None:
    """Raises InvalidPath for a text that is not a JSON Pointer, or that is deeper than data can be."""
    if path.count("/") > MAX_PATH_TOKENS:
        raise InvalidPath(
            f'"{shown(path)}" has more than {MAX_PATH_TOKENS} parts, and data may have at most '
            f"{MAX_DEPTH} levels. Give a shorter path.",
            path=shown(path),
            problem="too deep",
            limit=str(MAX_PATH_TOKENS),
        )
    pointers.parse(path)


def check_answer_path(path: str) -> None:
    """Raises InvalidPath for a place where an answer cannot be stored."""
    check_path(path)
    if len(pointers.parse_for_writing(path)) >= MAX_DEPTH:
        raise InvalidPath(
            f'"{shown(path)}" has more than {MAX_DEPTH - 1} parts, and an answer there would make data deeper '
            f"than {MAX_DEPTH} levels. Give a shorter path.",
            path=shown(path),
            problem="too deep",
            limit=str(MAX_DEPTH - 1),
        )


def check_short_text(value: str, field: str) -> str:
    """Returns the text; raises InvalidField if it has more than 200 characters or a NUL."""
    if len(value) > MAX_SHORT_TEXT or "\0" in value:
        raise InvalidField(
            f"{field} has more than {MAX_SHORT_TEXT} characters or a NUL. Shorten it.",
            field=field,
            limit=str(MAX_SHORT_TEXT),
        )
    return value


def check_text(value: str, field: str) -> str:
    """Returns the text; raises InvalidField if it has a NUL or more than MAX_TEXT_BYTES."""
    if "\0" in value:
        raise InvalidField(f"{field} contains a NUL character. Remove it.", field=field)
    if len(value) > MAX_TEXT_BYTES or len(value.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise InvalidField(
            f"{field} is longer than {units.size(MAX_TEXT_BYTES)}. Shorten it.",
            field=field,
            limit_bytes=str(MAX_TEXT_BYTES),
        )
    return value


def cut(text: str) -> str:
    """The text, cut to MAX_TEXT_BYTES of UTF-8."""
    if len(text) * 4 <= MAX_TEXT_BYTES:
        return text
    return text.encode("utf-8", "surrogatepass")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")


def check_metadata(value: Mapping[str, str], field: str = "metadata") -> dict[str, str]:
    """A copy; InvalidField above 32 entries or 4 KiB in all, with an empty or reserved key, or with a
    NUL."""
    if len(value) > MAX_METADATA_ENTRIES:
        raise InvalidField(
            f"{field} has {len(value)} entries; the limit is {MAX_METADATA_ENTRIES}. "
            "Put data into the payload.",
            field=field,
            limit=str(MAX_METADATA_ENTRIES),
        )
    size = 0
    for key, text in value.items():
        if not key or "\0" in key or "\0" in text:
            raise InvalidField(
                f"{field} has an empty key or a NUL character. Remove it.", field=field
            )
        if key.startswith(RESERVED_METADATA):
            raise InvalidField(
                f'{field} has the key "{shown(key)}": keys that begin with "{RESERVED_METADATA}" are '
                "reserved. Choose another name.",
                field=field,
                key=shown(key),
            )
        size += len(key.encode("utf-8", "surrogatepass"))
        size += len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_METADATA_BYTES:
        raise InvalidField(
            f"{field} takes {units.size(size)}; the limit is {units.size(MAX_METADATA_BYTES)}. "
            "Put data into the payload.",
            field=field,
            limit_bytes=str(MAX_METADATA_BYTES),
        )
    return dict(value)


def check_events_of_answer(number: int) -> None:
    """Raises TooManyEvents for more events than one answer may raise."""
    if number > MAX_EVENTS_PER_ANSWER:
        raise TooManyEvents(
            f"A result may raise at most {MAX_EVENTS_PER_ANSWER} events, not {number}; raise them in "
            "several steps.",
            limit=str(MAX_EVENTS_PER_ANSWER),
        )


def page_size(value: int) -> int:
    """How many entries a page has: 0 means 50, above 1,000 means 1,000.

    Raises InvalidField when negative.
    """
    if value < 0:
        raise InvalidField(
            f"page_size {shown(value)} is negative. Omit it for {DEFAULT_PAGE_SIZE}.",
            field="page_size",
        )
    return min(value or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
