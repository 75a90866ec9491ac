"""Events: the one that a task handles, and those that tasks and clients raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, TypeVar

from waystation.v1 import event_pb2
from waystation_worker.arguments import text, whole
from waystation_worker.tasks import is_event_type
from waystation_worker.times import Span, moment, span, time_of
from waystation_worker.values import Json, Model, read_struct, write_struct

ModelT = TypeVar("ModelT")

_RESERVED_METADATA = "waystation-"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to raise. The payload is a mapping or a pydantic model. Priority (0-255) and
    metadata are inherited if not given.

    It is delivered immediately, or after `delay` (seconds or a timedelta, at most 366 days), or not
    before `deliver_at`. If no task was called with it by `expires_at`, it is skipped. Times need a
    time zone.

    Raises ValueError or TypeError for an invalid type, a priority or time out of range, reserved
    keys of metadata, a delay together with `deliver_at`, and an expiry that is not after
    `deliver_at`. A payload that is not valid JSON is refused when the event is raised.
    """

    event_type: str
    payload: Mapping[str, Any] | Model | None = None
    _: KW_ONLY
    priority: int | None = None
    metadata: Mapping[str, str] | None = None
    schema_version: str = ""
    delay: Span | None = None
    deliver_at: datetime | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not is_event_type(self.event_type):
            text(self.event_type, "event_type")
            raise ValueError(
                f"event_type: {self.event_type!r} is not 1-200 characters of [A-Za-z0-9._:-]"
            )
        if self.priority is not None:
            whole(self.priority, "priority", 0, 255)
        if type(self.schema_version) is not str:
            text(self.schema_version, "schema_version")
        if self.metadata is not None and not isinstance(self.metadata, Mapping):
            raise TypeError(f"metadata must be a mapping, not {type(self.metadata).__name__}")
        for key, value in (self.metadata or {}).items():
            text(key, "metadata: a key")
            text(value, f"metadata {key!r}")
            if key.startswith(_RESERVED_METADATA):
                raise ValueError(
                    f"metadata {key!r}: keys that begin with {_RESERVED_METADATA!r} are reserved"
                )
        if self.delay is None and self.deliver_at is None and self.expires_at is None:
            return
        if self.delay is not None:
            span(self.delay, "delay")
            if self.deliver_at is not None:
                raise ValueError("delay and deliver_at exclude each other; give one of them")
        earliest = None if self.deliver_at is None else moment(self.deliver_at, "deliver_at")
        latest = None if self.expires_at is None else moment(self.expires_at, "expires_at")
        if earliest is not None and latest is not None and latest <= earliest:
            raise ValueError(
                "expires_at must be after deliver_at; otherwise the event would never be delivered"
            )

    @property
    def is_timed(self) -> bool:
        """Whether it has a delay, a delivery time or an expiry."""
        return (self.delay, self.deliver_at, self.expires_at) != (None, None, None)

    def _message(self) -> event_pb2.NewEvent:
        """The event as a message of the contract. Raises the errors of `write_struct`."""
        message = event_pb2.NewEvent(
            event_type=self.event_type, priority=self.priority, schema_version=self.schema_version
        )
        if self.payload is not None:
            write_struct(self.payload, message.payload, "payload")
        if self.metadata:
            for key, value in self.metadata.items():
                message.metadata[key] = value
        if self.delay is not None:
            message.delay.FromTimedelta(span(self.delay, "delay"))
        if self.deliver_at is not None:
            message.deliver_at.FromDatetime(self.deliver_at)
        if self.expires_at is not None:
            message.expires_at.FromDatetime(self.expires_at)
        return message


class Event:
    """The event being handled. Read-only."""

    __slots__ = ("_message", "_payload")

    def __init__(self, message: event_pb2.WorkflowEvent) -> None:
        self._message = message
        self._payload: dict[str, Any] | None = None

    @property
    def event_id(self) -> str:
        """A UUIDv7 as text."""
        return self._message.event_id

    @property
    def event_type(self) -> str:
        """For example `claim.processed`."""
        return self._message.event_type

    @property
    def workflow_instance_id(self) -> str:
        """The instance it was raised in."""
        return self._message.workflow_instance_id

    @property
    def payload(self) -> dict[str, Any]:
        """The payload of the event, as a plain dict; it is a copy."""
        if self._payload is None:
            self._payload = read_struct(self._message.payload)
        return self._payload

    def payload_as(self, model: type[ModelT]) -> ModelT:
        """The payload as a pydantic model, or as another type that pydantic supports.

        Needs `waystation-worker[pydantic]`. Raises Reject PAYLOAD_INVALID, naming the fields, if
        the payload does not fit. A retry could not help, so the delivery becomes a dead letter
        immediately, and an operator can edit the payload.
        """
        return typed(self.payload, model, "payload", "PAYLOAD_INVALID")

    @property
    def created_at(self) -> datetime | None:
        """When it was raised, in UTC."""
        return time_of(self._message, "created_at")

    @property
    def deliver_at(self) -> datetime | None:
        """Its delivery time, in UTC; None: immediately."""
        return time_of(self._message, "deliver_at")

    @property
    def expires_at(self) -> datetime | None:
        """Its expiry, in UTC; None: it does not expire."""
        return time_of(self._message, "expires_at")

    @property
    def correlation_id(self) -> str | None:
        """Set at the start of the workflow."""
        message = self._message
        return message.correlation_id or None

    @property
    def priority(self) -> int:
        """0-255."""
        return self._message.priority

    @property
    def causation_id(self) -> str | None:
        """The event whose handling raised this one; None if a client raised it."""
        return self._message.causation_id or None

    @property
    def raised_by(self) -> str:
        """A task_id, `client` or `system`."""
        return self._message.raised_by

    @property
    def group_id(self) -> str | None:
        """The innermost fan-out group that waits for it; None if there is none."""
        return self._message.group_id or None

    @property
    def branch(self) -> int | None:
        """The branch of that group that it belongs to, from 0; None outside of groups."""
        return self._message.branch if self._message.group_id else None

    @property
    def schema_version(self) -> str:
        """The raiser's version of the payload schema."""
        return self._message.schema_version

    @property
    def metadata(self) -> dict[str, str]:
        """Inherited by the events that this task raises."""
        return dict(self._message.metadata)

    def __repr__(self) -> str:
        return f"<Event {self.event_type} {self.event_id}>"


def typed(value: Json, model: type[ModelT], place: str, reason: str) -> ModelT:
    """The value as a model. Raises Reject with this reason if it does not fit."""
    # Import pydantic only if models are used.
    from waystation_worker.typed import read_as

    return read_as(value, model, place, reason)
