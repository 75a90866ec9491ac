"""Settings of the API server."""

from __future__ import annotations

import json
from pathlib import Path

from google.protobuf import json_format
from pydantic import Field, SecretStr, field_validator

from waystation.v1 import handler_pb2, handler_registry_service_pb2
from waystation_core.domain.draft import MAX_EVENTS_PER_INSTANCE
from waystation_core.domain.endpoints import DEFAULT_ALLOWLIST, Allowlist
from waystation_core.domain.errors import InvalidField
from waystation_core.rpc.settings import BadSettings, Settings, check_url, variable

DEFAULT_PORT = 7400


class ApiSettings(Settings):
    """Read from `WAYSTATION_*` by `waystation_core.rpc.settings.read_settings`."""

    database_url: SecretStr
    """`postgresql://user:password@host:port/database`."""
    broker_url: SecretStr
    """`amqp://user:password@host:port/vhost`."""
    api_host: str = "127.0.0.1"
    api_port: int = Field(DEFAULT_PORT, ge=0, le=65_535)
    """0: a free one."""
    api_database_connections: int = Field(8, ge=2, le=200)
    """Connections to Postgres at most."""
    handler_allowlist: str = DEFAULT_ALLOWLIST
    """Networks, addresses and names that handler services may have, with ports where wanted."""
    handlers_file: Path | None = None
    """Static registrations: a JSON list of RegisterHandlerRequests."""
    max_handlers: int = Field(10_000, ge=1, le=1_000_000)
    """Endpoints registered at once, above which registrations of further ones are refused."""
    retire_after_seconds: float = Field(60.0, ge=1.0, le=7 * 86_400.0)
    """How long a task may be declared by no endpoint of its live service before it is retired."""
    max_events_per_workflow: int = Field(MAX_EVENTS_PER_INSTANCE, ge=1, le=1_000_000)
    max_backlog: int = Field(1_000_000, ge=1, le=1_000_000)
    """Events waiting to be handled, at which starts and published events are refused."""
    stop_grace_seconds: float = Field(10.0, ge=0.0, le=600.0)
    """How long calls in flight may take to finish after SIGTERM."""

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: SecretStr) -> SecretStr:
        return check_url(value, ("postgresql", "postgres"))

    @field_validator("broker_url")
    @classmethod
    def _broker(cls, value: SecretStr) -> SecretStr:
        return check_url(value, ("amqp", "amqps", "memory"))

    @field_validator("handler_allowlist")
    @classmethod
    def _allowlist(cls, value: str) -> str:
        try:
            Allowlist.parse(value)
        except InvalidField as fault:
            raise ValueError(fault.message) from None
        return value


def static_registrations(
    file: Path | None,
) -> list[handler_registry_service_pb2.RegisterHandlerRequest]:
    """The registrations in `handlers_file`. Raises BadSettings where it can't be read."""
    if file is None:
        return []
    name = variable("handlers_file")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadSettings([f"{name}={file} can't be read: {error}."]) from None
    holder = handler_registry_service_pb2.RegisterHandlerRequest
    requests = []
    try:
        entries = _json(text)
        for entry in entries:
            request = json_format.ParseDict(entry, holder())
            request.kind = handler_pb2.REGISTRATION_KIND_STATIC
            requests.append(request)
    except (ValueError, TypeError, json_format.ParseError) as error:
        raise BadSettings(
            [f"{name}={file} is no JSON list of RegisterHandlerRequests: {error}."]
        ) from None
    return requests


def _json(text: str) -> list[dict[str, object]]:
    entries = json.loads(text)
    if not isinstance(entries, list):
        raise ValueError("it must be a list")
    return entries
