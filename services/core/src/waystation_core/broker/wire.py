"""Messages as bytes: readable JSON, and strict checks of what is received."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import orjson

from waystation_core.ids import may_be_ours
from waystation_core.ports.broker import (
    LEVELS,
    MAX_BODY_BYTES,
    MAX_EVENTS_PER_ANNOUNCEMENT,
    AnnouncedEvent,
    Announcement,
    DeadLetterCopy,
    Notice,
    lowest_priority_of,
)
from waystation_domain import limits
from waystation_domain.errors import InvalidId
from waystation_domain.model import DEFAULT_NAMESPACE

CONTENT_TYPE = "application/json"
MAX_VERSION = 2**31 - 1
MAX_NOTICES_BYTES = 1024 * 1024
DEAD_LETTER_TEXT = 1000
"""Characters of a dead letter's message in its copy; the row has all of it."""


class UndecodableError(Exception):
    """These bytes are no announcement; the text says why, without the bytes."""


def announcement_body(announcement: Announcement) -> bytes:
    return orjson.dumps(
        {
            "events": [
                _with_namespace(
                    {
                        "id": event.event_id,
                        "type": announcement.event_type,
                        "instance": event.workflow_instance_id,
                        "workflow_type": event.workflow_type,
                        "version": event.version,
                    },
                    event.namespace,
                )
                for event in announcement.events
            ]
        }
    )


def announcement_from(
    body: bytes,
    *,
    level: int | None = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
    correlation_id: str | None = None,
    traceparent: object = None,
) -> Announcement:
    """The announcement of a message; its priority is the least of its level. A missing content type is
    allowed, so that a person can publish. Raises UndecodableError."""
    if content_encoding:
        raise UndecodableError("content_encoding is set; bodies are plain JSON")
    if content_type not in (None, "", CONTENT_TYPE):
        raise UndecodableError(f"content_type is not {CONTENT_TYPE}")
    if len(body) > MAX_BODY_BYTES:
        raise UndecodableError(f"body is {len(body)} bytes, more than {MAX_BODY_BYTES}")
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableError(
            "body is empty" if not body else "body is not JSON in UTF-8"
        ) from error
    items = decoded.get("events") if isinstance(decoded, dict) else None
    if not isinstance(items, list) or not 0 < len(items) <= MAX_EVENTS_PER_ANNOUNCEMENT:
        raise UndecodableError(f"`events` is not a list of 1 to {MAX_EVENTS_PER_ANNOUNCEMENT}")
    event_type = items[0].get("type") if isinstance(items[0], dict) else None
    return Announcement(
        event_type=_id(event_type, "type"),
        priority=lowest_priority_of(min(level or 0, LEVELS - 1)),
        events=tuple([_event(item, event_type) for item in items]),
        correlation_id=correlation_id,
        traceparent=traceparent if isinstance(traceparent, str) else None,
    )


def notices_body(batch: Sequence[Notice]) -> bytes:
    return orjson.dumps(
        {"notices": [_with_namespace(_notice_item(notice), notice.namespace) for notice in batch]}
    )


def _notice_item(notice: Notice) -> dict[str, Any]:
    item: dict[str, Any] = {
        "instance": notice.workflow_instance_id,
        "version": notice.version,
        "status": notice.status,
        "idle": notice.idle,
    }
    if notice.outcome:
        item["outcome"] = base64.b64encode(notice.outcome).decode()
    return item


def notices_from(body: bytes) -> list[Notice]:
    """Raises UndecodableError."""
    if len(body) > MAX_NOTICES_BYTES:
        raise UndecodableError(f"body is {len(body)} bytes, more than {MAX_NOTICES_BYTES}")
    try:
        return [
            Notice(
                workflow_instance_id=_id(item["instance"], "instance"),
                version=_version(item["version"]),
                status=_version(item["status"]),
                idle=item.get("idle") is True,
                namespace=_id(item.get("namespace", DEFAULT_NAMESPACE), "namespace"),
                outcome=base64.b64decode(item.get("outcome", ""), validate=True),
            )
            for item in orjson.loads(body)["notices"]
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UndecodableError("these are not notices") from error


def dead_letter_message(copy: DeadLetterCopy) -> tuple[bytes, dict[str, Any]]:
    """Body and headers of a dead letter's copy: the cause is visible in the message list."""
    headers = {
        "reason": copy.reason,
        "message": copy.message[:DEAD_LETTER_TEXT],
        "task_id": copy.task_id,
        "attempts": copy.attempts,
    }
    body = orjson.dumps(
        {
            "id": copy.event_id,
            "type": copy.event_type,
            "instance": copy.workflow_instance_id,
            "workflow_type": copy.workflow_type,
            **headers,
        }
    )
    return body, headers


def _event(item: Any, event_type: object) -> AnnouncedEvent:
    if not isinstance(item, dict):
        raise UndecodableError("an event is not an object")
    if item.get("type") != event_type:
        raise UndecodableError("events of several types in one message")
    return AnnouncedEvent(
        event_id=_event_id(item.get("id")),
        workflow_instance_id=_id(item.get("instance"), "instance"),
        workflow_type=_id(item.get("workflow_type"), "workflow_type"),
        version=_version(item.get("version")),
        namespace=_id(item.get("namespace", DEFAULT_NAMESPACE), "namespace"),
    )


def _id(value: object, name: str) -> str:
    try:
        return limits.check_id(value, name)  # type: ignore[arg-type]
    except (InvalidId, TypeError) as error:
        raise UndecodableError(f"`{name}` is not an id") from error


def _event_id(value: object) -> str:
    """An id that our store may have: one message must not make the load of others fail."""
    if not isinstance(value, str) or not may_be_ours(value):
        raise UndecodableError("`id` is not an event's id")
    return value


def _version(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_VERSION:
        raise UndecodableError("a number is not an int32 from 0")
    return value


def _with_namespace(fields: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The default namespace is left out, as nearly every message would repeat it."""
    if namespace != DEFAULT_NAMESPACE:
        fields["namespace"] = namespace
    return fields
