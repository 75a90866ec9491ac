"""What a router process is told by its environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from waystation_core.domain.draft import MAX_EVENTS_PER_INSTANCE
from waystation_core.domain.endpoints import DEFAULT_ALLOWLIST
from waystation_core.rpc.settings import Settings, check_url


def _database(value: SecretStr) -> SecretStr:
    return check_url(value, ("postgresql", "postgres"))


def _broker(value: SecretStr) -> SecretStr:
    return check_url(value, ("amqp", "amqps", "memory"))


class RouterSettings(Settings):
    """`WAYSTATION_*`; every field has a safe default but the two addresses."""

    database_url: Annotated[SecretStr, AfterValidator(_database)]
    broker_url: Annotated[SecretStr, AfterValidator(_broker)]
    router_host: str = "127.0.0.1"
    """Where health and reflection are served."""
    router_port: int = Field(default=7401, ge=0, le=65_535)
    """0 takes a free one."""
    handler_allowlist: str = DEFAULT_ALLOWLIST
    """Which addresses handler services may have: networks or host names, each with optional ports."""
    router_prefetch: int = Field(default=1_000, ge=1, le=65_535)
    """Messages this router holds unacknowledged at most."""
    router_lease_seconds: float = Field(default=10.0, ge=1.0, le=300.0)
    """After this long without renewal other routers take over what it had in call."""
    router_database_connections: int = Field(default=8, ge=4, le=100)
    stop_grace_seconds: float = Field(default=10.0, ge=0.0, le=600.0)
    """How long calls in flight may finish after SIGTERM."""
    max_events_per_workflow: int = Field(default=MAX_EVENTS_PER_INSTANCE, ge=1, le=1_000_000)
