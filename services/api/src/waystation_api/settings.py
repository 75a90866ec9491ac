"""Settings of the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import json_format
from pydantic import Field

from waystation.v1 import handler_pb2, handler_registry_service_pb2
from waystation_core.rpc.settings import BadSettings, ServerSettings, variable

DEFAULT_PORT = 7400


class ApiSettings(ServerSettings):
    """Read from `WAYSTATION_*` by `waystation_core.rpc.settings.read_settings`."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(DEFAULT_PORT, ge=0, le=65_535)
    """0: any free port."""
    api_database_connections: int = Field(8, ge=4, le=200)
    """Connections to Postgres at most; a quarter of them are for questions."""
    handlers_file: Path | None = None
    """Static registrations: a JSON list of RegisterHandlerRequests."""
    max_handlers: int = Field(10_000, ge=1, le=1_000_000)
    """Registered endpoints at once; above it further registrations are refused."""
    retire_after_seconds: float = Field(60.0, ge=1.0, le=7 * 86_400.0)
    """How long a task may be without a declaring endpoint of its live service before it is retired."""
    max_backlog: int = Field(1_000_000, ge=1, le=1_000_000)
    """Waiting events at which starts and published events are refused."""

    def misfits(self) -> Iterator[tuple[tuple[str, ...], str]]:
        yield from super().misfits()
        yield from self.misfits_of_host("api_host")
        try:
            number = len(static_registrations(self.handlers_file))
        except BadSettings as bad:
            for each in bad.faults:
                yield ("handlers_file",), each
            return
        if number > self.max_handlers:
            yield (
                ("handlers_file", "max_handlers"),
                f"{variable('max_handlers')} is {self.max_handlers}, and "
                f"{variable('handlers_file')} has {number} registrations: increase it.",
            )


def static_registrations(
    file: Path | None,
) -> list[handler_registry_service_pb2.RegisterHandlerRequest]:
    """The registrations in `handlers_file`. Raises BadSettings if it cannot be read."""
    if file is None:
        return []
    name = variable("handlers_file")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadSettings([f"{name}={file} cannot be read: {error}."]) from None
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
            [f"{name}={file} is not a JSON list of RegisterHandlerRequests: {error}."]
        ) from None
    return requests


def _json(text: str) -> list[dict[str, object]]:
    entries = json.loads(text)
    if not isinstance(entries, list):
        raise ValueError("it must be a list")
    return entries
